// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Accepts connections on one listening socket and serves them. It did not make the socket, so that
// one that somebody else made (a service manager, say) is served like any other.

import HookTLS
import Logging
import NIOCore
import NIOExtras
import NIOPosix

/// Serves a connection to its end.
typealias WebConnection = @Sendable () async -> Void

/// One of the two sides of the HTTP front end: what is said on its connections.
protocol WebSite: Sendable {
    /// Makes a connection ready; called on its event loop.
    func open(_ channel: any Channel) -> EventLoopFuture<WebConnection>
}

struct WebServer: Sendable {
    private let listener: NIOAsyncChannel<WebConnection, Never>
    private let quiescing: ServerQuiescingHelper

    /// A connection to a secured listener while there is no certificate.
    private struct NoCertificate: Error {}

    /// Begins to accept. The descriptor is closed when the server ends.
    ///
    /// - Parameters:
    ///   - tls: the certificate as it is at each new connection; nil for a listener without TLS.
    ///   - drainTime: how long connections may last once the server stops.
    init(
        descriptor: Int32, site: any WebSite, tls: (@Sendable () -> ServerTLS?)?, drainTime: Duration, logger: Logger
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let helper = ServerQuiescingHelper(group: group)
        listener = try await ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = helper.makeServerChannelHandler(channel: channel)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    try channel.pipeline.syncOperations.addHandler(AcceptPause(logger: logger))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .bind(descriptor) { channel in
                do {
                    try channel.pipeline.syncOperations.addHandler(DrainDeadline(TimeAmount(drainTime)))
                    if let tls {
                        guard let tls = tls() else { throw NoCertificate() }
                        try tls.secure(channel, at: .last)
                    }
                } catch {
                    return channel.eventLoop.makeFailedFuture(error)
                }
                return site.open(channel)
            }
        AcceptPause.letMoreWait(on: descriptor)
        quiescing = helper
    }

    /// Returns when the socket is closed and the last connection has ended.
    func run() async {
        await withDiscardingTaskGroup { group in
            // Accepting fails for good only when the socket is gone, which is the end as well.
            try? await listener.executeThenClose { connections in
                for try await connection in connections {
                    group.addTask { await connection() }
                }
            }
        }
    }

    /// Accepts no more; requests in progress are answered within their time, then `run` returns.
    func stop() { quiescing.initiateShutdown(promise: nil) }
}
