// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Does what SubscriptionLoop+StateMachine.swift decides, for one subscription.

internal import HookModel
internal import Logging

/// One subscription's deliveries, from the store to the sink and the results back.
struct SubscriptionLoop: Sendable {
    /// What tasks report to the loop.
    enum Message: Sendable {
        case claimed([ClaimedDelivery], limit: Int, at: Timestamp)
        case claimFailed(StoreError)
        case tried([ClaimedDelivery], [SinkAnswer], took: Duration)
        /// By the tap; nothing if there is something new about it.
        case handed([LeasedDelivery])
        /// By the sink's queue.
        case reported([SinkReport])
        case finished([DeliveryResult])
        case finishFailed([DeliveryResult], [AddedEvent], StoreError)
        case foundNextDue(Timestamp?)
        case lookUpFailed(StoreError)
        case disabled
        case disableFailed(StoreError)
        case expired
        case hastened
        /// Somebody changed the subscription's status.
        case status(SubscriptionStatus)
        case shutDown
        /// The alarm has rung.
        case woken
        /// Somebody wants to know that the loop turns.
        case probe(@Sendable () -> Void)
    }

    let subscription: Subscription
    let sink: any Sink
    let store: any DeliveryStore
    let clock: any DeliveryClock
    let limits: DeliveryLimits
    /// By the configuration that holds now.
    let reporter: @Sendable () -> FailureReporter
    let monitor: DeliveryMonitor
    let held: HeldSubscriptions
    let logger: Logger
    let mailbox = Mailbox<Message>()

    var name: String { subscription.name }

    /// Returns after `shutDown` was posted and what was under way has ended, or soon when the task is cancelled.
    func run() async {
        var machine = StateMachine(
            StateMachine.Settings(
                maxBatch: max(1, sink.maxBatch), concurrency: max(1, sink.concurrency), timeout: sink.timeout,
                schedule: subscription.schedule, limits: limits, rate: subscription.rate, breaker: subscription.breaker,
                isOrdered: subscription.isOrdered, isDisabledWhenExhausted: subscription.isDisabledWhenExhausted,
                hasQueue: sink.queue != nil))
        sink.queue?.start(now: clock.now) { [mailbox] in mailbox.post(.reported($0)) }
        monitor.update(name) { _ in }
        var reports = Reports()
        // Whether it is paused is known before anything is begun.
        var steps = ClockSteps(clock)
        process(mailbox.take(), &machine, &reports, &steps)
        let tap = SubscriptionTap(now: clock.now) { [mailbox] in mailbox.post(.handed($0)) }
        store.setTap(tap, of: name)
        var seen = (deliveries: 0, octets: 0)
        machine.clockMayHaveBeenAhead()
        var alarm = Alarm(clock: clock) { [mailbox] in mailbox.post(.woken) }
        // Two groups, because calls of the sink are cancelled before the results are stored.
        await withDiscardingTaskGroup { storeCalls in
            await withDiscardingTaskGroup { sinkCalls in
                while true {
                    followClock(&machine, &steps)
                    switch machine.next(now: clock.now()) {
                    case .deliver(let batch): sinkCalls.addTask { await deliver(batch) }
                    case .enqueue(let deliveries): sink.queue?.add(deliveries, now: clock.now())
                    case .recall: sink.queue?.recall()
                    case .cancelCalls: cancelCalls(&sinkCalls)
                    case .claim(let limit, let lease):
                        let underWay = machine.held
                        storeCalls.addTask { await claim(limit, lease, excluding: underWay) }
                    case .finish(let results):
                        let events = reports.take(results)
                        if events.isEmpty { finish(results) } else { storeCalls.addTask { await finish(results, events) } }
                    case .lookUpNextDue:
                        let underWay = machine.held
                        storeCalls.addTask { await lookUpNextDue(excluding: underWay) }
                    case .disable(let reason): storeCalls.addTask { await disable(reason) }
                    case .expire(let time): storeCalls.addTask { await expire(before: time) }
                    case .hasten(let time, let untried): storeCalls.addTask { await hasten(dueAfter: time, untried) }
                    case .wait(let until):
                        let isLast = machine.tapped(tap.set(machine.tapRoom, seen: seen))
                        seen = (0, 0)
                        if isLast { continue }
                        alarm.set(until, offset: steps.offset)
                        let mail = await receive(&machine, &reports, &steps)
                        if mail.messages.contains(where: { if case .woken = $0 { true } else { false } }) { alarm.reset() }
                        seen = Self.handed(mail)
                    case .stop: return
                    }
                    if Task.isCancelled { return cancelCalls(&sinkCalls) }
                }
            }
        }
        store.setTap(nil, of: name)
        await sink.queue?.end()
        await storeLastResults(&machine, &reports, &steps)
        await sink.shutdown()
    }

