// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A message record as it is read back: views of the octets of its head, nothing copied.

/// Reads fields one after another. Once something is missing, everything that follows is empty and `isWhole` false.
struct RecordFields {
    private let octets: UnsafeRawBufferPointer
    private var offset: Int
    private(set) var isWhole = true

    /// - Parameter head: a record's head, with its fixed octets.
    init(_ head: UnsafeRawBufferPointer) {
        octets = head
        offset = JournalFormat.recordHead
    }

    private mutating func take(_ length: Int) -> UnsafeRawBufferPointer {
        guard isWhole, length <= octets.count - offset else {
            isWhole = false
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: octets[offset..<offset + length])
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) -> Number {
        let part = take(MemoryLayout<Number>.size)
        return part.isEmpty ? 0 : Number(littleEndian: part.loadUnaligned(as: Number.self))
    }

    mutating func part() -> UnsafeRawBufferPointer { take(Int(number(UInt32.self))) }

    mutating func partOrNil() -> UnsafeRawBufferPointer? {
        let length = number(UInt32.self)
        return length == .max ? nil : take(Int(length))
    }
}

/// Valid as long as the octets it was made of.
struct JournaledMessage {
    let id: Int64
    let duplicateOf: Int64?
    let receivedAt: Int64
    let size: Int64
    let firstEvent: Int64
    let newEvents: Int
    /// Of the first delivery, which the others follow; nil in records of a time before deliveries had numbers.
    let firstDelivery: Int64?
    let digest: UnsafeRawBufferPointer
    let messageID: UnsafeRawBufferPointer?
    let source: UnsafeRawBufferPointer
    let mailFrom: UnsafeRawBufferPointer?
    let recipients: UnsafeRawBufferPointer
    let peer: UnsafeRawBufferPointer?
    let helo: UnsafeRawBufferPointer?
    let answer: UnsafeRawBufferPointer
    let verdicts: UnsafeRawBufferPointer
    private var fields: RecordFields

    struct NewEvent {
        let id: UnsafeRawBufferPointer
        let type: UnsafeRawBufferPointer
        let json: UnsafeRawBufferPointer
        let deliveries: [NewDelivery]
    }

    struct NewDelivery {
        let subscription: String
        /// Until when its first attempt is leased; 0 if it is to be claimed.
        let leaseEnds: Int64
    }

    /// nil if fields are missing.
    init?(_ head: UnsafeRawBufferPointer, kind: UInt8) {
        var fields = RecordFields(head)
        id = fields.number(Int64.self)
        let first = fields.number(Int64.self)
        duplicateOf = first == 0 ? nil : first
        receivedAt = fields.number(Int64.self)
        size = fields.number(Int64.self)
        firstEvent = fields.number(Int64.self)
        newEvents = Int(fields.number(UInt32.self))
        firstDelivery = kind == JournalFormat.Kind.oldMessage ? nil : fields.number(Int64.self)
        digest = fields.part()
        messageID = fields.partOrNil()
        source = fields.part()
        mailFrom = fields.partOrNil()
        recipients = fields.part()
        peer = fields.partOrNil()
        helo = fields.partOrNil()
        answer = fields.part()
        verdicts = fields.part()
        self.fields = fields
        guard fields.isWhole else { return nil }
    }

    /// The next of `newEvents`; nil if fields are missing.
    mutating func nextEvent() -> NewEvent? {
        let (id, type, json) = (fields.part(), fields.part(), fields.part())
        var deliveries: [NewDelivery] = []
        var left = fields.number(UInt32.self)
        while left > 0, fields.isWhole {
            let name = String(decoding: fields.part(), as: UTF8.self)
            deliveries.append(
                NewDelivery(subscription: name, leaseEnds: firstDelivery == nil ? 0 : fields.number(Int64.self)))
            left -= 1
        }
        return fields.isWhole ? NewEvent(id: id, type: type, json: json, deliveries: deliveries) : nil
    }
}
