// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What others learn of how deliveries ended: events of the daemon's own, the monitor and the log.

internal import HookModel
internal import Logging

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
    func note(
        _ batch: [ClaimedDelivery], _ results: ArraySlice<DeliveryResult>, _ breaker: CircuitBreaker, _ now: Timestamp
    ) {
        var change: SubscriptionActivity.Breaker?
        monitor.update(name) { activity in
            for result in results {
                switch result.state {
                case .delivered:
                    activity.delivered += 1
                    activity.lastDeliveredAt = now
                case .retry, .dead, .givenUp:
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

    func log(_ batch: [ClaimedDelivery], _ results: ArraySlice<DeliveryResult>) {
        for (delivery, result) in zip(batch, results) {
            let level: Logger.Level =
                switch result.state {
                case .delivered, .untried: .debug
                case .retry: .info
                case .dead, .givenUp: .warning
                }
            guard level >= logger.logLevel else { continue }
            let message: Logger.Message =
                switch result.state {
                case .delivered: "event delivered"
                case .untried: "delivery was put back untried"
                case .retry: "delivery failed and will be tried again"
                case .dead, .givenUp: "delivery is dead"
                }
            logger.log(
                level: level, message,
                metadata: [
                    "subscription": "\(name)", "delivery": "\(delivery.id)", "event": "\(delivery.event.id)",
                    "attempt": "\(delivery.attempt)", "reason": "\(result.reason)",
                ])
        }
    }

    func log(_ message: Logger.Message, _ error: StoreError) {
        logger.error(message, metadata: ["subscription": "\(name)", "error": "\(error)"])
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
