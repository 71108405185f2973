// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// URIs (RFC 3986 appendix A) and IRIs (RFC 3987 section 2.2), checked by their grammar.

enum ResourceIdentifier {
    typealias Text = UnsafeBufferPointer<UInt8>

    /// - Parameter isAbsolute: with a scheme; otherwise relative references count too.
    static func isValid(_ text: Text, isInternational: Bool, isAbsolute: Bool) -> Bool {
        var rest = text[...]
        if let number = rest.firstIndex(of: UInt8(ascii: "#")) {
            guard hasOnly(rest[(number + 1)...], ":@/?", isInternational, isPrivateAllowed: false) else { return false }
            rest = rest[..<number]
        }
        if let mark = rest.firstIndex(of: UInt8(ascii: "?")) {
            guard hasOnly(rest[(mark + 1)...], ":@/?", isInternational, isPrivateAllowed: true) else { return false }
            rest = rest[..<mark]
        }
        let hasScheme = dropScheme(&rest)
        guard hasScheme || !isAbsolute else { return false }
        if rest.starts(with: "//".utf8) {
            rest = rest.dropFirst(2)
            let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
            guard isAuthority(rest[..<slash], isInternational) else { return false }
            rest = rest[slash...]
        } else if !hasScheme {
            // Section 4.2: the first segment of a relative path has no colon.
            let segment = rest.prefix { $0 != UInt8(ascii: "/") }
            guard !segment.contains(UInt8(ascii: ":")) else { return false }
        }
        return hasOnly(rest, ":@/", isInternational, isPrivateAllowed: false)
    }

    // scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
    private static func dropScheme(_ text: inout Slice<Text>) -> Bool {
        guard let first = text.first, first.isASCIILetter else { return false }
        let end = text.firstIndex { !($0.isASCIILetterOrDigit || $0.isOne(of: "+-.")) } ?? text.endIndex
        guard end < text.endIndex, text[end] == UInt8(ascii: ":") else { return false }
        text = text[(end + 1)...]
        return true
    }

    // authority = [ userinfo "@" ] host [ ":" port ]
    private static func isAuthority(_ text: Slice<Text>, _ isInternational: Bool) -> Bool {
        var host = text
        if let at = text.firstIndex(of: UInt8(ascii: "@")) {
            guard hasOnly(text[..<at], ":", isInternational, isPrivateAllowed: false) else { return false }
            host = text[(at + 1)...]
        }
        if host.first == UInt8(ascii: "[") {
            guard let close = host.firstIndex(of: UInt8(ascii: "]")) else { return false }
            let port = host[(close + 1)...]
            guard port.isEmpty || port.first == UInt8(ascii: ":") && port.dropFirst().allSatisfy({ $0.isASCIIDigit }) else {
                return false
            }
            return isLiteral(host[host.startIndex..<close].dropFirst())
        }
        if let colon = host.firstIndex(of: UInt8(ascii: ":")) {
            guard host[(colon + 1)...].allSatisfy({ $0.isASCIIDigit }) else { return false }
            host = host[..<colon]
        }
        return hasOnly(host, "", isInternational, isPrivateAllowed: false)
    }

    // IP-literal = "[" ( IPv6address / IPvFuture ) "]"; IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
    private static func isLiteral(_ text: Slice<Text>) -> Bool {
        guard let first = text.first, first | 0x20 == UInt8(ascii: "v") else { return IPAddress.isVersion6(text) }
        let parts = text.dropFirst().split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return false }
        return parts[0].allSatisfy { $0.hexadecimalValue != nil } && !parts[1].contains(UInt8(ascii: "%"))
            && hasOnly(parts[1], ":", false, isPrivateAllowed: false)
    }

    // unreserved / pct-encoded / sub-delims, and `others`; in an IRI ucschar, in its query iprivate too.
    private static func hasOnly(
        _ text: Slice<Text>, _ others: StaticString, _ isInternational: Bool, isPrivateAllowed: Bool
    ) -> Bool {
        let content = UnsafeBufferPointer(rebasing: text)
        var position = 0
        while position < content.count {
            let byte = content[position]
            if byte >= 0x80 {
                let point = CodePoints.next(content, &position)
                guard isInternational, isUniversal(point) || isPrivateAllowed && isPrivate(point) else { return false }
                continue
            }
            position += 1
            if byte.isASCIILetterOrDigit || byte.isOne(of: "-._~!$&'()*+,;=") || byte.isOne(of: others) { continue }
            guard byte == UInt8(ascii: "%"), position + 1 < content.count, content[position].hexadecimalValue != nil,
                content[position + 1].hexadecimalValue != nil
            else { return false }
            position += 2
        }
        return true
    }

    // RFC 3987 section 2.2, ucschar.
    static func isUniversal(_ point: UInt32) -> Bool {
        switch point {
        case 0xA0...0xD7FF, 0xF900...0xFDCF, 0xFDF0...0xFFEF: true
        case 0x10000...0xDFFFF: point & 0xFFFF <= 0xFFFD
        case 0xE1000...0xEFFFD: true
        default: false
        }
    }

    // RFC 3987 section 2.2, iprivate.
    static func isPrivate(_ point: UInt32) -> Bool {
        switch point {
        case 0xE000...0xF8FF, 0xF0000...0xFFFFD, 0x100000...0x10FFFD: true
        default: false
        }
    }
}
