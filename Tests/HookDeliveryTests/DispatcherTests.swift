// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whole subscriptions on a store in memory, with a clock whose hands the test turns and sinks that answer as told.

import HookModel
import HookStore
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import HookDelivery

/// Time stands still until somebody moves it.
private final class ManualClock: DeliveryClock {
    private struct State {
        var now = Timestamp(seconds: 1_800_000_000)
        var offset = Duration.zero
        var sleepers: [Int: (until: Timestamp, continuation: CheckedContinuation<Void, any Error>)] = [:]
        var cancelled: Set<Int> = []
        var next = 0
    }

    private let state = Mutex(State())

    func now() -> Timestamp { state.withLock { $0.now } }
    var offset: Duration { state.withLock { $0.offset } }

    func sleep(until deadline: Timestamp, offset: Duration) async throws {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.contains(id) { return .failure(CancellationError()) }
                    if state.now >= deadline || ClockSteps.isStep(from: offset, to: state.offset) { return .success(()) }
                    state.sleepers[id] = (deadline, continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            state.withLock { state in
                state.cancelled.insert(id)
                return state.sleepers.removeValue(forKey: id)
            }?.continuation.resume(throwing: CancellationError())
        }
    }

    func advance(_ seconds: Double) { move(seconds, isSet: false) }

    /// The clock shows another time, and none has passed. All sleepers are woken, as by the system's.
    func set(by seconds: Double) { move(seconds, isSet: true) }

    private func move(_ seconds: Double, isSet: Bool) {
        let woken = state.withLock { state in
            state.now = state.now.advanced(by: .seconds(seconds))
            if isSet { state.offset += .seconds(seconds) }
            let now = state.now
            let due = state.sleepers.filter { isSet || $0.value.until <= now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }
}

private final class ScriptedSink: Sink {
    let maxBatch = 1
    let concurrency: Int
    let timeout = Duration.seconds(20)
    private let verdict: @Sendable (ClaimedDelivery) async -> DeliveryVerdict
    let calls = Mutex<[(event: String, attempt: Int, at: Timestamp)]>([])

    init(concurrency: Int = 4, _ verdict: @escaping @Sendable (ClaimedDelivery) async -> DeliveryVerdict) {
        self.concurrency = concurrency
        self.verdict = verdict
    }

    func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        calls.withLock { calls in calls += batch.map { ($0.event.id, $0.attempt, now) } }
        var verdicts: [DeliveryVerdict] = []
        for delivery in batch { verdicts.append(await verdict(delivery)) }
        return verdicts
    }

    func shutdown() async {}
    var events: [String] { calls.withLock { $0.map(\.event) } }
}

/// Counts and answers by what a test says at the moment.
private final class Switch: Sendable {
    private let value: Mutex<DeliveryVerdict>
    init(_ verdict: DeliveryVerdict) { value = Mutex(verdict) }
    var verdict: DeliveryVerdict {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}

@Suite struct DispatcherTests {
    private let clock = ManualClock()
    private let start = Timestamp(seconds: 1_800_000_000)

    private func subscription(
        _ name: String, events: String = ">", retry: [Int] = [5, 60], _ change: (inout Subscription) -> Void = { _ in }
    ) throws -> Subscription {
        let schedule = RetrySchedule(delays: retry.map { .seconds($0) }, jitter: 0)
        var subscription = Subscription(
            name: name, events: [try EventPattern(events)], sink: .standardOutput, schedule: schedule)
        change(&subscription)
        return subscription
    }

    private func commit(_ store: MemoryStore, _ ids: [String], to names: [String], type: String = "app.event") async throws {
        let events = ids.map { Event(id: $0, type: type, json: Array(#"{"id":"\#($0)"}"#.utf8)) }
        let hook = HookVerdict(eventName: type, recipient: "a@b", outcome: .accepted, answer: .accepted, events: events)
        let digest = Array(ids.joined().utf8.prefix(32)) + Array(repeating: 0, count: max(0, 32 - ids.joined().utf8.count))
        _ = try await store.commit(
            MessageEntry(
                message: ReceivedMessage(
                    envelope: Envelope(source: .smtp, mailFrom: nil, recipients: []), bytes: [], receivedAt: clock.now()),
                verdict: Verdict(contentDigest: digest, messageID: nil, hooks: [hook]),
                deliveries: Dictionary(uniqueKeysWithValues: ids.map { ($0, names) })))
    }

    /// Runs a dispatcher while `body` runs.
    private func run(
        _ store: MemoryStore, _ subscriptions: [Subscription], _ sinks: [String: ScriptedSink],
        _ body: (Dispatcher) async throws -> Void
    ) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let dispatcher = Dispatcher(
            store: store, subscriptions: subscriptions, userAgent: "t", clock: clock,
            reporter: { FailureReporter(SubscriptionTable(subscriptions), instance: "host.example") }, logger: logger,
            makeSink: { sinks[$0.name] ?? ScriptedSink { _ in .delivered } })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await dispatcher.run() }
            try await body(dispatcher)
            group.cancelAll()
        }
    }

