// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The side for the management as it is now, on Hummingbird. What a connection is made of is taken
// when it begins; what answers, at each request.

import HookModel
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

final class AdminSite: WebSite {
    private let edge: Mutex<AdminEdge>
    private let places: ConnectionPlaces

    init(_ edge: AdminEdge) {
        self.edge = Mutex(edge)
        places = ConnectionPlaces(
            limit: edge.limits.connections, limitPerPeer: edge.limits.connectionsPerPeer,
            isExempt: { $0 == "unix" })
    }

    private var current: AdminEdge { edge.withLock { $0 } }

    /// Requests from now on are answered by another; connections from now on get its limits.
    func change(_ edge: AdminEdge) {
        self.edge.withLock { $0 = edge }
        places.change(
            limit: edge.limits.connections, limitPerPeer: edge.limits.connectionsPerPeer,
            isExempt: { $0 == "unix" })
    }

    func open(_ channel: any Channel) -> EventLoopFuture<WebConnection> {
        let http = connection()
        return http.setup(channel: channel, logger: Self.logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(FramingGuard(), position: .after(decoder))
            return { await http.handle(value: value, logger: Self.logger) }
        }
    }

    /// What the library has to say is none of an operator's news.
    private static let logger = Logger(label: "mailhookd.http") { _ in SwiftLogNoOpLogHandler() }

    /// For one more connection.
    private func connection() -> HTTP1Channel {
        let (limits, places) = (current.limits, places)
        let requestTimeout = TimeAmount(limits.requestTimeout)
        return HTTP1Channel(
            responder: { [self] request, writer, channel in
                try await current.respond(to: request, writer, channel)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [ConnectionGuard(places: places, requestTimeout: requestTimeout)],
                idleTimeout: TimeAmount(limits.idleTimeout),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headerFieldSize, maxHeaderListSize: limits.headerSize,
                    maxHeaderFieldCount: limits.headerFields)))
    }
}
