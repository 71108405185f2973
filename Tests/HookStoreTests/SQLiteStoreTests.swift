// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What only a durable store can get wrong: reopening, owners and readers, bad files, full disks,
// and what is on disk when a commit was acknowledged.

import CSQLite
import Foundation
import HookModel
import HookStore
import Testing

@Suite struct SQLiteStoreTests {
    /// Executes SQL on a file beside the store.
    private func sql(_ path: String, _ text: String) throws {
        var connection: OpaquePointer?
        defer { sqlite3_close_v2(connection) }
        try #require(sqlite3_open(path, &connection) == SQLITE_OK)
        try #require(sqlite3_exec(connection, text, nil, nil, nil) == SQLITE_OK)
    }

    @Test func reopeningKeepsEverything() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("a b?#%ü.db")
        var store = try SQLiteStore.open(path, as: .owner)
        _ = try await store.commit(entry("m1", events: ["e1", "e2"], to: ["s"], at: at(10)))
        let claimed = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(9), limit: 1)
        try await store.finish(claimed.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(10))
        let events = try await store.events(after: 0, limit: 9)
        await store.close()
        store = try SQLiteStore.open(path, as: .owner)
        #expect(try await store.events(after: 0, limit: 9) == events)
        #expect(try await store.commit(entry("m1", events: ["e1"], to: ["s"])).isDuplicate)
        #expect(try await store.commit(entry("m2", events: ["e3"], to: ["s"], at: at(10))).newEvents == 1)
        let rest = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(9), limit: 9)
        #expect(rest.map(\.event.id) == ["e2", "e3"])
        await store.close()
        #expect(FileManager.default.fileExists(atPath: path))
    }

    /// A command may look while the first owner makes the tables: there is nothing yet, or all of it.
    @Test func aStoreThatIsBeingMadeIsEmptyOrWhole() async throws {
        for _ in 0..<20 {
            let folder = try TemporaryFolder()
            let path = folder.path("store.db")
            let opening = Task.detached { try SQLiteStore.open(path, as: .owner) }
            for _ in 0..<10 {
                let reader = try SQLiteStore.open(path, as: .reader)
                #expect(try await reader.events(after: 0, limit: 1).isEmpty)
                await reader.close()
            }
            await (try opening.value).close()
        }
    }

    @Test func leasesOfAPredecessorAreVoid() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var store = try SQLiteStore.open(path, as: .owner)
        for index in 0..<3 {
            _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"], at: at(10 + Int64(index))))
        }
        let claimed = try await store.claimDue(subscription: "s", now: at(20), lease: .seconds(9999), limit: 2)
        #expect(claimed.count == 2)
        await store.close()
        store = try SQLiteStore.open(path, as: .owner)
        let again = try await store.claimDue(subscription: "s", now: at(20), lease: .seconds(9999), limit: 9)
        #expect(again.map(\.event.id) == ["e0", "e1", "e2"])
        #expect(again.map(\.attempt) == [2, 2, 1])
        await store.close()
    }

    @Test func aSecondOwnerIsRefused() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        #expect(throws: StoreError.busy("another mailhookd uses \(path); stop it first")) { try SQLiteStore.open(path, as: .owner) }
        _ = try await store.commit(entry("m1"))
        await store.close()
        let next = try SQLiteStore.open(path, as: .owner)
        #expect(try await next.counts().messages == 1)
        await next.close()
    }

    /// With two owners each would write over what the other one acknowledged.
    @Test(arguments: [false, true])
    func aSecondOwnerIsRefusedWithoutTheFileOfTheLock(isNew: Bool) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        if !isNew { await (try SQLiteStore.open(path, as: .owner)).close() }
        let store = try SQLiteStore.open(path, as: .owner)
        try FileManager.default.removeItem(atPath: path + ".lock")
        let busy = StoreError.busy("another mailhookd uses \(path); stop it first")
        #expect(throws: busy) { try SQLiteStore.open(path, as: .owner) }
        // What it had locked already, it let go.
        #expect(throws: busy) { try SQLiteStore.open(path, as: .owner) }
        #expect(throws: busy) { try StoreUpkeep.compact(path) }
        _ = try await store.commit(entry("m1"))
        await store.close()
        let next = try SQLiteStore.open(path, as: .owner)
        #expect(try await next.counts().messages == 1)
        await next.close()
    }

    /// A child between fork and exec has every file open that its parent has, by the same description.
    @Test func theLockEndsWithItsOwnerAlsoWhileAChildHasItOpen() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        let lock = try #require(
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }.first {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path + ".lock"
            })
        let copy = dup(lock)
        defer { close(copy) }
        try #require(copy >= 0)
        await store.close()
        let next = try SQLiteStore.open(path, as: .owner)
        await next.close()
    }

    @Test func aDatabaseFromTheFutureIsRefused() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        await (try SQLiteStore.open(path, as: .owner)).close()
        try sql(path, "PRAGMA user_version = 1000")
        for role in [SQLiteStore.Role.owner, .reader] {
            let error = #expect(throws: StoreError.self) { try SQLiteStore.open(path, as: role) }
            guard case .fromTheFuture(found: 1000, known: 1...)? = error else {
                Issue.record("\(role): \(String(describing: error))")
                continue
            }
        }
    }

    @Test func aReaderLooksBeforeDuringAndAfterAnOwner() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let reader = try SQLiteStore.open(path, as: .reader)
        #expect(try await reader.events(after: 0, limit: 9) == [])
        #expect(try await reader.nextDue(subscription: "s") == nil)
        #expect(!FileManager.default.fileExists(atPath: path), "a reader makes no file")
        let owner = try SQLiteStore.open(path, as: .owner)
        #expect(try await reader.events(after: 0, limit: 9) == [])
        for index in 0..<5 {
            _ = try await owner.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"], at: at(10)))
            #expect(try await reader.events(after: 0, limit: 9).count == index + 1)
        }
        #expect(try await reader.nextDue(subscription: "s") == at(10))
        await owner.close()
        #expect(try await reader.events(after: 0, limit: 9).count == 5)
        await reader.close()
        let late = try SQLiteStore.open(path, as: .reader)
        #expect(try await late.events(after: 3, limit: 9).map(\.event.id) == ["e3", "e4"])
        await #expect(throws: StoreError.self) { try await late.commit(entry("m")) }
        await #expect(throws: StoreError.self) { try await late.finish([], now: at(1)) }
        await #expect(throws: StoreError.self) {
            try await late.claimDue(subscription: "s", now: at(1), lease: .seconds(1), limit: 1)
        }
        await late.close()
    }

    @Test func aFileThatIsNoStoreIsNamed() throws {
        let folder = try TemporaryFolder()
        let garbage = Data((0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) })
        for (name, content) in [("text.db", Data("not a database, but long enough".utf8)), ("garbage.db", garbage)] {
            let path = folder.path(name)
            try content.write(to: URL(fileURLWithPath: path))
            for role in [SQLiteStore.Role.owner, .reader] {
                let error = #expect(throws: StoreError.self) { try SQLiteStore.open(path, as: role) }
                guard case .corrupt(let text)? = error, text.contains(path) else {
                    Issue.record("\(name) \(role): \(String(describing: error))")
                    continue
                }
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content, "it is left as it was")
        }
    }

    @Test func aDamagedStoreIsNamed() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        for index in 0..<200 { _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"])) }
        await store.close()
        // All pages but the first: header and schema are whole, the tables are not.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for index in (bytes.count / 3)..<bytes.count { bytes[index] = 0xA5 }
        try bytes.write(to: URL(fileURLWithPath: path))
        do {
            let damaged = try SQLiteStore.open(path, as: .owner)
            let error = await #expect(throws: StoreError.self) {
                for index in 0..<300 {
                    _ = try await damaged.commit(entry("n\(index)", events: ["f\(index)"], to: ["s"]))
                }
                _ = try await damaged.events(after: 0, limit: 1000)
            }
            guard case .corrupt(let text)? = error, text.contains(path) else {
                Issue.record("\(String(describing: error))")
                return
            }
            await damaged.close()
        } catch {
            guard case .corrupt(let text) = error, text.contains(path) else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test(arguments: ["missing/store.db", "folder"])
    func aPlaceThatTakesNoFileIsNamed(_ name: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path("folder"), withIntermediateDirectories: false)
        let error = #expect(throws: StoreError.self) { try SQLiteStore.open(folder.path(name), as: .owner) }
        guard case .failed(let text)? = error, text.contains(folder.path(name)) else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// Raw messages get smaller behind everybody's back, and come out as they went in.
    @Test func rawMessagesAreCompressed() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        let contents = (0..<40).map { index in "\(index)" + String(repeating: "a line of text\r\n", count: index * 10) }
        for content in contents { _ = try await store.commit(entry(content)) }
        _ = try await store.commit(entry(contents[39]))
        // Those of 512 octets and more became smaller.
        let large = contents.count { $0.utf8.count >= 512 }
        #expect(try await eventually { try Rows.count(path, "journaled") == 0 })
        #expect(try Rows.count(path, "packed WHERE encoding = 2 AND length(octets) < 200") == large && large == 36)
        #expect(try Rows.count(path, "packed") == contents.count && Rows.count(path, "fresh") == 0)
        for (index, content) in contents.enumerated() {
            #expect(try await store.message(Int64(index + 1))?.bytes == Array(content.utf8))
        }
        #expect(try await store.message(41)?.bytes == Array(contents[39].utf8))
        await store.close()
    }

    /// What waits is bounded: the rest is refused for the moment, and nobody is left without an answer.
    @Test func theQueueIsBounded() async throws {
        let folder = try TemporaryFolder()
        var options = SQLiteStore.Options()
        options.queueOctets = 100_000
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: options)
        let answers = Tally<Result<CommitReceipt, StoreError>>()
        let count = 500
        for index in 0..<count {
            store.commit(entry("\(index) " + String(repeating: "x", count: 20_000))) { answers.add($0) }
        }
        #expect(try await eventually { answers.all.count == count })
        let stored = answers.all.count { (try? $0.get()) != nil }
        #expect(stored > 0 && stored < count)
        for case .failure(let error) in answers.all {
            #expect(error == .busy("too much waits to be stored"))
            #expect(error.outcome == .storeFailed)
        }
        #expect(try await store.counts().messages == stored)
        // It goes on as soon as there is room.
        #expect(try await store.commit(entry("after")).newEvents == 0)
        await store.close()
    }

    /// What is in the journal and cannot be brought to the database is not lost and not hidden: nobody reads past it,
    /// nothing more is acknowledged, and once the cause is gone it all goes on without a restart.
    @Test(arguments: [5, 48_000])
    func aDatabaseThatRefusesARecordLosesNothing(_ waitingKeys: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        await (try SQLiteStore.open(path, as: .owner)).close()
        let poison = """
            CREATE TRIGGER poison BEFORE INSERT ON events WHEN new.id LIKE 'poison%'
            BEGIN SELECT raise(ABORT, 'poisoned'); END
            """
        try sql(path, poison)
        var options = SQLiteStore.Options()
        options.waitingKeys = waitingKeys
        let store = try SQLiteStore.open(path, as: .owner, options: options)
        var acknowledged: [String] = []
        for round in 0..<3 {
            for index in 0..<20 {
                // New subscriptions are made in the transaction that is rolled back.
                let id = index == 10 ? "poison\(round)" : "e\(round)-\(index)"
                do throws(StoreError) {
                    _ = try await store.commit(entry("m" + id, events: [id], to: ["s\(round)"], messageID: id))
                    acknowledged.append(id)
                } catch {
                    #expect(index > 10)
                    #expect(error == .failed("\(path): poisoned"))
                }
            }
            #expect(acknowledged.contains("poison\(round)"))
            await #expect(throws: StoreError.failed("\(path): poisoned")) { try await store.events(after: 0, limit: 9) }
            await #expect(throws: StoreError.failed("\(path): poisoned")) {
                try await store.claimDue(subscription: "s0", now: at(9999), lease: .seconds(1), limit: 1)
            }
            try sql(path, "DROP TRIGGER poison")
            #expect(try await store.commit(entry("m" + "e\(round)-3", events: ["e\(round)-3"])).isDuplicate)
            #expect(try await store.commit(entry("mpoison\(round)", events: ["poison\(round)"])).newEvents == 0)
            let events = try await store.events(after: 0, limit: 999)
            #expect(events.map(\.event.id) == acknowledged)
            #expect(events.map(\.sequence) == Array(1...Int64(events.count)))
            try sql(path, poison)
        }
        let claimed = try await store.claimDue(subscription: "s0", now: at(9999), lease: .seconds(1), limit: 99)
        #expect(claimed.map(\.event.id) == acknowledged.filter { $0 == "poison0" || $0.hasPrefix("e0") })
        await store.close()
    }

    /// Keys are found wherever they are: in memory, on their way to the table, in it, and read back after a kill.
    @Test(arguments: [10, 100, 48_000], [false, true])
    func keysAreFoundInAllPlaces(_ waitingKeys: Int, _ isKilled: Bool) async throws {
        let folder = try TemporaryFolder()
        var options = SQLiteStore.Options()
        options.waitingKeys = waitingKeys
        options.compresses = false
        var path = folder.path("store.db")
        var store = try SQLiteStore.open(path, as: .owner, options: options)
        var first: [Int: Int64] = [:]
        for round in 0..<4 {
            for index in 0..<(50 * (round + 1)) {
                let isNew = index >= 50 * round
                // Digests that share the octets the key is made of.
                let content = "sharedky\(index)"
                let receipt = try await store.commit(
                    entry(content, events: ["e\(index)"], to: ["s"], messageID: "id\(index % 60)"))
                #expect(receipt.isDuplicate != isNew, "\(round) \(index)")
                #expect(receipt.newEvents == (isNew ? 1 : 0), "\(round) \(index)")
                let message = try #require(try await store.message(ofEvent: "e\(index)"))
                if isNew { first[index] = message.id }
                #expect(message.id == first[index])
                #expect(try await store.event(id: "e\(index)")?.sequence == Int64(index + 1))
            }
            // 60 ids for all of them, duplicates included.
            let ids = try await store.messages(messageID: "id7", limit: 99).map(\.id)
            #expect(ids == ids.sorted())
            #expect(
                ids.count == (0...round).reduce(0) { sum, past in sum + (0..<(50 * (past + 1))).count { $0 % 60 == 7 } }
            )
            if isKilled {
                // The state of the files while the store is open and at rest.
                let copy = folder.path("copy\(round)")
                try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
                try run("/bin/cp", path, path + "-wal", copy)
                try run("/bin/cp", "-r", JournalFolder.of(path), copy)
                await store.close()
                path = copy + "/store.db"
            } else {
                await store.close()
            }
            store = try SQLiteStore.open(path, as: .owner, options: options)
        }
        await store.close()
    }

    /// The files hold mail: others may not read them.
    @Test func filesAreNotForOthers() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner)
        _ = try await store.commit(entry("m", events: ["e"], to: ["s"]))
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder.root)
        let expected = [
            "store.db", "store.db-wal", "store.db-shm", "store.db.lock", "store.db.journal", "store.db.journal/00000001.seg",
        ]
        #expect(Set(names) == Set(expected))
        for name in names {
            let mode = try FileManager.default.attributesOfItem(atPath: folder.path(name))[.posixPermissions] as? Int
            #expect((mode ?? 0o777) & 0o027 == 0, "\(name)")
        }
        await store.close()
    }
}