    /// Polls in real time; the manual clock stands still meanwhile.
    private func eventually(_ what: Comment, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<500 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record(what)
    }

    private func settle() async throws { try await Task.sleep(for: .milliseconds(60)) }

    private func states(_ store: MemoryStore) async throws -> [String] {
        try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 99).map { "\($0.subscription) \($0.state) \($0.reason)" }
    }

    @Test func theScheduleIsKeptToItsEnd() async throws {
        let store = try MemoryStore()
        let sink = ScriptedSink { _ in .retry(reason: "http_500") }
        try await commit(store, ["a"], to: ["s"])
        try await run(store, [try subscription("s")], ["s": sink]) { _ in
            for (seconds, count) in [(0.0, 1), (4.0, 1), (1, 2), (59, 2), (1, 3), (9999, 3)] {
                clock.advance(seconds)
                if sink.events.count < count { try await eventually("attempt \(count)") { sink.events.count == count } }
                try await settle()
                #expect(sink.events.count == count)
            }
        }
        #expect(sink.calls.withLock { $0.map { $0.at.duration(since: start) } } == [.zero, .seconds(5), .seconds(65)])
        #expect(sink.calls.withLock { $0.map(\.attempt) } == [1, 2, 3])
        #expect(try await states(store) == ["s dead http_500"])
        #expect(try await store.attempts(ofDelivery: 1).map(\.number) == [1, 2, 3])
        await store.close()
    }

    /// A year ahead and back, with a delivery that fails and one that is made meanwhile.
    @Test(arguments: [true, false]) func aClockThatWasAheadPutsNothingOff(isRunning: Bool) async throws {
        let store = try MemoryStore()
        let (ahead, answer) = (366.0 * 86_400, Switch(.retry(reason: "http_500")))
        let sink = ScriptedSink { _ in answer.verdict }
        func isAllDelivered() async throws -> Bool {
            try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 9).allSatisfy { $0.state == .delivered }
        }
        clock.set(by: ahead)
        try await commit(store, ["a"], to: ["s"])
        try await run(store, [try subscription("s", retry: [60, 60])], ["s": sink]) { _ in
            try await eventually("the first attempt") { try await store.attempts(ofDelivery: 1).count == 1 }
            guard isRunning else { return }
            answer.verdict = .delivered
            clock.set(by: -ahead)
            try await eventually("the second one") { try await isAllDelivered() }
        }
        if isRunning { return await store.close() }
        try await commit(store, ["b"], to: ["s"])
        clock.set(by: -ahead)
        answer.verdict = .delivered
        try await run(store, [try subscription("s", retry: [60, 60])], ["s": sink]) { _ in
            try await eventually("both of them") { try await isAllDelivered() }
        }
        #expect(sink.events.sorted() == ["a", "a", "b"])
        await store.close()
    }

    /// A year ahead and back: how long an endpoint is left alone is shown by the clock there is.
    @Test func anOpenBreakerIsShownByTheClockThatWasSet() async throws {
        let store = try MemoryStore()
        let ahead = 366.0 * 86_400
        clock.set(by: ahead)
        try await commit(store, ["a"], to: ["s"])
        let subscription = try subscription("s") {
            var settings = BreakerSettings()
            (settings.failures, settings.pause) = (1, .seconds(60))
            $0.breaker = settings
        }
        try await run(store, [subscription], ["s": ScriptedSink { _ in .retry(reason: "http_500") }]) { dispatcher in
            func isOpenFor(aboutAMinuteFrom start: Timestamp) -> Bool {
                guard let activity = dispatcher.monitor.activity(of: "s"), let until = activity.openUntil else { return false }
                return activity.breaker == .open && (Duration.seconds(48)...Duration.seconds(72)).contains(until.duration(since: start))
            }
            try await eventually("an open breaker") { isOpenFor(aboutAMinuteFrom: clock.now()) }
            clock.set(by: -ahead)
            try await eventually("the time it is open until") { isOpenFor(aboutAMinuteFrom: start) }
        }
        await store.close()
    }

