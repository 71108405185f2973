// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How many connections there may be, in all and of one peer, so that no peer can take all.
// One for each listener that serves strangers.

internal import Glibc
import Synchronization

/// Places for connections, shared by all threads of an intake.
public final class ConnectionPlaces: Sendable {
    private struct State {
        var total = 0
        var byPeer: [String: Int] = [:]
        /// Connections without a place that hear why.
        var refused = 0
        var limit: Int
        var limitPerPeer: Int
        var isExempt: @Sendable (String) -> Bool
    }

    /// So many that got no place are heard out at a time: each costs a descriptor, and they come as fast as a peer likes.
    static let refusedLimit = 64

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

    /// One that got no place may stay a moment until it has heard so; false where there are many of them. What is taken here
    /// is given back by `refusedClosed`.
    public func takeRefused() -> Bool {
        state.withLock { state in
            guard state.refused < Self.refusedLimit else { return false }
            state.refused += 1
            return true
        }
    }

    public func refusedClosed() { state.withLock { $0.refused -= 1 } }

    /// Takes a place; false where none is left. A place taken is given back by `release`.
    public func take(_ peer: String) -> Bool {
        let isExempt = state.withLock { $0.isExempt }
        let isPeerExempt = isExempt(peer)
        let network = Self.network(of: peer)
        let isTaken = state.withLock { state in
            let ofPeer = state.byPeer[network, default: 0]
            guard state.total < state.limit, isPeerExempt || ofPeer < state.limitPerPeer else { return false }
            state.total += 1
            state.byPeer[network] = ofPeer + 1
            return true
        }
        if isTaken { connections.opened() }
        return isTaken
    }

    /// Gives back a place that `take` gave.
    public func release(_ peer: String) {
        let network = Self.network(of: peer)
        state.withLock { state in
            state.total -= 1
            let ofPeer = state.byPeer[network, default: 1] - 1
            state.byPeer[network] = ofPeer > 0 ? ofPeer : nil
        }
        connections.closed()
    }

    /// Under which name a peer is counted: of IPv6 addresses, whoever has one has the 2^64 of its network (RFC 6177).
    private static func network(of peer: String) -> String {
        guard peer.utf8.contains(UInt8(ascii: ":")) else { return peer }
        var octets = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, peer, &octets) == 1 else { return peer }
        return octets[..<8].map { String($0, radix: 16) }.joined(separator: ":")
    }
}
