// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `outboundWebhooks[]` of app definitions as subscriptions: the documented headers, envelope and schedule. Their
// signing keys are derived, as addresses are.

import HookDelivery
import HookModel

extension Setup {
    /// After 1, 1, 2, 5, 10, 15 and 30 minutes; then the webhook is disabled until somebody resumes it.
    private static let outboundDelays: [Duration] = [60, 60, 120, 300, 600, 900, 1800].map { .seconds($0) }
    private static let outboundTimeout = Duration.seconds(5)

    /// Those of the configuration, and those of the apps.
    func subscriptions() throws(FileError) -> [Subscription] {
        guard definitions.contains(where: { !$0.outboundWebhooks.isEmpty }) else { return configuration.subscriptions }
        let secret = try InstanceSecret.load(dataFolder: configuration.data)
        return configuration.subscriptions
            + definitions.flatMap { definition in
                definition.outboundWebhooks.filter(\.isEnabled).compactMap { Self.subscription($0, of: definition.app, secret) }
            }
    }

    /// The name under which an outbound webhook is a subscription. No configured one can have it.
    static func outboundName(_ webhook: OutboundWebhook, of app: String) -> String { "\(app)/\(webhook.name)" }

    /// nil for what the definition's reader has refused already.
    private static func subscription(_ webhook: OutboundWebhook, of app: String, _ secret: InstanceSecret) -> Subscription? {
        let token = WebhookToken(secret.outboundToken(app: app, name: webhook.name))
        let patterns = webhook.events.compactMap { try? EventPattern($0) }
        guard
            let configuration = try? WebhookConfiguration(
                url: webhook.url, signing: .kustomer(token), timeout: outboundTimeout,
                headers: webhook.headers.map { ($0.name, $0.value) })
        else { return nil }
        var subscription = Subscription(
            name: outboundName(webhook, of: app), events: patterns, sink: .webhook(configuration),
            schedule: RetrySchedule(delays: outboundDelays, jitter: 0.1))
        subscription.isDisabledWhenExhausted = true
        return subscription
    }

    /// What a receiver checks signatures with, by the name of the subscription.
    func outboundTokens() throws(FileError) -> [String: String] {
        let secret = try InstanceSecret.load(dataFolder: configuration.data)
        var tokens: [String: String] = [:]
        for definition in definitions {
            for webhook in definition.outboundWebhooks {
                tokens[Self.outboundName(webhook, of: definition.app)] =
                    secret.outboundToken(app: definition.app, name: webhook.name)
            }
        }
        return tokens
    }
}

extension Setup {
    /// The same for commands.
    func allSubscriptions() throws(SetupError) -> [Subscription] {
        do throws(FileError) { return try subscriptions() } catch { throw SetupError(error.description, exitStatus: SysExit.noPermission) }
    }

    func outboundKeys() throws(SetupError) -> [String: String] {
        do throws(FileError) { return try outboundTokens() } catch { throw SetupError(error.description, exitStatus: SysExit.noPermission) }
    }
}

extension InstanceSecret {
    /// The signing key of an outbound webhook.
    func outboundToken(app: String, name: String) -> String { "tok_" + derived("outbound", app, "1", name) }
}
