// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the loops are doing at the moment, for people and for metrics. Nothing here decides anything.

public import HookModel
internal import Synchronization

/// One subscription as its loop sees it.
public struct SubscriptionActivity: Sendable, Hashable {
    public enum Breaker: String, Sendable, Hashable {
        case closed
        /// The endpoint is left alone.
        case open
        /// One delivery finds out whether it works again.
        case halfOpen = "half-open"
    }

    public var breaker = Breaker.closed
    /// When the breaker lets the next delivery through.
    public var openUntil: Timestamp?
    /// Since when attempts have failed one after the other.
    public var downSince: Timestamp?
    /// Since the daemon started.
    public var delivered = 0
    public var failed = 0
    public var dead = 0
    public var lastDeliveredAt: Timestamp?
    public var lastFailedAt: Timestamp?
    public var lastReason: String?

    public init() {}
}

/// Shared by the loops and whoever looks. Safe to share between threads.
public final class DeliveryMonitor: Sendable {
    private let activities = Mutex<[String: SubscriptionActivity]>([:])

    public init() {}

    /// nil for a subscription that has no loop.
    public func activity(of name: String) -> SubscriptionActivity? { activities.withLock { $0[name] } }

    public var all: [String: SubscriptionActivity] { activities.withLock { $0 } }

    func update(_ name: String, _ body: (inout SubscriptionActivity) -> Void) {
        activities.withLock { body(&$0[name, default: SubscriptionActivity()]) }
    }
}
