// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One listening socket for mail: what is spoken there, and what a new connection goes through.

import HookModel
import HookTLS
import NIOCore
import SMTPProtocol

/// A socket that listens already, and what is spoken on it.
public struct MailListener: Sendable, Hashable {
    public enum Service: Sendable, Hashable {
        case smtp
        case lmtp
        /// SMTP whose connections begin with a TLS handshake (RFC 8314 section 3.3).
        case smtps
    }

    public var service: Service
    public var isTCP: Bool
    /// A file descriptor. Whoever hands it over does not close it any more.
    public var descriptor: Int32

    public init(service: Service, isTCP: Bool, descriptor: Int32) {
        self.service = service
        self.isTCP = isTCP
        self.descriptor = descriptor
    }
}

extension MailListener {
    /// A connection to SMTP under TLS while there is no certificate.
    private struct NoCertificate: Error {}

    var source: IntakeSource { service == .lmtp ? .lmtp : .smtp }

    /// What the dialogue begins with.
    func dialogue(_ configuration: MailIntakeConfiguration) -> SMTPServerConfiguration {
        var dialogue = SMTPServerConfiguration(
            hostname: configuration.hostname, service: service == .lmtp ? .lmtp : .smtp,
            messageSize: configuration.messageSize, recipients: configuration.recipients)
        if configuration.tls != nil, isTCP { dialogue.tls = configuration.requiresTLS ? .required : .offered }
        dialogue.isSecured = service == .smtps
        dialogue.bareNewline = configuration.normalizesBareNewlines ? .normalize : .refuse
        return dialogue
    }

    /// Sets up the handlers of a connection: PROXY header, then TLS, then the dialogue, each where it is needed.
    func prepare(_ channel: any Channel, _ context: SessionContext) throws {
        let pipeline = channel.pipeline.syncOperations
        if isTCP {
            try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            if let peer = channel.remoteAddress?.ipAddress,
                context.configuration.proxyPeers.contains(where: { $0.contains(peer) })
            {
                try pipeline.addHandler(ProxyHandler(context: context))
            }
        }
        if service == .smtps {
            guard let tls = context.configuration.tls else { throw NoCertificate() }
            try tls.secure(channel, at: .last)
        }
        try pipeline.addHandler(SessionHandler(listener: self, context: context))
    }
}
