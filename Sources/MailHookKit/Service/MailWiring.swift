// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From the configuration to that of the SMTP and LMTP listeners.

import HookIntake
import HookTLS
import Logging

enum MailWiring {
    /// The certificate that a configuration asks for.
    ///
    /// - Parameter old: what is in use. It stays where the files have the same names; they are looked at once more.
    static func tls(
        _ configuration: Configuration, instead old: ServerTLS?, _ logger: Logger
    ) throws(TLSFilesError) -> ServerTLS? {
        guard let settings = configuration.tls else { return nil }
        guard let old, old.files == settings.files else { return try ServerTLS(files: settings.files, logger: logger) }
        old.reload()
        return old
    }
}

extension Configuration {
    func mailIntake(_ tls: ServerTLS?) -> MailIntakeConfiguration {
        var intake = MailIntakeConfiguration(
            hostname: hostname, connections: limits.connections, connectionsPerPeer: limits.connectionsPerPeer,
            perPeerExempt: limits.perPeerExempt, messageSize: limits.messageSize, recipients: limits.recipients,
            spoolFolder: data, idleTimeout: limits.idleTimeout, dataTimeout: limits.dataTimeout,
            drainTimeout: stopTimeout)
        intake.tls = tls
        intake.requiresTLS = self.tls?.requiresSTARTTLS ?? false
        intake.allowClients = limits.allowClients
        intake.proxyPeers = limits.proxyPeers
        intake.xclientPeers = limits.xclientPeers
        intake.greetDelay = smtp.greetDelay
        intake.normalizesBareNewlines = smtp.normalizesBareNewlines
        intake.oneHookPerTransaction = smtp.oneHookPerTransaction
        return intake
    }
}
