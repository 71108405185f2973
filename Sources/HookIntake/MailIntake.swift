// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SMTP and LMTP as one service. It accepts on sockets that listen already, within the limits, and
// on shutdown lets transactions in progress end before it closes what is left.

public import HookModel
public import HookTLS
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
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

    /// For listeners of the kind `smtps`, and for STARTTLS on the other TCP listeners; nil for neither.
    public var tls: ServerTLS?
    /// Nothing but the hello is served before STARTTLS. Unix sockets don't leave the machine and are left out.
    public var requiresTLS = false
    /// Who may connect over TCP; empty: everybody.
    public var allowClients: [NetworkRange] = []
    /// Load balancers: their connections begin with a header of the PROXY protocol, those of others don't.
    public var proxyPeers: [NetworkRange] = []
    /// Mail servers that may say with XCLIENT whose connection theirs is.
    public var xclientPeers: [NetworkRange] = []
    /// How long a client is kept waiting for the greeting; who speaks meanwhile is sent away.
    public var greetDelay = Duration.zero
    public var normalizesBareNewlines = false
    /// Recipients of another hook than the first one's are put off to another transaction. Not for LMTP, which has an
    /// answer for each.
    public var oneHookPerTransaction = false

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
    /// A file is in the place of a socket. It does not go away by itself, and whoever put it there may want it.
    public var isBlocked: Bool

    public init(address: ListenAddress, reason: String, isPermission: Bool, isBlocked: Bool = false) {
        self.address = address
        self.reason = reason
        self.isPermission = isPermission
        self.isBlocked = isBlocked
    }

    public static func blocked(_ address: ListenAddress) -> ListenError {
        ListenError(address: address, reason: "a file that is no socket is in its place", isPermission: false, isBlocked: true)
    }

    public var description: String { "cannot listen on \(address): \(reason)" }
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
    private let gates = LoadGates()
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
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelInitializer(AcceptPause.initializer(logger))
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try listener.prepare(channel, context) }
            }
            .withBoundSocket(listener.descriptor).get()
        AcceptPause.letMoreWait(on: listener.descriptor)
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
            parsers: parsers, sessions: sessions, places: places, gates: gates)
    }

    private static func exemption(_ configuration: MailIntakeConfiguration) -> @Sendable (String) -> Bool {
        let exempt = configuration.perPeerExempt
        return { peer in
            // All clients of a Unix socket have one name; they are the mail server on this machine. So have all of whom their
            // mail server says by XCLIENT that it does not know them.
            [SessionHandler.unixPeer, SessionHandler.unknownPeer, ProxyHandler.place].contains(peer)
                || exempt.contains { $0.contains(peer) }
        }
    }
}
