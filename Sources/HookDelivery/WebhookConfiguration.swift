// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a webhook needs to know, checked once when the configuration is read.

/// An HTTP endpoint that takes each event as a signed POST.
public struct WebhookConfiguration: Sendable, Hashable {
    /// In what form an event is sent (CloudEvents HTTP binding 1.0.2 section 3).
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// The event as one JSON object.
        case structured
        /// Its data as the body, everything else in header fields.
        case binary
        /// Several events as one JSON array. Only where the receiver asked for it.
        case batch
    }

    /// `http` or `https`.
    public let url: WebhookURL
    public let signing: WebhookSigning
    public var mode = Mode.structured
    /// Whether the endpoint may be on this machine, in its networks, or otherwise not in the public internet.
    public var allowsPrivate = false
    /// Used by `https`; nil takes the system's trust roots and no certificate of our own.
    public var tls: TLSSettings?
    /// From the start of an attempt, connecting included, to the end of the response.
    public let timeout: Duration
    /// Sent with each request, in this order.
    public var headers: [(name: String, value: String)] { fields.map { ($0.name, $0.value) } }
    private let fields: [Field]

    private struct Field: Sendable, Hashable {
        var name: String
        var value: String
    }

    /// Header fields that are ours; lower case.
    private static let reserved: Set<String> = [
        "webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length",
        "transfer-encoding", "connection", "host", "user-agent", "expect", "te", "trailer", "upgrade",
        "x-kustomer-webhook-event", "x-kustomer-webhook-signature",
    ]

    /// `timeout` defaults to 20 s (Standard Webhooks recommends 15 to 30 s).
    public init(
        url: String, secrets: [WebhookSecret], timeout: Duration = .seconds(20),
        headers: [(name: String, value: String)] = []
    ) throws(WebhookConfigurationError) {
        try self.init(url: url, signing: .standardWebhooks(SecretList(secrets)), timeout: timeout, headers: headers)
    }

    public init(
        url: String, signing: WebhookSigning, timeout: Duration = .seconds(20),
        headers: [(name: String, value: String)] = []
    ) throws(WebhookConfigurationError) {
        guard !signing.isEmpty else { throw .noSecret }
        guard timeout > .zero, timeout <= .seconds(600) else { throw .timeoutOutOfRange }
        for (name, value) in headers {
            guard Self.isToken(name) else { throw .headerNameInvalid(name) }
            guard !Self.reserved.contains(name.lowercased()), !name.lowercased().hasPrefix("ce-") else {
                throw .headerReserved(name)
            }
            guard Self.isFieldValue(value) else { throw .headerValueInvalid(name) }
        }
        self.url = try WebhookURL(url)
        self.signing = signing
        self.timeout = timeout
        fields = headers.map { Field(name: $0.name, value: $0.value) }
    }

    // RFC 9110 section 5.6.2: token = 1*tchar
    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    // RFC 9110 section 5.5: no control characters but HTAB, or a value could begin a field of its own.
    private static func isFieldValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
    }
}

/// Why a webhook's configuration is refused.
public enum WebhookConfigurationError: Error, Sendable, Hashable {
    case urlInvalid(WebhookURL.Problem)
    /// Unsigned webhooks are not sent.
    case noSecret
    /// Above 0 and at most 600 s.
    case timeoutOutOfRange
    case headerNameInvalid(String)
    /// The daemon sets this field itself.
    case headerReserved(String)
    /// The value holds a control character. It is not repeated here: it may be a credential.
    case headerValueInvalid(String)
}

/// An `http` or `https` URL in its parts, ready for a request line (RFC 9112 section 3.2.1).
public struct WebhookURL: Sendable, Hashable, CustomStringConvertible {
    public enum Problem: String, Sendable, Hashable {
        case schemeUnsupported = "the URL must begin with http:// or https://"
        case hostMissing = "the URL has no host"
        case userInformation = "the URL holds a user name; use a header instead"
        case portInvalid = "the port is not a number from 1 to 65535"
        case characterInvalid = "the URL holds a character that must be percent-encoded"
    }

    public let isSecure: Bool
    /// Without the brackets of an IPv6 address.
    public let host: String
    public let port: Int
    /// Path and query, beginning with `/`.
    public let target: String
    /// The whole URL, without a fragment.
    public let description: String
    /// What the Host header field says: port only where it is not the scheme's own.
    public let authority: String

    public init(_ text: String) throws(WebhookConfigurationError) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .urlInvalid(.characterInvalid) }
        guard let scheme = text.firstRange(of: "://"), ["http", "https"].contains(text[..<scheme.lowerBound].lowercased())
        else { throw .urlInvalid(.schemeUnsupported) }
        isSecure = text[..<scheme.lowerBound].utf8.count == 5
        let rest = text[scheme.upperBound...].prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else { throw .urlInvalid(.userInformation) }
        let path = rest[authority.endIndex...]
        target = path.hasPrefix("/") ? String(path) : "/" + path

        var host = authority
        var portText: Substring?
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = authority[authority.index(after: authority.startIndex)..<end]
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw .urlInvalid(.portInvalid) }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty else { throw .urlInvalid(.hostMissing) }
        let standardPort = isSecure ? 443 : 80
        if let portText {
            guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(portText),
                (1...65_535).contains(number)
            else { throw .urlInvalid(.portInvalid) }
            port = number
        } else {
            port = standardPort
        }
        self.host = String(host)
        let written = host.contains(":") ? "[\(host)]" : String(host)
        self.authority = port == standardPort ? written : "\(written):\(port)"
        description = (isSecure ? "https://" : "http://") + self.authority + target
    }
}
