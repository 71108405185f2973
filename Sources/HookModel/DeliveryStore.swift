// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the store knows about deliveries beyond the daily work: states, attempts, and what people do with them.

/// Where a delivery stands. The raw value is what commands show and take.
public enum DeliveryState: String, Sendable, Hashable, CaseIterable {
    /// Due now or later.
    case waiting
    /// Handed out; being tried.
    case leased
    case delivered
    /// Given up, with a reason.
    case dead
    /// Called off by somebody.
    case cancelled

    /// Whether nothing more happens by itself.
    public var isFinal: Bool { self == .delivered || self == .dead || self == .cancelled }
}

/// A delivery as it is kept.
public struct StoredDelivery: Sendable, Hashable {
    public var id: Int64
    public var subscription: String
    public var eventID: String
    public var eventType: String
    public var state: DeliveryState
    /// Since it was made, or last redriven.
    public var attempts: Int
    /// The next attempt; while leased the end of the lease. Without meaning in final states.
    public var due: Timestamp
    public var createdAt: Timestamp
    /// The last attempt or its end, or what else last changed it.
    public var changedAt: Timestamp
    /// Of the last failure.
    public var reason: String

    public init(
        id: Int64, subscription: String, eventID: String, eventType: String, state: DeliveryState, attempts: Int,
        due: Timestamp, createdAt: Timestamp, changedAt: Timestamp, reason: String
    ) {
        self.id = id
        self.subscription = subscription
        self.eventID = eventID
        self.eventType = eventType
        self.state = state
        self.attempts = attempts
        self.due = due
        self.createdAt = createdAt
        self.changedAt = changedAt
        self.reason = reason
    }
}

/// A failed attempt. Successful ones are known from their delivery; of failed ones the last are kept.
public struct StoredAttempt: Sendable, Hashable {
    /// How many of these are kept of a delivery.
    public static let limit = 32

    public var number: Int
    /// When it ended.
    public var at: Timestamp
    public var reason: String
    /// What the receiver said.
    public var detail: String

    public init(number: Int, at: Timestamp, reason: String, detail: String) {
        self.number = number
        self.at = at
        self.reason = reason
        self.detail = detail
    }
}

/// Which deliveries are meant. Conditions that are nil or empty hold for all.
public struct DeliveryFilter: Sendable, Hashable {
    public var states: Set<DeliveryState> = []
    /// The event's type, which is the hook's name.
    public var eventType: String?
    public var subscription: String?
    public var reason: String?
    /// Made at this time or later.
    public var since: Timestamp?
    /// Made before this time.
    public var before: Timestamp?
    /// Due at this time or earlier.
    public var dueBy: Timestamp?
    public var ids: [Int64] = []

    public init() {}
}

/// What can be done with deliveries.
public enum DeliveryChange: Sendable, Hashable {
    /// Due at once, with a schedule that begins anew. For dead, cancelled and delivered ones.
    case redrive
    /// For those that are not final.
    case cancel

    /// States of deliveries it has an effect on.
    public var states: Set<DeliveryState> {
        switch self {
        case .redrive: [.dead, .cancelled, .delivered]
        case .cancel: [.waiting, .leased]
        }
    }
}

/// What deliveries of a subscription are up to.
public enum SubscriptionStatus: String, Sendable, Hashable, CaseIterable {
    case active
    /// Held back by somebody.
    case paused
    /// Held back because the receiver wanted no more, or by its rule.
    case disabled
}

/// A subscription's status and why. Subscriptions that never changed have none and are active.
public struct StoredSubscription: Sendable, Hashable {
    public var name: String
    public var status: SubscriptionStatus
    public var reason: String
    public var changedAt: Timestamp

    public init(name: String, status: SubscriptionStatus, reason: String, changedAt: Timestamp) {
        self.name = name
        self.status = status
        self.reason = reason
        self.changedAt = changedAt
    }
}

/// An event that is stored without a message of its own, or in place of a stored event.
public struct AddedEvent: Sendable, Hashable {
    public var event: Event
    /// Who it is delivered to.
    public var subscriptions: [String]
    /// The message it was made of; nil for events of the daemon itself.
    public var message: Int64?
    /// Whether a stored event of the same id is replaced and delivered again; if not, it stays, and nothing is made.
    public var replaces: Bool

    public init(event: Event, subscriptions: [String], message: Int64? = nil, replaces: Bool = false) {
        self.event = event
        self.subscriptions = subscriptions
        self.message = message
        self.replaces = replaces
    }
}

/// A store that keeps the history of deliveries and takes orders about them. Each change is one transaction.
public protocol DeliveryStore: EventStore {
    /// Deliveries with ids above `id` in their order, at most `limit`.
    func deliveries(matching filter: DeliveryFilter, after id: Int64, limit: Int) async throws(StoreError) -> [StoredDelivery]
    /// All deliveries of an event, in the order of their ids, at most some hundred.
    func deliveries(ofEvent id: String) async throws(StoreError) -> [StoredDelivery]
    /// The last failed attempts of a delivery, oldest first.
    func attempts(ofDelivery id: Int64) async throws(StoreError) -> [StoredAttempt]

    /// Changes deliveries with ids above `id` in their order, at most `limit` that match. The answer is how many were
    /// changed and the last id looked at; nil when there are no more.
    func change(
        _ filter: DeliveryFilter, _ change: DeliveryChange, after id: Int64, limit: Int, now: Timestamp
    ) async throws(StoreError) -> (changed: Int, last: Int64?)
    /// Makes deliveries that wait for a time after `due`, or that were never tried where `untried` says so, due at `now`,
    /// at most `limit`. What is due before is left alone. The answer is how many.
    func hasten(
        subscription: String, dueAfter due: Timestamp, untried: Bool, limit: Int, now: Timestamp
    ) async throws(StoreError) -> Int
    /// Stores how attempts ended, together with events about it.
    func finish(_ results: [DeliveryResult], adding events: [AddedEvent], now: Timestamp) async throws(StoreError)
    /// Stores events. The answer is how many deliveries were made or begun anew.
    func add(_ events: [AddedEvent], now: Timestamp) async throws(StoreError) -> Int

    func subscriptions() async throws(StoreError) -> [StoredSubscription]
    /// Stores a subscription's status, together with events about it.
    func set(_ subscription: StoredSubscription, adding events: [AddedEvent]) async throws(StoreError)

    /// Hands out deliveries as `claimDue` does, but of each event type only the oldest that is not final, and only
    /// if none of that type is being tried. Behind one that is excluded, others of its type wait.
    func claimInOrder(
        subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> [ClaimedDelivery]
    /// As `nextDue`, for deliveries that `claimInOrder` would hand out then.
    func nextDueInOrder(subscription: String, excluding excluded: Set<Int64>) async throws(StoreError) -> Timestamp?
}

extension DeliveryStore {
    public func delivery(_ id: Int64) async throws(StoreError) -> StoredDelivery? {
        var filter = DeliveryFilter()
        filter.ids = [id]
        return try await deliveries(matching: filter, after: .min, limit: 1).first
    }
}
