// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes groups of records: lays them out in one buffer, writes it in few and large pieces, and syncs once. What failed is as if it had never been tried. After a sync
// that failed nobody knows what is in its file, so that nothing more goes to that one.

internal import Glibc
internal import HookModel

/// Used by the journal's thread only.
final class JournalWriter: @unchecked Sendable {
    struct Options: Sendable {
        /// About how long a segment gets.
        var segmentOctets: Int
        /// Room that is left on the disk for the database to follow.
        var reservedOctets: Int
        /// Of a larger group the first part is written early, so that the buffer need not hold all of it.
        var bufferOctets = 384 << 10
    }

    /// Large messages go to the buffer by such parts of what it may hold.
    private static let pieces = 6
    private static let firstStep = 256 << 10
    private static let largestStep = 8 << 20

    private let segments: JournalSegments
    private let files: any StoreFiles
    private let options: Options
    private let random: @Sendable () -> UInt64
    private let buffer = JournalBuffer()
    private let recentHeads: RecentHeads
    /// The last record has a message so large that the next head is looked for alone.
    private var isBehindLarge = false

    private var descriptor: Int32 = -1
    /// Room the current segment has on the disk.
    private var capacity = 0
    /// The segment was written before, so that a sync changes no metadata.
    private var isRecycled = false
    /// Behind the last group that was synced.
    private(set) var position: JournalPosition
    /// What the next group must not follow: octets of a failed one.
    private var mustBeginAnew = false
    /// The first group of a writer in a segment that it found.
    private var mustMark: Bool
    /// A sync of the current file failed.
    private var isSuspect = false
    /// A segment that has to be gone before another one begins with the same record.
    private var abandoned: Int64?

    // Of the group under way.
    private var place: JournalPosition
    /// Where in the file the buffer's octets go.
    private var base = 0
    private var hasWritten = false

