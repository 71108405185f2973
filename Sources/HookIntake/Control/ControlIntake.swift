// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon's end of commands that give it orders: a socket in the data folder that only the daemon's user may
// open. A request is one line, its answer is one line; what is in them is somebody else's business. As long as there
// is no answer, a blank before it every other second says that the daemon lives. Who says by shutdown(2) that no more
// requests come is answered all the same.

import Glibc
import HookTLS
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

public struct ControlIntake: Service {
    /// Octets of a request: an event of the largest kind, and what is around it.
    public static let lineLimit = 16 << 20
    /// Between the signs of life that go before an answer.
    public static let heartbeatInterval = Duration.seconds(2)
    private static let heartbeat: [UInt8] = [0x20]
    /// Without a request or an answer.
    private static let idleTime = TimeAmount.minutes(10)
    static let connectionLimit = 32

    private let path: String
    private let refusal: [UInt8]
    private let answer: @Sendable ([UInt8]) async -> [UInt8]
    private let logger: Logger
    private let heartbeatInterval: TimeAmount
    private let onReady: @Sendable () -> Void

    /// - Parameters:
    ///   - path: where the socket is made.
    ///   - refusal: what a connection hears for which there is no place, one line without its end.
    ///   - onReady: called once when it is served.
    ///   - answer: one line, without its end, to another one.
    public init(
        path: String, refusal: [UInt8], logger: Logger, heartbeatInterval: Duration = ControlIntake.heartbeatInterval,
        onReady: @escaping @Sendable () -> Void,
        answer: @escaping @Sendable ([UInt8]) async -> [UInt8]
    ) {
        self.path = path
        self.refusal = refusal
        self.logger = logger
        self.heartbeatInterval = TimeAmount(heartbeatInterval)
        self.onReady = onReady
        self.answer = answer
    }

    public func run() async throws {
        let listener = try await bind()
        let file = SocketFile(path)
        onReady()
        await cancelWhenGracefulShutdown {
            try? await listener.executeThenClose { connections in
                await withDiscardingTaskGroup { group in
                    let places = Places(Self.connectionLimit)
                    do {
                        for try await connection in connections {
                            guard places.take() else {
                                group.addTask { await refuse(connection) }
                                continue
                            }
                            group.addTask {
                                await serve(connection)
                                places.giveBack()
                            }
                        }
                    } catch is CancellationError {
                        // The daemon stops.
                    } catch {
                        logger.error("the control socket failed", metadata: ["error": "\(error)"])
                    }
                    file?.remove()
                    group.cancelAll()
                }
            }
        }
    }

    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private func serve(_ connection: Connection) async {
        // A client that goes away is no failure of ours.
        try? await connection.executeThenClose { requests, _ in
            for try await request in requests {
                // What nobody waits for any more is not begun, though who has gone could only be told that it may be.
                try await Self.send(Self.heartbeat, connection.channel)
                let heartbeat = startHeartbeat(connection.channel)
                let line = await answer(Array(request.readableBytesView))
                heartbeat.cancel()
                try await Self.send(line + [0x0A], connection.channel)
            }
        }
    }

    private func refuse(_ connection: Connection) async {
        try? await connection.executeThenClose { _, _ in
            try await Self.send(refusal + [0x0A], connection.channel)
        }
    }

    /// On the connection's event loop: an order that keeps the threads of tasks busy, as a reload does, takes nothing from it.
    private func startHeartbeat(_ channel: any Channel) -> RepeatedTask {
        channel.eventLoop.scheduleRepeatedTask(initialDelay: heartbeatInterval, delay: heartbeatInterval) { _ in
            channel.writeAndFlush(ByteBuffer(bytes: Self.heartbeat), promise: nil)
        }
    }

    /// Returns when the system has taken all of it, for what it has not is lost when the connection is closed.
    ///
    /// - Throws: where the other side has closed the connection, or the daemon stops and the other side does not read.
    private static func send(_ octets: [UInt8], _ channel: any Channel) async throws {
        try await withTaskCancellationHandler {
            try await channel.writeAndFlush(ByteBuffer(bytes: octets))
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    private func bind() async throws -> NIOAsyncChannel<Connection, Never> {
        guard let short = SocketPath(path) else { throw ListenError(path, errno) }
        do {
            let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: AcceptPause.backlog)
                .serverChannelInitializer(AcceptPause.initializer(logger))
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .bind(unixDomainSocketPath: short.text, cleanupExistingSocketFile: true) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers([
                            IdleStateHandler(allTimeout: Self.idleTime), IdleCloser(),
                            ByteToMessageHandler(LineDecoder(), maximumBufferSize: Self.lineLimit),
                        ])
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
            // Between the two a stranger could connect, but the folder is the daemon's own (0700).
            SocketPath.makePrivate(path)
            return listener
        } catch {
            throw ListenError(path, error)
        }
    }
}

/// Lines that end with LF, without it.
private struct LineDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = ByteBuffer

    /// Octets that were searched already: a long line is not searched again with each piece of it.
    private var searched = 0

    mutating func decode(buffer: inout ByteBuffer) -> ByteBuffer? {
        guard let end = buffer.readableBytesView.dropFirst(searched).firstIndex(of: 0x0A) else {
            searched = buffer.readableBytes
            return nil
        }
        searched = 0
        let line = buffer.readSlice(length: end - buffer.readerIndex)
        buffer.moveReaderIndex(forwardBy: 1)
        return line
    }

    mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) -> ByteBuffer? { decode(buffer: &buffer) }
}

private final class IdleCloser: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }
}
