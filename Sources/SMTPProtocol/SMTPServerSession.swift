// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The server's side of one SMTP or LMTP connection, without I/O: bytes go in, reply bytes and
// actions come out. The caller owns the connection, decides about recipients and messages, and
// keeps what has not been consumed.
//
//     greeting -> command <-> recipient asked          (MAIL, RCPT ... are commands)
//                 command  -> data -> message asked -> command
//                 any      -> closed

public import HookModel

public struct SMTPServerSession: Sendable {
    /// What the caller does next.
    public enum Action: Sendable, Hashable {
        /// All input was consumed: write the output, then feed more.
        case needInput
        /// Decide about a forward-path and call `answerRecipient`.
        case recipient(String)
        /// A whole message came: call `answerMessage` when its fate is known. Nothing is consumed until then.
        case message(SMTPTransaction)
        /// Write the output and close the connection.
        case close
    }

    /// Where the session is. Each names its successors above.
    private enum State: Sendable {
        case command
        case recipientAsked(String)
        case data
        case messageAsked
        case closed
    }

    private let configuration: SMTPServerConfiguration
    private var state = State.command
    private var output: [UInt8] = []
    /// The beginning of a command line that has not ended yet.
    private var line: [UInt8] = []
    /// The line was too long: the rest of it is dropped.
    private var isLineDropped = false
    private var receiver: DataReceiver?
    /// Since the last message that was accepted.
    private var errors = 0
    private var idleCommands = 0

    private var helo: String?
    private var reversePath: String?
    private var declaredSize = 0
    private var recipients: [String] = []
    /// Those of the transaction that were beyond the limit.
    private var furtherRecipients = 0

    /// Begins with the greeting in its output.
    public init(configuration: SMTPServerConfiguration) {
        self.configuration = configuration
        let service = configuration.service == .smtp ? "ESMTP" : "LMTP"
        reply(SMTPReply(220, nil, "\(configuration.hostname) \(service) mailhookd"))
    }

    /// Reply bytes to write, in order. The session keeps none of them.
    public mutating func takeOutput() -> [UInt8] {
        let taken = output
        output = []
        return taken
    }

    /// Whether a transaction has begun that should end before the server goes away.
    public var isInTransaction: Bool { reversePath != nil }

    /// Whether the data of a message is being read.
    public var isReadingData: Bool {
        if case .data = state { true } else { false }
    }

    /// What came of the message being read, if that is at least `count` octets: a caller that keeps large messages
    /// elsewhere takes it, and `SMTPTransaction.bytes` begins behind it.
    public mutating func takeData(atLeast count: Int) -> [UInt8]? {
        guard isReadingData, let size = receiver?.message.count, size > 0, size >= count else { return nil }
        return receiver?.take()
    }

    /// Takes input until there is something to decide or all of it is consumed.
    ///
    /// - Parameter consumed: set to the number of octets taken; the caller offers the rest again.
    public mutating func advance(_ input: UnsafeRawBufferPointer, consumed: inout Int) -> Action {
        consumed = 0
        while true {
            switch state {
            case .closed: return .close
            case .recipientAsked(let path): return .recipient(path)
            // The message was handed out already; the caller came too early.
            case .messageAsked: return .needInput
            case .data:
                guard let action = advanceData(input, &consumed) else { continue }
                return action
            case .command:
                guard advanceCommand(input, &consumed) else { return .needInput }
            }
        }
    }

    /// Answers the recipient that was asked for: `accepted` takes it, anything else is its reply.
    public mutating func answerRecipient(_ outcome: Outcome) {
        guard case .recipientAsked(let path) = state else { return }
        state = .command
        if outcome.isPositive {
            recipients.append(path)
            reply(SMTPReply(250, "2.1.5", "Ok"))
        } else {
            refuse(outcome.smtpReply)
        }
    }

