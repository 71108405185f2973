// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A message as an intake hands it on: the bytes as they came, and the envelope.

/// The road a message came by.
public enum IntakeSource: String, Sendable, Hashable, CaseIterable {
    case smtp
    case lmtp
    case maildir
    case pipe
    /// A POST to a form or web hook. Its bytes are a MIME entity: a Content-Type field and the request's body.
    case http
}

/// What RFC 5321 section 2.3.1 calls the envelope, as far as the road had one.
public struct Envelope: Sendable, Hashable {
    public var source: IntakeSource
    /// The reverse-path without angle brackets; `""` is the null reverse-path, nil means the road has none. Of HTTP,
    /// who was let in: the id of an API key, `signature`, or nil where nobody has to say who they are.
    public var mailFrom: String?
    /// Forward-paths without angle brackets, in the order given. Of HTTP, the hook's path.
    public var recipients: [String]
    /// The peer's IP address, or nil where there is no peer.
    public var peer: String?
    /// What the peer called itself in EHLO, HELO or LHLO, or in User-Agent.
    public var helo: String?
    /// The version of TLS the message came under, such as `TLSv1.3`; nil for none. For the log: stores don't keep it.
    public var tls: String?

    /// `mailFrom` of a POST that a signature let in.
    public static let signedSender = "signature"

    public init(
        source: IntakeSource, mailFrom: String?, recipients: [String], peer: String? = nil, helo: String? = nil,
        tls: String? = nil
    ) {
        self.source = source
        self.mailFrom = mailFrom
        self.recipients = recipients
        self.peer = peer
        self.helo = helo
        self.tls = tls
    }
}

/// A message and its envelope. `bytes` are kept as they came, without transparency dots.
public struct ReceivedMessage: Sendable, Hashable {
    public var envelope: Envelope
    public var bytes: [UInt8]
    public var receivedAt: Timestamp

    public init(envelope: Envelope, bytes: [UInt8], receivedAt: Timestamp) {
        self.envelope = envelope
        self.bytes = bytes
        self.receivedAt = receivedAt
    }
}
