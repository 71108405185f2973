// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Accepts connections on one listening socket and serves them. It did not make the socket, so that
// one that somebody else made (a service manager, say) is served like any other.

import HookTLS
import HummingbirdCore
import Logging
import NIOCore
import NIOExtras
import NIOPosix

struct WebServer: Sendable {
    private struct Connection: Sendable {
        var http: HTTP1Channel
        var channel: HTTP1Channel.Value
    }

    private let listener: NIOAsyncChannel<Connection, Never>
    private let quiescing: ServerQuiescingHelper

    /// What the library has to say is none of an operator's news.
    private static let logger = Logger(label: "mailhookd.http") { _ in SwiftLogNoOpLogHandler() }

    /// A connection to a secured listener while there is no certificate.
    private struct NoCertificate: Error {}

    /// Begins to accept. The descriptor is closed when the server ends.
    ///
    /// - Parameter tls: the certificate as it is at each new connection; nil for a listener without TLS.
    init(descriptor: Int32, site: WebSite, tls: (@Sendable () -> ServerTLS?)?) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let helper = ServerQuiescingHelper(group: group)
        listener = try await ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = helper.makeServerChannelHandler(channel: channel)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .bind(descriptor) { channel in
                let http = site.connection()
                if let tls {
                    do {
                        guard let tls = tls() else { throw NoCertificate() }
                        try tls.secure(channel, at: .last)
                    } catch {
                        return channel.eventLoop.makeFailedFuture(error)
                    }
                }
                return http.setup(channel: channel, logger: Self.logger).map { Connection(http: http, channel: $0) }
            }
        quiescing = helper
    }

    /// Returns when the socket is closed and the last connection has ended.
    func run() async {
        await withDiscardingTaskGroup { group in
            // Accepting fails for good only when the socket is gone, which is the end as well.
            try? await listener.executeThenClose { connections in
                for try await connection in connections {
                    group.addTask { await connection.http.handle(value: connection.channel, logger: Self.logger) }
                }
            }
        }
    }

    /// Accepts no more; requests in progress are answered, then `run` returns.
    func stop() { quiescing.initiateShutdown(promise: nil) }
}
