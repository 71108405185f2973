// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How many connections there may be, in all and of one peer, so that no peer can take all.
// One for each listener that serves strangers.

import Synchronization

/// Places for connections, shared by all threads of an intake.
public final class ConnectionPlaces: Sendable {
    private struct State {
        var total = 0
        var byPeer: [String: Int] = [:]
        var limit: Int
        var limitPerPeer: Int
        var isExempt: @Sendable (String) -> Bool
    }

    private let state: Mutex<State>
    private let connections: OpenConnections

    /// - Parameters:
    ///   - isExempt: peers that count in all, but not by peer: behind a mail server or proxy stands everybody.
    ///   - connections: where those with a place are counted.
    public init(
        limit: Int, limitPerPeer: Int, connections: OpenConnections = .all, isExempt: @escaping @Sendable (String) -> Bool
    ) {
        self.connections = connections
        state = Mutex(State(limit: limit, limitPerPeer: limitPerPeer, isExempt: isExempt))
    }

    /// Other limits from now on. Who has a place keeps it, even where there are now more than the new limits allow.
    public func change(limit: Int, limitPerPeer: Int, isExempt: @escaping @Sendable (String) -> Bool) {
        state.withLock { state in
            state.limit = limit
            state.limitPerPeer = limitPerPeer
            state.isExempt = isExempt
        }
    }

    /// Takes a place; false where none is left. A place taken is given back by `release`.
    public func take(_ peer: String) -> Bool {
        let isExempt = state.withLock { $0.isExempt }
        let isPeerExempt = isExempt(peer)
        let isTaken = state.withLock { state in
            let ofPeer = state.byPeer[peer, default: 0]
            guard state.total < state.limit, isPeerExempt || ofPeer < state.limitPerPeer else { return false }
            state.total += 1
            state.byPeer[peer] = ofPeer + 1
            return true
        }
        if isTaken { connections.opened() }
        return isTaken
    }

    /// Gives back a place that `take` gave.
    public func release(_ peer: String) {
        state.withLock { state in
            state.total -= 1
            let ofPeer = state.byPeer[peer, default: 1] - 1
            state.byPeer[peer] = ofPeer > 0 ? ofPeer : nil
        }
        connections.closed()
    }
}
