// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What looks at a store from outside while messages are in the journal: backup, restore, check and
// summary, and readers that come when the owner was killed.

import Foundation
import HookModel
import HookStore
import Testing

@Suite struct JournalCareTests {
    private static var options: SQLiteStore.Options {
        var options = SQLiteStore.Options()
        options.compresses = false
        return options
    }

    /// The files of a store whose owner was killed: `open` of them is still to be done. Its database may lack what the
    /// journal has.
    private func killedStore(_ folder: TemporaryFolder, events: Int) async throws -> String {
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        // Records gather for a moment before they come to the database: the copy is taken before that.
        let copy = folder.path("killed")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        try run("/bin/cp", path, path + "-wal", copy)
        for index in 0..<events {
            _ = try await store.commit(
                entry("message \(index)", events: ["e\(index)"], to: ["s"], messageID: "id\(index)"))
        }
        try run("/bin/cp", "-r", JournalFolder.of(path), copy)
        await store.close()
        return copy + "/store.db"
    }

    @Test func aReaderWithoutAnOwnerSeesWhatWasAcknowledged() async throws {
        let folder = try TemporaryFolder()
        let path = try await killedStore(folder, events: 30)
        let reader = try SQLiteStore.open(path, as: .reader)
        #expect(try await reader.events(after: 0, limit: 99).map(\.event.id) == (0..<30).map { "e\($0)" })
        #expect(try await reader.message(ofEvent: "e7")?.bytes == Array("message 7".utf8))
        // It did not stay the owner, and did not do it in vain.
        let owner = try SQLiteStore.open(path, as: .owner, options: Self.options)
        #expect(try await owner.commit(entry("message 7", events: ["e7"])).isDuplicate)
        #expect(try await owner.commit(entry("more", events: ["more"])).newEvents == 1)
        #expect(try await reader.events(after: 0, limit: 99).count == 31)
        await owner.close()
        await reader.close()
    }

    @Test func summaryAndCheckCountWhatIsInTheJournal() async throws {
        let folder = try TemporaryFolder()
        let path = try await killedStore(folder, events: 20)
        let summary = try StoreSummary.read(path)
        #expect(summary.events == 20 && summary.rawMessages == 20 && summary.deliveriesWaiting == 20)
        #expect(summary.rawOctets == (0..<20).reduce(0) { $0 + "message \($1)".utf8.count })
        #expect(summary.journalOctets > 0)
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
        // A changed octet of a message in the journal.
        let segment = JournalFolder.of(path) + "/00000001.seg"
        var octets = try Data(contentsOf: URL(fileURLWithPath: segment))
        let place = try #require(octets.range(of: Data("message 11".utf8), options: .backwards))
        octets[place.lowerBound] ^= 1
        try octets.write(to: URL(fileURLWithPath: segment))
        #expect(try StoreCheck.run(path, isDeep: true).faults == ["raw message that cannot be read: 12"])
        #expect(try StoreCheck.run(path).faults == [])
        let reader = try SQLiteStore.open(path, as: .reader)
        #expect(try await reader.message(11)?.bytes == Array("message 10".utf8))
        await #expect(throws: StoreError.self) { try await reader.message(12) }
        await reader.close()
    }

