// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Walks the journal record by record from a position on, from one segment into the next, and stops
// at the first thing that is not the next record. Changes nothing.

internal import Glibc
internal import HookModel

/// Used by one thread at a time.
final class JournalReader: @unchecked Sendable {
    private static let window = 256 << 10
    /// Behind a record whose message is longer than this the next head is looked for alone.
    private static let headWindow = 16 << 10

    let folder: String
    /// Behind the last record that was read.
    private(set) var position: JournalPosition
    /// Where the last record that was read begins.
    private(set) var recordOffset = 0

    private var descriptor: Int32 = -1
    private var openSegment: Int64 = 0
    /// The segments in use, set by whoever knows them.
    private var segments: [JournalSegments.Segment] = []
    /// Behind it the file may change after it was read into the buffer.
    private var end: JournalPosition?

    private var buffer: UnsafeMutableRawPointer
    private var capacity = JournalReader.window
    /// What part of the file is in the buffer.
    private var start = 0
    private var count = 0
    /// How much is read at once, at most.
    private var readAhead = JournalReader.window

    init(folder: String, at position: JournalPosition) {
        self.folder = folder
        self.position = position
        buffer = .allocate(byteCount: Self.window, alignment: 16)
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
        buffer.deallocate()
    }

    /// - Parameters:
    ///   - segments: those in use.
    ///   - end: up to where records are whole while the journal is written; nil if it is at rest.
    func set(_ segments: [JournalSegments.Segment], end: JournalPosition?) {
        self.segments = segments
        // Without an end, what was read goes on behind what is whole.
        if self.end == nil { count = 0 }
        self.end = end
    }

    /// Goes back, to read again what was read.
    func move(to position: JournalPosition) {
        self.position = position
        count = 0
    }

    /// The next record and its head, which stays valid until the next call; nil where there is none.
    ///
    /// - Parameter verifiesRaw: whether the octets behind the head are read and checked as well.
    /// - Throws: where a file that is there cannot be read: that is no end.
    func next(verifiesRaw: Bool) throws(StoreError) -> (head: RecordHead, octets: UnsafeRawBufferPointer)? {
        try moveToNextSegment()
        guard try openCurrent(), let fixed = try octets(at: position.offset, JournalFormat.recordHead),
            let head = RecordHead(fixed), head.sequence == position.sequence + 1,
            let all = try octets(at: position.offset, head.headLength),
            JournalChecksum.sum(UnsafeRawBufferPointer(rebasing: all[8...]), seed: position.chain) == head.checksum
        else { return nil }
        if verifiesRaw, head.rawLength > 0 {
            let path = JournalSegments.path(folder, position.segment)
            guard try Self.raw(descriptor, path, at: position.offset + head.headLength, head) != nil else { return nil }
        }
        readAhead = head.rawLength > Self.headWindow ? Self.headWindow : Self.window
        recordOffset = position.offset
        position.offset = head.end(from: position.offset)
        position.sequence = head.sequence
        position.chain = head.checksum
        return (head, all)
    }

    /// A later segment that begins with the next record is right, whatever stands behind the last one here: its
    /// writer gave this one up.
    private func moveToNextSegment() throws(StoreError) {
        let next = position.sequence + 1
        guard let segment = segments.last(where: { $0.firstSequence == next }), segment.number != position.segment
        else { return }
        guard let opened = try Self.open(folder, segment.number) else { return }
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = opened.descriptor
        openSegment = segment.number
        position.segment = segment.number
        position.offset = JournalFormat.headerLength
        position.chain = opened.header.salt
        count = 0
    }

    private func openCurrent() throws(StoreError) -> Bool {
        if descriptor >= 0, openSegment == position.segment { return true }
        guard position.segment > 0, let opened = try Self.open(folder, position.segment) else { return false }
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = opened.descriptor
        openSegment = position.segment
        count = 0
        return true
    }

