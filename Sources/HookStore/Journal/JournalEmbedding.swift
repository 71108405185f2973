// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes everything out of the journal: a backup has none, and what somebody asked to be erased must
// not stand in a segment until that is used again.

internal import Glibc
public import HookModel

enum JournalEmbedding {
    /// Messages of one transaction.
    private static let batch = 64

    /// Moves octets of messages from segments into the database of `connection`. Its transactions are the caller's
    /// settings; segments are left as they are.
    ///
    /// - Parameters:
    ///   - folder: of the segments.
    ///   - source: the database that `connection` has a copy of, where a message may have been packed or erased meanwhile.
    /// - Throws: also where octets cannot be read. What was done before that stays, and nothing is lost.
    static func run(
        _ connection: SQLiteConnection, from folder: String, copyOf source: SQLiteConnection?
    ) throws(StoreError) {
        let find = try connection.prepare("SELECT message, segment, offset FROM journaled ORDER BY message LIMIT ?1")
        let insertFresh = try connection.prepare("INSERT INTO fresh VALUES (?1, ?2)")
        let insertPacked = try connection.prepare("INSERT INTO packed VALUES (?1, ?2, ?3)")
        let delete = try connection.prepare("DELETE FROM journaled WHERE message = ?1")
        let findPacked = try source?.prepare("SELECT encoding, octets FROM packed WHERE message = ?1")
        let findJournaled = try source?.prepare("SELECT 1 FROM journaled WHERE message = ?1")
        var isDone = false
        while !isDone {
            try connection.transaction { () throws(StoreError) in
                var rows: [(message: Int64, segment: Int64, offset: Int)] = []
                find.bind(1, batch)
                while try find.step() { rows.append((find.integer(0), find.integer(1), Int(find.integer(2)))) }
                isDone = rows.isEmpty
                for row in rows {
                    do throws(StoreError) {
                        let octets = try JournalReader.octets(
                            ofMessage: row.message, folder: folder, segment: row.segment, offset: row.offset)
                        insertFresh.bind(1, row.message)
                        try insertFresh.run(borrowing: octets, as: 2)
                    } catch {
                        // Nobody takes anything away from a store that is ours.
                        guard let findPacked, let findJournaled else { throw error }
                        findPacked.bind(1, row.message)
                        if try findPacked.step() {
                            insertPacked.bind(1, row.message)
                            insertPacked.bind(2, findPacked.integer(0))
                            try insertPacked.run(borrowing: findPacked.octets(1), as: 3)
                            findPacked.reset()
                        } else {
                            findJournaled.bind(1, row.message)
                            // Neither here nor there, it was erased. Still here, its segment was not used again either.
                            if try findJournaled.step() {
                                findJournaled.reset()
                                throw error
                            }
                        }
                    }
                    delete.bind(1, row.message)
                    try delete.run()
                }
            }
        }
        try connection.execute("UPDATE journal SET segment = 0, offset = 0, chain = 0")
    }

    /// Overwrites all segments of a folder and removes them.
    static func destroySegments(of folder: String) throws(StoreError) {
        for (number, _) in try JournalSegments.list(folder) ?? [] {
            try destroy(JournalSegments.path(folder, number), SystemFiles())
        }
    }

    /// Overwrites one file and removes it. Nothing happens where it is gone.
    static func destroy(_ path: String, _ files: any StoreFiles) throws(StoreError) {
        let descriptor = files.open(path, creating: false, isDirect: false)
        guard descriptor != -ENOENT else { return }
        guard descriptor >= 0 else { throw StoreError(opening: path, errno: -descriptor) }
        defer { files.close(descriptor) }
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { zeros.deallocate() }
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        let octets = StoreFile.size(path) ?? 0
        var offset = 0
        while offset < octets {
            let part = UnsafeRawBufferPointer(rebasing: zeros[..<min(zeros.count, octets - offset)])
            try check(files.write(descriptor, part, at: offset), path)
            offset += part.count
        }
        try check(files.synchronize(descriptor), path)
        try check(files.remove(path), path)
    }

    private static func check(_ status: Int32, _ path: String) throws(StoreError) {
        if status != 0 { throw StoreError(opening: path, errno: status) }
    }
}

extension StoreUpkeep {
    /// Brings everything from the journal into the database, then overwrites and removes the journal's files.
    ///
    /// - Throws: `busy` while a daemon runs; `full`; `failed` where a mail in it cannot be read; and what opening throws.
    ///   Nothing is lost where it fails: segments are removed only when all that was in them is in the database.
    public static func emptyJournal(_ path: String) throws(StoreError) {
        let lock = try StoreLock(ownerOf: path)
        defer { withExtendedLifetime(lock) {} }
        let files = SystemFiles()
        let folder = StorePlace.journal(of: path)
        let connection = try SQLiteStore.openForWriting(path, files)
        try JournalRecovery.run(
            try StoreWriter(connection, journal: folder, options: SQLiteStore.Options()),
            try JournalSegments(folder: folder, files: files))
        try connection.execute("PRAGMA synchronous = FULL")
        try JournalEmbedding.run(connection, from: folder, copyOf: nil)
        try JournalEmbedding.destroySegments(of: folder)
    }
}
