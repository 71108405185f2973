// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What happens to records that an owner of the store wrote and did not bring to the database: the
// next owner does it, and so does a reader that comes when there is no owner.

internal import Glibc
internal import HookModel

enum JournalRecovery {
    private static let records = 2048
    private static let piece = 256 << 10

    /// Brings everything that is whole to the database. The caller is the store's only owner.
    static func run(_ writer: StoreWriter, _ segments: JournalSegments) throws(StoreError) {
        segments.reserve(writer.position.segment)
        let start = writer.position
        try check(start, segments)
        // A predecessor may have renamed or made files and ended before that was durable. They are written to from now on.
        if segments.hadFolder { try check(segments.files.synchronizeFolder(segments.folder), segments.folder) }
        try rewrite(from: start, segments)
        while true {
            while try writer.apply(segments.inUse, end: nil, limit: records).any {}
            guard let behind = try placeBehindDamaged(writer.position, segments) else { break }
            _ = try writer.apply(segments.inUse, end: behind, limit: 1)
        }
        let end = writer.position.sequence
        // Each group was synced before the next one was begun, so no power cut leaves a hole.
        if let later = segments.inUse.first(where: { $0.firstSequence > end + 1 }) {
            throw .corrupt(
                "\(segments.path(later.number)): records \(end + 1) to \(later.firstSequence - 1) before it are missing "
                    + "or damaged; \(advice(segments))")
        }
        // The records are still there if this fails.
        if end > start.sequence { _ = try writer.perform([.settle(unreadable: 0) { _ in }]) }
    }

    /// Whether the segment is there from which the database took its last record. The database is told of a record only
    /// after its group was synced with the segment's header and name, and refers to the segment until it has one of a later
    /// one: so nothing that ends by itself leaves it missing, and what was acknowledged last may have been in it.
    static func check(_ place: JournalPosition, _ segments: JournalSegments) throws(StoreError) {
        let isThere = segments.inUse.contains {
            // Where a later one goes on with the next record, nothing is missing.
            $0.number == place.segment || $0.firstSequence == place.sequence + 1
        }
        // Before there was any, or after everything was taken from the journal, the number is 0.
        guard place.segment > 0, !isThere else { return }
        // An empty folder is made by somebody who gave up what is missing.
        guard !segments.hadFolder || segments.hadSegments else { return }
        throw .corrupt(
            "\(segments.path(place.segment)): is missing or empty, and mail that was accepted may have been in it; "
                + advice(segments))
    }

    private static func advice(_ segments: JournalSegments) -> String {
        "to go on without what is only in the journal, put an empty folder in the place of \(segments.folder)"
    }

    /// Writes the records behind `start` once more, as they are, and syncs them.
    ///
    /// They may be in the kernel's memory only, and after a sync that failed even be called clean there. What is taken
    /// over now counts as stored from now on.
    private static func rewrite(from start: JournalPosition, _ segments: JournalSegments) throws(StoreError) {
        let reader = JournalReader(folder: segments.folder, at: start)
        reader.set(segments.inUse, end: nil)
        var range: Range<Int>?
        var segment: Int64 = 0
        while try moveOn(reader, segments) {
            if segment != reader.position.segment, let done = range {
                try rewrite(done, of: segment, segments)
                range = nil
            }
            segment = reader.position.segment
            range = (range?.lowerBound ?? reader.recordOffset)..<reader.position.offset
        }
        if let range { try rewrite(range, of: segment, segments) }
    }

