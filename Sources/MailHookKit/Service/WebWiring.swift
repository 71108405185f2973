// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The HTTP service with everything it needs, from the configuration.

import HookExtraction
import HookIntake
import HookModel
import HookStore
import HookWeb
import Logging

extension Setup {
    /// Form and web hooks, and the management interface.
    func webService(
        directory: HookDirectory, store: SQLiteStore, receiver: any PostReceiver, logger: Logger,
        onReady: @escaping @Sendable ([String]) throws -> Void
    ) throws(FileError) -> WebService {
        let http = configuration.http
        let secret = try InstanceSecret.load(dataFolder: configuration.data)
        let organization = http.organization ?? secret.organization
        let authorizer = PostAuthorizer(keys: APIKeyFile(dataFolder: configuration.data))
        let proxies = http.trustedProxies
        let limits = WebLimits(
            connections: http.connections, connectionsPerPeer: http.connectionsPerPeer, bodySize: http.bodySize,
            idleTimeout: http.idleTimeout, requestTimeout: http.requestTimeout)
        let urls = HookURLs(configuration, organization: organization)
        let managed = directory.hooks.map { addressed in
            ManagedHook(
                id: secret.hookID(app: addressed.hook.app, eventName: addressed.hook.eventName), addressed: addressed,
                address: directory.address(of: addressed) ?? urls.url(of: addressed) ?? "")
        }
        return WebService(
            hooks: HookListener(
                addresses: Self.addresses(configuration.listen.http), limits: limits,
                rates: WebRates(perHook: http.perHook, perPeer: http.perPeer), organization: organization,
                isTrustedProxy: { peer in proxies.contains { $0.contains(peer) } }, directory: { directory },
                receiver: receiver, authorizer: authorizer),
            admin: AdminListener(
                addresses: Self.addresses(configuration.listen.admin), limits: limits,
                data: ManagementView(organization: organization, store: store, current: { managed }),
                authorizer: authorizer),
            logger: logger, now: Timestamp.now, onReady: onReady)
    }

    private static func addresses(_ addresses: [ListenAddress]) -> [WebAddress] {
        addresses.map { address in
            switch address {
            case .tcp(let host, let port): .tcp(host: host, port: port)
            case .unix(let path): .unix(path: path)
            }
        }
    }
}

/// Where form and web hooks can be reached.
struct HookURLs {
    private let base: String
    private let organization: String

    /// What URLs begin with: `publicURL`, else where the daemon listens or would. Where nothing is known, and for a
    /// socket, URLs are paths only.
    init(_ configuration: Configuration, organization: String) {
        let running = RunningDaemon.http(dataFolder: configuration.data)
        let listener = ([running].compactMap { $0 } + configuration.listen.http).first { address in
            if case .tcp(_, let port) = address { port != 0 } else { false }
        }
        base = configuration.http.publicURL ?? listener.map { "http://\($0)" } ?? ""
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
