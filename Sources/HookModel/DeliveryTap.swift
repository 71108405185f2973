// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How a subscription gets new deliveries straight from the commit that makes them: the first attempt
// is stored with the message, and nothing has to be claimed and read back.

/// A delivery that was claimed, and until when nobody else is handed it.
public struct LeasedDelivery: Sendable, Hashable {
    public var delivery: ClaimedDelivery
    public var leaseEnds: Timestamp

    public init(_ delivery: ClaimedDelivery, leaseEnds: Timestamp) {
        self.delivery = delivery
        self.leaseEnds = leaseEnds
    }

    /// An attempt of that length that begins later would outlive the lease.
    public func latestBegin(_ timeout: Duration) -> Timestamp { leaseEnds.advanced(by: .zero - timeout) }
}

/// One who takes deliveries of a subscription as they are made. Called on threads of the store's; must not block.
public protocol DeliveryTap: AnyObject, Sendable {
    /// Whether it takes one more delivery, of an event of that size: until when it is leased, or nil. A delivery that it
    /// does not take is there to be claimed.
    func lease(octets: Int) -> Timestamp?
    /// What it said it takes, once the attempts would survive a power cut.
    func take(_ deliveries: [LeasedDelivery])
    /// So many that it said it takes were not stored.
    func giveBack(_ count: Int, octets: Int)
}

/// What one commit, or a group of them, hands to taps.
public struct TappedDeliveries {
    private let taps: [String: any DeliveryTap]
    private var taken: [String: [LeasedDelivery]] = [:]

    public init(_ taps: [String: any DeliveryTap]) { self.taps = taps }

    /// Asks the subscription's tap. `id` is the delivery's number, which nothing else has.
    ///
    /// - Returns: until when it is leased; nil if it is to be claimed.
    public mutating func offer(_ event: Event, to subscription: String, id: Int64, createdAt: Timestamp) -> Timestamp? {
        guard let end = taps[subscription]?.lease(octets: event.json.count) else { return nil }
        let delivery = ClaimedDelivery(id: id, subscription: subscription, event: event, attempt: 1, createdAt: createdAt)
        taken[subscription, default: []].append(LeasedDelivery(delivery, leaseEnds: end))
        return end
    }

    /// Everything is stored.
    public func handOver() {
        for (name, deliveries) in taken { taps[name]?.take(deliveries) }
    }

    /// Nothing of it was stored.
    public func giveBack() {
        for (name, deliveries) in taken {
            taps[name]?.giveBack(deliveries.count, octets: deliveries.reduce(0) { $0 + $1.delivery.event.json.count })
        }
    }
}