    @Test func aBackupHoldsWhatIsInTheJournal() async throws {
        let folder = try TemporaryFolder()
        let path = try await killedStore(folder, events: 25)
        let backup = folder.path("backup.db")
        _ = try StoreBackup.make(of: path, at: backup, isReplacing: false)
        #expect(try StoreCheck.run(backup, isDeep: true).faults == [])
        let copy = try SQLiteStore.open(backup, as: .reader)
        #expect(try await copy.events(after: 0, limit: 99).count == 25)
        #expect(try await copy.message(25)?.bytes == Array("message 24".utf8))
        await copy.close()
        // What came after the backup goes with the store that is replaced, journal and all.
        let store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        for index in 0..<5 { _ = try await store.commit(entry("late \(index)", events: ["l\(index)"])) }
        await store.close()
        let old = try #require(try StoreUpkeep.restore(path, from: backup))
        let replaced = try SQLiteStore.open(old, as: .reader)
        #expect(try await replaced.events(after: 0, limit: 99).count == 30)
        #expect(try await replaced.message(30)?.bytes == Array("late 4".utf8))
        await replaced.close()
        let restored = try SQLiteStore.open(path, as: .owner, options: Self.options)
        #expect(try await restored.events(after: 0, limit: 99).count == 25)
        #expect(try await restored.commit(entry("late 1", events: ["l1"])).newEvents == 1)
        #expect(try await restored.commit(entry("message 3", events: ["e3"])).isDuplicate)
        #expect(try await restored.message(4)?.bytes == Array("message 3".utf8))
        #expect(try await restored.message(26)?.bytes == Array("late 1".utf8))
        await restored.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }

    /// One mail that cannot be read is not taken for one that was erased: nothing goes with it, and it is named.
    @Test func aMailThatCannotBeReadEndsBackupAndEmptying() async throws {
        let folder = try TemporaryFolder()
        let path = try await killedStore(folder, events: 100)
        let segment = JournalFolder.of(path) + "/00000001.seg"
        _ = try StoreSummary.read(path)
        let whole = try Data(contentsOf: URL(fileURLWithPath: segment))
        let place = try #require(whole.range(of: Data("message 70".utf8), options: .backwards))
        var octets = whole
        octets[place.lowerBound] ^= 1
        try octets.write(to: URL(fileURLWithPath: segment))
        let expected = StoreError.failed("\(segment): message 71 cannot be read: it is damaged")
        let backup = folder.path("backup.db")
        #expect(throws: expected) { try StoreBackup.make(of: path, at: backup, isReplacing: false) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.root).allSatisfy { !$0.hasPrefix("backup") })
        #expect(throws: expected) { try StoreUpkeep.emptyJournal(path) }
        // As well where the disk gives it again, or the whole file was out of reach.
        try FileManager.default.moveItem(atPath: segment, toPath: segment + ".aside")
        #expect(throws: StoreError.self) { try StoreBackup.make(of: path, at: backup, isReplacing: false) }
        #expect(throws: StoreError.self) { try StoreUpkeep.emptyJournal(path) }
        try FileManager.default.moveItem(atPath: segment + ".aside", toPath: segment)
        try whole.write(to: URL(fileURLWithPath: segment))
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
        #expect(try StoreSummary.read(path).rawMessages == 100)
        // Given up by name, it is in nobody's way.
        try octets.write(to: URL(fileURLWithPath: segment))
        let store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        #expect(try await store.erase(.event("e70")).messages == 1)
        await store.close()
        _ = try StoreBackup.make(of: path, at: backup, isReplacing: false)
        #expect(try StoreSummary.read(backup).rawMessages == 99)
        try StoreUpkeep.emptyJournal(path)
        #expect(try StoreSummary.read(path).rawMessages == 99)
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }

    /// Records that are missing in the middle are named; nothing is made up to fill the hole.
    @Test func aHoleInTheJournalIsNamed() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var options = Self.options
        options.segmentOctets = 64 << 10
        let store = try SQLiteStore.open(path, as: .owner, options: options)
        let copy = folder.path("killed")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        try run("/bin/cp", path, path + "-wal", copy)
        for index in 0..<12 {
            _ = try await store.commit(entry("\(index) " + String(repeating: "x", count: 20_000), events: ["e\(index)"]))
        }
        try run("/bin/cp", "-r", JournalFolder.of(path), copy)
        await store.close()
        try FileManager.default.removeItem(atPath: copy + "/store.db.journal/00000002.seg")
        let error = #expect(throws: StoreError.self) { try SQLiteStore.open(copy + "/store.db", as: .owner) }
        guard case .corrupt(let text)? = error, text.contains("/00000003.seg: records 3 to 4 before it are missing") else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
