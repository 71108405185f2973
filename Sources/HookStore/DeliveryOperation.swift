// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the writer is asked to do about deliveries beyond claims and results.

internal import HookModel

enum DeliveryOperation: Sendable {
    case finish([DeliveryResult], adding: [AddedEvent], now: Timestamp)
    case change(DeliveryFilter, DeliveryChange, after: Int64, limit: Int, now: Timestamp)
    case hasten(subscription: String, dueAfter: Timestamp, untried: Bool, limit: Int, now: Timestamp)
    case add([AddedEvent], now: Timestamp)
    case set(StoredSubscription, adding: [AddedEvent])
    case claimInOrder(WriteJob.Claim)

    enum Answer: Sendable {
        case done
        case changed(Int, last: Int64?)
        case claimed([ClaimedDelivery])
    }

    /// Whether it may number events.
    var makesEvents: Bool {
        switch self {
        case .finish(_, let events, _), .add(let events, _), .set(_, let events): !events.isEmpty
        case .change, .hasten, .claimInOrder: false
        }
    }
}

extension DeliveryState {
    /// As it is kept; see `Schema.DeliveryState`.
    var stored: Int64 {
        switch self {
        case .waiting: Schema.DeliveryState.waiting
        case .leased: Schema.DeliveryState.leased
        case .delivered: Schema.DeliveryState.delivered
        case .dead: Schema.DeliveryState.dead
        case .cancelled: Schema.DeliveryState.cancelled
        }
    }

    init?(stored: Int64) {
        guard let state = Self.allCases.first(where: { $0.stored == stored }) else { return nil }
        self = state
    }
}
