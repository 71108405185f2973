// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a server says of itself and what it bears.

public struct SMTPServerConfiguration: Sendable, Hashable {
    public enum Service: Sendable, Hashable {
        /// RFC 5321.
        case smtp
        /// RFC 2033: LHLO, and one reply a recipient at the end of the data.
        case lmtp
    }

    /// STARTTLS (RFC 3207).
    public enum TLSOffer: Sendable, Hashable {
        /// There is no certificate.
        case none
        case offered
        /// Nothing but NOOP, EHLO, STARTTLS and QUIT is served before it (section 4).
        case required
    }

    /// What becomes of a CR without LF and of a LF without CR in a message.
    public enum BareNewline: String, Sendable, Hashable, CaseIterable {
        /// The message is refused and the connection closed.
        case refuse
        /// Each becomes CRLF. It is content all the same: neither the end of the data nor a line that transparency
        /// dots (RFC 5321 section 4.5.2) are looked for on begins there.
        case normalize
    }

    public var service: Service
    /// In the greeting and in the answer to EHLO.
    public var hostname: String
    /// Octets of a message, announced by SIZE (RFC 1870).
    public var messageSize: Int
    /// Recipients of one message. RFC 5321 section 4.5.3.1.8 asks for 100 at least.
    public var recipients: Int
    /// Octets of a command line, CRLF included. Section 4.5.3.1.4 asks for 512; MAIL parameters of extensions add
    /// to it. A longer line is read to its end and refused, so that memory is bounded.
    public var commandLine: Int
    /// Commands refused before the connection is closed, unless a message is accepted in between: guessing addresses
    /// gets slow.
    public var errors: Int
    /// Commands that lead nowhere (NOOP, RSET, VRFY, HELP, EHLO) before the connection is closed, unless a message is
    /// accepted in between: nobody holds a connection, or has more written than read, for nothing.
    public var idleCommands: Int
    public var tls = TLSOffer.none
    /// The connection began with a TLS handshake (RFC 8314 section 3).
    public var isSecured = false
    /// The client may say with XCLIENT whose connection this is.
    public var allowsXCLIENT = false
    public var bareNewline = BareNewline.refuse

    public init(
        hostname: String, service: Service = .smtp, messageSize: Int = 25 << 20, recipients: Int = 100,
        commandLine: Int = 2048, errors: Int = 20, idleCommands: Int = 100
    ) {
        self.hostname = hostname
        self.service = service
        self.messageSize = messageSize
        self.recipients = recipients
        self.commandLine = commandLine
        self.errors = errors
        self.idleCommands = idleCommands
    }
}
