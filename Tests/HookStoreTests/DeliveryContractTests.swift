// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What every store promises about the history of deliveries and orders about them.

import HookModel
import HookStore
import Testing

@Suite struct DeliveryContractTests {
    private func ready(_ store: any HistoryStore, events: [String], to names: [String] = ["s"]) async throws {
        for event in events { _ = try await store.commit(entry("m-\(event)", events: [event], to: names, at: at(10))) }
    }

    private func commit(_ id: String, _ type: String, to store: any HistoryStore) async throws {
        var given = entry("m-\(id)", events: [id], to: ["s"], at: at(10))
        given.verdict.hooks[0].events[0].type = type
        _ = try await store.commit(given)
    }

    private func states(_ store: any HistoryStore, _ filter: DeliveryFilter = DeliveryFilter()) async throws -> [String] {
        try await store.deliveries(matching: filter, after: 0, limit: 99).map {
            "\($0.eventID) \($0.subscription) \($0.state.rawValue) \($0.attempts) \($0.reason)"
        }
    }

    @Test(arguments: StoreKind.allCases)
    func failedAttemptsAreKept(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a"])
        for attempt in 1...40 {
            let now = at(10 + Int64(attempt) * 10)
            let claimed = try await store.claimDue(subscription: "s", now: now, lease: .seconds(5), limit: 9)
            #expect(claimed.map(\.attempt) == [attempt])
            let result = DeliveryResult(id: 1, state: .retry(at: now), reason: "http_503", detail: "say \(attempt)")
            try await store.finish([result], now: now.advanced(by: .seconds(1)))
        }
        let attempts = try await store.attempts(ofDelivery: 1)
        #expect(attempts.map(\.number) == Array(9...40))
        #expect(attempts.last == StoredAttempt(number: 40, at: at(411), reason: "http_503", detail: "say 40"))
        #expect(try await store.attempts(ofDelivery: 2) == [])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func whatWaitsTooLongIsHastened(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a", "b", "c", "d"])
        try await ready(store, events: ["e"], to: ["t"])
        for name in ["s", "t"] { _ = try await store.claimDue(subscription: name, now: at(10), lease: .seconds(5), limit: 9) }
        for id in 1...2 { try await store.finish([DeliveryResult(id: Int64(id), state: .retry(at: at(9000)), reason: "x")], now: at(11)) }
        try await store.finish([DeliveryResult(id: 3, state: .dead, reason: "x")], now: at(11))
        try await store.finish([DeliveryResult(id: 4, state: .retry(at: at(8000)), reason: "x")], now: at(11))
        try await store.finish([DeliveryResult(id: 5, state: .retry(at: at(9000)), reason: "x")], now: at(11))
        #expect(try await store.nextDue(subscription: "s") == at(8000))
        func hasten() async throws -> Int {
            try await store.hasten(subscription: "s", dueAfter: at(8000), untried: false, limit: 1, now: at(20))
        }
        #expect(try await [hasten(), hasten(), hasten()] == [1, 1, 0])
        let due = try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 9).filter { $0.state == .waiting }
        #expect(due.map(\.due) == [at(20), at(20), at(8000), at(9000)])
        #expect(try await store.claimDue(subscription: "s", now: at(20), lease: .seconds(5), limit: 9).map(\.id) == [1, 2])
        // Those that are being tried have a lease, and are left alone.
        #expect(try await store.hasten(subscription: "s", dueAfter: at(0), untried: false, limit: 9, now: at(21)) == 1)
        #expect(try await store.hasten(subscription: "nobody", dueAfter: at(0), untried: true, limit: 9, now: at(21)) == 0)
        await store.close()
    }

    /// Nothing is made to be due later than it is made; and what was made due is not met again, although the clock goes on.
    @Test(arguments: StoreKind.allCases)
    func whatWasNeverTriedIsHastenedAsWell(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a"])
        _ = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9)
        try await store.finish([DeliveryResult(id: 1, state: .retry(at: at(4000)), reason: "x")], now: at(11))
        _ = try await store.commit(entry("m-b", events: ["b"], to: ["s"], at: at(5000)))
        func hasten(_ untried: Bool, now: Timestamp) async throws -> Int {
            try await store.hasten(subscription: "s", dueAfter: at(6000), untried: untried, limit: 9, now: now)
        }
        #expect(try await hasten(false, now: at(20)) == 0)
        #expect(try await hasten(true, now: at(20)) == 1)
        #expect(try await hasten(true, now: at(21)) == 0)
        #expect(try await store.hasten(subscription: "s", dueAfter: at(1), untried: false, limit: 9, now: at(7000)) == 0)
        #expect(try await store.claimDue(subscription: "s", now: at(20), lease: .seconds(5), limit: 9).map(\.event.id) == ["b"])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func whatWasNotTriedDoesNotCount(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a"])
        _ = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9)
        try await store.finish([DeliveryResult(id: 1, state: .untried(at: at(20)), reason: "")], now: at(11))
        #expect(try await store.nextDue(subscription: "s") == at(20))
        #expect(try await store.attempts(ofDelivery: 1) == [])
        let again = try await store.claimDue(subscription: "s", now: at(20), lease: .seconds(5), limit: 9)
        #expect(again.map(\.attempt) == [1])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func deliveriesAreFoundByEveryCondition(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a", "b"], to: ["s", "t"])
        _ = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9)
        try await store.finish(
            [DeliveryResult(id: 1, state: .dead, reason: "http_410"), DeliveryResult(id: 3, state: .delivered, reason: "")],
            now: at(12))
        #expect(
            try await states(store) == [
                "a s dead 1 http_410", "a t waiting 0 ", "b s delivered 1 ", "b t waiting 0 ",
            ])
        func found(_ change: (inout DeliveryFilter) -> Void) async throws -> [Int64] {
            var filter = DeliveryFilter()
            change(&filter)
            return try await store.deliveries(matching: filter, after: 0, limit: 99).map(\.id)
        }
        #expect(try await found { $0.states = [.dead] } == [1])
        #expect(try await found { $0.states = [.dead, .waiting] } == [1, 2, 4])
        #expect(try await found { $0.subscription = "t" } == [2, 4])
        #expect(try await found { $0.subscription = "none" } == [])
        #expect(try await found { $0.reason = "http_410" } == [1])
        #expect(try await found { $0.eventType = "app.event" } == [1, 2, 3, 4])
        #expect(try await found { $0.eventType = "other" } == [])
        #expect(try await found { $0.since = at(11) } == [])
        #expect(try await found { $0.before = at(11) } == [1, 2, 3, 4])
        #expect(try await found { $0.ids = [3, 99, 2] } == [2, 3])
        #expect(try await store.deliveries(matching: DeliveryFilter(), after: 2, limit: 1).map(\.id) == [3])
        #expect(try await store.deliveries(ofEvent: "b").map(\.id) == [3, 4])
        #expect(try await store.deliveries(ofEvent: "zzz") == [])
        #expect(try await store.delivery(4)?.subscription == "t")
        #expect(try await store.delivery(5) == nil)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func ordersChangeWhatTheyMayChange(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a", "b", "c", "d"])
        _ = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 3)
        try await store.finish(
            [DeliveryResult(id: 1, state: .dead, reason: "timeout"), DeliveryResult(id: 2, state: .delivered, reason: "")],
            now: at(12))
        let signals = Tally<Set<String>>()
        store.onNewDeliveries { signals.add($0) }
        var all = DeliveryFilter()
        #expect(try await store.change(all, .cancel, after: 0, limit: 1, now: at(20)) == (1, 3))
        #expect(try await store.change(all, .cancel, after: 3, limit: 9, now: at(20)) == (1, nil))
        #expect(
            try await states(store) == [
                "a s dead 1 timeout", "b s delivered 1 ", "c s cancelled 1 ", "d s cancelled 0 ",
            ])
        // A result that comes after the order changes nothing.
        try await store.finish([DeliveryResult(id: 3, state: .delivered, reason: "")], now: at(21))
        #expect(try await store.counts().deliveriesCancelled == 2)
        all.states = [.dead, .cancelled]
        #expect(try await store.change(all, .redrive, after: 0, limit: 9, now: at(30)).changed == 3)
        #expect(try await eventually { signals.all == [["s"]] })
        #expect(
            try await store.claimDue(subscription: "s", now: at(30), lease: .seconds(5), limit: 9).map(\.attempt)
                == [1, 1, 1])
        all.states = [.waiting]
        #expect(try await store.change(all, .redrive, after: 0, limit: 9, now: at(30)) == (0, nil))
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func manyDeliveriesAreChangedInPieces(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let names = (0..<25).map { "e\($0)" }
        _ = try await store.commit(entry("m", events: names, to: ["s", "t"], at: at(10)))
        var filter = DeliveryFilter()
        filter.subscription = "t"
        var (count, after): (Int, Int64?) = (0, 0)
        while let start = after {
            let step = try await store.change(filter, .cancel, after: start, limit: 7, now: at(11))
            #expect(step.changed <= 7)
            count += step.changed
            after = step.last
        }
        #expect(count == 25)
        #expect(try await store.counts().deliveriesWaiting == 25)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func eventsAreAddedWithoutAMessage(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a"])
        _ = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9)
        let own = AddedEvent(event: Event(id: "o", type: "mailhookd.x", json: Array("{}".utf8)), subscriptions: ["ops"])
        try await store.finish([DeliveryResult(id: 1, state: .dead, reason: "x")], adding: [own, own], now: at(11))
        #expect(try await states(store) == ["a s dead 1 x", "o ops waiting 0 "])
        #expect(try await store.message(ofEvent: "o") == nil)
        #expect(try await store.messageNumber(ofEvent: "o") == nil)
        // The same event with other content: delivered again where that was asked for, and then to one more.
        var changed = own
        changed.event.json = Array("{\"n\":1}".utf8)
        #expect(try await store.add([changed], now: at(12)) == 0)
        changed.replaces = true
        changed.subscriptions = ["ops", "more"]
        #expect(try await store.add([changed], now: at(12)) == 2)
        #expect(try await store.event(id: "o")?.event.json == changed.event.json)
        #expect(try await store.deliveries(ofEvent: "o").map(\.subscription) == ["ops", "more"])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func messagesLeadToTheirEvents(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        _ = try await store.commit(entry("one", events: ["a", "b"], to: ["s"], at: at(1000)))
        _ = try await store.commit(entry("one", events: ["a", "b"], to: ["s"], at: at(5000)))
        _ = try await store.commit(entry("two", events: ["c"], to: ["s"], at: at(9000)))
        let again = AddedEvent(event: Event(id: "a2", type: "app.event", json: [123, 125]), subscriptions: [], message: 1)
        _ = try await store.add([again], now: at(9001))
        #expect(try await store.events(ofMessage: 1).map(\.event.id) == ["a", "b", "a2"])
        #expect(try await store.events(ofMessage: 2).map(\.event.id) == [])
        let whole = try #require(try await store.messageAndEvents(1))
        #expect(whole.message == (try await store.message(1)) && whole.events.map(\.event.id) == ["a", "b", "a2"])
        #expect(try await store.messageAndEvents(9) == nil)
        #expect(try await store.events(ofMessage: 3).map(\.event.id) == ["c"])
        #expect(try await store.firstMessage(since: at(0)) == 1)
        #expect(try await store.firstMessage(since: at(9000)) == 3)
        #expect(try await store.firstMessage(since: at(99_000)) == nil)
        func numbers(from number: Int64, since time: Timestamp = at(0), limit: Int = 9) async throws -> [Int64] {
            try await store.messageNumbers(from: number, since: time, limit: limit)
        }
        #expect(try await numbers(from: 1) == [1, 3])
        #expect(try await numbers(from: 2) == [3])
        #expect(try await numbers(from: 1, limit: 1) == [1])
        #expect(try await numbers(from: 1, limit: 0) == [])
        #expect(try await numbers(from: 1, since: at(1000)) == [1, 3])
        #expect(try await numbers(from: 1, since: at(1001), limit: 1) == [3])
        // Content that came before, with an event of its own: the same mail to another hook, or a post that says the same.
        _ = try await store.commit(entry("one", events: ["d"], to: ["s"], at: at(9500)))
        #expect(try await numbers(from: 1) == [1, 3, 4])
        #expect(try await store.message(4)?.bytes == Array("one".utf8))
        // And back from their events.
        for (id, number) in [("a", 1), ("b", 1), ("c", 3), ("a2", 1), ("d", 4), ("none", nil)] as [(String, Int64?)] {
            #expect(try await store.messageNumber(ofEvent: id) == number, "\(id)")
        }
        let digest = try #require(try await store.message(1)).contentDigest
        #expect(try await store.messages(digestPrefix: Array(digest.prefix(16)), limit: 9).first?.id == 1)
        #expect(try await store.messages(digestPrefix: Array(digest.prefix(7)), limit: 9) == [])
        await store.close()
    }

    /// By the verdict of a message, though nothing was delivered, and by an event that was made later.
    @Test(arguments: StoreKind.allCases)
    func hooksAreKnownByWhatCameForThem(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        #expect(try await !store.hasHook(named: "app.event"))
        var given = entry("one", events: ["a"])
        given.verdict.hooks.append(
            HookVerdict(eventName: "app.\"second\"", recipient: "b@example.com", outcome: .noStructuredData, answer: .accepted, events: []))
        _ = try await store.commit(given)
        func event(_ type: String, of message: Int64?) -> AddedEvent {
            AddedEvent(event: Event(id: type, type: type, json: [123, 125]), subscriptions: [], message: message)
        }
        var due = event("app.due", of: nil)
        due.subscriptions = ["s"]
        _ = try await store.add([event("app.later", of: 1), event("mailhookd.x", of: nil), due], now: at(5))
        for (name, isKnown) in [
            ("app.event", true), ("app.\"second\"", true), ("app.later", true), ("app.due", true), ("mailhookd.x", false), ("app.even", false),
            ("b@example.com", false), ("", false),
        ] {
            #expect(try await store.hasHook(named: name) == isKnown, "\(name)")
        }
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func subscriptionsKeepTheirStatus(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        var store = try kind.make(in: folder)
        #expect(try await store.subscriptions() == [])
        let paused = StoredSubscription(name: "s", status: .paused, reason: "by hand", changedAt: at(5))
        let gone = StoredSubscription(name: "r", status: .disabled, reason: "http_410", changedAt: at(6))
        try await store.set(paused, adding: [])
        try await store.set(
            gone, adding: [AddedEvent(event: Event(id: "o", type: "mailhookd.x", json: [123, 125]), subscriptions: ["ops"])])
        #expect(try await store.subscriptions() == [gone, paused])
        #expect(try await store.deliveries(ofEvent: "o").count == 1)
        if kind.isDurable {
            await store.close()
            store = try kind.make(in: folder)
            #expect(try await store.subscriptions() == [gone, paused])
        }
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func orderHoldsByEventType(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        func claim(_ seconds: Int64) async throws -> [String] {
            try await store.claimInOrder(subscription: "s", now: at(seconds), lease: .seconds(5), limit: 9).map(\.event.id)
        }
        try await commit("a1", "a", to: store)
        try await commit("a2", "a", to: store)
        #expect(try await claim(10) == ["a1"])
        try await commit("b1", "b", to: store)
        #expect(try await claim(11) == ["b1"])
        #expect(try await claim(12) == [])
        try await store.finish([DeliveryResult(id: 1, state: .retry(at: at(60)), reason: "x")], now: at(13))
        #expect(try await claim(14) == [])
        #expect(try await store.nextDueInOrder(subscription: "s") == at(16))  // the lease of b1
        try await store.finish([DeliveryResult(id: 3, state: .delivered, reason: "")], now: at(15))
        #expect(try await store.nextDueInOrder(subscription: "s") == at(60))
        #expect(try await claim(60) == ["a1"])
        try await store.finish([DeliveryResult(id: 1, state: .dead, reason: "x")], now: at(61))
        #expect(try await claim(62) == ["a2"])
        #expect(try await store.nextDueInOrder(subscription: "unknown") == nil)
        await store.close()
    }

    /// Leases have ended by a clock that leapt, and those who hold them are still at work.
    @Test(arguments: StoreKind.allCases)
    func whatTheCallerHoldsIsNotHandedOutAgain(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        func claim(_ limit: Int, _ held: Set<Int64>) async throws -> [ClaimedDelivery] {
            try await store.claimDue(subscription: "s", now: at(5000), lease: .seconds(5), limit: limit, excluding: held)
        }
        try await ready(store, events: ["a", "b"])
        #expect(try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9).map(\.id) == [1, 2])
        _ = try await store.commit(entry("m-c", events: ["c"], to: ["s"], at: at(20)))
        #expect(try await store.nextDue(subscription: "s") == at(15))
        #expect(try await store.nextDue(subscription: "s", excluding: [1, 2]) == at(20))
        // They come before the third and take none of its room.
        #expect(try await claim(1, [1, 2]).map(\.id) == [3])
        #expect(try await claim(9, [1, 2, 3]) == [])
        #expect(try await store.nextDue(subscription: "s", excluding: [1, 2]) == at(5005))
        #expect(try await store.nextDue(subscription: "s", excluding: [1, 2, 3]) == nil)
        // No attempt was counted that was not made.
        #expect(try await states(store) == ["a s leased 1 ", "b s leased 1 ", "c s leased 1 "])
        try await store.finish([DeliveryResult(id: 2, state: .retry(at: at(5000)), reason: "x")], now: at(5000))
        // Nobody holds the first any more, and its lease has ended.
        let again = try await claim(9, [3])
        #expect(again.map(\.id) == [1, 2] && again.map(\.attempt) == [2, 2])
        await store.close()
    }

    /// The result of an attempt that began before says nothing about what was begun anew, with other content perhaps.
    @Test(arguments: StoreKind.allCases, [DeliveryResult.State.delivered, .retry(at: Timestamp(microseconds: 9_000_000_000)), .dead, .untried(at: Timestamp(microseconds: 9_000_000_000))])
    func whatIsBegunAnewOutlastsTheAttemptBefore(_ kind: StoreKind, _ state: DeliveryResult.State) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try await ready(store, events: ["a"])
        #expect(try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9).map(\.attempt) == [1])
        let renewed = Event(id: "a", type: "app.event", json: Array("{\"id\":\"a\",\"n\":2}".utf8))
        #expect(try await store.add([AddedEvent(event: renewed, subscriptions: ["s"], replaces: true)], now: at(11)) == 1)
        try await store.finish([DeliveryResult(id: 1, state: state, reason: state == .delivered ? "" : "x")], now: at(12))
        #expect(try await states(store) == ["a s waiting 0 "])
        #expect(try await store.attempts(ofDelivery: 1).isEmpty)
        let again = try await store.claimDue(subscription: "s", now: at(12), lease: .seconds(5), limit: 9)
        #expect(again.map(\.event.json) == [renewed.json] && again.map(\.attempt) == [1])
        // One that waits can be given up all the same.
        try await store.finish([DeliveryResult(id: 1, state: .untried(at: at(13)), reason: "x")], now: at(13))
        try await store.finish([DeliveryResult(id: 1, state: .givenUp, reason: "endpoint_down")], now: at(14))
        #expect(try await states(store) == ["a s dead 0 endpoint_down"])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func orderHoldsBehindWhatTheCallerHolds(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        func claim(_ seconds: Int64, _ held: Set<Int64>) async throws -> [Int64] {
            try await store.claimInOrder(
                subscription: "s", now: at(seconds), lease: .seconds(5), limit: 9, excluding: held
            ).map(\.id)
        }
        try await commit("a1", "a", to: store)
        #expect(try await claim(10, []) == [1])
        try await commit("a2", "a", to: store)
        try await commit("b1", "b", to: store)
        #expect(try await store.nextDueInOrder(subscription: "s", excluding: [1]) == at(10))
        #expect(try await claim(5000, [1]) == [3])
        #expect(try await claim(5000, [1, 3]) == [])
        #expect(try await store.nextDueInOrder(subscription: "s", excluding: [1]) == at(5005))
        #expect(try await store.nextDueInOrder(subscription: "s", excluding: [1, 3]) == nil)
        try await store.finish([DeliveryResult(id: 1, state: .delivered, reason: "")], now: at(5001))
        #expect(try await claim(5001, [3]) == [2])
        // One that is over is begun anew while a younger one of its type is being tried.
        let again = try #require(try await store.event(id: "a1")?.event)
        _ = try await store.add([AddedEvent(event: again, subscriptions: ["s"], replaces: true)], now: at(5002))
        #expect(try await claim(5003, [2, 3]) == [])
        #expect(try await store.nextDueInOrder(subscription: "s", excluding: [2, 3]) == nil)
        try await store.finish([DeliveryResult(id: 2, state: .delivered, reason: "")], now: at(5004))
        #expect(try await claim(5004, [3]) == [1])
        await store.close()
    }
}
