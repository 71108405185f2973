// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What one subscription does next, decided without clock, store or sink.

import HookModel
import Synchronization
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

    /// What was measured by the clock moves with it: neither does a pause last longer, nor does an endpoint seem to have
    /// been down for as long as its schedule lasts.
    @Test(arguments: [Int64(-1), 1]) func timesMoveWithAClockThatIsSet(_ sign: Int64) {
        var settings = BreakerSettings()
        (settings.failures, settings.pause) = (1, .seconds(100))
        var breaker = CircuitBreaker(settings)
        var generator = SplitMix64(state: 1)
        let step = Duration.seconds(sign * 366 * 86_400)
        breaker.ended(.retry(reason: "http_500"), now: start, using: &generator)
        breaker.clockWasSet(by: step)
        #expect(breaker.downSince == start.advanced(by: step))
        breaker.tick(now: start.advanced(by: step + .seconds(79)))
        #expect(breaker.allowance == 0)
        breaker.tick(now: start.advanced(by: step + .seconds(121)))
        #expect(breaker.allowance == 1)

        var gate = RateGate(DeliveryRate(count: 1, per: .seconds(60)))
        gate.began(1, now: start)
        gate.clockWasSet(by: step)
        #expect(gate.opens(now: start.advanced(by: step + .seconds(59))) != nil)
        #expect(gate.opens(now: start.advanced(by: step + .seconds(60))) == nil)

        var machine = machine(concurrency: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else {
            Issue.record("begins with a claim")
            return
        }
        machine.claimed([delivery(1), delivery(2)], limit: limit, claimedAt: start)
        _ = machine.next(now: start)
        _ = machine.tried(
            [delivery(1)], [.retry(reason: "http_503", after: .seconds(30))], took: .zero, now: start, using: &generator)
        machine.clockWasSet(by: step)
        let now = start.advanced(by: step)
        // What is to be stored moved as well.
        guard case .finish(let results) = machine.next(now: now) else {
            Issue.record("the result is stored")
            return
        }
        #expect(results.first?.state == .retry(at: now.advanced(by: .seconds(30))), "\(results)")
        machine.finished([])
        // Only one that was ahead can have put deliveries off.
        if sign < 0 {
            guard case .hasten(let time, untried: true) = machine.next(now: now) else {
                Issue.record("the store is looked over")
                return
            }
            #expect(time > now.advanced(by: .seconds(30 * 3600)) && time < now.advanced(by: .seconds(31 * 3600)))
            machine.hastened()
        }
        #expect(machine.next(now: now) == .wait(until: now.advanced(by: .seconds(30))))
    }

    /// The store is told what it must not hand out, whatever became of the leases.
    @Test func whatIsHeldIsHeldUntilItsResultIsStored() {
        var machine = machine(concurrency: 4)
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        #expect(machine.held == [])
        machine.claimed([delivery(1), delivery(2)], limit: limit, claimedAt: start)
        #expect(machine.held == [1, 2])
        #expect(machine.next(now: start) == .deliver([delivery(1)]))
        #expect(machine.next(now: start) == .deliver([delivery(2)]))
        // The tap took it, and a claim met it after the clock leapt: it comes by both ways, and is begun once.
        machine.handed([leased(3)])
        machine.claimed([delivery(3, attempt: 2)], limit: limit, claimedAt: start)
        #expect(machine.next(now: start) == .deliver([delivery(3)]))
        #expect(machine.next(now: start) == .lookUpNextDue)
        _ = machine.tried([delivery(1)], [.delivered], took: .zero, now: start, using: &generator)
        guard case .finish(let results) = machine.next(now: start) else {
            Issue.record("the result is stored")
            return
        }
        machine.finishFailed(results, now: start)
        #expect(machine.held == [1, 2, 3])
        #expect(machine.next(now: after(1)) == .finish(results))
        #expect(machine.held == [1, 2, 3])
        machine.finished(results)
        #expect(machine.held == [2, 3])
    }

    /// The store hands out nothing that is held, so the loop has to look again once the attempt under way has ended.
    @Test func whatIsBegunAnewWhileItIsHeldIsClaimedLater() {
        var machine = machine(concurrency: 3)
        var generator = SplitMix64(state: 1)
        func claims() -> Bool {
            guard case .claim(let limit, _) = machine.next(now: start) else { return false }
            machine.claimed([], limit: limit, claimedAt: start)
            return true
        }
        /// The attempt at `id` ends, and its result is stored.
        func ends(_ id: Int64) {
            _ = machine.tried([delivery(id)], [.delivered], took: .zero, now: start, using: &generator)
            guard case .finish(let results) = machine.next(now: start) else { return }
            machine.finished(results)
        }
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed([delivery(1), delivery(2)], limit: limit, claimedAt: start)
        for id: Int64 in [1, 2] { #expect(machine.next(now: start) == .deliver([delivery(id)])) }
        machine.newDeliveries()
        #expect(claims() && machine.next(now: start) == .lookUpNextDue)
        machine.foundNextDue(nil, now: start)
        #expect(!claims())
        ends(2)
        #expect(claims())
        // One that is taken while another is waited for, and begun anew.
        machine.handed([leased(3)])
        #expect(machine.next(now: start) == .deliver([delivery(3)]))
        machine.newDeliveries()
        #expect(claims())
        ends(3)
        #expect(claims())
        ends(1)
        #expect(claims())
        // Nothing was told of since.
        machine.handed([leased(4)])
        #expect(machine.next(now: start) == .deliver([delivery(4)]))
        ends(4)
        #expect(!claims())
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

    // MARK: - A sink with a queue, and a tap

    private func queueing() -> Machine {
        var breaker = BreakerSettings()
        breaker.failures = 2
        breaker.pause = .seconds(10)
        return Machine(
            .init(
                maxBatch: 1, concurrency: 2, timeout: .seconds(20),
                schedule: RetrySchedule(delays: [.seconds(5), .seconds(60)], jitter: 0), limits: DeliveryLimits(),
                breaker: breaker, hasQueue: true))
    }

    private func leased(_ id: Int64) -> LeasedDelivery { LeasedDelivery(delivery(id), leaseEnds: after(32)) }

    private func report(_ id: Int64, _ verdict: DeliveryVerdict) -> SinkReport {
        .tried(leased(id), SinkAnswer(verdict), took: .microseconds(100))
    }

    @Test func aQueueGetsAllAndWhatComesBackGoesFirst() {
        var machine = queueing()
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed((1...2).map { delivery($0) }, limit: limit, claimedAt: start)
        #expect(machine.next(now: start) == .enqueue([leased(1), leased(2)]))
        machine.handed([leased(3), leased(4)])
        #expect(machine.next(now: start) == .enqueue([leased(3), leased(4)]))
        let (tried, results) = machine.reported(
            [report(1, .delivered), report(2, .retry(reason: "http_404")), .returned(leased(3)), .returned(leased(4))], now: start,
            using: &generator)
        #expect(tried.map(\.id) == [1, 2] && results.map(\.state) == [.delivered, .retry(at: after(5))])
        machine.handed([leased(5)])
        guard case .finish = machine.next(now: start) else {
            Issue.record("results are stored first")
            return
        }
        #expect(machine.next(now: start) == .enqueue([leased(3), leased(4), leased(5)]))
    }

    @Test func whatFailsStopsTheQueueAndOneFindsOut() {
        var machine = queueing()
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed((1...2).map { delivery($0) }, limit: limit, claimedAt: start)
        _ = machine.next(now: start)
        machine.handed([leased(3)])
        _ = machine.next(now: start)
        _ = machine.reported(
            [report(1, .retry(reason: "http_500")), report(2, .retry(reason: "http_500")), .returned(leased(3))], now: start,
            using: &generator)
        // What was not begun is given back without its attempt.
        guard case .finish(let results) = machine.next(now: start), case .untried = results.last?.state else {
            Issue.record("the breaker is open")
            return
        }
        machine.finished(results)
        #expect(machine.tapRoom == .none)
        machine.newDeliveries()
        guard case .claim(1, _) = machine.next(now: after(13)) else {
            Issue.record("one is claimed to find out")
            return
        }
        machine.claimed([delivery(4)], limit: 1, claimedAt: after(13))
        let probe = LeasedDelivery(delivery(4), leaseEnds: after(45))
        #expect(machine.next(now: after(13)) == .enqueue([probe]))
        // It was not begun: another one has to.
        _ = machine.reported([.returned(probe)], now: after(13), using: &generator)
        #expect(machine.next(now: after(13)) == .enqueue([probe]))
    }

    @Test(arguments: [true, false]) func suspensionAndShutdownHaveTheQueueBack(_ isShutdown: Bool) {
        var machine = queueing()
        var generator = SplitMix64(state: 1)
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed((1...2).map { delivery($0) }, limit: limit, claimedAt: start)
        _ = machine.next(now: start)
        if isShutdown { machine.shutDown(now: start) } else { machine.suspend(true) }
        #expect(machine.next(now: start) == .recall)
        _ = machine.reported([report(1, .delivered), .returned(leased(2))], now: start, using: &generator)
        guard case .finish(let results) = machine.next(now: start) else {
            Issue.record("both are stored")
            return
        }
        #expect(results.map(\.state) == [.delivered, .untried(at: start)])
        machine.finished(results)
        guard isShutdown else { return }
        // What is on its way from the tap is waited for.
        #expect(machine.tapped(1) == false)
        guard case .wait = machine.next(now: start) else {
            Issue.record("one is on its way")
            return
        }
        machine.handed([leased(3)])
        #expect(machine.tapped(0) == true)
        guard case .finish(let last) = machine.next(now: start), case .untried = last.first?.state else {
            Issue.record("it is given back")
            return
        }
        machine.finished(last)
        #expect(machine.next(now: start) == .stop)
    }

    @Test func theTapIsOpenWhileTheLoopKeepsUp() {
        var machine = queueing()
        #expect(machine.tapRoom == .none, "nobody knows what waits in the store")
        guard case .claim(let limit, _) = machine.next(now: start) else { return }
        machine.claimed((1...Int64(limit)).map { delivery($0) }, limit: limit, claimedAt: start)
        #expect(machine.tapRoom == .none, "more may wait in the store")
        _ = machine.next(now: start)
        var generator = SplitMix64(state: 1)
        _ = machine.reported((1...Int64(limit)).map { report($0, .delivered) }, now: start, using: &generator)
        _ = machine.next(now: start)
        guard case .claim(let more, _) = machine.next(now: start) else {
            Issue.record("asks for more")
            return
        }
        machine.claimed([], limit: more, claimedAt: start)
        #expect(machine.tapRoom.deliveries == DeliveryLimits().window && machine.tapRoom.octets == DeliveryLimits().windowOctets)
        machine.handed([leased(9)])
        #expect(machine.tapRoom.deliveries == DeliveryLimits().window - 1)
        machine.suspend(true)
        #expect(machine.tapRoom == .none)
        machine.suspend(false)
        machine.shutDown(now: start)
        #expect(machine.tapRoom == .none)
    }

    @Test func aTapTakesNoMoreThanItsRoom() {
        let handed = Mutex<[Int]>([])
        let tap = SubscriptionTap(now: { [start] in start }) { deliveries in handed.withLock { $0.append(deliveries.count) } }
        #expect(tap.lease(octets: 1) == nil)
        #expect(tap.set(.init(deliveries: 2, octets: 100, lease: .seconds(30)), seen: (0, 0)) == 0)
        #expect(tap.lease(octets: 101) == nil)
        #expect(tap.lease(octets: 60) == after(30))
        #expect(tap.lease(octets: 60) == nil)
        #expect(tap.lease(octets: 40) == after(30))
        #expect(tap.lease(octets: 0) == nil)
        // What was not seen yet is not counted by the loop.
        #expect(tap.set(.init(deliveries: 3, octets: 100, lease: .seconds(30)), seen: (0, 0)) == 2)
        #expect(tap.lease(octets: 0) == after(30) && tap.lease(octets: 0) == nil)
        tap.giveBack(1, octets: 0)
        tap.take([leased(1), leased(2)])
        #expect(handed.withLock { $0 } == [0, 2])
        #expect(tap.set(.none, seen: (2, 100)) == 0)
        #expect(tap.lease(octets: 0) == nil)
    }
}
