// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a listener does while there are no descriptors or no memory left for another connection, and when it closes. Stands
// here because this is what the listeners of mail and of HTTP have in common.
//
// A connection that waits keeps the socket readable: who asks again at once fails at once, and the event loop does nothing
// else. And connections leave some descriptors free: without them the store could open no file, and every mail of those who
// are connected would be put off.

import Glibc
public import Logging
public import NIOCore

/// For listening channels. NIO's AcceptBackoffHandler is no help: it holds back reads, but after an error of accept(2) the
/// channel believes that its read is still under way, and goes on without another.
public final class AcceptPause: ChannelInboundHandler, ChannelOutboundHandler {
    public typealias InboundIn = any Channel
    public typealias OutboundIn = Never

    /// Descriptors that are not for connections. A listener may take a few of them: it accepts some at once.
    public static let reserve = 16

    /// Connections that wait to be accepted, by listen(2).
    public static let backlog: Int32 = 1024

    private static let length = TimeAmount.seconds(1)
    /// Failures closer to each other than this are one shortage, which is logged once.
    private static let quiet = TimeAmount.seconds(10)

    private let logger: Logger
    private var last: NIODeadline?
    private var isPaused = false
    private var isClosing = false
    /// Where connections that came by this listener are served.
    private var loops: [any EventLoop] = []

    public init(logger: Logger) { self.logger = logger }

    /// For a socket that listens already: NIO has called listen(2) again when it took it, with 128, before any option counts.
    public static func letMoreWait(on descriptor: Int32) { _ = listen(descriptor, backlog) }

    /// What makes a listening channel ready that needs nothing else.
    public static func initializer(_ logger: Logger) -> @Sendable (any Channel) -> EventLoopFuture<Void> {
        { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(AcceptPause(logger: logger))
            }
        }
    }

    // MARK: - Shortage

    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Others are about the one connection (accept(2): ECONNABORTED), or NIO closes the channel.
        guard let code = (error as? IOError)?.errnoCode, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) else {
            return context.fireErrorCaught(error)
        }
        pause(context, code)
    }

    public func channelReadComplete(context: ChannelHandlerContext) {
        if Self.isShort { pause(context, EMFILE) }
        context.fireChannelReadComplete()
    }

    private func pause(_ context: ChannelHandlerContext, _ code: Int32) {
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
        guard !isPaused else { return }
        isPaused = true
        lookAgain(context)
    }

    private func lookAgain(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.length) {
            let (pause, context) = bound.value
            guard context.channel.isActive, !pause.isClosing else { return }
            if Self.isShort {
                pause.last = .now()
                return pause.lookAgain(context)
            }
            pause.isPaused = false
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }

    /// Whether no more than the reserve is left. The system gives the lowest number that is free.
    private static var isShort: Bool {
        let lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
        guard lowest >= 0 else { return errno == EMFILE }
        Glibc.close(lowest)
        return UInt64(lowest) + UInt64(reserve) >= limit
    }

    /// As it is when the first connection comes: the daemon raises it at its start. Not asked for with each connection.
    private static let limit: UInt64 = {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? UInt64(limit.rlim_cur) : .max
    }()

    // MARK: - The end

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let loop = unwrapInboundIn(data).eventLoop
        if !loops.contains(where: { $0 === loop }) { loops.append(loop) }
        context.fireChannelRead(data)
    }

    /// Connections that were accepted come to their handlers by way of two event loops, and NIO drops those that are on their
    /// way when the listener closes. So it accepts no more first, and closes behind the last of them, which then hears that
    /// the daemon stops.
    public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all, !isClosing else { return context.close(mode: mode, promise: promise) }
        isClosing = true
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        // To the handlers and back; then to the event loop that is to serve the connection.
        settle(context, rounds: 2, promise)
    }

    private func settle(_ context: ChannelHandlerContext, rounds: Int, _ promise: EventLoopPromise<Void>?) {
        guard rounds > 0 else { return context.close(promise: promise) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        EventLoopFuture.andAllComplete(loops.map { $0.submit {} }, on: context.eventLoop).whenComplete { _ in
            let (pause, context) = bound.value
            pause.settle(context, rounds: rounds - 1, promise)
        }
    }

    private static func name(of channel: any Channel) -> String {
        guard let address = channel.localAddress else { return "unknown" }
        if let path = address.pathname { return path }
        return "\(address.ipAddress ?? "unknown"):\(address.port ?? 0)"
    }
}
