// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A segment whose header was written and whose first group was not: left by an end, or by a disk that refused, just
// between the two. It begins with the record that comes next, and no other segment may.

import Foundation
import HookModel
import Synchronization
import Testing

@testable import HookStore

@Suite struct EmptySegmentTests {
    private static func open(_ path: String, _ files: any StoreFiles = SystemFiles()) throws -> SQLiteStore {
        try SQLiteStore.open(path, as: .owner, options: .shortSegments, files: files)
    }

    private static func commit(_ id: String, _ store: SQLiteStore) async throws {
        _ = try await store.commit(entry(id, events: [id], to: ["s"]))
    }

    private static func events(_ store: SQLiteStore) async throws -> [String] {
        try await store.events(after: 0, limit: 100).map(\.event.id)
    }

    private static func segments(_ path: String) throws -> [JournalSegments.Segment] {
        try JournalSegments(folder: JournalFolder.of(path), files: SystemFiles()).inUse
    }

    /// A journal with segment 5, where "first" is, and 6, which has a header alone.
    private static func make(_ path: String) async throws {
        let folder = JournalFolder.of(path)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(count: 64 << 10).write(to: URL(fileURLWithPath: folder + "/00000005.seg"))
        let files = FailingFiles()
        let store = try open(path, files)
        try await commit("first", store)
        files.fail(.writeBehindHeader, EIO)
        let large = entry("large" + String(repeating: "x", count: 600_000), events: ["large"], to: ["s"])
        await #expect(throws: StoreError.self) { _ = try await store.commit(large) }
        await store.close()
        #expect(try segments(path).map(\.number) == [5, 6])
    }

