// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Records of the journal read back from what was written, those of older versions included; and what
// damage to their length leads to.

import HookModel
import Testing

@testable import HookStore

@Suite struct JournalRecordTests {
    private func octets(_ kind: UInt8, _ body: (RecordWriter) -> Void) -> [UInt8] {
        let buffer = JournalBuffer()
        let record = RecordWriter(buffer, sequence: 7, kind: kind)
        body(record)
        _ = record.finish(raw: UnsafeRawBufferPointer(start: nil, count: 0), isLastOfGroup: true, chain: 1)
        return Array(buffer.octets)
    }

    private static let results = [
        DeliveryResult(id: 1, state: .delivered, reason: ""),
        DeliveryResult(id: .max, state: .retry(at: at(5)), reason: "http_503", detail: "später"),
        DeliveryResult(id: 3, state: .dead, reason: "http_410", detail: ""),
        DeliveryResult(id: 4, state: .untried(at: at(-6)), reason: "not_tried"),
        DeliveryResult(id: 5, state: .givenUp, reason: "endpoint_down"),
    ]

    private static func all(_ read: inout JournaledResults) -> [DeliveryResult] {
        var found: [DeliveryResult] = []
        while found.count < read.count, let next = read.next() { found.append(next) }
        return found
    }

    @Test func resultsAreReadBack() throws {
        let written = octets(JournalFormat.Kind.results) { $0.add(Self.results, now: at(9)) }
        try written.withUnsafeBytes { head in
            var read = try #require(JournaledResults(head))
            #expect(read.now == at(9) && read.count == Self.results.count)
            #expect(Self.all(&read) == Self.results)
            let end = read.next()
            #expect(end == nil)
        }
        // Cut anywhere, it is noticed, and nothing is made up.
        for length in JournalFormat.recordHead..<written.count {
            written[..<length].withUnsafeBytes { head in
                guard var read = JournaledResults(UnsafeRawBufferPointer(head)) else { return }
                let whole = Self.all(&read)
                #expect(whole.count < Self.results.count && whole == Array(Self.results.prefix(whole.count)))
            }
        }
    }

    @Test func claimsAreReadBack() throws {
        let claim = WriteJob.Claim(subscription: "s", now: at(9), lease: .seconds(30), limit: 9, excluded: [])
        let written = octets(JournalFormat.Kind.claims) { $0.add([5, 1, .max], claim) }
        try written.withUnsafeBytes { head in
            var read = try #require(JournaledClaims(head))
            #expect(read.now == at(9).microseconds && read.leaseEnds == at(39).microseconds)
            let ids = [read.next(), read.next(), read.next(), read.next()]
            #expect(read.count == 3 && ids == [5, 1, .max, nil])
        }
    }

    /// A store that was killed under an older version has records without numbers of deliveries.
    @Test(arguments: [JournalFormat.Kind.oldMessage, JournalFormat.Kind.message])
    func messagesOfBothKindsAreReadBack(_ kind: UInt8) throws {
        let isOld = kind == JournalFormat.Kind.oldMessage
        let written = octets(kind) { record in
            for number: Int64 in [11, 0, 1000, 5, 21] { record.add(number) }
            record.add(UInt32(1))
            if !isOld { record.add(Int64(31)) }
            record.add([UInt8](repeating: 9, count: 32))
            record.add("id" as String?)
            record.add("smtp")
            record.add(nil as String?)
            record.add("[]")
            record.add(nil as String?)
            record.add(nil as String?)
            record.add("accepted")
            record.add("[]")
            record.add("e1")
            record.add("app.event")
            record.add([UInt8]("{}".utf8))
            record.add(UInt32(2))
            for (name, lease) in [("s", Int64(77)), ("t", 0)] {
                record.add(name)
                if !isOld { record.add(lease) }
            }
        }
        try written.withUnsafeBytes { head in
            var message = try #require(JournaledMessage(head, kind: kind))
            #expect(message.id == 11 && message.firstEvent == 21 && message.newEvents == 1)
            #expect(message.firstDelivery == (isOld ? nil : 31))
            let next = message.nextEvent()
            let event = try #require(next)
            #expect(event.deliveries.map(\.subscription) == ["s", "t"])
            #expect(event.deliveries.map(\.leaseEnds) == (isOld ? [0, 0] : [77, 0]))
        }
    }

    /// It was chosen, and is not on the disk as leased yet: what the claim holds is the content of before.
    @Test func whatIsBegunAnewBeforeItsClaimIsStoredWaits() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner)
        _ = try await store.commit(entry("m", events: ["a"], to: ["s"], at: at(10)))
        let journal = try #require(store.journal)
        store.claimsUnderWay?.add([1])
        let renewed = Event(id: "a", type: "app.event", json: Array("{\"id\":\"a\",\"n\":2}".utf8))
        _ = try await store.add([AddedEvent(event: renewed, subscriptions: ["s"], replaces: true)], now: at(11))
        let claim = WriteJob.Claim(subscription: "s", now: at(12), lease: .seconds(5), limit: 1, excluded: [])
        _ = try await withCheckedContinuation { continuation in
            journal.add([1], claim) { continuation.resume(returning: $0) }
        }.get()
        try await store.finish([DeliveryResult(id: 1, state: .delivered, reason: "")], now: at(13))
        let waiting = try #require(try await store.delivery(1))
        #expect(waiting.state == .waiting && waiting.attempts == 0)
        let claimed = try await store.claimDue(subscription: "s", now: at(14), lease: .seconds(5), limit: 9)
        #expect(claimed.map(\.event.json) == [renewed.json])
        // The next claim of it is one like others.
        let leased = try #require(try await store.delivery(1))
        #expect(leased.state == .leased && leased.attempts == 1)
        await store.close()
    }
}
