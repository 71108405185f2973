// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What XCLIENT says of a client that another mail server speaks for (Postfix's XCLIENT_README).

/// The client behind a mail server or proxy, as that one tells it.
public struct ClientIdentity: Sendable, Hashable {
    public enum Address: Sendable, Hashable {
        /// An IP address in its usual form.
        case known(String)
        /// The server does not know it.
        case unknown
    }

    /// nil: the address stays as it was.
    public var address: Address?
    /// The client's name in the DNS, where one is known.
    public var name: String?
    public var port: Int?
    /// What the client called itself.
    public var helo: String?
    /// As whom the client authenticated itself.
    public var login: String?

    /// Attribute names, as EHLO announces them.
    static let keywords = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"]

    /// Octets of a value once decoded: no name is longer (RFC 1035 section 2.3.4).
    private static let limit = 255

    init() {}

    /// nil where an attribute is unknown, repeated, or has a value it cannot have.
    init?(_ parameters: [SMTPCommand.Parameter]) {
        guard !parameters.isEmpty, Set(parameters.map(\.keyword)).count == parameters.count else { return nil }
        for parameter in parameters {
            guard let value = Self.value(parameter), set(parameter.keyword, value) else { return nil }
        }
    }

    /// Each value is xtext. Names are ASCII without control characters.
    private static func value(_ parameter: SMTPCommand.Parameter) -> String? {
        guard let octets = parameter.value.flatMap(ExtendedText.decode), (1...limit).contains(octets.count),
            octets.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return nil }
        return String(decoding: octets, as: UTF8.self)
    }

    /// False where the attribute is unknown or cannot have this value.
    private mutating func set(_ keyword: String, _ value: String) -> Bool {
        let isUnavailable = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].contains(value.uppercased())
        switch keyword {
        case "ADDR":
            if isUnavailable {
                address = .unknown
            } else {
                guard let known = Self.address(value) else { return false }
                address = .known(known)
            }
        case "PORT":
            port = PeerAddress.port(value)
            return isUnavailable || port != nil
        case "NAME": name = isUnavailable ? nil : value
        case "HELO": helo = isUnavailable ? nil : value
        case "LOGIN": login = isUnavailable ? nil : value
        case "PROTO": return isUnavailable || ["SMTP", "ESMTP"].contains(value.uppercased())
        // Where the client connected to: nothing here depends on it.
        case "DESTADDR": return isUnavailable || Self.address(value) != nil
        case "DESTPORT": return isUnavailable || PeerAddress.port(value) != nil
        default: return false
        }
        return true
    }

    /// IPv6 addresses are marked as in address literals (RFC 5321 section 4.1.3).
    private static func address(_ value: String) -> String? {
        let isMarked = value.prefix(5).uppercased() == "IPV6:"
        return PeerAddress.canonical(isMarked ? value.dropFirst(5) : value[...])
    }
}