    /// A spare one is there to go on in, with a lower number: its file was begun earlier.
    @Test(arguments: [nil, "00000003.seg", "00000007.seg"]) func itIsStayedIn(spare: String?) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await Self.make(path)
        let file = spare.map { JournalFolder.of(path) + "/" + $0 }
        if let file { try Data(count: 512 << 10).write(to: URL(fileURLWithPath: file)) }
        for id in ["second", "third"] {
            let store = try Self.open(path)
            try await Self.commit(id, store)
            await store.close()
            let all = try Self.segments(path)
            #expect(Set(all.map(\.firstSequence)).count == all.count, "\(all)")
        }
        let store = try Self.open(path)
        #expect(try await Self.events(store) == ["first", "second", "third"])
        await store.close()
    }

    /// An earlier version has gone on beside it, and what it wrote there is not in the database yet.
    @Test(arguments: [false, true]) func theOneWithTheRecordCounts(emptyIsLast: Bool) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await Self.make(path)
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let store = try Self.open(path)
        try await Self.commit("second", store)
        await store.close()
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        try before.write(to: URL(fileURLWithPath: path))
        let number: Int64 = emptyIsLast ? 9 : 2
        let first = try #require(try Self.segments(path).last).firstSequence
        let buffer = JournalBuffer()
        SegmentHeader(number: number, firstSequence: first, salt: 77).append(to: buffer)
        buffer.appendZeros(JournalFormat.headerLength - buffer.count)
        try Data(buffer.octets).write(to: URL(fileURLWithPath: JournalSegments.path(JournalFolder.of(path), number)))
        for id in ["third", "fourth"] {
            let again = try Self.open(path)
            try await Self.commit(id, again)
            await again.close()
        }
        let reader = try SQLiteStore.open(path, as: .reader)
        #expect(try await Self.events(reader) == ["first", "second", "third", "fourth"])
        await reader.close()
    }

    /// Both with records: nobody can tell which were acknowledged.
    @Test func twoWithTheSameRecordAreNoStore() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await Self.make(path)
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let journal = JournalFolder.of(path)
        let store = try Self.open(path)
        try await Self.commit("second", store)
        await store.close()
        // The same records under another number, with a header that says so.
        var copy = try Data(contentsOf: URL(fileURLWithPath: journal + "/00000006.seg"))
        let header = try #require(copy.withUnsafeBytes { SegmentHeader($0) })
        let buffer = JournalBuffer()
        SegmentHeader(number: 8, firstSequence: header.firstSequence, salt: header.salt).append(to: buffer)
        copy.replaceSubrange(0..<SegmentHeader.length, with: Data(buffer.octets))
        try copy.write(to: URL(fileURLWithPath: journal + "/00000008.seg"))
        try before.write(to: URL(fileURLWithPath: path))
        do {
            await (try Self.open(path)).close()
            Issue.record("was opened")
        } catch let error as StoreError {
            guard case .corrupt(let text) = error else { throw error }
            #expect(text.contains("00000006.seg") && text.contains("00000008.seg"))
        }
    }

    /// The header is written again for the next try, with another salt, while the database's thread stands behind it.
    @Test(arguments: [false, true]) func afterAnErrorThereTheDatabaseFollows(partly: Bool) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await Self.make(path)
        let files = FailingFiles()
        let store = try Self.open(path, files)
        files.fail(.writeBehindHeader, EIO, partly: partly)
        await #expect(throws: StoreError.self) { try await Self.commit("no", store) }
        files.heal()
        for id in ["second", "third"] {
            try await Self.commit(id, store)
            // Read from the database, which has to have everything first.
            #expect(try await Self.events(store).last == id)
        }
        await store.close()
        let again = try Self.open(path)
        #expect(try await Self.events(again) == ["first", "second", "third"])
        await again.close()
    }

    /// What went to a file without its name would be lost with the process.
    @Test func aJournalThatIsMovedAwayTakesNothing() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try Self.open(path)
        try await Self.commit("first", store)
        let journal = JournalFolder.of(path)
        let moved = journal + ".moved"
        for name in ["", "/00000001.seg"] {
            try FileManager.default.moveItem(atPath: journal + name, toPath: moved)
            do {
                try await Self.commit("no\(name)", store)
                Issue.record("was taken")
            } catch let error as StoreError {
                #expect("\(error)".contains("was moved away or removed"), "\(error)")
            }
            try FileManager.default.moveItem(atPath: moved, toPath: journal + name)
            try await Self.commit("yes\(name)", store)
        }
        #expect(try await Self.events(store) == ["first", "yes", "yes/00000001.seg"])
        await store.close()
    }

    /// The log of the database may lack what the kernel dropped: no segment is given up for what it says.
    @Test func afterASyncThatFailedNothingIsSettled() throws {
        let folder = try TemporaryFolder()
        let connection = try SQLiteStore.openForWriting(folder.path("store.db"), SystemFiles())
        let writer = try StoreWriter(connection, journal: folder.path("store.db.journal"), options: .shortSegments)
        let settle = WriteJob.settle(unreadable: 0) { _ in }
        _ = try writer.perform([settle])
        // SQLITE_IOERR_WRITE.
        _ = connection.failure(10 | 3 << 8)
        let told = Mutex(0)
        connection.syncs.onFailure { told.withLock { $0 += 1 } }
        _ = try writer.perform([settle])
        #expect(told.withLock { $0 } == 0)
        for _ in 0..<2 { _ = connection.failure(SyncHistory.failedSync) }
        #expect(throws: StoreError.self) { _ = try writer.perform([settle]) }
        #expect(told.withLock { $0 } == 1)
        connection.syncs.onFailure { told.withLock { $0 += 10 } }
        #expect(told.withLock { $0 } == 11, "who asks late hears of it as well")
    }

    /// The rows of a transaction that was rolled back, the end of the store must not count among those with keys.
    @Test func keysOfARollbackAreNotCounted() throws {
        let folder = try TemporaryFolder()
        let connection = try SQLiteStore.openForWriting(folder.path("store.db"), SystemFiles())
        let keys = try KeyIndex(connection, waitingLimit: 1000)
        for id in Int64(1)...300 {
            keys.begin()
            keys.addMessage(id, digest: id << 2, messageID: nil)
            keys.addEvent(id, key: id << 2 | 1)
            keys.committed()
        }
        keys.begin()
        keys.addMessage(301, digest: 301 << 2, messageID: nil)
        keys.addEvent(301, key: 301 << 2 | 1)
        keys.rolledBack()
        try keys.moveAll { body throws(StoreError) in try connection.transaction(body) }
        #expect(try connection.integer("SELECT value FROM counters WHERE name = 'keys_messages'") == 300)
        #expect(try connection.integer("SELECT value FROM counters WHERE name = 'keys_events'") == 300)
        #expect(try connection.integer("SELECT count(*) FROM keys") == 600)
    }
}
