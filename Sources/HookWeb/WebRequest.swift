// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A request as the endpoints see it: its header and where it comes from. The body is read by
// the edge when an endpoint asks for it, so that who is refused need not be listened to.

import HookModel
import HTTPTypes
import NIOHTTP1

struct WebRequest: Sendable {
    var method: HTTPRequest.Method
    /// As it came (RFC 9112 section 3.2).
    var target: String
    var headers: HTTPHeaders
    /// The peer's IP address, behind trusted proxies that of their client.
    var peer: String
    /// In the answer and in the log.
    var id: String
    var receivedAt: Timestamp

    init(
        method: HTTPRequest.Method, target: String, headers: HTTPHeaders, peer: String, id: String, receivedAt: Timestamp
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.peer = peer
        self.id = id
        self.receivedAt = receivedAt
    }

    init(head: HTTPRequest, peer: String, id: String, receivedAt: Timestamp) {
        self.init(
            method: head.method, target: head.path ?? "/",
            headers: HTTPHeaders(head.headerFields.map { ($0.name.rawName, $0.value) }), peer: peer, id: id,
            receivedAt: receivedAt)
    }

    /// Without the query, and without scheme and authority, which clients of proxies put before it (RFC 9112
    /// section 3.2.2).
    var path: Substring {
        var octets = target.utf8[...]
        if octets.first != UInt8(ascii: "/"), let scheme = octets.firstRange(of: "://".utf8) {
            octets = octets[scheme.upperBound...].drop { $0 != UInt8(ascii: "/") }
        }
        return Substring(octets.prefix { $0 != UInt8(ascii: "?") })
    }

    /// The value of a parameter of the query, without percent-decoding: only digits and names are asked for.
    func query(_ name: String) -> Substring? {
        guard let mark = target.firstIndex(of: "?") else { return nil }
        for pair in target[target.index(after: mark)...].split(separator: "&") where pair.hasPrefix(name + "=") {
            return pair.dropFirst(name.count + 1)
        }
        return nil
    }

    /// The same with percent-encoded octets decoded (RFC 3986 section 2.1); what they spell that is no UTF-8 becomes
    /// U+FFFD.
    func decodedQuery(_ name: String) -> String? {
        guard let text = query(name) else { return nil }
        var octets: [UInt8] = []
        var rest = text.utf8[...]
        while let octet = rest.popFirst() {
            let digits = rest.prefix(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
            if octet == UInt8(ascii: "%"), digits.count == 2 {
                octets.append(UInt8(digits[0] << 4 | digits[1]))
                rest = rest.dropFirst(2)
            } else {
                octets.append(octet)
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }

    /// The value of a field; several of one name are one list (RFC 9110 section 5.3).
    subscript(name: HTTPField.Name) -> String? {
        var value: String?
        for field in headers where Self.isSame(field.name, name.canonicalName) {
            let next = Self.trimmed(field.value)
            value = value.map { $0 + ", " + next } ?? next
        }
        return value
    }

    /// RFC 9110 section 5.5: blanks around a value are no part of it. The decoder leaves those behind it.
    private static func trimmed(_ value: String) -> String {
        var octets = value.utf8[...]
        while let last = octets.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") { octets.removeLast() }
        return octets.endIndex == value.endIndex ? value : String(Substring(octets))
    }

    /// - Parameter canonical: in lower case.
    private static func isSame(_ name: String, _ canonical: String) -> Bool {
        guard name.utf8.count == canonical.utf8.count else { return false }
        return zip(name.utf8, canonical.utf8).allSatisfy { octet, lower in
            octet == lower || ((65...90).contains(octet) && octet | 0x20 == lower)
        }
    }

    static func makeID() -> String {
        var generator = SystemRandomNumberGenerator()
        let (first, second) = (generator.next(), generator.next())
        let octets: [UInt8] = withUnsafeBytes(of: (first, second)) { Array($0.prefix(10)) }
        return "req_" + Base32.lowerCase(octets)
    }

    /// The peer, or behind trusted proxies the nearest that is none: X-Forwarded-For is written from left to right, and
    /// only what a trusted proxy added can be believed.
    ///
    /// - Parameters:
    ///   - address: of the connection; `unix` for a Unix socket.
    ///   - forwarded: the members of X-Forwarded-For.
    static func peer(_ address: String, forwarded: [Substring], isTrustedProxy: (String) -> Bool) -> String {
        guard !forwarded.isEmpty, address == "unix" || isTrustedProxy(address) else { return address }
        let hops = forwarded.suffix(20).map { String($0) }
        let client = hops.last { !isTrustedProxy($0) } ?? hops.first
        return client.flatMap { RateLimiter.isAddress($0) ? $0 : nil } ?? address
    }
}

/// What the management interface does with a request.
enum WebStep: Sendable {
    case answer(WebAnswer)
    /// Something has to be looked up first.
    case work(@Sendable () async -> WebAnswer)
    /// The body is wanted: at most `limit` octets, put behind `prefix`. `then` gets prefix and body, or nil for a body
    /// that is too large.
    case body(limit: Int, prefix: [UInt8], then: @Sendable ([UInt8]?) async -> WebAnswer)
}
