// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Command lines to values: verbs, paths and parameters of RFC 5321 section 4.1. Lenient where
// senders are known to err and nothing is lost (a space behind `FROM:`), strict elsewhere.

/// A command, or why a line is none.
enum SMTPCommand: Sendable, Hashable {
    case hello(verb: String, domain: String)
    case mail(reversePath: String, parameters: [Parameter])
    case recipient(forwardPath: String, parameters: [Parameter])
    case data
    case reset
    case noop
    case quit
    case verify
    case help
    /// Known, but not served here (section 4.2.4: 502).
    case notImplemented
    case unknown
    case malformed(reason: Malformation)

    struct Parameter: Sendable, Hashable {
        /// Upper case.
        var keyword: String
        var value: String?
    }

    enum Malformation: Sendable, Hashable {
        case helloArgument, mailSyntax, recipientSyntax, senderAddress, recipientAddress, unexpectedArgument
    }
}

enum CommandParser {
    /// - Parameter line: without its CRLF, free of control characters.
    static func parse(_ line: [UInt8]) -> SMTPCommand {
        let text = String(decoding: line, as: UTF8.self)
        let verb = text.prefix { $0 != " " }
        let rest = text[verb.endIndex...].drop { $0 == " " }
        let hasArgument = rest.contains { $0 != " " }
        switch String(verb.utf8.map(ASCII.upper).map { Character(UnicodeScalar($0)) }) {
        case "EHLO", "HELO", "LHLO":
            // A domain, an address literal, or whatever the client calls itself: a word is all that is asked.
            let domain = rest.prefix { $0 != " " }
            return domain.isEmpty
                ? .malformed(reason: .helloArgument) : .hello(verb: verb.uppercased(), domain: String(domain))
        case "MAIL": return mail(rest)
        case "RCPT": return recipient(rest)
        case "DATA": return hasArgument ? .malformed(reason: .unexpectedArgument) : .data
        case "RSET": return hasArgument ? .malformed(reason: .unexpectedArgument) : .reset
        case "QUIT": return hasArgument ? .malformed(reason: .unexpectedArgument) : .quit
        case "NOOP": return .noop
        case "VRFY": return .verify
        case "HELP": return .help
        case "EXPN", "ETRN", "TURN", "SEND", "SOML", "SAML", "STARTTLS", "AUTH", "BDAT", "XCLIENT", "XFORWARD":
            return .notImplemented
        default: return .unknown
        }
    }

    // Section 4.1.1.2: mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
    private static func mail(_ rest: Substring) -> SMTPCommand {
        guard let rest = after("FROM:", rest) else { return .malformed(reason: .mailSyntax) }
        guard let (path, behind) = MailPath.parse(rest, allowsEmpty: true) else {
            return .malformed(reason: .senderAddress)
        }
        guard let parameters = parameters(behind) else { return .malformed(reason: .mailSyntax) }
        return .mail(reversePath: path, parameters: parameters)
    }

    // Section 4.1.1.3: rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF
    private static func recipient(_ rest: Substring) -> SMTPCommand {
        guard let rest = after("TO:", rest) else { return .malformed(reason: .recipientSyntax) }
        guard let (path, behind) = MailPath.parse(rest, allowsEmpty: false) else {
            return .malformed(reason: .recipientAddress)
        }
        guard let parameters = parameters(behind) else { return .malformed(reason: .recipientSyntax) }
        return .recipient(forwardPath: path, parameters: parameters)
    }

    /// What follows `word` (in any case) and optional spaces, which many clients put there although section 3.3
    /// forbids it.
    private static func after(_ word: String, _ text: Substring) -> Substring? {
        guard text.utf8.count >= word.utf8.count,
            text.utf8.prefix(word.utf8.count).map(ASCII.upper).elementsEqual(word.utf8)
        else { return nil }
        return text.dropFirst(word.count).drop { $0 == " " }
    }

    // Section 4.1.2: esmtp-param = esmtp-keyword ["=" esmtp-value]
    private static func parameters(_ text: Substring) -> [SMTPCommand.Parameter]? {
        guard text.isEmpty || text.hasPrefix(" ") else { return nil }
        var parameters: [SMTPCommand.Parameter] = []
        for word in text.split(separator: " ") {
            let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let keyword = halves.first, let first = keyword.utf8.first, isAlphanumeric(first),
                keyword.utf8.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") }),
                halves.count == 1 || !halves[1].isEmpty
            else { return nil }
            parameters.append(.init(keyword: keyword.uppercased(), value: halves.count == 2 ? String(halves[1]) : nil))
        }
        return parameters
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
}
