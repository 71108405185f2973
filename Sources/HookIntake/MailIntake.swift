// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The listening sockets of SMTP and LMTP as one service. It binds, accepts within the limits,
// and on shutdown lets transactions in progress end before it closes what is left.

import Glibc
public import HookModel
public import HookTLS
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

public struct MailIntakeConfiguration: Sendable {
    public var smtp: [ListenAddress]
    public var lmtp: [ListenAddress]
    public var hostname: String
    public var connections: Int
    public var connectionsPerPeer: Int
    public var perPeerExempt: [NetworkRange]
    /// Octets.
    public var messageSize: Int
    public var recipients: Int
    /// Between two pieces of input while no data is being read.
    public var idleTimeout: Duration
    /// For the whole of one message's data.
    public var dataTimeout: Duration
    /// How long transactions in progress may take after shutdown was asked for.
    public var drainTimeout: Duration

    /// SMTP whose connections begin with a TLS handshake (RFC 8314 section 3.3).
    public var smtps: [ListenAddress] = []
    /// For `smtps`, and for STARTTLS on the other TCP listeners; nil for neither.
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
        smtp: [ListenAddress], lmtp: [ListenAddress], hostname: String, connections: Int, connectionsPerPeer: Int,
        perPeerExempt: [NetworkRange], messageSize: Int, recipients: Int, idleTimeout: Duration,
        dataTimeout: Duration, drainTimeout: Duration = .seconds(15)
    ) {
        self.smtp = smtp
        self.lmtp = lmtp
        self.hostname = hostname
        self.connections = connections
        self.connectionsPerPeer = connectionsPerPeer
        self.perPeerExempt = perPeerExempt
        self.messageSize = messageSize
        self.recipients = recipients
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

    public var description: String { "cannot listen on \(address): \(reason)" }
}

public struct MailIntake: Service {
    private let configuration: MailIntakeConfiguration
    private let receiver: any MessageReceiver
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onReady: @Sendable ([String]) throws -> Void

    /// - Parameters:
    ///   - now: the clock.
    ///   - onReady: called once when all addresses are bound, with a line for each: `smtp 127.0.0.1:2525`.
    public init(
        configuration: MailIntakeConfiguration, receiver: any MessageReceiver, logger: Logger,
        now: @escaping @Sendable () -> Timestamp, onReady: @escaping @Sendable ([String]) throws -> Void
    ) {
        self.configuration = configuration
        self.receiver = receiver
        self.logger = logger
        self.now = now
        self.onReady = onReady
    }

    public func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let parsers = NIOThreadPool(numberOfThreads: 2)
        parsers.start()
        let sessions = SessionRegistry()
        let exempt = configuration.perPeerExempt
        let places = ConnectionPlaces(
            limit: configuration.connections, limitPerPeer: configuration.connectionsPerPeer
        ) { peer in
            // All clients of a Unix socket have one name; they are the mail server on this machine.
            peer == SessionHandler.unixPeer || peer == ProxyHandler.place || exempt.contains { $0.contains(peer) }
        }
        let context = SessionContext(
            configuration: configuration, receiver: receiver, logger: logger, now: now, parsers: parsers,
            sessions: sessions, places: places)
        var listeners: [any Channel] = []
        do {
            listeners = try await bindAll(group, context)
            try onReady(lines(listeners))
        } catch {
            for listener in listeners { try? await listener.close() }
            try? await parsers.shutdownGracefully()
            throw error
        }
        try? await gracefulShutdown()
        logger.info("mail intake stops")
        for listener in listeners { try? await listener.close() }
        await sessions.drain(within: configuration.drainTimeout)
        try? await parsers.shutdownGracefully()
    }

    private func bindAll(_ group: any EventLoopGroup, _ context: SessionContext) async throws -> [any Channel] {
        var listeners: [any Channel] = []
        for listener in self.listeners {
            do {
                listeners.append(try await bind(listener, group, context))
            } catch {
                for listener in listeners { try? await listener.close() }
                throw Self.listenError(error, listener.address)
            }
        }
        return listeners
    }

    private var listeners: [MailListener] {
        let smtp = configuration.smtp.map { MailListener(kind: .smtp, address: $0) }
        let smtps = configuration.smtps.map { MailListener(kind: .smtps, address: $0) }
        return smtp + smtps + configuration.lmtp.map { MailListener(kind: .lmtp, address: $0) }
    }

    private func bind(
        _ listener: MailListener, _ group: any EventLoopGroup, _ context: SessionContext
    ) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try listener.prepare(channel, context) }
            }
        switch listener.address {
        case .tcp(let host, let port): return try await bootstrap.bind(host: host, port: port).get()
        case .unix(let path):
            let listener = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            // Mail servers run as users of their own. Who may come near is a matter of the folder, as it is one of the
            // address with TCP.
            chmod(path, 0o666)
            return listener
        }
    }

    /// What is told when ready: the addresses as they are now, with the ports that were picked.
    private func lines(_ listeners: [any Channel]) -> [String] {
        zip(self.listeners, listeners).map { configured, listener in
            guard configured.address.isTCP, let local = listener.localAddress, let host = local.ipAddress,
                let port = local.port
            else { return "\(configured.kind.rawValue) \(configured.address)" }
            return "\(configured.kind.rawValue) \(ListenAddress.tcp(host: host, port: port))"
        }
    }

    private static func listenError(_ error: any Error, _ address: ListenAddress) -> ListenError {
        guard let error = error as? IOError else {
            return ListenError(address: address, reason: "\(error)", isPermission: false)
        }
        let reason = String(cString: strerror(error.errnoCode))
        return ListenError(
            address: address, reason: reason, isPermission: error.errnoCode == EACCES || error.errnoCode == EPERM)
    }
}
