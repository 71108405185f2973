// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// That a check finds each kind of fault and nothing in a store that is whole; that a backup is the
// state of one moment and opens as a store.

import CSQLite
import Foundation
import HookModel
import HookStore
import Testing

private func change(_ path: String, _ text: String) throws {
    var connection: OpaquePointer?
    defer { sqlite3_close_v2(connection) }
    try #require(sqlite3_open(path, &connection) == SQLITE_OK)
    try #require(sqlite3_exec(connection, text, nil, nil, nil) == SQLITE_OK)
}

/// A closed store with ten messages, their events and deliveries, and a duplicate.
private func makeStore(_ path: String) async throws {
    var options = SQLiteStore.Options()
    options.waitingKeys = 4
    let store = try SQLiteStore.open(path, as: .owner, options: options)
    for index in 0..<10 {
        let content = "m\(index) " + String(repeating: "text ", count: 300)
        _ = try await store.commit(entry(content, events: ["e\(index)"], to: ["s"], messageID: "id\(index)"))
    }
    _ = try await store.commit(entry("m3 " + String(repeating: "text ", count: 300), events: ["e3"]))
    await store.close()
}

@Suite struct CheckTests {
    struct Damage: CustomTestStringConvertible {
        var sql: String
        var fault: String
        var isDeep = false
        var testDescription: String { fault }
    }

    static let damages: [Damage] = [
        .init(sql: "DELETE FROM messages WHERE id = 4", fault: "event without its message: 4"),
        .init(sql: "DELETE FROM events WHERE sequence = 2", fault: "delivery without its event: 2"),
        .init(sql: "UPDATE events SET json = x'' WHERE sequence = 5", fault: "erased event with a delivery that waits: 5"),
        .init(sql: "DELETE FROM subscriptions", fault: "delivery without its subscription: 1"),
        .init(sql: "UPDATE deliveries SET state = 9 WHERE id = 3", fault: "delivery in no known state: 3"),
        .init(sql: "INSERT INTO fresh VALUES (99, x'00')", fault: "octets without their message: 99"),
        .init(
            sql: "INSERT OR IGNORE INTO packed VALUES (1, 1, x'00'); INSERT OR IGNORE INTO fresh VALUES (1, x'00')",
            fault: "octets kept twice: 1"),
        .init(sql: "UPDATE messages SET duplicate_of = 5 WHERE id = 11", fault: "duplicate of a message that is not like it: 11"),
        .init(
            sql: "UPDATE messages SET duplicate_of = NULL WHERE id = 11",
            fault: "message that is no duplicate of an older one it is like: 11"),
        .init(sql: "UPDATE events SET id = 'e1' WHERE sequence = 3", fault: "event whose id another one has: 3"),
        .init(sql: "DELETE FROM keys WHERE key & 3 = 0", fault: "message whose key is missing: 1"),
        .init(sql: "DELETE FROM keys WHERE key & 3 = 1", fault: "event whose key is missing: 1"),
        .init(
            sql: "UPDATE counters SET value = 500 WHERE name = 'keys_events'",
            fault: "counter keys_events is 500, beyond the last row 10"),
        .init(
            sql: "DELETE FROM fresh; DELETE FROM packed; INSERT INTO packed VALUES (1, 2, x'789c010203')",
            fault: "raw message that cannot be read: 1", isDeep: true),
        .init(
            sql: "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'deliveries_due'", fault: "pages: "),
    ]

    @Test(arguments: damages)
    func eachFaultIsNamed(_ damage: Damage) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        let before = try StoreCheck.run(path, isDeep: true)
        #expect(before.faults == [] && before.messages == 11 && before.events == 10 && before.deliveries == 10)
        try change(path, damage.sql)
        let after = try StoreCheck.run(path, isDeep: damage.isDeep)
        #expect(after.faults.contains { $0.hasPrefix(damage.fault) }, "\(after.faults)")
    }

    @Test func damagedPagesAreFaults() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for start in stride(from: 0, to: whole.count, by: 16384) {
            var bytes = whole
            for index in start..<(start + 200) { bytes[index] = 0xA5 }
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(try !StoreCheck.run(path).faults.isEmpty, "page at \(start)")
        }
    }

    @Test func besideAWriterAndBeforeThereIsAnything() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        #expect(throws: StoreError.self) { try StoreCheck.run(path) }
        let store = try SQLiteStore.open(path, as: .owner)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for index in 0..<500 { _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"])) }
            }
            var last = 0
            for _ in 0..<10 {
                let check = try StoreCheck.run(path, isDeep: true)
                #expect(check.faults == [] && check.events == check.deliveries && check.events >= last)
                last = check.events
            }
            try await group.waitForAll()
        }
        await store.close()
    }

    @Test func summariesCount() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        let summary = try StoreSummary.read(path)
        #expect(summary.messages == 11 && summary.duplicates == 1 && summary.rawMessages == 10)
        #expect(summary.events == 10 && summary.erasedEvents == 0 && summary.deliveriesWaiting == 10)
        #expect(summary.oldestMessage == at(1000) && summary.oldestRawMessage == at(1000))
        #expect(summary.oldestEvent == at(1000) && summary.oldestWaiting == at(1000))
        #expect(summary.fileOctets >= summary.usedOctets && summary.usedOctets > 0 && summary.rawOctets > 0)
    }
}

