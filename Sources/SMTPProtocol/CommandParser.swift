// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Command lines to values: verbs, paths and parameters of RFC 5321 section 4.1. Lenient where
// senders are known to err and nothing is lost (a space behind `FROM:`), strict elsewhere.

/// A command, or why a line is none.
enum SMTPCommand: Sendable, Hashable {
    case hello(Greeting, domain: String)
    case mail(reversePath: String, parameters: [Parameter])
    case recipient(forwardPath: String, parameters: [Parameter])
    case data
    /// RFC 3030 section 2.
    case chunk(size: Int, isLast: Bool)
    case startTLS
    case client([Parameter])
    case reset
    case noop
    case quit
    case verify
    case help
    /// Known, but not served here (section 4.2.4: 502).
    case notImplemented
    case unknown
    case malformed(reason: Malformation)

    enum Greeting: Sendable, Hashable { case ehlo, helo, lhlo }

    struct Parameter: Sendable, Hashable {
        /// Upper case.
        var keyword: String
        var value: String?
    }

    enum Malformation: Sendable, Hashable {
        case helloArgument, mailSyntax, recipientSyntax, senderAddress, recipientAddress, unexpectedArgument
        case clientSyntax
        /// It is not known how many octets follow.
        case chunkSyntax
    }
}

enum CommandParser {
    /// - Parameter line: without its CRLF, free of control characters, in UTF-8. Octets above 127 are taken in paths and
    ///   in values of parameters; the rest of a command that is not `malformed` is ASCII.
    static func parse(_ line: [UInt8]) -> SMTPCommand {
        var scanner = LineScanner(line)
        let verb = scanner.take { $0 != ASCII.space }
        scanner.skipSpaces()
        func isVerb(_ word: StaticString) -> Bool { scanner.matches(word, verb) }
        func alone(_ command: SMTPCommand) -> SMTPCommand {
            scanner.next == nil ? command : .malformed(reason: .unexpectedArgument)
        }
        if isVerb("MAIL") { return mail(&scanner) }
        if isVerb("RCPT") { return recipient(&scanner) }
        if isVerb("DATA") { return alone(.data) }
        if isVerb("BDAT") { return chunk(&scanner) }
        if isVerb("RSET") { return alone(.reset) }
        if isVerb("QUIT") { return alone(.quit) }
        if isVerb("EHLO") { return hello(.ehlo, &scanner) }
        if isVerb("HELO") { return hello(.helo, &scanner) }
        if isVerb("LHLO") { return hello(.lhlo, &scanner) }
        if isVerb("STARTTLS") { return alone(.startTLS) }
        if isVerb("XCLIENT") { return client(&scanner) }
        if isVerb("NOOP") { return .noop }
        if isVerb("VRFY") { return .verify }
        if isVerb("HELP") { return .help }
        return notImplemented.contains { isVerb($0) } ? .notImplemented : .unknown
    }

    private static let notImplemented: [StaticString] = [
        "EXPN", "ETRN", "TURN", "SEND", "SOML", "SAML", "AUTH", "XFORWARD",
    ]

    /// Whether a line is the beginning of something that is not SMTP: a request or a header line of HTTP, or a header
    /// line of a mail whose DATA was refused. What follows such a line is chosen by others than the client.
    static func isForeign(_ line: [UInt8]) -> Bool {
        var scanner = LineScanner(line)
        let verb = scanner.take { $0 != ASCII.space && $0 != ASCII.carriageReturn }
        // A header field that ends the word: `Host:`. Not `MAILFROM:<a@b>`, which is only an error.
        if verb.count > 1, line[verb.upperBound - 1] == UInt8(ascii: ":") { return true }
        return http.contains { scanner.matches($0, verb) }
    }

    /// Whether a line has the verb BDAT, whatever else is in it.
    static func isChunk(_ line: [UInt8]) -> Bool {
        var scanner = LineScanner(line)
        let verb = scanner.take(while: ASCII.isAlphanumeric)
        return scanner.matches("BDAT", verb)
    }

