// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What somebody asks to be erased is gone, from the tables and from the octets of the file.

import CSQLite
import Foundation
import HookModel
import HookStore
import Testing

@Suite struct ErasureTests {
    enum Way: CaseIterable { case messageID, event, eventOfDuplicate }

    @Test(arguments: Way.allCases, [10, 48_000])
    func aMessageGoesWithAllThatTellsOfIt(_ way: Way, _ waitingKeys: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var options = SQLiteStore.Options()
        options.waitingKeys = waitingKeys
        var store = try SQLiteStore.open(path, as: .owner, options: options)
        for index in 0..<30 { _ = try await store.commit(entry("other\(index)", events: ["o\(index)"], to: ["s"])) }
        let content = "private words " + String(repeating: "of Ines Example ", count: 3000)
        var given = entry(content, events: ["e1", "e2"], to: ["s"], messageID: "ines@x")
        // Those of tests are made of the content's first octets; real ones tell nothing.
        given.verdict.contentDigest = Array(1...32)
        given.message.envelope.mailFrom = "ines@example.net"
        given.verdict.hooks[0].events[0] = Event(id: "e1", type: "app.event", json: Array(#"{"name":"Ines Example"}"#.utf8))
        _ = try await store.commit(given)
        // The same content again, by way of another hook.
        given.verdict.hooks[0].events = [Event(id: "e3", type: "app.event", json: Array(#"{"again":"Ines Example"}"#.utf8))]
        given.verdict.messageID = nil
        given.deliveries = ["e3": ["s"]]
        _ = try await store.commit(given)
        let leased = try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(9), limit: 31)
        #expect(leased.last?.event.id == "e1")

        let subject: ErasureSubject =
            switch way {
            case .messageID: .messageID("ines@x")
            case .event: .event("e2")
            case .eventOfDuplicate: .event("e3")
            }
        let receipt = try await store.erase(subject)
        #expect(receipt.messages == 2 && receipt.events == 3)
        for (id, number) in [("e1", 31), ("e2", 31), ("e3", 32)] as [(String, Int64)] {
            #expect(try await store.event(id: id) == nil)
            #expect(try await store.message(ofEvent: id) == nil)
            // Its id is still that of its message.
            #expect(try await store.messageNumber(ofEvent: id) == number)
        }
        #expect(try await store.messages(messageID: "ines@x", limit: 9) == [])
        let message = try #require(try await store.message(31))
        #expect(message.bytes == nil && message.envelope.recipients == [] && message.envelope.mailFrom == nil)
        #expect(message.verdicts == [] && message.messageID == nil)
        // A result that comes late finds nothing, and nothing of it is delivered any more.
        try await store.finish([DeliveryResult(id: leased[30].id, state: .retry(at: at(1)), reason: "late")], now: at(2001))
        let due = try await store.claimDue(subscription: "s", now: at(9000), lease: .seconds(9), limit: 99)
        #expect(due.count == 30 && due.allSatisfy { $0.event.id.hasPrefix("o") })
        // It is known again, and makes nothing.
        given.verdict.messageID = "ines@x"
        #expect(try await store.commit(given) == CommitReceipt(isDuplicate: true, newEvents: 0))
        #expect(try await store.erase(.messageID("ines@x")).messages == 3)
        #expect(try await store.erase(.messageID("nobody")).messages == 0)
        #expect(try await store.erase(.event("e99")).messages == 0)
        await store.close()
        try StoreUpkeep.emptyJournal(path)
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
        let segments = try FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path))
        #expect(segments == [])
        let octets = try Data(contentsOf: URL(fileURLWithPath: path))
        for words in ["Ines Example", "ines@example.net", "ines@x", "private words"] {
            #expect(octets.firstRange(of: Data(words.utf8)) == nil, "\(words)")
        }
        store = try SQLiteStore.open(path, as: .owner, options: options)
        #expect(try await store.events(after: 0, limit: 99).count == 30)
        #expect(try await store.message(7)?.bytes == Array("other6".utf8))
        #expect(try await store.commit(entry("later", events: ["later"])).newEvents == 1)
        await store.close()
    }

    /// While others store and read: nothing of it is left in any file, and everything else is.
    @Test(arguments: zip([256 << 10, 64 << 20], [true, false]))
    func whileTheStoreIsInUse(_ segmentOctets: Int, _ isPackedBefore: Bool) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var options = SQLiteStore.Options()
        options.segmentOctets = segmentOctets
        options.restingPause = isPackedBefore ? 5 : 60_000
        let store = try SQLiteStore.open(path, as: .owner, options: options)
        let filler = String(repeating: "filler ", count: 6000)
        // So much that segments were spare and were used again.
        for index in 0..<60 { _ = try await store.commit(entry("before\(index) " + filler, events: ["b\(index)"])) }
        var given = entry("private words of Ines Example " + filler, events: ["e1"], to: ["s"], messageID: "ines@x")
        given.verdict.contentDigest = Array(1...32)
        given.verdict.hooks[0].events[0] = Event(id: "e1", type: "app.event", json: Array(#"{"name":"Ines Example"}"#.utf8))
        _ = try await store.commit(given)
        for index in 0..<10 { _ = try await store.commit(entry("behind\(index) " + filler)) }
        if isPackedBefore { try await Task.sleep(for: .milliseconds(300)) }

        let isOver = Flag()
        let others = Task {
            var count = 0
            while !isOver.isSet {
                _ = try await store.commit(entry("during\(count) " + filler, events: ["d\(count)"]))
                _ = try await store.events(after: 0, limit: 5)
                count += 1
            }
            return count
        }
        let receipt = try await store.erase(.event("e1"))
        #expect(receipt.messages == 1 && receipt.events == 1)
        try await store.emptyJournal()
        isOver.set()
        let count = try await others.value
        // Nothing has been closed or stopped.
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.root) {
            guard let octets = FileManager.default.contents(atPath: folder.path(name)) else { continue }
            for words in ["Ines Example", "ines@x"] { #expect(octets.firstRange(of: Data(words.utf8)) == nil, "\(name)") }
        }
        #expect(try await store.message(1)?.bytes == Array(("before0 " + filler).utf8))
        #expect(try await store.message(62)?.bytes == Array(("behind0 " + filler).utf8))
        #expect(try await store.events(after: 0, limit: 100_000).count == 60 + count)
        // Again, with nothing to do; and the store goes on.
        try await store.emptyJournal()
        #expect(try await store.commit(entry("later", events: ["later"])).newEvents == 1)
        await store.close()
        await #expect(throws: StoreError.closed) { try await store.emptyJournal() }
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
        let reopened = try SQLiteStore.open(path, as: .owner)
        #expect(try await reopened.message(Int64(71 + count))?.bytes == Array(("during\(count - 1) " + filler).utf8))
        await reopened.close()
    }

    /// Somebody who reads for ever from a state of before: it is said, and works once the reader is gone.
    @Test func aReaderThatHoldsTheLog() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        _ = try await store.commit(entry("one", events: ["e1"]))
        _ = try await store.events(after: 0, limit: 1)
        let reader = try HeldReader(path)
        _ = try await store.commit(entry("two", events: ["e2"]))
        let isDone = Flag()
        let purge = Task {
            try await store.emptyJournal()
            isDone.set()
        }
        try await Task.sleep(for: .milliseconds(500))
        // Mail does not wait for it.
        #expect(try await store.commit(entry("three", events: ["e3"])).newEvents == 1)
        #expect(!isDone.isSet, "what the reader sees is in the log")
        reader.letGo()
        try await purge.value
        await store.close()
    }

    /// Segments that are given up just when a reader of another process looks at them hide nothing from it.
    @Test func readersBesideItSeeWhatWasAcknowledged() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        let isOver = Flag()
        let purges = Task {
            while !isOver.isSet { try await store.emptyJournal() }
        }
        for index in 0..<150 {
            _ = try await store.commit(entry("m\(index)", events: ["e\(index)"]))
            let reader = try SQLiteStore.open(path, as: .reader)
            #expect(try await reader.events(after: 0, limit: 1000).count == index + 1)
            await reader.close()
        }
        isOver.set()
        try await purges.value
        await store.close()
    }
}

/// A read transaction of a connection of its own.
private final class HeldReader {
    private var handle: OpaquePointer?

    init(_ path: String) throws {
        try #require(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK)
        try #require(sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM events", nil, nil, nil) == SQLITE_OK)
    }

    func letGo() {
        sqlite3_close_v2(handle)
        handle = nil
    }
}