@Suite struct BackupTests {
    @Test func aCopyIsTheStateOfOneMoment() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        let acknowledged = Tally<String>()
        let isOver = Flag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    var index = 0
                    while !isOver.isSet {
                        let id = "e\(task)-\(index)"
                        _ = try await store.commit(
                            entry(id + String(repeating: "x", count: 4000), events: [id], to: ["s"]))
                        acknowledged.add(id)
                        index += 1
                    }
                }
            }
            defer { isOver.set() }
            for round in 0..<5 {
                let count = acknowledged.all.count
                #expect(try await eventually { acknowledged.all.count >= count + 50 })
                let before = acknowledged.all
                let target = folder.path("backup\(round)")
                let octets = try StoreBackup.make(of: path, at: target, isReplacing: false)
                var status = stat()
                #expect(stat(target, &status) == 0 && Int(status.st_size) == octets && status.st_mode & 0o7777 == 0o600)
                let check = try StoreCheck.run(target, isDeep: true)
                #expect(check.faults == [] && check.events == check.deliveries)
                let restored = try SQLiteStore.open(target, as: .owner)
                let events = Set(try await restored.events(after: 0, limit: 1_000_000).map(\.event.id))
                #expect(events.isSuperset(of: before))
                #expect(try await restored.commit(entry(before[0] + String(repeating: "x", count: 4000))).isDuplicate)
                await restored.close()
            }
            isOver.set()
            try await group.waitForAll()
        }
        await store.close()
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.root)
        #expect(!left.contains { $0.contains(".part") }, "\(left)")
    }

    @Test func nothingIsOverwrittenUnasked() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        let target = folder.path("backup")
        try Data("precious".utf8).write(to: URL(fileURLWithPath: target))
        #expect(throws: StoreError.failed("\(target): exists already")) {
            try StoreBackup.make(of: path, at: target, isReplacing: false)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == Data("precious".utf8))
        _ = try StoreBackup.make(of: path, at: target, isReplacing: true)
        #expect(try StoreCheck.run(target).messages == 11)
        #expect(throws: StoreError.failed("\(folder.root)/./store.db: is the store itself")) {
            try StoreBackup.make(of: path, at: folder.root + "/./store.db", isReplacing: true)
        }
        #expect(throws: StoreError.self) {
            try StoreBackup.make(of: path, at: folder.path("missing/backup"), isReplacing: false)
        }
        #expect(throws: StoreError.self) {
            try StoreBackup.make(of: folder.path("nothing"), at: folder.path("other"), isReplacing: false)
        }
    }

    /// The last good copy is not replaced by one of a damaged store.
    @Test func aDamagedStoreMakesNoCopy() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        let target = folder.path("backup")
        _ = try StoreBackup.make(of: path, at: target, isReplacing: false)
        let good = try Data(contentsOf: URL(fileURLWithPath: target))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for index in (bytes.count - 16384)..<bytes.count { bytes[index] = 0xA5 }
        for index in 32768..<33000 { bytes[index] = 0xA5 }
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) {
            try StoreBackup.make(of: path, at: target, isReplacing: true)
        }
        guard case .corrupt? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == good)
    }
}

@Suite struct OpeningTests {
    /// Tables of another program are neither used nor added to.
    @Test func aDatabaseOfSomethingElseIsRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try change(path, "CREATE TABLE precious (x); INSERT INTO precious VALUES (1)")
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) { try SQLiteStore.open(path, as: .owner) }
        guard case .corrupt(let text)? = error, text.contains("something else") else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before, "it is left as it was")
    }

    @Test func aSmallStoreIsReadBeforeItIsUsed() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        // A page that starting does not need.
        for index in (bytes.count - 16384)..<(bytes.count - 16000) { bytes[index] = 0xA5 }
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) { try SQLiteStore.open(path, as: .owner) }
        guard case .corrupt(let text)? = error, text.contains(path) else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// The first schema, as a store of an older version has it, with what was in it.
    @Test func anOlderStoreIsBroughtUpToDate() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        try await makeStore(path)
        try change(
            path,
            """
            DROP TABLE attempts; DROP TABLE subscription_states; DROP TABLE later_events; DROP TRIGGER deliveries_gone;
            DROP TRIGGER events_gone; DROP INDEX deliveries_failed; DROP INDEX deliveries_ordered;
            ALTER TABLE deliveries DROP COLUMN ordered;
            DROP INDEX deliveries_event; DROP TABLE journal; DROP TABLE journaled;
            DELETE FROM packed WHERE message = 1; INSERT INTO fresh VALUES (1, x'6d30'); PRAGMA user_version = 1
            """)
        try FileManager.default.removeItem(atPath: JournalFolder.of(path))
        #expect(throws: StoreError.self) { try StoreCheck.run(path) }
        let store = try SQLiteStore.open(path, as: .owner)
        #expect(try await store.counts().events == 10)
        #expect(try await store.message(1)?.bytes == Array("m0".utf8))
        #expect(try await store.commit(entry("later", events: ["later"])).newEvents == 1)
        await store.close()
        #expect(try StoreCheck.run(path).faults == [])
    }
}
