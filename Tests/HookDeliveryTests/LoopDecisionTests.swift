// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What one subscription does next, decided without clock, store or sink.

import HookModel
import TestSupport
import Testing

@testable import HookDelivery

@Suite struct LoopDecisionTests {
    private typealias Machine = SubscriptionLoop.StateMachine
    private let start = Timestamp(seconds: 1_800_000_000)

    private func machine(concurrency: Int = 2, maxBatch: Int = 1) -> Machine {
        Machine(
            .init(
                maxBatch: maxBatch, concurrency: concurrency, timeout: .seconds(20),
                schedule: RetrySchedule(delays: [.seconds(5), .seconds(60)], jitter: 0), limits: DeliveryLimits()))
    }

    private func delivery(_ id: Int64, attempt: Int = 1) -> ClaimedDelivery {
        ClaimedDelivery(
            id: id, subscription: "s", event: Event(id: "evt_\(id)", type: "a", json: [123, 125]), attempt: attempt,
            createdAt: start)
    }

    private func after(_ seconds: Int64) -> Timestamp { start.advanced(by: .seconds(seconds)) }

    @Test func idleSubscriptionAsksOnceAndSleeps() {
        var machine = machine()
        guard case .claim(let limit, let lease) = machine.next(now: start) else {
            Issue.record("begins with a claim")
            return
        }
        #expect(limit == 2 && lease > .seconds(20))
        machine.claimed([], limit: limit, claimedAt: start)
        #expect(machine.next(now: start) == .lookUpNextDue)
        machine.foundNextDue(nil, now: start)
        #expect(machine.next(now: start) == .wait(until: after(60)))
        machine.newDeliveries()
        guard case .claim = machine.next(now: after(1)) else {
            Issue.record("a signal leads to a claim")
            return
        }
    }

    @Test func deliversStoresAndRetries() {
        var machine = machine()
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed([delivery(1), delivery(2)], limit: limit, claimedAt: start)
        #expect(machine.next(now: start) == .deliver([delivery(1)]))
        #expect(machine.next(now: start) == .deliver([delivery(2)]))
        _ = machine.tried([delivery(1)], [.delivered], took: .milliseconds(5), now: start, using: &generator)
        _ = machine.tried([delivery(2)], [.retry(reason: "http_500")], took: .milliseconds(5), now: start, using: &generator)
        let results = [
            DeliveryResult(id: 1, state: .delivered, reason: ""),
            DeliveryResult(id: 2, state: .retry(at: after(5)), reason: "http_500"),
        ]
        #expect(machine.next(now: start) == .finish(results))
        machine.finished(results)
    }

    @Test func exhaustedScheduleIsDead() {
        var machine = machine()
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed([delivery(1, attempt: 3)], limit: limit, claimedAt: start)
        _ = machine.next(now: start)
        let results = machine.tried(
            [delivery(1, attempt: 3)], [.retry(reason: "timeout")], took: .seconds(20), now: after(20), using: &generator)
        #expect(Array(results) == [DeliveryResult(id: 1, state: .dead, reason: "timeout")])
    }

    @Test func aSinkThatAnswersForFewerLosesNothing() {
        var machine = machine(concurrency: 1, maxBatch: 3)
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        let batch = [delivery(1), delivery(2)]
        machine.claimed(batch, limit: limit, claimedAt: start)
        #expect(machine.next(now: start) == .deliver(batch))
        let results = machine.tried(batch, [.delivered], took: .zero, now: start, using: &generator)
        #expect(results.map(\.state) == [.delivered, .retry(at: after(5))])
    }

    @Test func retryAfterPausesTheWholeSubscription() {
        var machine = machine(concurrency: 1)
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed([delivery(1)], limit: limit, claimedAt: start)
        _ = machine.next(now: start)
        _ = machine.tried(
            [delivery(1)], [.retry(reason: "http_429", after: .seconds(30))], took: .zero, now: start, using: &generator)
        guard case .finish(let results) = machine.next(now: start) else {
            Issue.record("results are stored first")
            return
        }
        machine.finished(results)
        machine.newDeliveries()
        #expect(machine.next(now: after(1)) == .wait(until: after(30)))
        guard case .claim = machine.next(now: after(30)) else {
            Issue.record("goes on after the pause")
            return
        }
    }

    @Test func storeFailuresAreWaitedOut() {
        var machine = machine()
        guard case .claim = machine.next(now: start) else { return }
        machine.claimFailed(now: start)
        #expect(machine.next(now: start) == .wait(until: start.advanced(by: .milliseconds(100))))
        let later = start.advanced(by: .milliseconds(100))
        guard case .claim = machine.next(now: later) else {
            Issue.record("tries again")
            return
        }
        machine.claimFailed(now: later)
        #expect(machine.next(now: later) == .wait(until: later.advanced(by: .milliseconds(200))))
    }

    @Test func shutdownWaitsThenCancelsThenStops() {
        var machine = machine(concurrency: 1)
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed([delivery(1)], limit: limit, claimedAt: start)
        #expect(machine.next(now: start) == .deliver([delivery(1)]))
        machine.shutDown(now: start)
        #expect(machine.next(now: start) == .wait(until: after(10)))
        #expect(machine.next(now: after(10)) == .cancelCalls)
        let results = machine.tried([delivery(1)], [.interrupted], took: .seconds(10), now: after(10), using: &generator)
        #expect(Array(results) == [DeliveryResult(id: 1, state: .retry(at: after(10)), reason: "interrupted")])
        guard case .finish(let stored) = machine.next(now: after(10)) else {
            Issue.record("the result is stored")
            return
        }
        machine.finished(stored)
        #expect(machine.next(now: after(10)) == .stop)
    }
}