    /// nil if there is no such segment in use.
    static func open(
        _ folder: String, _ number: Int64
    ) throws(StoreError) -> (descriptor: Int32, header: SegmentHeader)? {
        let path = JournalSegments.path(folder, number)
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw StoreError(opening: path, errno: errno)
        }
        do throws(StoreError) {
            if case .inUse(let header) = try SegmentHead.read(descriptor, path, number: number) {
                return (descriptor, header)
            }
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        Glibc.close(descriptor)
        return nil
    }

    /// `length` octets of the open file; nil beyond its end.
    private func octets(at offset: Int, _ length: Int) throws(StoreError) -> UnsafeRawBufferPointer? {
        if offset < start || offset + length > start + count {
            if length > capacity {
                // The length was written by us, or is damaged: no memory is taken for what is not there.
                guard offset + length <= Self.size(descriptor) else { return nil }
                buffer.deallocate()
                buffer = .allocate(byteCount: length, alignment: 16)
                capacity = length
            } else if capacity > Self.window, length <= Self.window {
                // One record was large; the next ones need not be.
                buffer.deallocate()
                buffer = .allocate(byteCount: Self.window, alignment: 16)
                capacity = Self.window
            }
            var wanted = min(capacity, max(length, readAhead))
            if let end, end.segment == openSegment { wanted = min(wanted, max(0, end.offset - offset)) }
            start = offset
            count = 0
            count = try Self.read(
                descriptor, JournalSegments.path(folder, openSegment),
                UnsafeMutableRawBufferPointer(start: buffer, count: wanted), at: offset)
        }
        guard offset + length <= start + count else { return nil }
        return UnsafeRawBufferPointer(start: buffer + (offset - start), count: length)
    }

    private static func size(_ descriptor: Int32) -> Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// How much was read, which is less than asked for at the end of the file.
    private static func read(
        _ descriptor: Int32, _ path: String, _ octets: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(StoreError) -> Int {
        guard let start = octets.baseAddress else { return 0 }
        var done = 0
        while done < octets.count {
            let count = pread(descriptor, start + done, octets.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError(opening: path, errno: errno) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// nil if they are not all there, or not as they were written.
    private static func raw(
        _ descriptor: Int32, _ path: String, at offset: Int, _ head: RecordHead
    ) throws(StoreError) -> [UInt8]? {
        guard offset + head.rawLength <= size(descriptor) else { return nil }
        var failure: StoreError?
        let octets = [UInt8](unsafeUninitializedCapacity: head.rawLength) { buffer, count in
            do throws(StoreError) {
                count = try read(descriptor, path, UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch { failure = error }
        }
        if let failure { throw failure }
        guard octets.count == head.rawLength,
            octets.withUnsafeBytes({ JournalChecksum.sum($0, seed: 0) }) == head.rawChecksum
        else { return nil }
        return octets
    }

    /// The octets of a message whose record begins at `offset` of a segment.
    ///
    /// - Throws: why they cannot be read. Whoever does not own the store has to look whether they were taken from there
    ///   meanwhile.
    static func octets(
        ofMessage id: Int64, folder: String, segment: Int64, offset: Int
    ) throws(StoreError) -> [UInt8] {
        let path = JournalSegments.path(folder, segment)
        guard let (descriptor, _) = try open(folder, segment) else {
            throw .failed("\(path): message \(id) cannot be read: the file is not there or not in use")
        }
        defer { Glibc.close(descriptor) }
        let fixedLength = JournalFormat.recordHead + 8
        var fixed = [UInt8](repeating: 0, count: fixedLength)
        var failure: StoreError?
        let count = fixed.withUnsafeMutableBytes { octets in
            do throws(StoreError) { return try read(descriptor, path, octets, at: offset) } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        let head = fixed.withUnsafeBytes { octets -> RecordHead? in
            // The first field is the message's number, which no other message ever has.
            let number = Int64(littleEndian: octets.loadUnaligned(fromByteOffset: fixedLength - 8, as: Int64.self))
            guard count == fixedLength, number == id, let head = RecordHead(octets), JournalFormat.Kind.isMessage(head.kind)
            else { return nil }
            return head
        }
        guard let head, let octets = try raw(descriptor, path, at: offset + head.headLength, head) else {
            throw .failed("\(path): message \(id) cannot be read: it is damaged")
        }
        return octets
    }
}