    /// Answers the message: with one reply for SMTP, one a recipient for LMTP (RFC 2033 section 4.2). Replies that are
    /// missing are made up as a temporary failure, and those too many are dropped, so that the dialogue stays in step.
    /// The connection is closed after a 421 or 521 (RFC 5321 section 3.8, RFC 7504 section 4).
    public mutating func answerMessage(_ replies: [SMTPReply]) {
        guard case .messageAsked = state else { return }
        let count = configuration.service == .lmtp ? recipients.count : 1
        state = .command
        resetTransaction()
        let missing = Array(repeating: Outcome.storeFailed.smtpReply, count: max(0, count - replies.count))
        let replies = replies.prefix(count) + missing
        replies.forEach { reply($0) }
        if replies.contains(where: \.isPositive) {
            errors = 0
            idleCommands = 0
        }
        if replies.contains(where: { $0.code == 421 || $0.code == 521 }) { state = .closed }
    }

    /// Ends the session from the server's side, for example with `Outcome.shuttingDown`.
    public mutating func end(with outcome: Outcome) {
        if case .closed = state { return }
        reply(outcome.smtpReply)
        state = .closed
    }

    // MARK: - Data

    private mutating func advanceData(_ input: UnsafeRawBufferPointer, _ consumed: inout Int) -> Action? {
        guard consumed < input.count else { return .needInput }
        let rest = UnsafeRawBufferPointer(rebasing: input[consumed...])
        switch receiver?.receive(rest) {
        case .needsMore:
            consumed = input.count
            return .needInput
        case .complete(let count):
            consumed += count
            return finishData()
        case nil:
            state = .command
            return nil
        }
    }

    private mutating func finishData() -> Action? {
        guard let receiver else { return nil }
        self.receiver = nil
        state = .messageAsked
        let outcome: Outcome? =
            receiver.hasBareNewline ? .bareNewline : receiver.isTooLarge ? .messageTooLarge : nil
        if let outcome {
            let count = configuration.service == .lmtp ? recipients.count : 1
            answerMessage(Array(repeating: outcome.smtpReply, count: count))
            return nil
        }
        return .message(
            SMTPTransaction(
                helo: helo ?? "", reversePath: reversePath ?? "", recipients: recipients, taken: receiver.taken,
                bytes: receiver.message))
    }

    // MARK: - Commands

    /// Takes one command line; false when it has not ended yet.
    private mutating func advanceCommand(_ input: UnsafeRawBufferPointer, _ consumed: inout Int) -> Bool {
        guard consumed < input.count else { return false }
        var search = LineEndSearch(UnsafeRawBufferPointer(rebasing: input[consumed...]))
        var end = search.next(from: 0)
        // Only a LF ends a line here; a CR is content until the LF shows whether it belonged to it.
        while let found = end, input[consumed + found] == ASCII.carriageReturn { end = search.next(from: found + 1) }
        let stop = end.map { consumed + $0 } ?? input.count
        take(UnsafeRawBufferPointer(rebasing: input[consumed..<stop]))
        consumed = min(stop + 1, input.count)
        guard end != nil else { return false }
        defer {
            line.removeAll(keepingCapacity: true)
            isLineDropped = false
        }
        if CommandParser.isForeign(line) {
            refuse(SMTPReply(500, "5.5.2", "Command not recognized"))
            close("This is a mail server")
        } else if isLineDropped {
            refuse(SMTPReply(500, "5.5.2", "Line too long"))
        } else {
            execute()
        }
        return true
    }

    private mutating func take(_ piece: UnsafeRawBufferPointer) {
        if isLineDropped { return }
        if line.count + piece.count <= configuration.commandLine - 1 {
            line.append(contentsOf: piece)
        } else {
            isLineDropped = true
            // The beginning stays, to tell what kind of line it was.
            line.append(contentsOf: piece.prefix(max(0, Self.beginning - line.count)))
            line.removeLast(max(0, line.count - Self.beginning))
        }
    }

    /// Octets that are kept of a line that is too long.
    private static let beginning = 16

