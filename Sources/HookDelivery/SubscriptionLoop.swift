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
        case tried([ClaimedDelivery], [DeliveryVerdict], took: Duration)
        case finished([DeliveryResult])
        case finishFailed([DeliveryResult], StoreError)
        case foundNextDue(Timestamp?)
        case lookUpFailed(StoreError)
        case shutDown
        /// Somebody wants to know that the loop turns.
        case probe(@Sendable () -> Void)
    }

    let name: String
    let sink: any Sink
    let schedule: RetrySchedule
    let store: any EventStore
    let clock: any DeliveryClock
    let limits: DeliveryLimits
    let logger: Logger
    let mailbox = Mailbox<Message>()

    /// Returns after `shutDown` was posted and what was under way has ended, or soon when the task is cancelled.
    func run() async {
        var machine = StateMachine(
            StateMachine.Settings(
                maxBatch: max(1, sink.maxBatch), concurrency: max(1, sink.concurrency), timeout: sink.timeout,
                schedule: schedule, limits: limits))
        // Two groups, because calls of the sink are cancelled before the results are stored.
        await withDiscardingTaskGroup { storeCalls in
            await withDiscardingTaskGroup { sinkCalls in
                while true {
                    switch machine.next(now: clock.now()) {
                    case .deliver(let batch): sinkCalls.addTask { await deliver(batch) }
                    case .cancelCalls: sinkCalls.cancelAll()
                    case .claim(let limit, let lease): storeCalls.addTask { await claim(limit, lease) }
                    case .finish(let results): storeCalls.addTask { await finish(results) }
                    case .lookUpNextDue: storeCalls.addTask { await lookUpNextDue() }
                    case .wait(let until): await receive(&machine, until: until)
                    case .stop: return
                    }
                    if Task.isCancelled { return sinkCalls.cancelAll() }
                }
            }
        }
        await storeLastResults(&machine)
        await sink.shutdown()
    }

    /// After a cancellation there may be results nobody has stored yet. One try: leases cover the rest.
    private func storeLastResults(_ machine: inout StateMachine) async {
        machine.shutDown(now: clock.now())
        process(mailbox.take(), &machine)
        if case .finish(let results) = machine.next(now: clock.now()) { await finish(results) }
    }
}

// MARK: Actions

extension SubscriptionLoop {
    private func claim(_ limit: Int, _ lease: Duration) async {
        let now = clock.now()
        do throws(StoreError) {
            let deliveries = try await store.claimDue(subscription: name, now: now, lease: lease, limit: limit)
            mailbox.post(.claimed(deliveries, limit: limit, at: now))
        } catch {
            mailbox.post(.claimFailed(error))
        }
    }

    private func deliver(_ batch: [ClaimedDelivery]) async {
        let begun = clock.now()
        let verdicts = await sink.deliver(batch, now: begun)
        mailbox.post(.tried(batch, verdicts, took: clock.now().duration(since: begun)))
    }

    private func finish(_ results: [DeliveryResult]) async {
        do throws(StoreError) {
            try await store.finish(results, now: clock.now())
            mailbox.post(.finished(results))
        } catch {
            mailbox.post(.finishFailed(results, error))
        }
    }

    private func lookUpNextDue() async {
        do throws(StoreError) {
            mailbox.post(.foundNextDue(try await store.nextDue(subscription: name)))
        } catch {
            mailbox.post(.lookUpFailed(error))
        }
    }
}

// MARK: Events

extension SubscriptionLoop {
    private func receive(_ machine: inout StateMachine, until deadline: Timestamp?) async {
        var mail = mailbox.take()
        if mail.isEmpty {
            await wait(until: deadline)
            mail = mailbox.take()
        }
        process(mail, &machine)
    }

    /// Returns at the deadline, when there is mail, or when the task is cancelled.
    private func wait(until deadline: Timestamp?) async {
        guard let deadline else { return await mailbox.wait() }
        await withTaskGroup { group in
            group.addTask { try? await clock.sleep(until: deadline) }
            group.addTask { await mailbox.wait() }
            await group.next()
            group.cancelAll()
        }
    }

    private func process(_ mail: Mailbox<Message>.Mail, _ machine: inout StateMachine) {
        if mail.isSignalled { machine.newDeliveries() }
        let now = clock.now()
        for message in mail.messages {
            switch message {
            case .claimed(let deliveries, let limit, let claimedAt):
                machine.claimed(deliveries, limit: limit, claimedAt: claimedAt)
            case .tried(let batch, let verdicts, let took):
                var generator = SystemRandomNumberGenerator()
                let results = machine.tried(batch, verdicts, took: took, now: now, using: &generator)
                log(batch, results)
            case .finished(let results): machine.finished(results)
            case .foundNextDue(let due): machine.foundNextDue(due, now: now)
            case .claimFailed(let error):
                machine.claimFailed(now: now)
                log("claiming deliveries failed", error)
            case .finishFailed(let results, let error):
                machine.finishFailed(results, now: now)
                log("storing delivery results failed", error)
            case .lookUpFailed(let error):
                machine.lookUpFailed(now: now)
                log("asking for due deliveries failed", error)
            case .shutDown: machine.shutDown(now: now)
            case .probe(let answer): answer()
            }
        }
    }

    private func log(_ batch: [ClaimedDelivery], _ results: ArraySlice<DeliveryResult>) {
        for (delivery, result) in zip(batch, results) {
            let level: Logger.Level =
                switch result.state {
                case .delivered: .debug
                case .retry: .info
                case .dead: .warning
                }
            guard level >= logger.logLevel else { continue }
            let message: Logger.Message =
                switch result.state {
                case .delivered: "event delivered"
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
