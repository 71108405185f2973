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
    }

    private let state = Mutex(State())
    private let limit: Int
    private let limitPerPeer: Int
    private let isExempt: @Sendable (String) -> Bool

    /// - Parameter isExempt: peers that count in all, but not by peer: behind a mail server or proxy stands everybody.
    public init(limit: Int, limitPerPeer: Int, isExempt: @escaping @Sendable (String) -> Bool) {
        self.limit = limit
        self.limitPerPeer = limitPerPeer
        self.isExempt = isExempt
    }

    /// Takes a place; false where none is left. A place taken is given back by `release`.
    public func take(_ peer: String) -> Bool {
        let isExempt = isExempt(peer)
        return state.withLock { state in
            let ofPeer = state.byPeer[peer, default: 0]
            guard state.total < limit, isExempt || ofPeer < limitPerPeer else { return false }
            state.total += 1
            state.byPeer[peer] = ofPeer + 1
            return true
        }
    }

    /// Gives back a place that `take` gave.
    public func release(_ peer: String) {
        state.withLock { state in
            state.total -= 1
            let ofPeer = state.byPeer[peer, default: 1] - 1
            state.byPeer[peer] = ofPeer > 0 ? ofPeer : nil
        }
    }
}