    private func cancelCalls(_ calls: inout DiscardingTaskGroup) {
        calls.cancelAll()
        sink.queue?.cancel()
    }

    /// After a cancellation there may be results nobody has stored yet. One try: leases cover the rest.
    private func storeLastResults(
        _ machine: inout StateMachine, _ reports: inout Reports, _ steps: inout ClockSteps
    ) async {
        machine.shutDown(now: clock.now())
        process(mailbox.take(), &machine, &reports, &steps)
        if case .finish(let results) = machine.next(now: clock.now()) { await finish(results, reports.take(results)) }
    }
}

// MARK: Events

extension SubscriptionLoop {
    private func receive(
        _ machine: inout StateMachine, _ reports: inout Reports, _ steps: inout ClockSteps
    ) async -> Mailbox<Message>.Mail {
        var mail = mailbox.take()
        if mail.isEmpty {
            await mailbox.wait()
            mail = mailbox.take()
        }
        process(mail, &machine, &reports, &steps)
        return mail
    }

    private static func handed(_ mail: Mailbox<Message>.Mail) -> (deliveries: Int, octets: Int) {
        var handed = (deliveries: 0, octets: 0)
        for case .handed(let deliveries) in mail.messages {
            handed.deliveries += deliveries.count
            for leased in deliveries { handed.octets += leased.delivery.event.json.count }
        }
        return handed
    }

    private func process(
        _ mail: Mailbox<Message>.Mail, _ machine: inout StateMachine, _ reports: inout Reports, _ steps: inout ClockSteps
    ) {
        // First of all: how long an endpoint has been down is asked below.
        followClock(&machine, &steps)
        if mail.isSignalled { machine.newDeliveries() }
        let now = clock.now()
        for message in mail.messages {
            switch message {
            case .claimed(let deliveries, let limit, let claimedAt):
                machine.claimed(deliveries, limit: limit, claimedAt: claimedAt)
            case .tried(let batch, let answers, let took):
                var generator = SystemRandomNumberGenerator()
                let results = machine.tried(
                    batch, answers.map(\.verdict), details: answers.map(\.detail), took: took, now: now, using: &generator)
                note(batch, results, machine.breaker, now)
                reports.add(batch, results, by: reporter, now)
                log(batch, results)
            case .handed(let deliveries): machine.handed(deliveries)
            case .reported(let sinkReports):
                var generator = SystemRandomNumberGenerator()
                let (tried, results) = machine.reported(sinkReports, now: now, using: &generator)
                note(tried, results, machine.breaker, now)
                reports.add(tried, results, by: reporter, now)
                log(tried, results)
            case .finished(let results): machine.finished(results)
            case .foundNextDue(let due): machine.foundNextDue(due, now: now)
            case .claimFailed(let error):
                machine.claimFailed(now: now)
                log("claiming deliveries failed", error)
            case .finishFailed(let results, let events, let error):
                reports.putBack(events)
                machine.finishFailed(results, now: now)
                log("storing delivery results failed", error)
            case .lookUpFailed(let error):
                machine.lookUpFailed(now: now)
                log("asking for due deliveries failed", error)
            case .disabled: machine.disabled()
            case .disableFailed(let error):
                machine.disableFailed(now: now)
                log("storing that a subscription is disabled failed", error)
            case .expired: machine.expired()
            case .hastened: machine.hastened()
            case .status(let status):
                machine.suspend(status != .active)
                note([], [], machine.breaker, now)
            case .shutDown: machine.shutDown(now: now)
            // The time says what to do.
            case .woken: break
            case .probe(let answer): answer()
            }
        }
    }

    /// What is shown of a breaker moves along with it.
    private func followClock(_ machine: inout StateMachine, _ steps: inout ClockSteps) {
        guard let step = steps.next(clock) else { return }
        machine.clockWasSet(by: step)
        note([], [], machine.breaker, clock.now())
    }
}
