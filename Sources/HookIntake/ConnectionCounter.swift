// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Counts connections, in all and by peer, so that no peer can take all of them.

import Synchronization

final class ConnectionCounter: Sendable {
    private struct State {
        var total = 0
        var byPeer: [String: Int] = [:]
    }

    /// The peer at the other end of a Unix socket.
    static let unixPeer = "local"

    private let state = Mutex(State())
    private let limit: Int
    private let limitPerPeer: Int
    private let exempt: [NetworkRange]

    /// `exempt` peers count in all, but not by peer: behind the local mail server stands everybody.
    init(limit: Int, limitPerPeer: Int, exempt: [NetworkRange]) {
        self.limit = limit
        self.limitPerPeer = limitPerPeer
        self.exempt = exempt
    }

    /// Takes a place for `peer`; false where none is left. A place taken is given back by `release`.
    func take(_ peer: String) -> Bool {
        // All clients of a Unix socket have one name; they are the mail server on this machine.
        let isExempt = peer == Self.unixPeer || exempt.contains { $0.contains(peer) }
        return state.withLock { state in
            let ofPeer = state.byPeer[peer, default: 0]
            guard state.total < limit, isExempt || ofPeer < limitPerPeer else { return false }
            state.total += 1
            state.byPeer[peer] = ofPeer + 1
            return true
        }
    }

    func release(_ peer: String) {
        state.withLock { state in
            state.total -= 1
            let ofPeer = state.byPeer[peer, default: 1] - 1
            state.byPeer[peer] = ofPeer > 0 ? ofPeer : nil
        }
    }
}
