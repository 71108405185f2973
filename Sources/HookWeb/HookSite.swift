// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The public side as it is now. What a connection bears is taken when it begins; what answers, at
// each request.

import HookModel
import NIOCore
import NIOHTTP1
import Synchronization

/// What a request to the public side meets.
final class HookEdge: Sendable {
    let endpoint: HookEndpoint
    let limits: WebLimits
    /// Peers whose X-Forwarded-For is believed.
    let isTrustedProxy: @Sendable (String) -> Bool
    let now: @Sendable () -> Timestamp

    init(
        endpoint: HookEndpoint, limits: WebLimits, isTrustedProxy: @escaping @Sendable (String) -> Bool,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.endpoint = endpoint
        self.limits = limits
        self.isTrustedProxy = isTrustedProxy
        self.now = now
    }
}

final class HookSite: WebSite {
    let places: ConnectionPlaces
    private let edge: Mutex<HookEdge>

    init(_ edge: HookEdge) {
        self.edge = Mutex(edge)
        places = ConnectionPlaces(
            limit: edge.limits.connections, limitPerPeer: edge.limits.connectionsPerPeer,
            isExempt: Self.exemption(edge))
    }

    var current: HookEdge { edge.withLock { $0 } }

    /// Requests from now on are answered by another; connections from now on get its limits.
    func change(_ edge: HookEdge) {
        self.edge.withLock { $0 = edge }
        places.change(
            limit: edge.limits.connections, limitPerPeer: edge.limits.connectionsPerPeer,
            isExempt: Self.exemption(edge))
    }

    func open(_ channel: any Channel) -> EventLoopFuture<WebConnection> {
        let limits = current.limits
        var decoderLimits = NIOHTTPDecoderLimitConfiguration()
        decoderLimits.maxHeaderFieldSize = limits.headerFieldSize
        decoderLimits.maxHeaderListSize = limits.headerSize
        decoderLimits.maxHeaderFieldCount = limits.headerFields
        let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: decoderLimits)
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(decoder), HookConnection(site: self))
            // Everything happens on the event loop; what is left is to know the end.
            return { try? await channel.closeFuture.get() }
        }
    }

    private static func exemption(_ edge: HookEdge) -> @Sendable (String) -> Bool {
        let isTrustedProxy = edge.isTrustedProxy
        return { $0 == "unix" || isTrustedProxy($0) }
    }
}
