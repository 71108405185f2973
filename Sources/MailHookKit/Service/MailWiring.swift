// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From the configuration to that of the SMTP and LMTP listeners.

import HookIntake
import HookTLS
import Logging

enum MailWiring {
    /// The files of the certificate were read when the configuration was; they may have changed since.
    static func configuration(
        _ configuration: Configuration, _ logger: Logger
    ) throws(TLSFilesError) -> MailIntakeConfiguration {
        let limits = configuration.limits
        var intake = MailIntakeConfiguration(
            hostname: configuration.hostname, connections: limits.connections,
            connectionsPerPeer: limits.connectionsPerPeer, perPeerExempt: limits.perPeerExempt,
            messageSize: limits.messageSize, recipients: limits.recipients, spoolFolder: configuration.data,
            idleTimeout: limits.idleTimeout, dataTimeout: limits.dataTimeout, drainTimeout: configuration.stopTimeout)
        if let settings = configuration.tls {
            intake.tls = try ServerTLS(files: settings.files, logger: logger)
            intake.requiresTLS = settings.requiresSTARTTLS
        }
        intake.allowClients = limits.allowClients
        intake.proxyPeers = limits.proxyPeers
        intake.xclientPeers = limits.xclientPeers
        intake.greetDelay = configuration.smtp.greetDelay
        intake.normalizesBareNewlines = configuration.smtp.normalizesBareNewlines
        intake.oneHookPerTransaction = configuration.smtp.oneHookPerTransaction
        return intake
    }
}
