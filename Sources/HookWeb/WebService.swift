// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The two sides of HTTP as one service: the public one for posts, and one for whoever manages the
// daemon. Hummingbird is in AdminEdge.swift and AdminSite.swift alone.

public import HookModel
public import HookTLS
public import Logging
public import ServiceLifecycle
import Synchronization

/// The public side.
public struct HookListener: Sendable {
    public var limits: WebLimits
    public var rates: WebRates
    /// The segment of the longer form of form hooks' paths.
    public var organization: String
    /// Peers whose X-Forwarded-For is believed.
    public var isTrustedProxy: @Sendable (String) -> Bool
    /// The hooks as they are now.
    public var directory: @Sendable () -> HookDirectory
    public var receiver: any PostReceiver
    public var authorizer: any WebAuthorizer

    public init(
        limits: WebLimits, rates: WebRates, organization: String,
        isTrustedProxy: @escaping @Sendable (String) -> Bool, directory: @escaping @Sendable () -> HookDirectory,
        receiver: any PostReceiver, authorizer: any WebAuthorizer
    ) {
        self.limits = limits
        self.rates = rates
        self.organization = organization
        self.isTrustedProxy = isTrustedProxy
        self.directory = directory
        self.receiver = receiver
        self.authorizer = authorizer
    }
}

/// The side for whoever manages the daemon.
public struct AdminListener: Sendable {
    public var limits: WebLimits
    public var data: any ManagementData
    public var authorizer: any WebAuthorizer

    public init(
        limits: WebLimits, data: any ManagementData, authorizer: any WebAuthorizer
    ) {
        self.limits = limits
        self.data = data
        self.authorizer = authorizer
    }
}

/// Both sides on any number of listening sockets. What they do and where can change while it runs.
public final class WebService: Service {
    private struct State {
        /// By the descriptor they serve.
        var servers: [Int32: WebServer] = [:]
        /// Retired before they were served.
        var retired: Set<Int32> = []
        var isStopping = false
        /// For secured listeners.
        var tls: ServerTLS?
    }

    private let hookSite: HookSite
    private let adminSite: AdminSite
    /// They count on while their limit stays as it is.
    private let limiters: Mutex<HookLimiters>
    private let state: Mutex<State>
    private let listeners: [WebListener]
    private let drainTime: Duration
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onReady: @Sendable () throws -> Void
    /// Listeners that come while it runs.
    private let additions: AsyncStream<WebListener>
    private let add: AsyncStream<WebListener>.Continuation

    /// - Parameters:
    ///   - listeners: to begin with.
    ///   - tls: for secured listeners; they serve nobody without it.
    ///   - drainTime: how long requests in progress may take once their listener stops.
    ///   - now: the clock.
    ///   - onReady: called once when all of them are served.
    public init(
        hooks: HookListener, admin: AdminListener, listeners: [WebListener], tls: ServerTLS?, drainTime: Duration,
        logger: Logger, now: @escaping @Sendable () -> Timestamp, onReady: @escaping @Sendable () throws -> Void
    ) {
        let limiters = HookLimiters(hooks.rates)
        hookSite = HookSite(Self.edge(hooks, limiters, logger, now))
        adminSite = AdminSite(Self.edge(admin, logger, now))
        self.limiters = Mutex(limiters)
        state = Mutex(State(tls: tls))
        self.listeners = listeners
        self.drainTime = drainTime
        self.logger = logger
        self.now = now
        self.onReady = onReady
        (additions, add) = AsyncStream.makeStream()
    }

