// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a listener does while there are no descriptors or no memory left for another connection. The one that waits
// keeps the socket readable: who asks again at once fails at once, and the event loop does nothing else. Stands here
// because this is what the listeners of mail and of HTTP have in common.

import Glibc
public import Logging
public import NIOCore

/// For listening channels. NIO's AcceptBackoffHandler is no help: it holds back reads, but after an error of accept(2) the
/// channel believes that its read is still under way, and goes on without another.
public final class AcceptPause: ChannelInboundHandler {
    public typealias InboundIn = any Channel

    /// Connections that wait to be accepted. NIO calls listen(2) with 128 itself if it is not told, on a socket that listens too.
    public static let backlog: Int32 = 1024

    private static let length = TimeAmount.seconds(1)
    /// Failures closer to each other than this are one shortage, which is logged once.
    private static let quiet = TimeAmount.seconds(10)

    private let logger: Logger
    private var last: NIODeadline?

    public init(logger: Logger) { self.logger = logger }

    /// What makes a listening channel ready that needs nothing else.
    public static func initializer(_ logger: Logger) -> @Sendable (any Channel) -> EventLoopFuture<Void> {
        { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(AcceptPause(logger: logger))
            }
        }
    }

    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Others are about the one connection (accept(2): ECONNABORTED), or NIO closes the channel.
        guard let code = (error as? IOError)?.errnoCode, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) else {
            return context.fireErrorCaught(error)
        }
        let channel = context.channel
        let now = NIODeadline.now()
        if last.map({ now - $0 > Self.quiet }) ?? true {
            logger.warning(
                "connections have to wait",
                metadata: ["listener": "\(Self.name(of: channel))", "error": "\(String(cString: strerror(code)))"])
        }
        last = now
        // Takes the socket out of what the loop watches.
        try? channel.syncOptions?.setOption(.autoRead, value: false)
        // Fails where the listener was closed meanwhile.
        context.eventLoop.scheduleTask(in: Self.length) { _ = channel.setOption(.autoRead, value: true) }
    }

    private static func name(of channel: any Channel) -> String {
        guard let address = channel.localAddress else { return "unknown" }
        if let path = address.pathname { return path }
        return "\(address.ipAddress ?? "unknown"):\(address.port ?? 0)"
    }
}
