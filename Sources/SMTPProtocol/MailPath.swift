// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reverse-paths and forward-paths (RFC 5321 section 4.1.2).

enum MailPath {
    /// Octets of a path, brackets included (section 4.5.3.1.3).
    private static let limit = 256

    /// Reads `<[source-route:]mailbox>` at the beginning of `text`. Gives the mailbox without brackets and route, and
    /// what stands behind the path; nil where there is no path. `<>` counts only where `allowsEmpty`.
    static func parse(_ text: Substring, allowsEmpty: Bool) -> (mailbox: String, rest: Substring)? {
        guard text.first == "<", let end = closingBracket(text) else { return nil }
        let rest = text[text.index(after: end)...]
        var path = text[text.index(after: text.startIndex)..<end]
        guard path.utf8.count + 2 <= limit else { return nil }
        if path.isEmpty { return allowsEmpty ? ("", rest) : nil }
        // Appendix C: a source route must be accepted and should be ignored.
        if path.hasPrefix("@") {
            guard let colon = path.firstIndex(of: ":") else { return nil }
            path = path[path.index(after: colon)...]
        }
        return isMailbox(path, allowsPostmaster: !allowsEmpty) ? (String(path), rest) : nil
    }

    /// The `>` that ends the path: not one inside a quoted local part.
    private static func closingBracket(_ text: Substring) -> Substring.Index? {
        var isQuoted = false
        var isEscaped = false
        for index in text.indices {
            let character = text[index]
            if isEscaped {
                isEscaped = false
            } else if character == "\\", isQuoted {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            } else if character == ">", !isQuoted {
                return index
            }
        }
        return nil
    }

    // Mailbox = Local-part "@" ( Domain / address-literal ); a bare "postmaster" is a forward-path as well.
    private static func isMailbox(_ text: Substring, allowsPostmaster: Bool) -> Bool {
        guard let at = text.lastIndex(of: "@") else {
            return allowsPostmaster && text.lowercased() == "postmaster"
        }
        return isLocalPart(text[..<at]) && isDomain(text[text.index(after: at)...])
    }

    // Local-part = Dot-string / Quoted-string. Dots at odd places occur in real addresses and are let through.
    private static func isLocalPart(_ text: Substring) -> Bool {
        guard (1...64).contains(text.utf8.count) else { return false }
        if text.hasPrefix("\"") { return text.utf8.count >= 2 && text.hasSuffix("\"") }
        return text.utf8.allSatisfy { byte in
            byte < 0x80 && (isAlphanumeric(byte) || "!#$%&'*+-/=?^_`{|}~.".utf8.contains(byte))
        }
    }

    // Domain = sub-domain *("." sub-domain); underscores occur in host names of local networks.
    private static func isDomain(_ text: Substring) -> Bool {
        guard (1...255).contains(text.utf8.count) else { return false }
        if text.hasPrefix("["), text.hasSuffix("]") {
            return text.utf8.dropFirst().dropLast().allSatisfy {
                isAlphanumeric($0) || $0 == UInt8(ascii: ":") || $0 == ASCII.dot || $0 == UInt8(ascii: "-")
            }
        }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
}
