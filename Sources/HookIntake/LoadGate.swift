// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How much of the large messages is in memory at once: those beyond wait on disk for their turn.

import Synchronization

/// One gate for the largest and one for the others, so that a few giants, which take the longest to parse, don't hold up
/// everybody's mail.
struct LoadGates: Sendable {
    /// Octets up to which a message goes with the others.
    static let ordinarySize = 4 << 20

    private let ordinary = LoadGate(capacity: ordinarySize)
    private let giant = LoadGate(capacity: 12 << 20)

    /// The one for a message of so many octets.
    func gate(for octets: Int) -> LoadGate { octets <= Self.ordinarySize ? ordinary : giant }
}

final class LoadGate: Sendable {
    private struct State {
        var free: Int
        var waiting: [(octets: Int, enter: @Sendable () -> Void)] = []
    }

    private let capacity: Int
    private let state: Mutex<State>

    /// - Parameter capacity: octets. A message larger than that enters alone.
    init(capacity: Int) {
        self.capacity = capacity
        state = Mutex(State(free: capacity))
    }

    /// Calls `enter` when there is room for `octets`, in the order of asking: now, or on the thread that leaves.
    func enter(_ octets: Int, _ enter: @escaping @Sendable () -> Void) {
        let octets = min(octets, capacity)
        let isFree = state.withLock { state in
            guard state.waiting.isEmpty, state.free >= octets else {
                state.waiting.append((octets, enter))
                return false
            }
            state.free -= octets
            return true
        }
        if isFree { enter() }
    }

    /// Gives back what was entered with.
    func leave(_ octets: Int) {
        let next = state.withLock { state in
            state.free += min(octets, capacity)
            var count = 0
            while count < state.waiting.count, state.waiting[count].octets <= state.free {
                state.free -= state.waiting[count].octets
                count += 1
            }
            defer { state.waiting.removeFirst(count) }
            return state.waiting.prefix(count).map(\.enter)
        }
        for enter in next { enter() }
    }
}
