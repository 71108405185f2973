// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From the configuration to that of the SMTP and LMTP listeners, and to the certificate that they share with HTTP.

import HookIntake
import HookTLS
import Logging

enum MailWiring {
    /// The files of the certificate were read when the configuration was; they may have changed since.
    static func tls(_ configuration: Configuration, _ logger: Logger) throws(TLSFilesError) -> ServerTLS? {
        guard let files = configuration.tls?.files else { return nil }
        return try ServerTLS(files: files, logger: logger)
    }

    static func configuration(_ configuration: Configuration, _ tls: ServerTLS?) -> MailIntakeConfiguration {
        let limits = configuration.limits
        var intake = MailIntakeConfiguration(
            hostname: configuration.hostname, connections: limits.connections,
            connectionsPerPeer: limits.connectionsPerPeer, perPeerExempt: limits.perPeerExempt,
            messageSize: limits.messageSize, recipients: limits.recipients, spoolFolder: configuration.data,
            idleTimeout: limits.idleTimeout, dataTimeout: limits.dataTimeout, drainTimeout: configuration.stopTimeout)
        intake.tls = tls
        intake.requiresTLS = configuration.tls?.requiresSTARTTLS ?? false
        intake.allowClients = limits.allowClients
        intake.proxyPeers = limits.proxyPeers
        intake.xclientPeers = limits.xclientPeers
        intake.greetDelay = configuration.smtp.greetDelay
        intake.normalizesBareNewlines = configuration.smtp.normalizesBareNewlines
        intake.oneHookPerTransaction = configuration.smtp.oneHookPerTransaction
        return intake
    }
}
