// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A domain has two spellings: with letters beyond ASCII, as people write it and SMTPUTF8 sends it, and with `xn--`, as
// it is in the DNS. They are the same domain (RFC 5890 section 2.3.2.1), so all are compared in the second one.

public enum DomainName {
    /// Octets of a label (RFC 1035 section 2.3.4).
    private static let labelLimit = 63
    private static let prefix = "xn--"

    /// The spelling in ASCII, lower case. Text is taken in the normal form C, in which it is typed and sent (RFC 5198).
    ///
    /// - Returns: nil where a label would be too long for the DNS.
    public static func ascii(_ domain: some StringProtocol) -> String? {
        let lowered = domain.lowercased()
        guard lowered.utf8.contains(where: { $0 >= 0x80 }) else { return lowered }
        var labels: [String] = []
        for label in lowered.split(separator: ".", omittingEmptySubsequences: false) {
            let isASCII = label.utf8.allSatisfy { $0 < 0x80 }
            guard let text = isASCII ? String(label) : encoded(label),
                isASCII || text.utf8.count <= labelLimit
            else { return nil }
            labels.append(text)
        }
        return labels.joined(separator: ".")
    }

    private static func encoded(_ label: Substring) -> String? {
        Punycode.encode(label.unicodeScalars.map(\.value)).map { prefix + String(decoding: $0, as: UTF8.self) }
    }

    /// An address in lower case, its domain in ASCII; the address as it is, in lower case, where the domain has no such
    /// spelling.
    public static func lowercased(address: String) -> String {
        let lowered = address.lowercased()
        // As nearly all are.
        guard lowered.utf8.contains(where: { $0 >= 0x80 }) else { return lowered }
        guard let at = lowered.lastIndex(of: "@"), let domain = ascii(lowered[lowered.index(after: at)...]) else { return lowered }
        return String(lowered[...at]) + domain
    }
}
