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
    static let headWindow = 16 << 10

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

    private let recentHeads: RecentHeads?

    /// - Parameter recentHeads: where the writer puts what need not be read again.
    init(folder: String, at position: JournalPosition, recentHeads: RecentHeads? = nil) {
        self.folder = folder
        self.recentHeads = recentHeads
        self.position = position
        buffer = .allocate(byteCount: Self.window, alignment: DirectAccess.alignment)
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
        let changes = (self.end == nil) != (end == nil)
        self.end = end
        if changes, descriptor >= 0 { DirectAccess.set(end != nil, of: descriptor) }
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
        guard try openCurrent() else { return nil }
        var found = recentHead()
        if found == nil { found = try headInFile() }
        guard let (head, all) = found else { return nil }
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

    private func headInFile() throws(StoreError) -> (RecordHead, UnsafeRawBufferPointer)? {
        guard let fixed = try octets(at: position.offset, JournalFormat.recordHead), let head = RecordHead(fixed),
            let all = try octets(at: position.offset, head.headLength), isNext(head, all)
        else { return nil }
        return (head, all)
    }

    /// From memory. Its octets go to the buffer, which holds nothing of the file afterwards.
    private func recentHead() -> (RecordHead, UnsafeRawBufferPointer)? {
        guard let recentHeads, readAhead == Self.headWindow, let octets = recentHeads.take(position.sequence + 1),
            octets.count <= capacity
        else { return nil }
        count = 0
        octets.withUnsafeBytes { buffer.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(buffer), byteCount: $0.count) }
        let all = UnsafeRawBufferPointer(start: buffer, count: octets.count)
        guard let head = RecordHead(all), head.headLength == octets.count, isNext(head, all) else { return nil }
        return (head, all)
    }

    private func isNext(_ head: RecordHead, _ all: UnsafeRawBufferPointer) -> Bool {
        head.sequence == position.sequence + 1
            && JournalChecksum.sum(UnsafeRawBufferPointer(rebasing: all[8...]), seed: position.chain) == head.checksum
    }

    /// A later segment that begins with the next record is right, whatever stands behind the last one here: its
    /// writer gave this one up.
    ///
    /// Where that is the one the reader is in, it has read nothing there yet, and its header may have been written again.
    private func moveToNextSegment() throws(StoreError) {
        let next = position.sequence + 1
        guard let last = segments.last(where: { $0.firstSequence == next }) else { return }
        let candidates = segments.filter { $0.firstSequence == next }
        guard candidates.count > 1 else {
            _ = try enter(last.number)
            return
        }
        // Earlier versions could begin a second one beside one that had got no record.
        var chosen: Int64?
        for candidate in candidates {
            guard try enter(candidate.number), try headInFile() != nil else { continue }
            if let chosen {
                throw .corrupt(
                    "\(JournalSegments.path(folder, chosen)) and \(JournalSegments.path(folder, candidate.number)) both have "
                        + "record \(next)")
            }
            chosen = candidate.number
        }
        _ = try enter(chosen ?? last.number)
    }

    /// To the beginning of a segment; false where it is not there any more.
    private func enter(_ number: Int64) throws(StoreError) -> Bool {
        guard let opened = try Self.open(folder, number) else { return false }
        take(opened.descriptor, number)
        position.segment = number
        position.offset = JournalFormat.headerLength
        position.chain = opened.header.salt
        return true
    }

    private func openCurrent() throws(StoreError) -> Bool {
        if descriptor >= 0, openSegment == position.segment { return true }
        guard position.segment > 0, let opened = try Self.open(folder, position.segment) else { return false }
        take(opened.descriptor, position.segment)
        return true
    }

    private func take(_ opened: Int32, _ segment: Int64) {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = opened
        openSegment = segment
        count = 0
        // What was written past the page cache a moment ago is not there. A recovery reads twice.
        if end != nil { DirectAccess.set(true, of: opened) }
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
            // Whole blocks, as reading past the page cache wants it.
            let first = offset / DirectAccess.alignment * DirectAccess.alignment
            let least = JournalFormat.aligned(offset + length, to: DirectAccess.alignment) - first
            if least > capacity {
                // The length was written by us, or is damaged: no memory is taken for what is not there.
                guard offset + length <= Self.size(descriptor) else { return nil }
                resize(to: least)
            } else if capacity > Self.window, least <= Self.window {
                // One record was large; the next ones need not be.
                resize(to: Self.window)
            }
            var wanted = min(capacity, max(least, readAhead))
            if let end, end.segment == openSegment { wanted = min(wanted, max(0, end.offset - first)) }
            start = first
            count = 0
            count = try Self.read(
                descriptor, JournalSegments.path(folder, openSegment),
                UnsafeMutableRawBufferPointer(start: buffer, count: wanted), at: first)
        }
        guard offset + length <= start + count else { return nil }
        return UnsafeRawBufferPointer(start: buffer + (offset - start), count: length)
    }

    private func resize(to length: Int) {
        buffer.deallocate()
        buffer = .allocate(byteCount: length, alignment: DirectAccess.alignment)
        capacity = length
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
            if count < 0 {
                let error = errno
                if error == EINTR || error == EINVAL && DirectAccess.set(false, of: descriptor) { continue }
                throw StoreError(opening: path, errno: error)
            }
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
