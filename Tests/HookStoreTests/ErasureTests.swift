// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What somebody asks to be erased is gone, from the tables and from the octets of the file.

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
        for id in ["e1", "e2", "e3"] { #expect(try await store.event(id: id) == nil) }
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
}
