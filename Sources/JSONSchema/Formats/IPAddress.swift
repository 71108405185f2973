// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Internet addresses as text.

enum IPAddress {
    typealias Text = UnsafeBufferPointer<UInt8>

    // RFC 2673 section 3.2 (dotted-quad), RFC 3986 section 3.2.2 (dec-octet): no leading zeros.
    static func isVersion4(_ text: Text) -> Bool { isVersion4(text[...]) }

    static func isVersion4(_ text: Slice<Text>) -> Bool {
        guard text.count <= 15 else { return false }
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return false }
        return parts.allSatisfy { part in
            guard (1...3).contains(part.count), part.allSatisfy({ $0.isASCIIDigit }) else { return false }
            guard part.count == 1 || part.first != UInt8(ascii: "0") else { return false }
            return part.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) } <= 255
        }
    }

    // RFC 4291 section 2.2, RFC 3986 section 3.2.2 (IPv6address). No zone, no prefix length.
    static func isVersion6(_ text: Text) -> Bool { isVersion6(text[...]) }

    static func isVersion6(_ text: Slice<Text>) -> Bool {
        // Eight groups of four digits, or six and a dotted quad.
        guard text.count <= 45 else { return false }
        let colon = UInt8(ascii: ":")
        var gap: Slice<Text>.Index?
        for index in text.indices.dropLast() where text[index] == colon && text[index + 1] == colon {
            guard gap == nil else { return false }
            gap = index
        }
        guard let gap else { return groups(text, canEndInQuad: true) == 8 }
        guard let before = groups(text[..<gap], canEndInQuad: false),
            let after = groups(text[(gap + 2)...], canEndInQuad: true)
        else { return false }
        return before + after <= 7
    }

    /// Number of 16-bit groups, a dotted quad counts for two; nil where something is no group.
    private static func groups(_ text: Slice<Text>, canEndInQuad: Bool) -> Int? {
        if text.isEmpty { return 0 }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var count = 0
        for (index, part) in parts.enumerated() {
            if canEndInQuad, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard isVersion4(part) else { return nil }
                count += 2
            } else {
                guard (1...4).contains(part.count), part.allSatisfy({ $0.hexadecimalValue != nil }) else { return nil }
                count += 1
            }
        }
        return count
    }
}