    private static let http: [StaticString] = [
        "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE",
    ]

    /// A domain, an address literal, or whatever the client calls itself: a word is all that is asked.
    private static func hello(_ greeting: SMTPCommand.Greeting, _ scanner: inout LineScanner) -> SMTPCommand {
        let domain = scanner.take { $0 != ASCII.space }
        return domain.isEmpty
            ? .malformed(reason: .helloArgument) : .hello(greeting, domain: scanner.text(domain))
    }

    // Section 4.1.1.2: mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
    private static func mail(_ scanner: inout LineScanner) -> SMTPCommand {
        guard scanner.take(word: "FROM:") else { return .malformed(reason: .mailSyntax) }
        // Many clients put a space there although section 3.3 forbids it.
        scanner.skipSpaces()
        guard let path = MailPath.parse(&scanner, .reverse) else { return .malformed(reason: .senderAddress) }
        guard let parameters = parameters(&scanner) else { return .malformed(reason: .mailSyntax) }
        return .mail(reversePath: path, parameters: parameters)
    }

    // Section 4.1.1.3: rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF
    private static func recipient(_ scanner: inout LineScanner) -> SMTPCommand {
        guard scanner.take(word: "TO:") else { return .malformed(reason: .recipientSyntax) }
        scanner.skipSpaces()
        guard let path = MailPath.parse(&scanner, .forward) else { return .malformed(reason: .recipientAddress) }
        guard let parameters = parameters(&scanner) else { return .malformed(reason: .recipientSyntax) }
        return .recipient(forwardPath: path, parameters: parameters)
    }

    // RFC 3030 section 2: bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF; end-marker = "LAST"
    private static func chunk(_ scanner: inout LineScanner) -> SMTPCommand {
        let digits = scanner.take(while: ASCII.isDigit)
        // More digits than that are more octets than anybody has.
        guard (1...18).contains(digits.count), let size = Int(scanner.text(digits)) else {
            return .malformed(reason: .chunkSyntax)
        }
        guard scanner.next == nil || scanner.next == ASCII.space else { return .malformed(reason: .chunkSyntax) }
        scanner.skipSpaces()
        guard scanner.next != nil else { return .chunk(size: size, isLast: false) }
        guard scanner.take(word: "LAST") else { return .malformed(reason: .chunkSyntax) }
        scanner.skipSpaces()
        return scanner.next == nil ? .chunk(size: size, isLast: true) : .malformed(reason: .chunkSyntax)
    }

    // XCLIENT 1*( SP attribute-name "=" xtext )
    private static func client(_ scanner: inout LineScanner) -> SMTPCommand {
        parameters(&scanner, isBehindCommand: true).map { .client($0) } ?? .malformed(reason: .clientSyntax)
    }

    // Section 4.1.2: esmtp-param = esmtp-keyword ["=" esmtp-value]
    private static func parameters(
        _ scanner: inout LineScanner, isBehindCommand: Bool = false
    ) -> [SMTPCommand.Parameter]? {
        var parameters: [SMTPCommand.Parameter] = []
        guard isBehindCommand || scanner.next == nil || scanner.next == ASCII.space else { return nil }
        scanner.skipSpaces()
        while let first = scanner.next {
            guard ASCII.isAlphanumeric(first) else { return nil }
            let keyword = scanner.take { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            var parameter = SMTPCommand.Parameter(keyword: scanner.text(keyword).uppercased())
            if scanner.take(UInt8(ascii: "=")) {
                // esmtp-value: any printable character but "=".
                let value = scanner.take { $0 != ASCII.space && $0 != UInt8(ascii: "=") }
                guard !value.isEmpty else { return nil }
                parameter.value = scanner.text(value)
            }
            guard scanner.next == nil || scanner.next == ASCII.space else { return nil }
            scanner.skipSpaces()
            parameters.append(parameter)
        }
        return parameters
    }
}
