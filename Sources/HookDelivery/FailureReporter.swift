// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Makes the daemon's own events for whoever subscribes to them, and none where nobody does.

public import HookModel

public struct FailureReporter: Sendable {
    private let table: SubscriptionTable
    private let instance: String

    /// - Parameter instance: the host name in the source of events.
    public init(_ table: SubscriptionTable, instance: String) {
        self.table = table
        self.instance = instance
    }

    /// An event of this type for its subscribers; nil where there are none.
    public func event(
        _ type: String, identity: String, at time: Timestamp, data: [(name: String, value: String?)]
    ) -> AddedEvent? {
        guard !table.names(matching: type).isEmpty else { return nil }
        let event = OwnEvents.event(type, identity: identity, instance: instance, at: time, data: data)
        let names = table.names(for: event)
        return names.isEmpty ? nil : AddedEvent(event: event, subscriptions: names)
    }

    /// That a delivery was given up; nil if it was one of an event of the daemon's own.
    func dead(
        _ id: Int64, event: String, type: String, attempts: Int, subscription: String, reason: String, at time: Timestamp
    ) -> AddedEvent? {
        guard !OwnEvents.isOwn(type) else { return nil }
        return self.event(
            OwnEvents.deliveryDead, identity: "\(id) \(attempts) \(time.microseconds)", at: time,
            data: [
                ("delivery", String(id)), ("subscription", subscription), ("event", event), ("eventType", type),
                ("reason", reason), ("attempts", String(attempts)),
            ])
    }

    func disabled(_ subscription: StoredSubscription) -> AddedEvent? {
        event(
            OwnEvents.subscriptionDisabled, identity: "\(subscription.name) \(subscription.changedAt.microseconds)",
            at: subscription.changedAt,
            data: [("subscription", subscription.name), ("reason", subscription.reason)])
    }
}
