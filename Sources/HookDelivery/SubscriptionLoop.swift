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

    /// Deliveries that are given up in one transaction.
    private static let expiryPage = 200
    /// Deliveries that are made due in one transaction.
    private static let hastenPage = 2000

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
                    if let step = steps.next(clock) { machine.clockWasSet(by: step) }
                    switch machine.next(now: clock.now()) {
                    case .deliver(let batch): sinkCalls.addTask { await deliver(batch) }
                    case .enqueue(let deliveries): sink.queue?.add(deliveries, now: clock.now())
                    case .recall: sink.queue?.recall()
                    case .cancelCalls: cancelCalls(&sinkCalls)
                    case .claim(let limit, let lease):
                        let held = machine.held
                        storeCalls.addTask { await claim(limit, lease, excluding: held) }
                    case .finish(let results):
                        let events = reports.take(results)
                        if events.isEmpty { finish(results) } else { storeCalls.addTask { await finish(results, events) } }
                    case .lookUpNextDue:
                        let held = machine.held
                        storeCalls.addTask { await lookUpNextDue(excluding: held) }
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

// MARK: Actions

extension SubscriptionLoop {
    private func claim(_ limit: Int, _ lease: Duration, excluding held: Set<Int64>) async {
        let now = clock.now()
        do throws(StoreError) {
            let deliveries =
                subscription.isOrdered
                ? try await store.claimInOrder(subscription: name, now: now, lease: lease, limit: limit, excluding: held)
                : try await store.claimDue(subscription: name, now: now, lease: lease, limit: limit, excluding: held)
            mailbox.post(.claimed(deliveries, limit: limit, at: now))
        } catch {
            mailbox.post(.claimFailed(error))
        }
    }

    private func deliver(_ batch: [ClaimedDelivery]) async {
        let begun = clock.now()
        let answers = await sink.answers(batch, now: begun)
        mailbox.post(.tried(batch, answers, took: clock.now().duration(since: begun)))
    }

    private func disable(_ reason: String) async {
        let status = StoredSubscription(name: name, status: .disabled, reason: reason, changedAt: clock.now())
        do throws(StoreError) {
            try await store.set(status, adding: reporter().disabled(status).map { [$0] } ?? [])
            logger.warning("subscription disabled", metadata: ["subscription": "\(name)", "reason": "\(reason)"])
            held[name] = .disabled
            mailbox.post(.disabled)
        } catch {
            mailbox.post(.disableFailed(error))
        }
    }

    /// Gives up deliveries of an endpoint that has not worked for as long as their schedule lasts: they would have
    /// used it up, had each of them been tried.
    private func expire(before time: Timestamp) async {
        defer { mailbox.post(.expired) }
        var filter = DeliveryFilter()
        filter.states = [.waiting]
        filter.subscription = name
        filter.before = time
        filter.dueBy = clock.now()
        var last: Int64 = 0
        do throws(StoreError) {
            while true {
                let page = try await store.deliveries(matching: filter, after: last, limit: Self.expiryPage)
                guard let end = page.last else { return }
                last = end.id
                let now = clock.now()
                let reason = "endpoint_down"
                try await store.finish(
                    page.map { DeliveryResult(id: $0.id, state: .dead, reason: reason) },
                    adding: page.compactMap {
                        reporter().dead(
                            $0.id, event: $0.eventID, type: $0.eventType, attempts: $0.attempts, subscription: name,
                            reason: reason, at: now)
                    }, now: now)
                logger.warning(
                    "deliveries are dead", metadata: ["subscription": "\(name)", "count": "\(page.count)", "reason": "\(reason)"])
            }
        } catch {
            log("giving up old deliveries failed", error)
        }
    }

    private func hasten(dueAfter time: Timestamp, _ untried: Bool) async {
        defer { mailbox.post(.hastened) }
        let now = clock.now()
        do throws(StoreError) {
            var total = 0
            while true {
                let count = try await store.hasten(
                    subscription: name, dueAfter: time, untried: untried, limit: Self.hastenPage, now: now)
                total += count
                if count < Self.hastenPage { break }
            }
            guard total > 0 else { return }
            logger.warning(
                "deliveries were put off by a clock that was wrong, and are due now",
                metadata: ["subscription": "\(name)", "count": "\(total)"])
        } catch {
            log("looking for deliveries that were put off for too long failed", error)
        }
    }

    private func finish(_ results: [DeliveryResult]) {
        store.finish(results, now: clock.now()) { [mailbox] stored in
            switch stored {
            case .success: mailbox.post(.finished(results))
            case .failure(let error): mailbox.post(.finishFailed(results, [], error))
            }
        }
    }

    private func finish(_ results: [DeliveryResult], _ events: [AddedEvent]) async {
        do throws(StoreError) {
            if events.isEmpty {
                try await store.finish(results, now: clock.now())
            } else {
                try await store.finish(results, adding: events, now: clock.now())
            }
            mailbox.post(.finished(results))
        } catch {
            mailbox.post(.finishFailed(results, events, error))
        }
    }

    private func lookUpNextDue(excluding held: Set<Int64>) async {
        do throws(StoreError) {
            mailbox.post(
                .foundNextDue(
                    subscription.isOrdered
                        ? try await store.nextDueInOrder(subscription: name, excluding: held)
                        : try await store.nextDue(subscription: name, excluding: held)))
        } catch {
            mailbox.post(.lookUpFailed(error))
        }
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
        if let step = steps.next(clock) { machine.clockWasSet(by: step) }
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

    private func log(_ batch: [ClaimedDelivery], _ results: ArraySlice<DeliveryResult>) {
        for (delivery, result) in zip(batch, results) {
            let level: Logger.Level =
                switch result.state {
                case .delivered, .untried: .debug
                case .retry: .info
                case .dead: .warning
                }
            guard level >= logger.logLevel else { continue }
            let message: Logger.Message =
                switch result.state {
                case .delivered: "event delivered"
                case .untried: "delivery was put back untried"
                case .retry: "delivery failed and will be tried again"
                case .dead: "delivery is dead"
                }
            logger.log(
                level: level, message,
                metadata: [
                    "subscription": "\(name)", "delivery": "\(delivery.id)", "event": "\(delivery.event.id)",
                    "attempt": "\(delivery.attempt)", "reason": "\(result.reason)",
                ])
        }
    }

    private func log(_ message: Logger.Message, _ error: StoreError) {
        logger.error(message, metadata: ["subscription": "\(name)", "error": "\(error)"])
    }
}

// MARK: Reports

extension SubscriptionLoop {
    /// Events about results that are not stored yet; they are stored in the same transaction.
    struct Reports {
        private var events: [Int64: AddedEvent] = [:]
        /// Of results that could not be stored: with the next that can.
        private var leftover: [AddedEvent] = []

        mutating func add(
            _ batch: [ClaimedDelivery], _ results: ArraySlice<DeliveryResult>, by reporter: () -> FailureReporter,
            _ now: Timestamp
        ) {
            for (delivery, result) in zip(batch, results) where result.state == .dead {
                events[delivery.id] = reporter().dead(
                    delivery.id, event: delivery.event.id, type: delivery.event.type, attempts: delivery.attempt,
                    subscription: delivery.subscription, reason: result.reason, at: now)
            }
        }

        mutating func take(_ results: [DeliveryResult]) -> [AddedEvent] {
            defer { leftover = [] }
            guard !events.isEmpty else { return leftover }
            return leftover + results.compactMap { events.removeValue(forKey: $0.id) }
        }

        mutating func putBack(_ events: [AddedEvent]) { leftover += events }
    }

    /// Tells the monitor, and the log when the breaker opens or closes.
    private func note(
        _ batch: [ClaimedDelivery], _ results: ArraySlice<DeliveryResult>, _ breaker: CircuitBreaker, _ now: Timestamp
    ) {
        var change: SubscriptionActivity.Breaker?
        monitor.update(name) { activity in
            for result in results {
                switch result.state {
                case .delivered:
                    activity.delivered += 1
                    activity.lastDeliveredAt = now
                case .retry, .dead:
                    activity.failed += 1
                    if result.state == .dead { activity.dead += 1 }
                    activity.lastFailedAt = now
                    activity.lastReason = result.reason
                case .untried: break
                }
            }
            let state = breaker.shown
            if state != activity.breaker, state != .halfOpen { change = state }
            activity.breaker = state
            activity.openUntil = breaker.openUntil
            activity.downSince = breaker.downSince
        }
        switch change {
        case .open:
            logger.warning(
                "endpoint is left alone for a while",
                metadata: ["subscription": "\(name)", "until": "\(breaker.openUntil?.rfc3339 ?? "")"])
        case .closed: logger.notice("endpoint works again", metadata: ["subscription": "\(name)"])
        case .halfOpen, nil: break
        }
    }
}

extension CircuitBreaker {
    fileprivate var shown: SubscriptionActivity.Breaker {
        switch state {
        case .closed: .closed
        case .open: .open
        case .halfOpen, .probing: .halfOpen
        }
    }
}
