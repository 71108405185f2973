// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What each command does, in which order they may come (RFC 5321 section 4.1.4), and the replies.

import HookModel

extension SMTPServerSession {
    mutating func perform(_ command: SMTPCommand) {
        if needsTLS, !Self.isServedBeforeTLS(command) { return refuse(Outcome.tlsRequired.smtpReply) }
        switch command {
        case .hello(let greeting, let domain): hello(greeting, domain)
        case .mail(let path, let parameters): mail(path, parameters)
        case .recipient(let path, let parameters): recipient(path, parameters)
        case .data: beginData()
        case .chunk(let size, let isLast): beginChunk(size, isLast: isLast)
        case .startTLS: startTLS()
        case .client(let parameters): client(parameters)
        case .reset:
            resetTransaction()
            replyIdly(SMTPReply(250, "2.0.0", "Ok"))
        case .noop: replyIdly(SMTPReply(250, "2.0.0", "Ok"))
        case .quit:
            reply(SMTPReply(221, "2.0.0", "Bye"))
            hasQuit = true
            state = .closed
        // Section 3.5.3: a server that keeps its users to itself answers 252.
        case .verify: replyIdly(SMTPReply(252, "2.5.0", "Send some mail, and I will try my best"))
        case .help: replyIdly(SMTPReply(214, "2.0.0", help))
        case .notImplemented: refuse(SMTPReply(502, "5.5.1", "Command not implemented"))
        case .unknown: refuse(SMTPReply(500, "5.5.2", "Command not recognized"))
        case .malformed(let reason):
            refuse(reply(to: reason))
            // Nobody knows where its octets end and the next command begins.
            if reason == .chunkSyntax { close("Lost in a chunk of unknown size") }
        }
    }

    /// A command with octets above 127.
    ///
    /// - Parameter isUTF8: false where they are no UTF-8; `command` then has other octets in their place.
    mutating func performInternational(_ command: SMTPCommand, isUTF8: Bool = true) {
        switch command {
        case .mail, .recipient, .malformed(.senderAddress), .malformed(.recipientAddress), .malformed(.mailSyntax),
            .malformed(.recipientSyntax):
            // RFC 6531 section 3.3: addresses beyond ASCII are UTF-8.
            isUTF8 ? perform(command) : refuse(SMTPReply(501, "5.5.2", "Addresses must be ASCII or UTF-8"))
        // RFC 6531 section 3.7.1: in EHLO, a name stands in its ASCII form.
        case .hello, .malformed(.helloArgument): refuse(SMTPReply(501, nil, "Names beyond ASCII are not supported"))
        case .chunk, .malformed(.chunkSyntax): perform(.malformed(reason: .chunkSyntax))
        case .data, .startTLS, .client, .reset, .noop, .quit, .verify, .help, .notImplemented, .unknown,
            .malformed(.unexpectedArgument), .malformed(.clientSyntax):
            refuse(SMTPReply(500, "5.5.2", "Commands are ASCII"))
        }
    }

    private var help: String {
        (configuration.service == .lmtp ? "LHLO" : "EHLO HELO") + " MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP"
            + (configuration.tls == .none || isSecured ? "" : " STARTTLS")
    }

    // MARK: - Greetings, TLS, and other people's clients

    // RFC 2034 section 4: answers to HELO and EHLO carry no enhanced status code.
    private mutating func hello(_ greeting: SMTPCommand.Greeting, _ domain: String) {
        let isLMTP = configuration.service == .lmtp
        guard isLMTP == (greeting == .lhlo) else {
            return refuse(SMTPReply(500, nil, "Use \(isLMTP ? "LHLO" : "EHLO")"))
        }
        isGreeted = true
        helo = domain
        // Section 4.1.4: EHLO in a session has the effect of RSET.
        resetTransaction()
        guard greeting != .helo else { return replyIdly(SMTPReply(250, nil, configuration.hostname)) }
        guard countIdleCommand() else { return }
        let lines = [configuration.hostname] + keywords
        for (index, line) in lines.enumerated() {
            output.append(contentsOf: "250".utf8)
            output.append(index == lines.count - 1 ? ASCII.space : UInt8(ascii: "-"))
            output.append(contentsOf: line.utf8)
            output.append(ASCII.carriageReturn)
            output.append(ASCII.lineFeed)
        }
    }

