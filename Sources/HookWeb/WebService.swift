// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The HTTP listeners as one service: the public one for posts, and one for whoever manages the
// daemon. All of Hummingbird is here and in WebEdge.swift.

import Glibc
public import HookModel
import HummingbirdCore
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// The public side.
public struct HookListener: Sendable {
    public var addresses: [WebAddress]
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
        addresses: [WebAddress], limits: WebLimits, rates: WebRates, organization: String,
        isTrustedProxy: @escaping @Sendable (String) -> Bool, directory: @escaping @Sendable () -> HookDirectory,
        receiver: any PostReceiver, authorizer: any WebAuthorizer
    ) {
        self.addresses = addresses
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
    public var addresses: [WebAddress]
    public var limits: WebLimits
    public var data: any ManagementData
    public var authorizer: any WebAuthorizer

    public init(
        addresses: [WebAddress], limits: WebLimits, data: any ManagementData, authorizer: any WebAuthorizer
    ) {
        self.addresses = addresses
        self.limits = limits
        self.data = data
        self.authorizer = authorizer
    }
}

public struct WebService: Service {
    private let hooks: HookListener
    private let admin: AdminListener
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onReady: @Sendable ([String]) throws -> Void

    /// - Parameters:
    ///   - now: the clock.
    ///   - onReady: called once when all addresses are bound, with a line for each: `http 127.0.0.1:8025`.
    public init(
        hooks: HookListener, admin: AdminListener, logger: Logger, now: @escaping @Sendable () -> Timestamp,
        onReady: @escaping @Sendable ([String]) throws -> Void
    ) {
        self.hooks = hooks
        self.admin = admin
        self.logger = logger
        self.now = now
        self.onReady = onReady
    }

    public func run() async throws {
        let publicEdge = WebEdge(
            endpoint: HookEndpoint(
                directory: hooks.directory, receiver: hooks.receiver, authorizer: hooks.authorizer,
                organization: hooks.organization, bodySize: hooks.limits.bodySize,
                hookLimiter: RateLimiter(limit: hooks.rates.perHook),
                peerLimiter: RateLimiter(limit: hooks.rates.perPeer), logger: logger),
            limits: hooks.limits, isTrustedProxy: hooks.isTrustedProxy, now: now)
        let adminEdge = WebEdge(
            endpoint: AdminEndpoint(data: admin.data, authorizer: admin.authorizer, logger: logger),
            limits: admin.limits, isTrustedProxy: { _ in false }, now: now)
        let listeners =
            hooks.addresses.map { ("http", $0, publicEdge) } + admin.addresses.map { ("admin", $0, adminEdge) }
        guard !listeners.isEmpty else {
            try onReady([])
            try? await gracefulShutdown()
            return
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            let gathering = Gathering(count: listeners.count, onReady: onReady)
            for (index, (name, address, edge)) in listeners.enumerated() {
                group.addTask {
                    try await listen(on: address, edge) { channel in
                        try gathering.add("\(name) \(Self.text(of: channel, address))", at: index)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func listen(
        on address: WebAddress, _ edge: WebEdge, _ isBound: @escaping @Sendable (any Channel) throws -> Void
    ) async throws {
        let failure = Mutex<(any Error)?>(nil)
        do {
            try await edge.server(on: address) { channel in
                // Beyond owner and group nobody has a say here, API key or not.
                if case .unix(let path) = address { chmod(path, 0o660) }
                do {
                    try isBound(channel)
                } catch {
                    failure.withLock { $0 = error }
                    channel.close(promise: nil)
                }
            }.run()
        } catch let error as IOError {
            throw WebListenError(
                description: "cannot listen on \(Self.text(of: address)): \(String(cString: strerror(error.errnoCode)))",
                isPermission: error.errnoCode == EACCES || error.errnoCode == EPERM)
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    /// With the port that was picked.
    private static func text(of channel: any Channel, _ address: WebAddress) -> String {
        guard case .tcp = address, let local = channel.localAddress, let host = local.ipAddress, let port = local.port
        else { return text(of: address) }
        return text(of: .tcp(host: host, port: port))
    }

    private static func text(of address: WebAddress) -> String {
        switch address {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// Waits until all listeners are bound.
private final class Gathering: Sendable {
    private let lines: Mutex<[String?]>
    private let onReady: @Sendable ([String]) throws -> Void

    init(count: Int, onReady: @escaping @Sendable ([String]) throws -> Void) {
        lines = Mutex(Array(repeating: nil, count: count))
        self.onReady = onReady
    }

    func add(_ line: String, at index: Int) throws {
        let all = lines.withLock { lines -> [String]? in
            lines[index] = line
            return lines.contains(nil) ? nil : lines.compactMap { $0 }
        }
        if let all { try onReady(all) }
    }
}