    init(
        _ segments: JournalSegments, options: Options, at position: JournalPosition,
        recentHeads: RecentHeads = RecentHeads(),
        random: @escaping @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }
    ) throws(StoreError) {
        self.segments = segments
        files = segments.files
        self.options = options
        self.random = random
        self.recentHeads = recentHeads
        self.position = position
        place = position
        mustMark = true
        // What has no header takes no records.
        guard segments.inUse.contains(where: { $0.number == position.segment }) else { return }
        let path = segments.path(position.segment)
        let opened = files.open(path, creating: false, isDirect: true)
        guard opened >= 0 else { throw StoreError(opening: path, errno: -opened) }
        descriptor = opened
        var status = stat()
        if fstat(opened, &status) == 0 { capacity = Int(status.st_size) }
    }

    deinit {
        if descriptor >= 0 { files.close(descriptor) }
    }

    private func path() -> String { segments.path(place.segment) }

    // MARK: - A group

    /// - Parameter octets: about how many the group has.
    func begin(octets: Int) throws(StoreError) {
        place = position
        hasWritten = false
        buffer.clear()
        let isFull = place.offset > JournalFormat.headerLength
            && JournalFormat.aligned(place.offset + octets, to: JournalFormat.alignment)
                > max(options.segmentOctets, isRecycled ? capacity : 0)
        try checkIsThere()
        // A segment without a record is stayed in: two that begin with the same one would look alike to the next owner.
        let isBetterThere = !isRecycled && place.offset > JournalFormat.headerLength && segments.hasSpare
        if descriptor < 0 || mustBeginAnew || isFull || isBetterThere { try beginSegment() }
        base = place.offset
        if mustMark { appendOpened(isLastOfGroup: false) }
    }

    /// What is written to a file without its name, or under another one, no later owner would find.
    private func checkIsThere() throws(StoreError) {
        guard descriptor >= 0 else { return }
        var (ours, named) = (stat(), stat())
        guard fstat(descriptor, &ours) == 0, stat(path(), &named) == 0,
            (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)
        else { throw .failed("\(path()): was moved away or removed") }
    }

    private func appendOpened(isLastOfGroup: Bool) {
        let record = RecordWriter(buffer, sequence: place.sequence + 1, kind: JournalFormat.Kind.opened)
        record.add(random())
        record.add(random())
        finish(record, raw: UnsafeRawBufferPointer(start: nil, count: 0), isLastOfGroup: isLastOfGroup)
    }

    /// Adds a message to the group under way.
    func append(_ entry: MessageEntry, _ numbers: CommitNumbers, isLastOfGroup: Bool) throws(StoreError) {
        let record = RecordWriter(buffer, sequence: place.sequence + 1, kind: JournalFormat.Kind.message)
        record.add(entry, numbers)
        guard numbers.duplicateOf == 0 else {
            finish(record, raw: UnsafeRawBufferPointer(start: nil, count: 0), isLastOfGroup: isLastOfGroup)
            return
        }
        let result = entry.message.bytes.withUnsafeBytes { raw -> Result<Void, StoreError> in
            let sum = finishHead(of: record, raw: raw, isLastOfGroup: isLastOfGroup)
            do throws(StoreError) { try append(raw) } catch { return .failure(error) }
            complete(sum, isLastOfGroup: isLastOfGroup)
            return .success(())
        }
        try result.get()
    }

    private func append(_ octets: UnsafeRawBufferPointer) throws(StoreError) {
        let length = max(1, options.bufferOctets / Self.pieces)
        // What does not fit is refused before it takes the room that others need.
        if octets.count > length { try makeRoom(base + buffer.count + octets.count) }
        var rest = octets[...]
        while !rest.isEmpty {
            let piece = rest.prefix(length)
            rest = rest.dropFirst(piece.count)
            buffer.append(UnsafeRawBufferPointer(rebasing: piece))
            if buffer.count > options.bufferOctets { try flush() }
        }
    }

    /// Adds the ends of attempts to the group under way.
    func append(_ results: [DeliveryResult], now: Timestamp, isLastOfGroup: Bool) throws(StoreError) {
        let record = RecordWriter(buffer, sequence: place.sequence + 1, kind: JournalFormat.Kind.results)
        record.add(results, now: now)
        finish(record, raw: UnsafeRawBufferPointer(start: nil, count: 0), isLastOfGroup: isLastOfGroup)
        if buffer.count > options.bufferOctets { try flush() }
    }

    /// Adds deliveries that are handed out to the group under way.
    func append(_ ids: [Int64], _ claim: WriteJob.Claim, isLastOfGroup: Bool) throws(StoreError) {
        let record = RecordWriter(buffer, sequence: place.sequence + 1, kind: JournalFormat.Kind.claims)
        record.add(ids, claim)
        finish(record, raw: UnsafeRawBufferPointer(start: nil, count: 0), isLastOfGroup: isLastOfGroup)
    }

    private func finish(_ record: RecordWriter, raw: UnsafeRawBufferPointer, isLastOfGroup: Bool) {
        complete(finishHead(of: record, raw: raw, isLastOfGroup: isLastOfGroup), isLastOfGroup: isLastOfGroup)
    }

    private func finishHead(of record: RecordWriter, raw: UnsafeRawBufferPointer, isLastOfGroup: Bool) -> UInt64 {
        let sum = record.finish(raw: raw, isLastOfGroup: isLastOfGroup, chain: place.chain)
        if isBehindLarge { recentHeads.add(record.octets, sequence: place.sequence + 1) }
        isBehindLarge = raw.count > JournalReader.headWindow
        return sum
    }

    private func complete(_ sum: UInt64, isLastOfGroup: Bool) {
        let end = base + buffer.count
        let next = JournalFormat.aligned(end, to: isLastOfGroup ? JournalFormat.alignment : 8)
        buffer.appendZeros(next - end)
        place.offset = next
        place.sequence += 1
        place.chain = sum
    }

    /// Writes and syncs the group. When it returns, all of it would survive a power cut.
    func commit() throws(StoreError) {
        try flush()
        // A group that does not end where it has to would not be on the disk with its last record.
        guard buffer.count == 0 else { throw .failed("\(path()): a group of the journal has no end") }
        let status = files.synchronize(descriptor)
        guard status == 0 else {
            // The kernel may have dropped what it could not write and call the pages clean: a second sync that
            // succeeds would prove nothing. What was synced before shares no page with this group.
            isSuspect = true
            throw StoreError(opening: path(), errno: status)
        }
        position = place
        mustMark = false
        mustBeginAnew = false
    }

    /// Forgets the group under way.
    func rollBack() {
        buffer.clear()
        recentHeads.forget(after: position.sequence)
        if hasWritten || isSuspect { mustBeginAnew = true }
        place = position
    }

    /// Writes up to the end of the last whole block. What is behind it stays in the buffer; of a whole group nothing is.
    private func flush() throws(StoreError) {
        let end = base + buffer.count
        let length = end / JournalFormat.alignment * JournalFormat.alignment - base
        guard length > 0 else { return }
        try write(UnsafeRawBufferPointer(rebasing: buffer.octets[..<length]))
        buffer.removeFirst(length)
    }

    private func write(_ octets: UnsafeRawBufferPointer) throws(StoreError) {
        try makeRoom(base + octets.count)
        hasWritten = true
        let status = files.write(descriptor, octets, at: base)
        guard status == 0 else { throw StoreError(opening: path(), errno: status) }
        base += octets.count
    }

    /// Goes on in another segment. That begins with a record that says nothing, so that nobody has to read the ones
    /// before it any more.
    func renew() throws(StoreError) {
        if position.offset > JournalFormat.headerLength { mustBeginAnew = true }
        try begin(octets: 0)
        appendOpened(isLastOfGroup: true)
        try commit()
    }

    // MARK: - Segments

    /// The next group goes to a segment whose salt nobody knows yet.
    private func beginSegment() throws(StoreError) {
        try removeAbandoned()
        let isUnused = position.offset == JournalFormat.headerLength && descriptor >= 0 && mustBeginAnew
        // Not even its length is known to be on the disk.
        if isUnused, isSuspect { try giveUpFile() }
        if !isUnused || isSuspect { try openSegment() } else { place = position }
        let header = SegmentHeader(number: place.segment, firstSequence: place.sequence + 1, salt: random())
        place.offset = JournalFormat.headerLength
        place.chain = header.salt
        base = 0
        buffer.clear()
        header.append(to: buffer)
        buffer.appendZeros(JournalFormat.headerLength - buffer.count)
        try flush()
        segments.use(header)
        // A group that fails comes back to this place.
        position = place
        mustMark = false
    }

    /// Nothing that counts is in the current file.
    private func giveUpFile() throws(StoreError) {
        files.close(descriptor)
        descriptor = -1
        segments.removeFromUse(position.segment)
        abandoned = position.segment
        try removeAbandoned()
    }

    /// Beside the one that takes its place, the next owner would find two that begin with the same record: nothing is
    /// written before it is gone, also after a power cut.
    private func removeAbandoned() throws(StoreError) {
        guard let number = abandoned else { return }
        let path = segments.path(number)
        let status = files.remove(path)
        guard status == 0 || status == ENOENT else { throw StoreError(opening: path, errno: status) }
        let synced = files.synchronizeFolder(segments.folder)
        guard synced == 0 else { throw StoreError(opening: segments.folder, errno: synced) }
        abandoned = nil
    }

    private func openSegment() throws(StoreError) {
        if let spare = segments.takeSpare() {
            let opened = files.open(segments.path(spare.number), creating: false, isDirect: true)
            if opened >= 0 {
                take(opened, number: spare.number, octets: spare.octets, isRecycled: true)
                return
            }
        }
        let status = files.makeFolder(segments.folder)
        guard status == 0 else { throw StoreError(opening: segments.folder, errno: status) }
        // The folder's own name: it may have been made just now.
        let parent = StorePlace.folder(of: segments.folder)
        let named = files.synchronizeFolder(parent)
        guard named == 0 else { throw StoreError(opening: parent, errno: named) }
        let number = segments.newNumber()
        let opened = files.open(segments.path(number), creating: true, isDirect: true)
        guard opened >= 0 else { throw StoreError(opening: segments.path(number), errno: -opened) }
        let synced = files.synchronizeFolder(segments.folder)
        guard synced == 0 else {
            files.close(opened)
            // Or each try would leave one more.
            _ = files.remove(segments.path(number))
            throw StoreError(opening: segments.folder, errno: synced)
        }
        take(opened, number: number, octets: 0, isRecycled: false)
    }

    private func take(_ opened: Int32, number: Int64, octets: Int, isRecycled: Bool) {
        if descriptor >= 0 { files.close(descriptor) }
        descriptor = opened
        capacity = octets
        self.isRecycled = isRecycled
        isSuspect = false
        mustBeginAnew = true
        place.segment = number
        position.segment = number
        position.offset = JournalFormat.headerLength
    }

    /// Makes the segment long enough, by steps, so that not every sync changes the file's length.
    private func makeRoom(_ end: Int) throws(StoreError) {
        guard end > capacity else { return }
        let step = min(Self.largestStep, max(Self.firstStep, capacity))
        // Without an answer the write itself tells.
        let free = FreeSpace.octets(of: descriptor) ?? .max
        var size = JournalFormat.aligned(max(end, capacity + step), to: JournalFormat.alignment)
        if size - capacity > free - options.reservedOctets {
            size = JournalFormat.aligned(end, to: JournalFormat.alignment)
            guard size - capacity <= free - options.reservedOctets else { throw StoreError(opening: path(), errno: ENOSPC) }
        }
        let status = files.allocate(descriptor, size: size)
        guard status == 0 else { throw StoreError(opening: path(), errno: status) }
        capacity = size
        isRecycled = false
    }
}
