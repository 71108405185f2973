// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SMTP and LMTP as one service. It accepts on sockets that listen already, within the limits, and
// on shutdown lets transactions in progress end before it closes what is left.

public import HookModel
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
import SMTPProtocol
import Synchronization

public struct MailIntakeConfiguration: Sendable {
    public var hostname: String
    public var connections: Int
    public var connectionsPerPeer: Int
    public var perPeerExempt: [NetworkRange]
    /// Octets.
    public var messageSize: Int
    public var recipients: Int
    /// Where large messages wait while they come in; best on the disk of the store.
    public var spoolFolder: String
    /// Between two pieces of input while no data is being read.
    public var idleTimeout: Duration
    /// For the whole of one message's data.
    public var dataTimeout: Duration
    /// How long transactions in progress may take after shutdown was asked for.
    public var drainTimeout: Duration

    public init(
        hostname: String, connections: Int, connectionsPerPeer: Int, perPeerExempt: [NetworkRange], messageSize: Int,
        recipients: Int, spoolFolder: String, idleTimeout: Duration, dataTimeout: Duration,
        drainTimeout: Duration = .seconds(15)
    ) {
        self.hostname = hostname
        self.connections = connections
        self.connectionsPerPeer = connectionsPerPeer
        self.perPeerExempt = perPeerExempt
        self.messageSize = messageSize
        self.recipients = recipients
        self.spoolFolder = spoolFolder
        self.idleTimeout = idleTimeout
        self.dataTimeout = dataTimeout
        self.drainTimeout = drainTimeout
    }
}

/// An address could not be bound.
public struct ListenError: Error, Sendable, CustomStringConvertible {
    public var address: ListenAddress
    public var reason: String
    /// EACCES and EPERM: no use in trying again without another configuration.
    public var isPermission: Bool

    public init(address: ListenAddress, reason: String, isPermission: Bool) {
        self.address = address
        self.reason = reason
        self.isPermission = isPermission
    }

    public var description: String { "cannot listen on \(address): \(reason)" }
}

/// A socket that listens already, and what is spoken on it.
public struct MailListener: Sendable, Hashable {
    public enum Service: Sendable, Hashable {
        case smtp
        case lmtp
    }

    public var service: Service
    public var isTCP: Bool
    /// A file descriptor. Whoever hands it over does not close it any more.
    public var descriptor: Int32

    public init(service: Service, isTCP: Bool, descriptor: Int32) {
        self.service = service
        self.isTCP = isTCP
        self.descriptor = descriptor
    }
}

/// SMTP and LMTP on any number of listening sockets. Settings and sockets can change while it runs.
public final class MailIntake: Service {
    private struct State {
        var configuration: MailIntakeConfiguration
        /// By the descriptor they were made of.
        var channels: [Int32: any Channel] = [:]
    }

    private let state: Mutex<State>
    private let listeners: [MailListener]
    private let receiver: any MessageReceiver
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onReady: @Sendable () throws -> Void
    private let parsers = NIOThreadPool(numberOfThreads: 2)
    private let sessions = SessionRegistry()
    private let places: ConnectionPlaces

    /// - Parameters:
    ///   - listeners: to begin with.
    ///   - now: the clock.
    ///   - onReady: called once when all of them are served.
    public init(
        configuration: MailIntakeConfiguration, listeners: [MailListener], receiver: any MessageReceiver,
        logger: Logger, now: @escaping @Sendable () -> Timestamp, onReady: @escaping @Sendable () throws -> Void
    ) {
        state = Mutex(State(configuration: configuration))
        places = ConnectionPlaces(
            limit: configuration.connections, limitPerPeer: configuration.connectionsPerPeer,
            isExempt: Self.exemption(configuration))
        self.listeners = listeners
        self.receiver = receiver
        self.logger = logger
        self.now = now
        self.onReady = onReady
    }

    public func run() async throws {
        parsers.start()
        do {
            for listener in listeners { try await serve(listener) }
            try onReady()
        } catch {
            await closeAll()
            try? await parsers.shutdownGracefully()
            throw error
        }
        try? await gracefulShutdown()
        logger.info("mail intake stops")
        await closeAll()
        await sessions.drain(within: state.withLock { $0.configuration.drainTimeout })
        try? await parsers.shutdownGracefully()
    }

    /// Sessions open now keep the settings they began with; who connects from now on gets these.
    public func change(_ configuration: MailIntakeConfiguration) {
        state.withLock { $0.configuration = configuration }
        places.change(
            limit: configuration.connections, limitPerPeer: configuration.connectionsPerPeer,
            isExempt: Self.exemption(configuration))
    }

    /// Begins to accept on a socket.
    public func serve(_ listener: MailListener) async throws {
        let isTCP = listener.isTCP
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    if isTCP { try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1) }
                    let handler = SessionHandler(service: listener.service.ofDialogue, context: context)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .withBoundSocket(listener.descriptor).get()
        state.withLock { $0.channels[listener.descriptor] = channel }
    }

    /// Accepts no more on a socket and closes it; sessions that came by it go on.
    public func retire(_ listener: MailListener) async {
        try? await state.withLock { $0.channels.removeValue(forKey: listener.descriptor) }?.close()
    }

    private func closeAll() async {
        let channels = state.withLock { state in
            defer { state.channels = [:] }
            return Array(state.channels.values)
        }
        for channel in channels { try? await channel.close() }
    }

    /// For one more session.
    private var context: SessionContext {
        SessionContext(
            configuration: state.withLock { $0.configuration }, receiver: receiver, logger: logger, now: now,
            parsers: parsers, sessions: sessions, places: places)
    }

    private static func exemption(_ configuration: MailIntakeConfiguration) -> @Sendable (String) -> Bool {
        let exempt = configuration.perPeerExempt
        return { peer in
            // All clients of a Unix socket have one name; they are the mail server on this machine.
            peer == SessionHandler.unixPeer || exempt.contains { $0.contains(peer) }
        }
    }
}

extension MailListener.Service {
    fileprivate var ofDialogue: SMTPServerConfiguration.Service {
        switch self {
        case .smtp: .smtp
        case .lmtp: .lmtp
        }
    }
}
