// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Mail addresses as RFC 5321 section 4.1.2 (Mailbox) writes them, and RFC 6531 section 3.3 with
// characters beyond ASCII.

enum MailAddress {
    typealias Text = UnsafeBufferPointer<UInt8>

    static func isValid(_ text: Text, isInternational: Bool) -> Bool {
        // Mailbox = Local-part "@" ( Domain / address-literal ); only a quoted local part can have an @ of its own.
        guard let at = text.lastIndex(of: UInt8(ascii: "@")) else { return false }
        let local = text[..<at]
        let domain = text[(at + 1)...]
        // Section 4.5.3.1.1.
        guard !local.isEmpty, local.count <= 64, !domain.isEmpty else { return false }
        guard isInternational || text.allSatisfy({ $0 < 0x80 }) else { return false }
        guard local.first == UInt8(ascii: "\"") ? isQuotedString(local) : isDotString(local) else { return false }
        if domain.first == UInt8(ascii: "[") { return isLiteral(domain) }
        return isInternational
            ? isInternationalDomain(domain) : HostName.isValid(UnsafeBufferPointer(rebasing: domain))
    }

    // Dot-string = Atom *("." Atom); RFC 6531 adds UTF8-non-ascii to atext.
    private static func isDotString(_ text: Slice<Text>) -> Bool {
        text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { atom in
            !atom.isEmpty
                && atom.allSatisfy { $0 >= 0x80 || $0.isASCIILetterOrDigit || $0.isOne(of: "!#$%&'*+-/=?^_`{|}~") }
        }
    }

    // Quoted-string = DQUOTE *QcontentSMTP DQUOTE; qtextSMTP is 32-33, 35-91, 93-126, after a backslash 32-126.
    private static func isQuotedString(_ text: Slice<Text>) -> Bool {
        guard text.count >= 2, text.last == UInt8(ascii: "\"") else { return false }
        var rest = text.dropFirst().dropLast()
        while let character = rest.popFirst() {
            if character == UInt8(ascii: "\\") {
                guard let quoted = rest.popFirst(), (0x20...0x7E).contains(quoted) else { return false }
            } else if character < 0x20 || character == 0x7F || character == UInt8(ascii: "\"") {
                return false
            }
        }
        return true
    }

    // Section 4.1.3: "[" ( IPv4-address-literal / "IPv6:" IPv6-addr ) "]". No other literal is registered.
    private static func isLiteral(_ text: Slice<Text>) -> Bool {
        guard text.count > 2, text.last == UInt8(ascii: "]") else { return false }
        let content = text.dropFirst().dropLast()
        let tag = "IPv6:".utf8
        guard content.count > tag.count, zip(content, tag).allSatisfy({ $0 | 0x20 == $1 | 0x20 }) else {
            return IPAddress.isVersion4(content)
        }
        return IPAddress.isVersion6(content.dropFirst(tag.count))
    }

    // RFC 6531 section 3.3: sub-domain =/ U-label. QUIRK: labels that are not in normalization form C are taken too,
    // for RFC 6531 section 3.2 leaves their form to whoever resolves them; only their characters are looked at.
    private static func isInternationalDomain(_ text: Slice<Text>) -> Bool {
        guard text.count <= 1024 else { return false }
        return text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            if label.allSatisfy({ $0 < 0x80 }) { return HostName.isValid(UnsafeBufferPointer(rebasing: label)) }
            let points = CodePoints.decode(UnsafeBufferPointer(rebasing: label))
            return points.allSatisfy { $0 < 0x80 ? UInt8($0).isASCIILetterOrDigit || $0 == "-" : true }
                && !points.contains { 0xFF01...0xFF5E ~= $0 } && label.first != UInt8(ascii: "-")
                && label.last != UInt8(ascii: "-")
        }
    }
}