    private var keywords: [String] {
        var keywords = ["PIPELINING", "SIZE \(configuration.messageSize)"]
        // RFC 3207 section 4.2: not announced once it is on.
        if configuration.tls != .none, !isSecured { keywords.append("STARTTLS") }
        if configuration.allowsXCLIENT {
            keywords.append("XCLIENT " + ClientIdentity.keywords.joined(separator: " "))
        }
        // QUIRK: DSN means that parameters are understood; success is only reported in the session (RFC 3461 section 5.2.3).
        return keywords + ["8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "HELP"]
    }

    /// Nothing of a mail may be said yet.
    var needsTLS: Bool { configuration.tls == .required && !isSecured }

    /// RFC 3207 section 4. A chunk is refused behind its octets.
    private static func isServedBeforeTLS(_ command: SMTPCommand) -> Bool {
        switch command {
        case .hello(.ehlo, _), .hello(.lhlo, _), .noop, .quit, .startTLS, .chunk, .unknown, .malformed, .notImplemented:
            true
        case .hello(.helo, _), .mail, .recipient, .data, .client, .reset, .verify, .help: false
        }
    }

    private mutating func startTLS() {
        guard configuration.tls != .none else { return refuse(SMTPReply(502, "5.5.1", "Command not implemented")) }
        guard !isSecured else { return refuse(SMTPReply(503, "5.5.1", "TLS is on already")) }
        guard reversePath == nil else { return refuse(SMTPReply(503, "5.5.1", "Not within a transaction")) }
        reply(SMTPReply(220, "2.0.0", "Ready to start TLS"))
        state = .tlsAsked
    }

    private mutating func client(_ parameters: [SMTPCommand.Parameter]) {
        guard configuration.allowsXCLIENT else { return refuse(SMTPReply(502, "5.5.1", "Command not implemented")) }
        guard reversePath == nil else { return refuse(SMTPReply(503, "5.5.1", "Not within a transaction")) }
        guard let client = ClientIdentity(parameters) else {
            return refuse(SMTPReply(501, "5.5.4", "Bad attribute or value"))
        }
        guard countIdleCommand() else { return }
        state = .clientAsked(client)
    }

    // MARK: - Envelope

    private mutating func mail(_ path: String, _ parameters: [SMTPCommand.Parameter]) {
        guard isGreeted else { return refuse(SMTPReply(503, "5.5.1", "Say hello first")) }
        guard reversePath == nil else { return refuse(SMTPReply(503, "5.5.1", "Nested MAIL command")) }
        if let refusal { return replyIdly(refusal.smtpReply) }
        do throws(MailParameters.Refusal) {
            let parameters = try MailParameters(parameters)
            guard parameters.isUTF8 || path.utf8.allSatisfy({ $0 < 0x80 }) else { return refuseInternational(550) }
            guard parameters.size ?? 0 <= configuration.messageSize else {
                return refuse(Outcome.messageTooLarge.smtpReply)
            }
            self.parameters = parameters
            reversePath = path
            reply(SMTPReply(250, "2.1.0", "Ok"))
        } catch {
            refuse(Self.reply(to: error))
        }
    }

    private mutating func recipient(_ path: String, _ parameters: [SMTPCommand.Parameter]) {
        guard reversePath != nil else { return refuse(SMTPReply(503, "5.5.1", "Need MAIL command")) }
        guard chunks == nil else { return refuse(SMTPReply(503, "5.5.1", "The message has begun")) }
        do throws(MailParameters.Refusal) {
            try MailParameters.check(recipient: parameters)
        } catch {
            return refuse(Self.reply(to: error))
        }
        let isASCII = ([path] + parameters.compactMap(\.value)).allSatisfy { $0.utf8.allSatisfy { $0 < 0x80 } }
        guard self.parameters.isUTF8 || isASCII else { return refuseInternational(553) }
        guard recipients.count < configuration.recipients else {
            return refuseFurtherRecipient(.tooManyRecipients)
        }
        state = .recipientAsked(path)
    }

    /// RFC 6531 section 3.5: nothing beyond ASCII for whom did not say SMTPUTF8.
    ///
    /// - Parameter code: 550 to MAIL, 553 to RCPT.
    private mutating func refuseInternational(_ code: Int) {
        refuse(SMTPReply(code, "5.6.7", "Addresses beyond ASCII need the parameter SMTPUTF8"))
    }

    /// RFC 5321 section 4.5.3.1.10: who has more recipients than we take sends the rest in another transaction. A client
    /// that goes on and on about them has something else in mind.
    mutating func refuseFurtherRecipient(_ outcome: Outcome) {
        furtherRecipients += 1
        reply(outcome.smtpReply)
        if furtherRecipients > configuration.recipients * 10 { close("Too many recipients") }
    }

    // MARK: - Replies

    private static func reply(to refusal: MailParameters.Refusal) -> SMTPReply {
        switch refusal {
        case .unknown(let keyword): SMTPReply(555, "5.5.4", "Parameter \(quoted(keyword)) not recognized")
        case .badValue(let keyword): SMTPReply(501, "5.5.4", "Bad value of \(keyword)")
        case .repeated(let keyword): SMTPReply(501, "5.5.4", "Parameter \(quoted(keyword)) given twice")
        }
    }

    /// Reply lines have a limit (section 4.5.3.1.5: 512 octets), keywords have none.
    private static func quoted(_ keyword: String) -> String {
        keyword.utf8.count <= 40 ? keyword : keyword.prefix(40) + "..."
    }

    private func reply(to malformation: SMTPCommand.Malformation) -> SMTPReply {
        switch malformation {
        case .helloArgument:
            SMTPReply(501, nil, "Say who you are: \(configuration.service == .lmtp ? "LHLO" : "EHLO") hostname")
        case .mailSyntax: SMTPReply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
        case .recipientSyntax: SMTPReply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")
        case .senderAddress: SMTPReply(501, "5.1.7", "Bad sender address syntax")
        case .recipientAddress: SMTPReply(501, "5.1.3", "Bad recipient address syntax")
        case .unexpectedArgument: SMTPReply(501, "5.5.4", "No argument allowed")
        case .clientSyntax: SMTPReply(501, "5.5.4", "Syntax: XCLIENT attribute=value ...")
        case .chunkSyntax: SMTPReply(501, "5.5.4", "Syntax: BDAT size [LAST]")
        }
    }

    mutating func reply(_ reply: SMTPReply) {
        reply.append(to: &output)
        output.append(ASCII.carriageReturn)
        output.append(ASCII.lineFeed)
    }

    mutating func close(_ text: String) {
        if case .closed = state { return }
        reply(SMTPReply(421, "4.7.0", text))
        state = .closed
    }

    /// A reply to a command that leads nowhere. Many of them end the connection.
    private mutating func replyIdly(_ answer: SMTPReply) {
        if countIdleCommand() { reply(answer) }
    }

    /// False if that was one too many and the connection is closed.
    private mutating func countIdleCommand() -> Bool {
        idleCommands += 1
        if idleCommands > configuration.idleCommands { close("Too many commands without a message") }
        return idleCommands <= configuration.idleCommands
    }

    /// A reply to a command that failed. Many of them end the connection.
    mutating func refuse(_ refusal: SMTPReply) {
        reply(refusal)
        errors += 1
        if errors >= configuration.errors { close("Too many errors") }
    }
}