    public func run() async throws {
        for listener in listeners { try await open(listener) }
        try onReady()
        // Cancelled as well: who waits for the end of a connection hears nothing of it otherwise.
        await withTaskCancellationOrGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for (descriptor, server) in state.withLock({ $0.servers }) {
                    group.addTask { [self] in await run(server, descriptor) }
                }
                for await listener in additions {
                    do {
                        let server = try await open(listener)
                        group.addTask { [self] in await run(server, listener.descriptor) }
                    } catch {
                        logger.error("cannot serve a new listener", metadata: ["error": "\(error)"])
                    }
                }
            }
        } onCancelOrGracefulShutdown: { [self] in
            let servers = state.withLock { state in
                state.isStopping = true
                return Array(state.servers.values)
            }
            for server in servers { server.stop() }
            add.finish()
        }
    }

    private func run(_ server: WebServer, _ descriptor: Int32) async {
        await server.run()
        let isExpected = state.withLock { $0.isStopping || $0.servers[descriptor] == nil }
        if !isExpected { logger.error("a listener of HTTP has ended; it takes a restart to open it again") }
    }

    /// Requests from now on are treated by these; connections from now on get their limits.
    public func change(hooks: HookListener, admin: AdminListener, tls: ServerTLS?) {
        state.withLock { $0.tls = tls }
        let limiters = limiters.withLock { limiters in
            limiters = HookLimiters(hooks.rates, after: limiters)
            return limiters
        }
        hookSite.change(Self.edge(hooks, limiters, logger, now))
        adminSite.change(Self.edge(admin, logger, now))
    }

    /// Begins to accept on a socket.
    public func serve(_ listener: WebListener) { add.yield(listener) }

    /// Accepts no more on a socket; requests that came by it are answered, then their connections end.
    public func retire(_ listener: WebListener) {
        state.withLock { state -> WebServer? in
            let server = state.servers.removeValue(forKey: listener.descriptor)
            if server == nil { state.retired.insert(listener.descriptor) }
            return server
        }?.stop()
    }

    @discardableResult
    private func open(_ listener: WebListener) async throws -> WebServer {
        let site: any WebSite = switch listener.side {
        case .hooks: hookSite
        case .admin: adminSite
        }
        let tls: @Sendable () -> ServerTLS? = { [self] in state.withLock { $0.tls } }
        let server = try await WebServer(
            descriptor: listener.descriptor, site: site, tls: listener.isSecured ? tls : nil, drainTime: drainTime,
            logger: logger)
        let isOver = state.withLock { state in
            let isRetired = state.retired.remove(listener.descriptor) != nil
            if !isRetired { state.servers[listener.descriptor] = server }
            return isRetired || state.isStopping
        }
        if isOver { server.stop() }
        return server
    }

    private static func edge(
        _ hooks: HookListener, _ limiters: HookLimiters, _ logger: Logger, _ now: @escaping @Sendable () -> Timestamp
    ) -> HookEdge {
        HookEdge(
            endpoint: HookEndpoint(
                directory: hooks.directory, receiver: hooks.receiver, authorizer: hooks.authorizer,
                organization: hooks.organization, bodySize: hooks.limits.bodySize, hookLimiter: limiters.hooks,
                peerLimiter: limiters.peers, logger: logger),
            limits: hooks.limits, isTrustedProxy: hooks.isTrustedProxy, now: now)
    }

    private static func edge(
        _ admin: AdminListener, _ logger: Logger, _ now: @escaping @Sendable () -> Timestamp
    ) -> AdminEdge {
        AdminEdge(
            endpoint: AdminEndpoint(data: admin.data, authorizer: admin.authorizer, logger: logger),
            limits: admin.limits, now: now)
    }
}

/// The counters of the public side.
private struct HookLimiters: Sendable {
    let hooks: RateLimiter
    let peers: RateLimiter
    private let rates: WebRates

    /// Whoever used up what there was before a change does not get it again by the change.
    init(_ rates: WebRates, after previous: HookLimiters? = nil) {
        self.rates = rates
        hooks = previous.flatMap { $0.rates.perHook == rates.perHook ? $0.hooks : nil } ?? RateLimiter(limit: rates.perHook)
        peers = previous.flatMap { $0.rates.perPeer == rates.perPeer ? $0.peers : nil } ?? RateLimiter(limit: rates.perPeer)
    }
}
