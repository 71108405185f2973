// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One listening socket for mail: what is spoken there, and what a new connection goes through.

import HookModel
import HookTLS
import NIOCore
import SMTPProtocol

/// A socket that listens already, and what is spoken on it.
public struct MailListener: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case smtp
        /// SMTP whose connections begin with a TLS handshake (RFC 8314 section 3.3).
        case smtps
        case lmtp
    }

    public var kind: Kind
    public var isTCP: Bool
    /// A file descriptor. Whoever hands it over does not close it any more.
    public var descriptor: Int32

    public init(kind: Kind, isTCP: Bool, descriptor: Int32) {
        self.kind = kind
        self.isTCP = isTCP
        self.descriptor = descriptor
    }

    var service: SMTPServerConfiguration.Service { kind == .lmtp ? .lmtp : .smtp }

    var source: IntakeSource { kind == .lmtp ? .lmtp : .smtp }

    /// What the dialogue begins with.
    func dialogue(_ configuration: MailIntakeConfiguration) -> SMTPServerConfiguration {
        var dialogue = SMTPServerConfiguration(
            hostname: configuration.hostname, service: service, messageSize: configuration.messageSize,
            recipients: configuration.recipients)
        if configuration.tls != nil, isTCP { dialogue.tls = configuration.requiresTLS ? .required : .offered }
        dialogue.isSecured = kind == .smtps
        dialogue.bareNewline = configuration.normalizesBareNewlines ? .normalize : .refuse
        return dialogue
    }

    /// A small message comes in one piece.
    private static let pieces = AdaptiveRecvByteBufferAllocator(minimum: 8192, initial: 8192, maximum: 65536)

    /// Sets the options of a connection, and up its handlers: PROXY header, then TLS, then the dialogue, each where it is
    /// needed.
    func prepare(_ channel: any Channel, _ context: SessionContext) throws {
        // At once: options of the bootstrap go through futures, which costs a connection more than its greeting.
        guard let options = channel.syncOptions else { throw ChannelError.operationUnsupported }
        try options.setOption(.autoRead, value: false)
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.recvAllocator, value: Self.pieces)
        let pipeline = channel.pipeline.syncOperations
        if isTCP {
            try options.setOption(.tcpOption(.tcp_nodelay), value: 1)
            let proxyPeers = context.configuration.proxyPeers
            if !proxyPeers.isEmpty, let peer = channel.remoteAddress?.ipAddress,
                proxyPeers.contains(where: { $0.contains(peer) })
            {
                try pipeline.addHandler(ProxyHandler(context: context))
            }
        }
        if kind == .smtps {
            // A socket of the service manager's may be there without a certificate: nobody is served in the clear there.
            guard let tls = context.configuration.tls else { throw ChannelError.operationUnsupported }
            try tls.secure(channel, at: .last)
        }
        try pipeline.addHandler(SessionHandler(listener: self, context: context))
    }
}
