// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The HTTP service with everything it needs, from the configuration.

import HookExtraction
import HookIntake
import HookModel
import HookStore
import HookWeb
import Logging

extension DaemonSnapshot {
    /// What the two sides of HTTP are, after the configuration as it is now.
    func web(
        _ current: CurrentSnapshot, store: SQLiteStore, receiver: any PostReceiver, reload: ReloadLink
    ) -> (hooks: HookListener, admin: AdminListener) {
        let http = configuration.http
        let authorizer = PostAuthorizer(keys: APIKeyFile(dataFolder: configuration.data))
        let proxies = http.trustedProxies
        let limits = WebLimits(
            connections: http.connections, connectionsPerPeer: http.connectionsPerPeer, bodySize: http.bodySize,
            idleTimeout: http.idleTimeout, requestTimeout: http.requestTimeout)
        let hooks = HookListener(
            limits: limits, rates: WebRates(perHook: http.perHook, perPeer: http.perPeer), organization: organization,
            isTrustedProxy: { peer in proxies.contains { $0.contains(peer) } },
            directory: { current.value.directory }, receiver: receiver, authorizer: authorizer)
        let admin = AdminListener(
            limits: limits, data: ManagementView(
                current: current, store: store, manager: HookManager(current: current, reload: reload)),
            authorizer: authorizer)
        return (hooks, admin)
    }
}

/// Where form and web hooks can be reached.
struct HookURLs {
    /// A way to reach them.
    struct Listener: Sendable, Hashable {
        var isSecured: Bool
        var address: ListenAddress

        /// What URLs begin with; nil where nobody can connect by an address.
        fileprivate var base: String? {
            guard case .tcp(_, let port) = address, port != 0 else { return nil }
            return "\(isSecured ? "https" : "http")://\(address)"
        }
    }

    private let base: String
    private let organization: String

    /// What URLs begin with: `publicURL`, else where the daemon listens or would. Where nothing is known, and for a
    /// socket, URLs are paths only.
    ///
    /// - Parameter listeners: where it listens, in the daemon itself; nil: as a running daemon wrote it down.
    init(_ configuration: Configuration, organization: String, listeners: [Listener]? = nil) {
        let running = listeners ?? RunningDaemon.http(dataFolder: configuration.data)
        let configured = configuration.listen.https.map { Listener(isSecured: true, address: $0) }
            + configuration.listen.http.map { Listener(isSecured: false, address: $0) }
        base = configuration.http.publicURL ?? (running + configured).lazy.compactMap(\.base).first ?? ""
        self.organization = organization
    }

    /// In the preferred form; nil for email hooks.
    func url(of addressed: AddressedHook, token: String? = nil) -> String? {
        let token = token ?? addressed.current.token
        return switch addressed.hook.type {
        case .email: nil
        case .form: "\(base)/v1/hooks/form/\(organization)/\(token)"
        case .web: "\(base)/v1/hooks/web/\(token)"
        }
    }
}