    private mutating func execute() {
        guard line.last == ASCII.carriageReturn else {
            // Section 2.3.8: a line ends with CRLF. Taking LF alone is how commands get smuggled.
            return refuse(SMTPReply(500, "5.5.2", "Lines must end with CRLF"))
        }
        line.removeLast()
        guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            return refuse(SMTPReply(500, "5.5.2", "Control characters are not allowed"))
        }
        guard line.allSatisfy({ $0 < 0x80 }) else { return refuseNonASCII() }
        perform(CommandParser.parse(line))
    }

    private mutating func refuseNonASCII() {
        // Whatever stands behind the verb has no say in this.
        switch CommandParser.parse(line.map { $0 < 0x80 ? $0 : UInt8(ascii: "x") }) {
        case .hello: refuse(SMTPReply(501, nil, "Names beyond ASCII are not supported"))
        // RFC 6531 section 3.5
        case .mail, .recipient, .malformed: refuse(SMTPReply(553, "5.6.7", "Addresses beyond ASCII are not supported"))
        case .data, .reset, .noop, .quit, .verify, .help, .notImplemented, .unknown:
            refuse(SMTPReply(500, "5.5.2", "Commands are ASCII"))
        }
    }

    private mutating func perform(_ command: SMTPCommand) {
        switch command {
        case .hello(let greeting, let domain): hello(greeting, domain)
        case .mail(let path, let parameters): mail(path, parameters)
        case .recipient(let path, let parameters): recipient(path, parameters)
        case .data: beginData()
        case .reset:
            resetTransaction()
            replyIdly(SMTPReply(250, "2.0.0", "Ok"))
        case .noop: replyIdly(SMTPReply(250, "2.0.0", "Ok"))
        case .quit:
            reply(SMTPReply(221, "2.0.0", "Bye"))
            state = .closed
        // Section 3.5.3: a server that keeps its users to itself answers 252.
        case .verify: replyIdly(SMTPReply(252, "2.5.0", "Send some mail, and I will try my best"))
        case .help: replyIdly(SMTPReply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP"))
        case .notImplemented: refuse(SMTPReply(502, "5.5.1", "Command not implemented"))
        case .unknown: refuse(SMTPReply(500, "5.5.2", "Command not recognized"))
        case .malformed(let reason): refuse(Self.reply(to: reason))
        }
    }

    private mutating func close(_ text: String) {
        if case .closed = state { return }
        reply(SMTPReply(421, "4.7.0", text))
        state = .closed
    }

    // RFC 2034 section 4: answers to HELO and EHLO carry no enhanced status code.
    private mutating func hello(_ greeting: SMTPCommand.Greeting, _ domain: String) {
        let isLMTP = configuration.service == .lmtp
        guard isLMTP == (greeting == .lhlo) else {
            return refuse(SMTPReply(500, nil, "Use \(isLMTP ? "LHLO" : "EHLO")"))
        }
        helo = domain
        // Section 4.1.4: EHLO in a session has the effect of RSET.
        resetTransaction()
        guard greeting != .helo else { return replyIdly(SMTPReply(250, nil, configuration.hostname)) }
        guard countIdleCommand() else { return }
        let keywords = ["PIPELINING", "SIZE \(configuration.messageSize)", "8BITMIME", "ENHANCEDSTATUSCODES", "HELP"]
        let lines = [configuration.hostname] + keywords
        for (index, line) in lines.enumerated() {
            output += Array("250\(index == lines.count - 1 ? " " : "-")\(line)\r\n".utf8)
        }
    }

    private mutating func mail(_ path: String, _ parameters: [SMTPCommand.Parameter]) {
        guard helo != nil else { return refuse(SMTPReply(503, "5.5.1", "Say hello first")) }
        guard reversePath == nil else { return refuse(SMTPReply(503, "5.5.1", "Nested MAIL command")) }
        var size = 0
        if let repeated = Self.repeated(parameters) {
            return refuse(SMTPReply(501, "5.5.4", "Parameter \(Self.quoted(repeated)) given twice"))
        }
        for parameter in parameters {
            switch (parameter.keyword, parameter.value?.uppercased()) {
            // RFC 1870 section 6.1: up to 20 digits. One that does not fit is too large in any case.
            case ("SIZE", let value?) where value.utf8.count <= 20 && value.utf8.allSatisfy(ASCII.isDigit):
                size = Int(value) ?? .max
            case ("BODY", "7BIT"), ("BODY", "8BITMIME"): break
            case ("SIZE", _), ("BODY", _):
                return refuse(SMTPReply(501, "5.5.4", "Bad value of \(parameter.keyword)"))
            default: return refuse(Self.unrecognized(parameter))
            }
        }
        guard size <= configuration.messageSize else { return refuse(Outcome.messageTooLarge.smtpReply) }
        declaredSize = size
        reversePath = path
        reply(SMTPReply(250, "2.1.0", "Ok"))
    }

    /// RFC 5321 section 4.1.1.11: no keyword is given twice. They are few, a line being short.
    private static func repeated(_ parameters: [SMTPCommand.Parameter]) -> String? {
        guard parameters.count > 1 else { return nil }
        var seen: Set<String> = []
        return parameters.first { !seen.insert($0.keyword).inserted }?.keyword
    }

    private static func unrecognized(_ parameter: SMTPCommand.Parameter) -> SMTPReply {
        SMTPReply(555, "5.5.4", "Parameter \(quoted(parameter.keyword)) not recognized")
    }

    /// Reply lines have a limit (section 4.5.3.1.5: 512 octets), keywords have none.
    private static func quoted(_ keyword: String) -> String {
        keyword.utf8.count <= 40 ? keyword : keyword.prefix(40) + "..."
    }

    private mutating func recipient(_ path: String, _ parameters: [SMTPCommand.Parameter]) {
        guard reversePath != nil else { return refuse(SMTPReply(503, "5.5.1", "Need MAIL command")) }
        if let parameter = parameters.first {
            return refuse(Self.unrecognized(parameter))
        }
        guard recipients.count < configuration.recipients else { return refuseFurtherRecipient() }
        state = .recipientAsked(path)
    }

    /// RFC 5321 section 4.5.3.1.10: who has more recipients than we take sends the rest in another transaction. A client
    /// that goes on and on about them has something else in mind.
    private mutating func refuseFurtherRecipient() {
        furtherRecipients += 1
        reply(Outcome.tooManyRecipients.smtpReply)
        if furtherRecipients > configuration.recipients * 10 { close("Too many recipients") }
    }

    private mutating func beginData() {
        guard reversePath != nil else { return refuse(SMTPReply(503, "5.5.1", "Need MAIL command")) }
        guard !recipients.isEmpty else { return refuse(SMTPReply(503, "5.5.1", "No valid recipients")) }
        reply(SMTPReply(354, nil, "End data with <CR><LF>.<CR><LF>"))
        receiver = DataReceiver(limit: configuration.messageSize, sizeHint: declaredSize)
        state = .data
    }

    private mutating func resetTransaction() {
        reversePath = nil
        declaredSize = 0
        recipients = []
        furtherRecipients = 0
        receiver = nil
    }

    // MARK: - Replies

    private static func reply(to malformation: SMTPCommand.Malformation) -> SMTPReply {
        switch malformation {
        case .helloArgument: SMTPReply(501, nil, "Say who you are: EHLO hostname")
        case .mailSyntax: SMTPReply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
        case .recipientSyntax: SMTPReply(501, "5.5.4", "Syntax: RCPT TO:<address>")
        case .senderAddress: SMTPReply(501, "5.1.7", "Bad sender address syntax")
        case .recipientAddress: SMTPReply(501, "5.1.3", "Bad recipient address syntax")
        case .unexpectedArgument: SMTPReply(501, "5.5.4", "No argument allowed")
        }
    }

    private mutating func reply(_ reply: SMTPReply) {
        output += Array("\(reply)\r\n".utf8)
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
    private mutating func refuse(_ refusal: SMTPReply) {
        reply(refusal)
        errors += 1
        if errors >= configuration.errors {
            close("Too many errors")
        }
    }
}

/// A message as it was handed over, with its envelope.
public struct SMTPTransaction: Sendable, Hashable {
    /// What the client called itself.
    public var helo: String
    /// Without brackets; empty for the null reverse-path.
    public var reversePath: String
    /// Without brackets, each accepted at RCPT.
    public var recipients: [String]
    /// Octets at the beginning of the message that `takeData` handed out.
    public var taken: Int
    /// The message behind them.
    public var bytes: [UInt8]
}
