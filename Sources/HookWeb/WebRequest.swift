// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A request as the endpoints see it: its header and where it comes from. The body is read by
// the edge when an endpoint asks for it, so that who is refused need not be listened to.

import HookModel
import HTTPTypes

struct WebRequest: Sendable {
    var head: HTTPRequest
    /// The peer's IP address, behind trusted proxies that of their client.
    var peer: String
    /// In the answer and in the log.
    var id: String
    var receivedAt: Timestamp

    /// Without the query, and without scheme and authority, which clients of proxies put before it (RFC 9112
    /// section 3.2.2).
    var path: Substring {
        let target = (head.path ?? "/")[...]
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else {
            return target.prefix { $0 != "?" }
        }
        return target[scheme.upperBound...].drop { $0 != "/" }.prefix { $0 != "?" }
    }

    /// The value of a parameter of the query, without percent-decoding: only digits and names are asked for.
    func query(_ name: String) -> Substring? {
        guard let path = head.path, let mark = path.firstIndex(of: "?") else { return nil }
        for pair in path[path.index(after: mark)...].split(separator: "&") where pair.hasPrefix(name + "=") {
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

    subscript(name: HTTPField.Name) -> String? { head.headerFields[name] }

    static func makeID() -> String {
        var generator = SystemRandomNumberGenerator()
        let (first, second) = (generator.next(), generator.next())
        return "req_" + Base32.lowerCase(octets(first) + octets(second).prefix(2))
    }

    private static func octets(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (UInt64($0) * 8)) }
    }
}

/// What an endpoint does with a request.
enum WebStep: Sendable {
    case answer(WebAnswer)
    /// Something has to be looked up first.
    case work(@Sendable () async -> WebAnswer)
    /// The body is wanted: at most `limit` octets, put behind `prefix`. `then` gets prefix and body, or nil for a body
    /// that is too large.
    case body(limit: Int, prefix: [UInt8], then: @Sendable ([UInt8]?) async -> WebAnswer)
}

protocol WebEndpoint: Sendable {
    func step(_ request: WebRequest) -> WebStep
}