    private static func rewrite(
        _ range: Range<Int>, of segment: Int64, _ segments: JournalSegments
    ) throws(StoreError) {
        let path = segments.path(segment)
        let descriptor = segments.files.open(path, creating: false, isDirect: false)
        guard descriptor >= 0 else { throw StoreError(opening: path, errno: -descriptor) }
        defer { segments.files.close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 4096)
        defer { buffer.deallocate() }
        // With the header, without which the records are nothing.
        for part in [0..<JournalFormat.headerLength, range] {
            var offset = part.lowerBound
            while offset < part.upperBound {
                let count = pread(descriptor, buffer.baseAddress, min(piece, part.upperBound - offset), off_t(offset))
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw StoreError(opening: path, errno: errno) }
                // The last group's padding may be missing.
                if count == 0 { break }
                let octets = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                try check(segments.files.write(descriptor, octets, at: offset), path)
                offset += count
            }
        }
        try check(segments.files.synchronize(descriptor), path)
        try check(segments.files.synchronizeFolder(segments.folder), segments.folder)
    }

    private static func check(_ status: Int32, _ path: String) throws(StoreError) {
        if status != 0 { throw StoreError(opening: path, errno: status) }
    }

    /// The last record that is whole behind `start`.
    static func lastSequence(
        behind start: JournalPosition, _ segments: JournalSegments
    ) throws(StoreError) -> Int64 {
        let reader = JournalReader(folder: segments.folder, at: start)
        reader.set(segments.inUse, end: nil)
        while try moveOn(reader, segments) {}
        return reader.position.sequence
    }

    /// To the place behind the next record. False at the end.
    private static func moveOn(_ reader: JournalReader, _ segments: JournalSegments) throws(StoreError) -> Bool {
        if try reader.next(verifiesRaw: true) != nil { return true }
        guard try placeBehindDamaged(reader.position, segments) != nil else { return false }
        return try reader.next(verifiesRaw: false) != nil
    }

    /// The place behind the next record where the octets of its mail are damaged, and it was stored all the same; nil
    /// otherwise.
    ///
    /// A group that was not synced may lack anything, and is the last one: each was synced before the next one was begun.
    /// So where another one was begun behind it, the record counts, with its rows and events, and one mail cannot be read.
    /// Only heads are looked at: their checksums go on from one to the next, from a salt that no sender knows.
    private static func placeBehindDamaged(
        _ place: JournalPosition, _ segments: JournalSegments
    ) throws(StoreError) -> JournalPosition? {
        let reader = JournalReader(folder: segments.folder, at: place)
        reader.set(segments.inUse, end: nil)
        var behind: JournalPosition?
        var isPastGroup = false
        while let (head, _) = try reader.next(verifiesRaw: false) {
            if isPastGroup { return behind }
            behind = behind ?? reader.position
            isPastGroup = head.flags & JournalFormat.lastOfGroup != 0
        }
        return nil
    }
}

/// For readers that are not the owner: makes sure that the database holds what was acknowledged.
struct JournalCatchUp: Sendable {
    /// Milliseconds for which an owner is given time to bring its records to the database.
    private static let patience = 5000

    let path: String
    let files: any StoreFiles

    init(path: String, files: any StoreFiles = SystemFiles()) {
        self.path = path
        self.files = files
    }

    /// - Parameter connection: one to the database, with its tables, outside of a transaction.
    func run(_ connection: SQLiteConnection) throws(StoreError) {
        let folder = StorePlace.journal(of: path)
        let end = try lastSequence(connection, folder)
        for _ in 0..<Self.patience {
            if try JournalIndexer.position(connection).sequence >= end { return }
            do throws(StoreError) {
                try recover(folder)
            } catch {
                switch error {
                // The owner is at it.
                case .busy: usleep(1000)
                case .corrupt: throw error
                default:
                    throw .failed(
                        "messages that were accepted are in \(folder) only, and cannot be brought to the database: \(error)")
                }
            }
        }
        throw .busy("\(path): the owner does not bring its journal to the database")
    }

    /// The last record that is whole. The segment that is read from is only given up once the database is in another
    /// one; so if it still is in the same one afterwards, nothing was taken away meanwhile.
    private func lastSequence(_ connection: SQLiteConnection, _ folder: String) throws(StoreError) -> Int64 {
        var start = try JournalIndexer.position(connection)
        while true {
            let segments = try JournalSegments(folder: folder, files: files)
            let end = try JournalRecovery.lastSequence(behind: start, segments)
            let now = try JournalIndexer.position(connection)
            if now.segment == start.segment {
                try JournalRecovery.check(start, segments)
                return end
            }
            start = now
        }
    }

    /// Does what a new owner would do first, without staying it.
    private func recover(_ folder: String) throws(StoreError) {
        let lock = try StoreLock(ownerOf: path)
        defer { withExtendedLifetime(lock) {} }
        let connection = try SQLiteStore.openForWriting(path, files)
        let writer = try StoreWriter(connection, journal: folder, options: SQLiteStore.Options())
        try JournalRecovery.run(writer, try JournalSegments(folder: folder, files: files))
    }
}
