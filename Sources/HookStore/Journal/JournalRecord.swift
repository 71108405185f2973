// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The journal's file format: what is at the head of a segment, what a record looks like, and how
// a message entry becomes one. Integers are little-endian.
//
//     segment   header of 4096 octets, then records
//     record    checksum 8 | sequence 8 | head length 4 | kind 1 | flags 1 | 0 2 | raw length 8 |
//               checksum of raw 8 | fields ... (head ends) | raw octets | zeros up to a multiple of 8
//
// The checksum covers the head and begins with the checksum of the record before, the first one
// with the segment's random salt. So a record counts only behind the one it was written after, and
// what an earlier use of the segment left, or what a sender put into a mail, is never taken for one.

internal import HookModel

enum JournalFormat {
    /// Groups begin at such offsets, so that no octet that was synced is written again.
    static let alignment = 4096
    static let headerLength = 4096
    static let magic: UInt64 = 0x314A_444B_4F4F_484D  // "MHOOKDJ1"
    static let recordHead = 40
    /// Far more than any record has; a larger number is not one of ours.
    static let headLimit = 1 << 30

    enum Kind {
        /// Written before schema version 5: deliveries have no numbers yet, and none is leased.
        static let oldMessage: UInt8 = 1
        /// A writer began here: random octets, so that nothing behind it can be of the time before.
        static let opened: UInt8 = 2
        /// How attempts ended.
        static let results: UInt8 = 3
        static let message: UInt8 = 4
        /// Deliveries were handed out to be tried.
        static let claims: UInt8 = 5

        static func isMessage(_ kind: UInt8) -> Bool { kind == message || kind == oldMessage }
    }

    /// The next record begins at the next multiple of `alignment`.
    static let lastOfGroup: UInt8 = 1

    static func aligned(_ offset: Int, to multiple: Int) -> Int { (offset + multiple - 1) / multiple * multiple }
}

/// A place in the journal, between two records.
struct JournalPosition: Sendable, Equatable {
    /// The segment's number; 0 before there is any.
    var segment: Int64 = 0
    /// Octets from the beginning of its file.
    var offset = 0
    /// Of the record before.
    var sequence: Int64 = 0
    /// The checksum of the record before, or the segment's salt.
    var chain: UInt64 = 0
}

/// What is at the head of a segment's file.
struct SegmentHeader: Sendable, Equatable {
    static let length = 40

    var number: Int64
    /// Of its first record.
    var firstSequence: Int64
    var salt: UInt64

    func append(to buffer: JournalBuffer) {
        let start = buffer.count
        buffer.append(JournalFormat.magic)
        buffer.append(number)
        buffer.append(firstSequence)
        buffer.append(salt)
        let octets = UnsafeRawBufferPointer(rebasing: buffer.octets[start...])
        buffer.append(JournalChecksum.sum(octets, seed: JournalFormat.magic))
    }

    /// nil if `octets` are not the head of a segment that is in use.
    init?(_ octets: UnsafeRawBufferPointer) {
        guard octets.count >= Self.length else { return nil }
        func word(_ index: Int) -> UInt64 {
            UInt64(littleEndian: octets.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        let covered = UnsafeRawBufferPointer(rebasing: octets[..<32])
        guard word(0) == JournalFormat.magic, word(4) == JournalChecksum.sum(covered, seed: JournalFormat.magic)
        else { return nil }
        number = Int64(bitPattern: word(1))
        firstSequence = Int64(bitPattern: word(2))
        salt = word(3)
    }

    init(number: Int64, firstSequence: Int64, salt: UInt64) {
        self.number = number
        self.firstSequence = firstSequence
        self.salt = salt
    }
}

/// The fixed octets at a record's head.
struct RecordHead: Sendable, Equatable {
    var checksum: UInt64
    var sequence: Int64
    /// Octets of head and fields.
    var headLength: Int
    var kind: UInt8
    var flags: UInt8
    var rawLength: Int
    var rawChecksum: UInt64

    /// nil if no record can begin like this.
    init?(_ octets: UnsafeRawBufferPointer) {
        guard octets.count >= JournalFormat.recordHead else { return nil }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: octets.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        checksum = word(0)
        sequence = Int64(bitPattern: word(8))
        headLength = Int(UInt32(littleEndian: octets.loadUnaligned(fromByteOffset: 16, as: UInt32.self)))
        kind = octets[20]
        flags = octets[21]
        guard let length = Int(exactly: word(24)), length < 1 << 40 else { return nil }
        rawLength = length
        rawChecksum = word(32)
        guard headLength >= JournalFormat.recordHead, headLength <= JournalFormat.headLimit else { return nil }
    }

    /// Where the next record begins if this one begins at `offset`.
    func end(from offset: Int) -> Int {
        let end = JournalFormat.aligned(offset + headLength + rawLength, to: 8)
        return flags & JournalFormat.lastOfGroup != 0 ? JournalFormat.aligned(end, to: JournalFormat.alignment) : end
    }
}

/// How a record is laid out in a buffer.
struct RecordWriter {
    private let buffer: JournalBuffer
    private let start: Int

    init(_ buffer: JournalBuffer, sequence: Int64, kind: UInt8) {
        self.buffer = buffer
        start = buffer.count
        buffer.append(UInt64(0))
        buffer.append(sequence)
        buffer.append(UInt32(0))
        buffer.append(kind)
        buffer.append(UInt8(0))
        buffer.append(UInt16(0))
        buffer.append(UInt64(0))
        buffer.append(UInt64(0))
    }

    /// What there is of the record so far.
    var octets: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer.octets[start...]) }

