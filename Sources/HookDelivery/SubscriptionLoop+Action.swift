// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the state machine of a subscription's loop is told once, and what it answers.

internal import HookModel

extension SubscriptionLoop.StateMachine {
    struct Settings: Sendable {
        var maxBatch: Int
        var concurrency: Int
        /// What one call of the sink can take.
        var timeout: Duration
        var schedule: RetrySchedule
        var limits: DeliveryLimits
        var rate: DeliveryRate?
        var breaker: BreakerSettings?
        /// The end of one delivery makes the next of its type due.
        var isOrdered = false
        var isDisabledWhenExhausted = false
        /// The sink has a queue of its own.
        var hasQueue = false
    }

    enum Action: Equatable {
        case claim(limit: Int, lease: Duration)
        case deliver([ClaimedDelivery])
        /// Put into the sink's queue.
        case enqueue([LeasedDelivery])
        /// Have back what the sink's queue has not begun.
        case recall
        case finish([DeliveryResult])
        case lookUpNextDue
        /// Store that the subscription gets nothing more.
        case disable(reason: String)
        /// Give up what was made before that time: the endpoint has been down for as long as a schedule lasts.
        case expire(before: Timestamp)
        /// Make due what waits for a time after that, later than anything is ever put off: the clock was wrong then. If it
        /// was set back just now, also what was never tried: nothing is made to be due later.
        case hasten(dueAfter: Timestamp, untried: Bool)
        /// End the calls of the sink that are under way; each still reports.
        case cancelCalls
        /// Until something happens, or until then.
        case wait(until: Timestamp?)
        case stop
    }
}
