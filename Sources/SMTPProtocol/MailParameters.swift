// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The parameters of MAIL and RCPT: which there are, and which values they may have. Those for
// delivery reports (RFC 3461) are checked and then not used: mail ends here.

/// What the parameters of MAIL say.
struct MailParameters: Sendable, Hashable {
    /// Octets; nil where SIZE is not given.
    var size: Int?
    /// BODY=BINARYMIME (RFC 3030 section 3).
    var isBinary = false
    /// SMTPUTF8 (RFC 6531 section 3.4).
    var isUTF8 = false

    /// Why parameters are refused.
    enum Refusal: Error, Sendable, Hashable {
        case unknown(String)
        case badValue(String)
        /// RFC 5321 section 4.1.1.11: no keyword is given twice.
        case repeated(String)
    }

    init() {}

    init(_ parameters: [SMTPCommand.Parameter]) throws(Refusal) {
        try Self.checkRepetition(parameters)
        for parameter in parameters {
            switch (parameter.keyword, parameter.value) {
            // RFC 1870 section 6.1: up to 20 digits. One that does not fit is too large in any case.
            case ("SIZE", let value?) where value.utf8.count <= 20 && value.utf8.allSatisfy(ASCII.isDigit):
                size = Int(value) ?? .max
            case ("BODY", let value?) where ["7BIT", "8BITMIME"].contains(value.uppercased()): break
            case ("BODY", let value?) where value.uppercased() == "BINARYMIME": isBinary = true
            case ("SMTPUTF8", nil): isUTF8 = true
            // RFC 3461 section 4.3
            case ("RET", let value?) where ["FULL", "HDRS"].contains(value.uppercased()): break
            // Section 4.4: xtext of 100 characters at most, of printable ASCII once decoded.
            case ("ENVID", let value?) where value.utf8.count <= 100 && Self.isPrintable(ExtendedText.decode(value)): break
            case ("SIZE", _), ("BODY", _), ("SMTPUTF8", _), ("RET", _), ("ENVID", _): throw .badValue(parameter.keyword)
            default: throw .unknown(parameter.keyword)
            }
        }
    }

    /// Checks the parameters of RCPT.
    static func check(recipient parameters: [SMTPCommand.Parameter]) throws(Refusal) {
        try checkRepetition(parameters)
        for parameter in parameters {
            switch (parameter.keyword, parameter.value) {
            case ("NOTIFY", let value?) where isNotify(value.uppercased()): break
            case ("ORCPT", let value?) where isOriginalRecipient(value): break
            case ("NOTIFY", _), ("ORCPT", _): throw .badValue(parameter.keyword)
            default: throw .unknown(parameter.keyword)
            }
        }
    }

    // RFC 3461 section 4.1: notify-esmtp-value = "NEVER" / 1#notify-list-element
    private static func isNotify(_ value: String) -> Bool {
        if value == "NEVER" { return true }
        let words = value.split(separator: ",", omittingEmptySubsequences: false)
        return words.allSatisfy { ["SUCCESS", "FAILURE", "DELAY"].contains($0) } && Set(words).count == words.count
    }

    // RFC 3461 section 4.2: original-recipient-address = addr-type ";" xtext; addr-type is an atom
    // RFC 6533 section 3: for the type utf-8 the address may be in UTF-8 as well.
    private static func isOriginalRecipient(_ value: String) -> Bool {
        guard value.utf8.count <= 500, let semicolon = value.utf8.firstIndex(of: UInt8(ascii: ";")) else { return false }
        let type = value[..<semicolon]
        let address = String(value[value.utf8.index(after: semicolon)...])
        guard !type.isEmpty, type.utf8.allSatisfy(ASCII.isAtomText), !address.isEmpty else { return false }
        if type.lowercased() == "utf-8" { return address.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } }
        return isPrintable(ExtendedText.decode(address))
    }

    private static func isPrintable(_ octets: [UInt8]?) -> Bool { octets?.allSatisfy { (0x20...0x7E).contains($0) } == true }

    /// They are few, a line being short.
    private static func checkRepetition(_ parameters: [SMTPCommand.Parameter]) throws(Refusal) {
        guard parameters.count > 1 else { return }
        var seen: Set<String> = []
        for parameter in parameters where !seen.insert(parameter.keyword).inserted { throw .repeated(parameter.keyword) }
    }
}