    /// An hour is not longer than deliveries are put off; but what was never tried was not put off at all.
    @Test func whatIsMadeByAClockThatIsAheadIsNotLate() async throws {
        let store = try MemoryStore()
        let sink = ScriptedSink { _ in .delivered }
        try await run(store, [try subscription("s")], ["s": sink]) { dispatcher in
            try await commit(store, ["first"], to: ["s"])
            try await eventually("a loop that runs") { sink.events == ["first"] }
            dispatcher.apply(.paused, to: "s")
            clock.set(by: 3600)
            try await commit(store, ["a"], to: ["s"])
            // The loop has turned: what happens while nobody looks is not seen.
            await withCheckedContinuation { continuation in dispatcher.probe { continuation.resume() } }
            await withCheckedContinuation { continuation in dispatcher.probe { continuation.resume() } }
            #expect(sink.events == ["first"])
            clock.set(by: -3600)
            dispatcher.apply(.active, to: "s")
            try await eventually("the delivery") { sink.events == ["first", "a"] }
        }
        await store.close()
    }

    /// The lease of what is being tried ends, and the attempt goes on: it is not made again beside it, and with order the
    /// next one waits for it.
    @Test(arguments: [true, false]) func aClockThatLeapsMakesNoAttemptTwice(isOrdered: Bool) async throws {
        let store = try MemoryStore()
        let isHanging = Mutex(true)
        let sink = ScriptedSink { delivery in
            while delivery.event.id == "a", isHanging.withLock({ $0 }), !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(5))
            }
            return .delivered
        }
        try await commit(store, ["a"], to: ["s"])
        try await run(store, [try subscription("s") { $0.isOrdered = isOrdered }], ["s": sink]) { _ in
            try await eventually("an attempt under way") { sink.events == ["a"] }
            clock.set(by: 86_400)
            try await commit(store, ["b"], to: ["s"])
            if !isOrdered { try await eventually("the other one") { sink.events.contains("b") } }
            try await settle()
            #expect(sink.events == (isOrdered ? ["a"] : ["a", "b"]))
            isHanging.withLock { $0 = false }
            try await eventually("both of them") { try await store.counts().deliveriesDelivered == 2 }
        }
        #expect(sink.events == ["a", "b"])
        let deliveries = try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 9)
        #expect(deliveries.map(\.attempts) == [1, 1])
        await store.close()
    }

    /// The attempt under way ends and says nothing of it: what was begun anew goes out behind it, once.
    @Test(arguments: [true, false]) func whatIsBegunAnewGoesOutBehindTheAttempt(isOrdered: Bool) async throws {
        let store = try MemoryStore()
        let isHanging = Mutex(true)
        let sink = ScriptedSink { _ in
            while isHanging.withLock({ $0 }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
            return .dead(reason: "http_400")
        }
        try await commit(store, ["a"], to: ["s"])
        try await run(store, [try subscription("s") { $0.isOrdered = isOrdered }], ["s": sink]) { _ in
            try await eventually("an attempt under way") { sink.events == ["a"] }
            let event = try #require(try await store.event(id: "a")?.event)
            #expect(try await store.add([AddedEvent(event: event, subscriptions: ["s"], replaces: true)], now: clock.now()) == 1)
            try await settle()
            #expect(sink.events == ["a"])
            isHanging.withLock { $0 = false }
            try await eventually("the end of the second") { try await store.counts().deliveriesDead == 1 }
            try await settle()
        }
        #expect(sink.events == ["a", "a"])
        #expect(try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 9).map(\.attempts) == [1])
        await store.close()
    }

    @Test func deathIsToldOnceAndWithoutEcho() async throws {
        let store = try MemoryStore()
        let ops = ScriptedSink { _ in .dead(reason: "http_400") }
        let subscriptions = [
            try subscription("s", events: "app.>"), try subscription("ops", events: "mailhookd.>"), try subscription("all"),
        ]
        try await commit(store, ["a"], to: ["s"])
        try await run(store, subscriptions, ["s": ScriptedSink { _ in .dead(reason: "exit_65") }, "ops": ops]) { _ in
            try await eventually("the event about it") { ops.events.count == 1 }
            try await settle()
        }
        // `>` does not stand for the daemon's own events, and the death of one makes no other.
        #expect(try await states(store) == ["s dead exit_65", "ops dead http_400"])
        let event = try #require(try await store.events(after: 1, limit: 9).first?.event)
        #expect(event.type == "mailhookd.delivery.dead")
        #expect(
            String(decoding: event.json, as: UTF8.self).hasSuffix(
                #""data":{"delivery":"1","subscription":"s","event":"a","eventType":"app.event","reason":"exit_65","attempts":"1"}}"#))
        await store.close()
    }

    @Test func goneDisablesForGood() async throws {
        let store = try MemoryStore()
        let answer = Switch(.gone(reason: "http_410"))
        let ops = ScriptedSink { _ in .delivered }
        let subscriptions = [try subscription("s", events: "app.>"), try subscription("ops", events: "mailhookd.>")]
        let first = ScriptedSink(concurrency: 1) { _ in answer.verdict }
        try await commit(store, ["a", "b", "c"], to: ["s"])
        try await run(store, subscriptions, ["s": first, "ops": ops]) { _ in
            try await eventually("the events about it") { ops.events.count == 2 }
            clock.advance(100_000)
            try await settle()
        }
        #expect(first.events == ["a"])
        #expect(try await states(store).prefix(3) == ["s dead http_410", "s waiting ", "s waiting "])
        #expect(try await store.subscriptions().map(\.status) == [.disabled])
        #expect(try await store.events(after: 3, limit: 9).map(\.event.type).contains("mailhookd.subscription.disabled"))
        // After a restart nothing is sent either, until somebody says so.
        answer.verdict = .delivered
        let second = ScriptedSink { _ in answer.verdict }
        try await run(store, subscriptions, ["s": second]) { dispatcher in
            try await settle()
            #expect(second.events.isEmpty)
            try await store.set(StoredSubscription(name: "s", status: .active, reason: "", changedAt: clock.now()), adding: [])
            dispatcher.apply(.active, to: "s")
            try await eventually("the rest") { Set(second.events) == ["b", "c"] }
        }
        await store.close()
    }

    @Test func aDeadEndpointIsLeftAloneAndSlowsNobody() async throws {
        let store = try MemoryStore()
        let answer = Switch(.retry(reason: "connection_refused"))
        let dead = ScriptedSink(concurrency: 1) { _ in answer.verdict }
        let alive = ScriptedSink { _ in .delivered }
        let broken = try subscription("dead", retry: [1000, 1000]) { subscription in
            subscription.breaker = BreakerSettings()
            subscription.breaker?.failures = 3
        }
        let ids = (0..<20).map { "e\($0)" }
        try await commit(store, ids, to: ["dead", "alive"])
        try await run(store, [broken, try subscription("alive")], ["dead": dead, "alive": alive]) { dispatcher in
            try await eventually("three failures") { dead.events.count == 3 }
            try await eventually("all of the other") { alive.events.count == 20 }
            try await settle()
            #expect(dead.events.count == 3)
            #expect(dispatcher.monitor.activity(of: "dead")?.breaker == .open)
            // What was claimed and not tried is back, and its attempt does not count.
            #expect(try await store.counts().deliveriesLeased == 0)
            clock.advance(7)
            try await settle()
            #expect(dead.events.count == 3)
            // One probe, which fails: twice the time.
            clock.advance(6)
            try await eventually("a probe") { dead.events.count == 4 }
            try await settle()
            clock.advance(13)
            try await settle()
            #expect(dead.events.count == 4)
            answer.verdict = .delivered
            clock.advance(13)
            try await eventually("those that were never tried") { try await store.counts().deliveriesDelivered == 36 }
            clock.advance(1100)
            try await eventually("the rest") { try await store.counts().deliveriesDelivered == 40 }
            #expect(dispatcher.monitor.activity(of: "dead")?.breaker == .closed)
        }
        #expect(try await store.counts().deliveriesDead == 0)
        await store.close()
    }

    @Test func aLongDeadEndpointEndsItsDeliveries() async throws {
        let store = try MemoryStore()
        let ops = ScriptedSink { _ in .delivered }
        let broken = try subscription("dead", events: "app.>", retry: [10, 20, 30]) { subscription in
            subscription.breaker = BreakerSettings()
            subscription.breaker?.failures = 2
        }
        try await commit(store, (0..<30).map { "e\($0)" }, to: ["dead"])
        let sink = ScriptedSink(concurrency: 1) { _ in .retry(reason: "timeout") }
        try await run(store, [broken, try subscription("ops", events: "mailhookd.delivery.*")], ["dead": sink, "ops": ops]) { _ in
            for _ in 0..<300 where try await store.counts().deliveriesDead < 30 {
                clock.advance(10)
                try await Task.sleep(for: .milliseconds(15))
            }
            try await eventually("told of each") { ops.events.count == 30 }
        }
        #expect(try await store.counts().deliveriesDead == 30)
        #expect(try await states(store).contains("dead dead endpoint_down"))
        // Far fewer attempts than thirty deliveries with four each.
        #expect(sink.events.count < 30)
        await store.close()
    }

    /// Another configuration means another loop, and no less that the receiver wanted no more.
    @Test func disabledStaysDisabledOverAReload() async throws {
        let store = try MemoryStore()
        let sink = ScriptedSink(concurrency: 1) { _ in .gone(reason: "http_410") }
        try await commit(store, ["a", "b"], to: ["s"])
        try await run(store, [try subscription("s")], ["s": sink]) { dispatcher in
            try await eventually("disabled") { try await store.subscriptions().first?.status == .disabled }
            dispatcher.change([try subscription("s", retry: [7])])
            try await settle()
            try await commit(store, ["c"], to: ["s"])
            try await settle()
        }
        #expect(sink.events == ["a"])
        await store.close()
    }

    @Test func pausingHoldsBackAndResumingGoesOn() async throws {
        let store = try MemoryStore()
        let sink = ScriptedSink { _ in .delivered }
        try await run(store, [try subscription("s")], ["s": sink]) { dispatcher in
            dispatcher.apply(.paused, to: "s")
            try await settle()
            try await commit(store, ["a"], to: ["s"])
            clock.advance(1000)
            try await settle()
            #expect(sink.events.isEmpty)
            dispatcher.apply(.active, to: "s")
            try await eventually("the delivery") { sink.events == ["a"] }
        }
        await store.close()
    }

    @Test func theRateIsKept() async throws {
        let store = try MemoryStore()
        let sink = ScriptedSink(concurrency: 8) { _ in .delivered }
        let slow = try subscription("s") { $0.rate = DeliveryRate(count: 2, per: .seconds(1)) }
        try await commit(store, (0..<10).map { "e\($0)" }, to: ["s"])
        try await run(store, [slow], ["s": sink]) { _ in
            try await eventually("the first") { sink.events.count == 1 }
            for count in 2...5 {
                try await settle()
                #expect(sink.events.count == count - 1)
                clock.advance(0.5)
                try await eventually("number \(count)") { sink.events.count == count }
            }
        }
        await store.close()
    }

    @Test func orderIsKeptByEventType() async throws {
        let store = try MemoryStore()
        let fails = Switch(.retry(reason: "http_500"))
        let sink = ScriptedSink { $0.event.type == "x" ? fails.verdict : .delivered }
        let ordered = try subscription("s", retry: [10, 10, 10]) { $0.isOrdered = true }
        for index in 1...3 {
            try await commit(store, ["x\(index)"], to: ["s"], type: "x")
            try await commit(store, ["y\(index)"], to: ["s"], type: "y")
        }
        try await run(store, [ordered], ["s": sink]) { _ in
            try await eventually("all of the type that works") { sink.events.filter { $0.hasPrefix("y") } == ["y1", "y2", "y3"] }
            try await settle()
            #expect(sink.events.filter { $0.hasPrefix("x") } == ["x1"])
            fails.verdict = .delivered
            clock.advance(10)
            try await eventually("the others in order") { sink.events.filter { $0.hasPrefix("x") } == ["x1", "x1", "x2", "x3"] }
        }
        await store.close()
    }

    @Test func exhaustionDisablesWhereThatIsTheRule() async throws {
        let store = try MemoryStore()
        let sink = ScriptedSink(concurrency: 1) { _ in .retry(reason: "http_404") }
        let outbound = try subscription("s", retry: []) { $0.isDisabledWhenExhausted = true }
        try await commit(store, ["a", "b"], to: ["s"])
        try await run(store, [outbound], ["s": sink]) { _ in
            try await eventually("disabled") { try await store.subscriptions().first?.status == .disabled }
            try await settle()
        }
        #expect(sink.events == ["a"])
        #expect(try await states(store) == ["s dead http_404", "s waiting "])
        #expect(try await store.subscriptions().first?.reason == "exhausted")
        await store.close()
    }
}