    func add<Number: FixedWidthInteger>(_ number: Number) { buffer.append(number) }

    func add(_ octets: [UInt8]) {
        buffer.append(UInt32(truncatingIfNeeded: octets.count))
        octets.withUnsafeBytes { buffer.append($0) }
    }

    func add(_ text: String) {
        var text = text
        text.withUTF8 { octets in
            buffer.append(UInt32(truncatingIfNeeded: octets.count))
            buffer.append(UnsafeRawBufferPointer(octets))
        }
    }

    func add(_ text: String?) {
        if let text { add(text) } else { buffer.append(UInt32.max) }
    }

    /// Completes the head. The raw octets follow behind it, which is the caller's work.
    ///
    /// - Returns: the record's checksum, with which the next one's begins.
    func finish(raw: UnsafeRawBufferPointer, isLastOfGroup: Bool, chain: UInt64) -> UInt64 {
        buffer.set(UInt32(truncatingIfNeeded: buffer.count - start), at: start + 16)
        if isLastOfGroup { buffer.set(JournalFormat.lastOfGroup, at: start + 21) }
        buffer.set(UInt64(raw.count), at: start + 24)
        buffer.set(JournalChecksum.sum(raw, seed: 0), at: start + 32)
        let sum = JournalChecksum.sum(UnsafeRawBufferPointer(rebasing: buffer.octets[(start + 8)...]), seed: chain)
        buffer.set(sum, at: start)
        return sum
    }
}

/// What a commit decided about an entry before it is written.
struct CommitNumbers: Sendable {
    var message: Int64
    /// The first message of the same content; 0 if this is it.
    var duplicateOf: Int64
    /// As in `CommitReceipt`. Not part of the record.
    var hasForeignEvents = false
    /// The first of the new events' sequences, which follow one another.
    var firstEvent: Int64
    /// Which events are new: positions among all of the verdict's.
    var newEvents: [Int]
    /// The first of the new deliveries' numbers, which follow one another.
    var firstDelivery: Int64 = 0
    /// Of each new delivery, in their order: until when its first attempt is leased; 0 if it is to be claimed.
    var leases: [Int64] = []
}

extension RecordWriter {
    /// The fields of a message, in the order in which `JournaledMessage` reads them.
    func add(_ entry: MessageEntry, _ numbers: CommitNumbers) {
        let envelope = entry.message.envelope
        add(numbers.message)
        add(numbers.duplicateOf)
        add(entry.message.receivedAt.microseconds)
        add(Int64(entry.message.bytes.count))
        add(numbers.firstEvent)
        add(UInt32(truncatingIfNeeded: numbers.newEvents.count))
        add(numbers.firstDelivery)
        add(entry.verdict.contentDigest)
        add(entry.verdict.messageID)
        add(envelope.source.rawValue)
        add(envelope.mailFrom)
        add(JSONList.text(envelope.recipients))
        add(envelope.peer)
        add(envelope.helo)
        add(entry.verdict.answer.rawValue)
        add(JSONList.text(of: entry.verdict.hooks))
        guard !numbers.newEvents.isEmpty else { return }
        var next = 0
        var index = 0
        var leases = numbers.leases[...]
        for hook in entry.verdict.hooks {
            for event in hook.events {
                defer { index += 1 }
                guard next < numbers.newEvents.count, numbers.newEvents[next] == index else { continue }
                next += 1
                add(event.id)
                add(event.type)
                add(event.json)
                let subscriptions = entry.deliveries[event.id] ?? []
                add(UInt32(truncatingIfNeeded: subscriptions.count))
                for name in subscriptions {
                    add(name)
                    add(leases.popFirst() ?? 0)
                }
            }
        }
    }
}
