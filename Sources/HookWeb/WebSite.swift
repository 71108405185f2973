// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One of the two sides of the HTTP front end, public or for the management, as it is now. What a
// connection is made of is taken when it begins; what answers, at each request.

import HookModel
import HummingbirdCore
import NIOCore
import Synchronization

final class WebSite: Sendable {
    private let edge: Mutex<WebEdge>
    private let places: ConnectionPlaces
    /// How long a request may take to end once its listener stops.
    private let drainTime: TimeAmount

    init(_ edge: WebEdge, drainTime: Duration) {
        self.edge = Mutex(edge)
        self.drainTime = TimeAmount(drainTime)
        places = ConnectionPlaces(
            limit: edge.limits.connections, limitPerPeer: edge.limits.connectionsPerPeer,
            isExempt: Self.exemption(edge))
    }

    private var current: WebEdge { edge.withLock { $0 } }

    /// Requests from now on are answered by another; connections from now on get its limits.
    func change(_ edge: WebEdge) {
        self.edge.withLock { $0 = edge }
        places.change(
            limit: edge.limits.connections, limitPerPeer: edge.limits.connectionsPerPeer,
            isExempt: Self.exemption(edge))
    }

    /// For one more connection.
    func connection() -> HTTP1Channel {
        let (limits, places, drainTime) = (current.limits, places, drainTime)
        let requestTimeout = TimeAmount(limits.requestTimeout)
        return HTTP1Channel(
            responder: { [self] request, writer, channel in
                try await current.respond(to: request, writer, channel)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [
                    ConnectionGuard(places: places, requestTimeout: requestTimeout, drainTime: drainTime)
                ],
                idleTimeout: TimeAmount(limits.idleTimeout),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headerFieldSize, maxHeaderListSize: limits.headerSize,
                    maxHeaderFieldCount: limits.headerFields)))
    }

    private static func exemption(_ edge: WebEdge) -> @Sendable (String) -> Bool {
        let isTrustedProxy = edge.isTrustedProxy
        return { $0 == "unix" || isTrustedProxy($0) }
    }
}
