// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes new deliveries from the commit that makes them while their subscription keeps up, within the
// room that its loop has left.

internal import HookModel
internal import Synchronization

/// Between the store's threads and one subscription's loop.
final class SubscriptionTap: DeliveryTap {
    /// What may be taken until the loop says otherwise.
    struct Room: Sendable, Equatable {
        var deliveries = 0
        var octets = 0
        var lease = Duration.zero

        static let none = Room()
    }

    private struct State {
        var room = Room.none
        /// Taken, and not seen by the loop yet.
        var pending = 0
        var pendingOctets = 0
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Timestamp
    private let hand: @Sendable ([LeasedDelivery]) -> Void

    /// - Parameter hand: gets what was taken; called with nothing when something was given back.
    init(now: @escaping @Sendable () -> Timestamp, hand: @escaping @Sendable ([LeasedDelivery]) -> Void) {
        self.now = now
        self.hand = hand
    }

    /// - Parameter seen: what was handed since the last call.
    /// - Returns: how many are on their way.
    func set(_ room: Room, seen: (deliveries: Int, octets: Int)) -> Int {
        state.withLock { state in
            state.pending -= seen.deliveries
            state.pendingOctets -= seen.octets
            state.room = room
            state.room.deliveries -= state.pending
            state.room.octets -= state.pendingOctets
            return state.pending
        }
    }

    func lease(octets: Int) -> Timestamp? {
        let lease = state.withLock { state -> Duration? in
            guard state.room.deliveries > 0, state.room.octets >= octets else { return nil }
            state.room.deliveries -= 1
            state.room.octets -= octets
            state.pending += 1
            state.pendingOctets += octets
            return state.room.lease
        }
        return lease.map { now().advanced(by: $0) }
    }

    func take(_ deliveries: [LeasedDelivery]) { hand(deliveries) }

    func giveBack(_ count: Int, octets: Int) {
        state.withLock { state in
            state.pending -= count
            state.pendingOctets -= octets
        }
        hand([])
    }
}
