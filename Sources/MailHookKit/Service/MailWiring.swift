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
    ) throws(DaemonError) -> MailIntakeConfiguration {
        let limits = configuration.limits
        var intake = MailIntakeConfiguration(
            smtp: configuration.listen.smtp, lmtp: configuration.listen.lmtp, hostname: configuration.hostname,
            connections: limits.connections, connectionsPerPeer: limits.connectionsPerPeer,
            perPeerExempt: limits.perPeerExempt, messageSize: limits.messageSize, recipients: limits.recipients,
            idleTimeout: limits.idleTimeout, dataTimeout: limits.dataTimeout, drainTimeout: .seconds(10))
        intake.smtps = configuration.listen.smtps
        if let settings = configuration.tls {
            do throws(TLSFilesError) {
                intake.tls = try ServerTLS(files: settings.files, logger: logger)
            } catch {
                throw DaemonError(description: "\(error)", exitStatus: SysExit.configuration)
            }
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
