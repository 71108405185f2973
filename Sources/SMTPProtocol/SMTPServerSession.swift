// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The server's side of one SMTP or LMTP connection, without I/O: bytes go in, reply bytes and
// actions come out. The caller owns the connection, decides about clients, recipients and
// messages, does TLS, and keeps what has not been consumed. What commands do stands in
// SMTPServerSession+Commands, how messages are read in SMTPServerSession+Data.
//
//     command <-> recipient asked, client asked          (MAIL, RCPT ... are commands)
//     command  -> TLS asked -> command
//     command  -> data  -> message asked -> command
//     command  -> chunk -> command | message asked
//     any      -> closed

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
        /// Write the output, drop all input that has come until now, begin the handshake, and call `tlsStarted` before
        /// feeding what comes through it.
        case startTLS
        /// The client is somebody else: decide whether that one may connect, and call `answerClient`.
        case client(ClientIdentity)
        /// Write the output and close the connection.
        case close
    }

    /// Where the session is. Each names its successors above.
    enum State: Sendable {
        case command
        case recipientAsked(String)
        case clientAsked(ClientIdentity)
        case tlsAsked
        case data
        /// Octets of a chunk still to come, and the reply to it if it is refused.
        case chunk(remaining: Int, isLast: Bool, refusal: SMTPReply?)
        case messageAsked
        case closed
    }

    /// Why no message can be taken at this moment; the answer to MAIL. Set by the caller.
    public var refusal: Outcome?

    let configuration: SMTPServerConfiguration
    /// The client has said QUIT, and nothing is to come after it (RFC 5321 section 4.1.1.10, RFC 2920 section 3.1).
    public internal(set) var hasQuit = false
    var state = State.command
    var output: [UInt8] = []
    /// The beginning of a command line that has not ended yet.
    private(set) var line: [UInt8] = []
    /// The line was too long: the rest of it is dropped.
    private var isLineDropped = false
    /// Since the last message that was accepted.
    var errors = 0
    var idleCommands = 0

    /// Everything before it was said without protection (RFC 3207 section 4.2).
    var isSecured: Bool
    /// A greeting command was accepted.
    var isGreeted = false
    /// What the client called itself, or is said to have called itself.
    var helo = ""
    var reversePath: String?
    var parameters = MailParameters()
    /// Forward-paths of the current transaction that were accepted.
    public internal(set) var recipients: [String] = []
    /// Those of the transaction that were beyond the limit, or not taken and no mistake of the client's.
    var furtherRecipients = 0
    var receiver: DataReceiver?
    /// From the first BDAT of a transaction to the last.
    var chunks: ChunkReceiver?
    /// What the next message may need, in octets: a client that does not announce sizes (SIZE) sends much the same again.
    var usualSize = 0

    /// Begins with the greeting in its output.
    public init(configuration: SMTPServerConfiguration) {
        self.configuration = configuration
        isSecured = configuration.isSecured
        greet()
    }

    /// Reply bytes to write, in order. The session keeps none of them.
    public mutating func takeOutput() -> [UInt8] {
        let taken = output
        output = []
        return taken
    }

    /// As `takeOutput`, for callers that copy it elsewhere: the memory is used again.
    public mutating func takeOutput(_ body: (UnsafeRawBufferPointer) -> Void) {
        output.withUnsafeBytes(body)
        output.removeAll(keepingCapacity: true)
    }

    public var hasOutput: Bool { !output.isEmpty }

    /// What the client said of the message of this transaction.
    public var offer: MailOffer { MailOffer(sender: reversePath, size: parameters.size) }

    /// Whether a transaction has begun that should end before the server goes away.
    public var isInTransaction: Bool { reversePath != nil }

    /// Whether the data of a message has begun and is not complete.
    public var isReadingData: Bool {
        switch state {
        case .data, .chunk: true
        case .command, .recipientAsked, .clientAsked, .tlsAsked, .messageAsked, .closed: chunks != nil
        }
    }

    /// What came of the message being read, if that is at least `count` octets: a caller that keeps large messages
    /// elsewhere takes it, and `SMTPTransaction.bytes` begins behind it.
    public mutating func takeData(atLeast count: Int) -> [UInt8]? {
        let size = receiver?.buffer.message.count ?? chunks?.buffer.message.count ?? 0
        guard isReadingData, size > 0, size >= count else { return nil }
        return receiver?.buffer.take() ?? chunks?.buffer.take()
    }

    /// Octets of the message being read that `takeData` has handed out.
    public var takenData: Int { receiver?.buffer.taken ?? chunks?.buffer.taken ?? 0 }

    /// Whether a command line has begun and is not complete.
    public var isReadingLine: Bool { !line.isEmpty || isLineDropped }

    /// Takes input until there is something to decide or all of it is consumed.
    ///
    /// - Parameter consumed: set to the number of octets taken; the caller offers the rest again.
    public mutating func advance(_ input: UnsafeRawBufferPointer, consumed: inout Int) -> Action {
        consumed = 0
        while true {
            switch state {
            case .closed: return .close
            case .recipientAsked(let path): return .recipient(path)
            case .clientAsked(let client): return .client(client)
            case .tlsAsked:
                // RFC 3207 section 6: what somebody between us and the client put behind STARTTLS must not be taken for
                // something that came through TLS.
                consumed = input.count
                return .startTLS
            // The message was handed out already; the caller came too early.
            case .messageAsked: return .needInput
            case .data:
                guard let action = advanceData(input, &consumed) else { continue }
                return action
            case .chunk:
                guard let action = advanceChunk(input, &consumed) else { continue }
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
        } else if outcome == .otherHook || configuration.service == .lmtp {
            // Over LMTP a mail server passes a list of recipients on as it got it. To end the session at the twentieth wrong one
            // would take the mail from the good ones as well.
            refuseFurtherRecipient(outcome)
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
        for index in 0..<count {
            let answer = index < replies.count ? replies[index] : Outcome.storeFailed.smtpReply
            reply(answer)
            if answer.isPositive {
                errors = 0
                idleCommands = 0
            }
            if answer.code == 421 || answer.code == 521 { state = .closed }
        }
    }

    /// The handshake has begun. The session is as new: nothing the client said before counts (RFC 3207 section 4.2).
    public mutating func tlsStarted() {
        guard case .tlsAsked = state else { return }
        isSecured = true
        restart()
    }

    /// Answers `client`: `accepted` greets the client anew, anything else is its reply and the end.
    public mutating func answerClient(_ outcome: Outcome) {
        guard case .clientAsked(let client) = state else { return }
        guard outcome.isPositive else { return end(with: outcome) }
        restart()
        helo = client.helo ?? ""
        greet()
    }

    /// Ends the session from the server's side, for example with `Outcome.shuttingDown`.
    public mutating func end(with outcome: Outcome) {
        if case .closed = state { return }
        reply(outcome.smtpReply)
        state = .closed
    }

    private mutating func greet() {
        let service = configuration.service == .smtp ? "ESMTP" : "LMTP"
        reply(SMTPReply(220, nil, "\(configuration.hostname) \(service) mailhookd"))
    }

    private mutating func restart() {
        state = .command
        isGreeted = false
        helo = ""
        line = []
        isLineDropped = false
        resetTransaction()
    }

    mutating func resetTransaction() {
        reversePath = nil
        parameters = MailParameters()
        recipients = []
        furtherRecipients = 0
        receiver = nil
        chunks = nil
    }

    // MARK: - Command lines

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
            refuseLine("Line too long")
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
            return refuseLine("Lines must end with CRLF")
        }
        line.removeLast()
        guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            return refuseLine("Control characters are not allowed")
        }
        if line.allSatisfy({ $0 < 0x80 }) {
            perform(CommandParser.parse(line))
        } else if String(validating: line, as: UTF8.self) != nil {
            performInternational(CommandParser.parse(line))
        } else {
            // Whatever it is has no say in this.
            performInternational(CommandParser.parse(line.map { $0 < 0x80 ? $0 : UInt8(ascii: " ") }), isUTF8: false)
        }
    }

    /// A line that is not looked into. Behind BDAT that is the end: the octets that follow would be read as commands.
    private mutating func refuseLine(_ text: String) {
        refuse(SMTPReply(500, "5.5.2", text))
        if CommandParser.isChunk(line) { close("Lost in a chunk of unknown size") }
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
