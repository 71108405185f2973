// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection: feeds bytes to the dialogue and performs what it asks for. Reading is asked
// for piece by piece, so a client that sends faster than we store waits in its own kernel.
// How a connection begins stands in SessionHandler+Beginning, how it ends in +Ending.

import HookModel
import HookTLS
import Logging
import NIOCore
import NIOPosix
import NIOTLS
import SMTPProtocol

final class SessionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a connection is at. Bytes are only looked at in a dialogue.
    enum Phase {
        /// Until the TLS handshake is complete; it may come back with STARTTLS.
        case handshake
        /// The client has to wait for the greeting.
        case pause
        case dialogue
        /// We have said our last; what still comes is read and dropped.
        case closed
    }

    /// The peer at the other end of a Unix socket.
    static let unixPeer = "local"
    /// A client of which its mail server says that it doesn't know it.
    static let unknownPeer = "unknown"

    let listener: MailListener
    let shared: SessionContext
    var session: SMTPServerSession
    var phase = Phase.dialogue
    var pending = PendingInput()
    private var outgoing = ByteBuffer()
    /// The client's address: of the connection, or as a load balancer or mail server tells it.
    var peer = ""
    var isCounted = false
    /// It has no place and hears so.
    var isCountedAsRefused = false
    /// The version of TLS, for the message's envelope.
    var tls: String?
    /// A message was handed to the receiver and has no answer yet, or a piece of it is being spooled.
    var isWaiting = false
    /// The beginning of a large message.
    private var spool: MessageSpool?
    var isFinishing = false
    /// Until the client has taken what was written.
    private var isReadingPaused = false
    /// The client has said its last.
    var isInputClosed = false
    var timer: Scheduled<Void>?
    var lastActivity = NIODeadline.now()
    /// When a command line began of which we have only a part; nil between lines.
    var lineStart: NIODeadline?
    /// When the data of the current message must be complete; nil outside of data.
    var dataDeadline: NIODeadline?

    init(listener: MailListener, context: SessionContext) {
        self.listener = listener
        shared = context
        session = SMTPServerSession(configuration: listener.dialogue(context.configuration))
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        timer?.cancel()
        shared.sessions.remove(context.channel)
        giveUpPlace()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .closed = phase { return }
        pending.append(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        switch phase {
        case .closed, .handshake: context.read()
        case .pause: if !pending.isEmpty { refuse(.earlyTalker, context) } else { context.read() }
        case .dialogue:
            lastActivity = .now()
            proceed(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let client = event as? ProxiedClient {
            peer = client.address ?? ""
        } else if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            inputClosed(context)
        } else if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent {
            handshakeCompleted(context)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func inputClosed(_ context: ChannelHandlerContext) {
        isInputClosed = true
        switch phase {
        case .closed, .handshake: context.close(promise: nil)
        case .pause: break
        // A client may half-close behind its last command and still wants the answers.
        case .dialogue: proceed(context)
        }
    }

    /// A client that does not read what we say is not read either.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, isReadingPaused {
            isReadingPaused = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        shared.logger.debug("connection failed", metadata: ["peer": "\(peer)", "error": "\(error)"])
        context.close(promise: nil)
    }

    /// Runs the dialogue until it needs input or an answer.
    func proceed(_ context: ChannelHandlerContext) {
        guard !isWaiting, case .dialogue = phase else { return }
        while true {
            if isFinishing, !session.isInTransaction { return endForShutdown(context) }
            switch advance() {
            case .needInput:
                if isInputClosed { return close(context) }
                let hasAnswered = writeOutput(context)
                watchClocks(hasAnswered: hasAnswered)
                context.flush()
                // What is spooled belongs to the message being read, or to one that was refused.
                if session.takenData == 0 { spool = nil }
                if let octets = session.takeData(atLeast: SessionContext.memorySize) { return keep(octets, context) }
                isReadingPaused = !context.channel.isWritable
                return isReadingPaused ? () : context.read()
            case .recipient(let path): session.answerRecipient(admission(of: path))
            case .client(let client): adopt(client)
            case .message(let transaction):
                writeOutput(context)
                context.flush()
                handOver(transaction, context)
                // One more piece at most is taken meanwhile: to stop reading and to begin again costs two system calls. The
                // answer goes on where nothing is read now.
                return pending.isEmpty && context.channel.isWritable ? context.read() : ()
            case .startTLS: return startTLS(context)
            case .close: return close(context)
            }
        }
    }

    private func advance() -> SMTPServerSession.Action {
        session.refusal = shared.receiver.refusal
        while true {
            var consumed = 0
            let action = pending.first.map { piece in
                piece.withUnsafeReadableBytes { session.advance($0, consumed: &consumed) }
            } ?? session.advance(UnsafeRawBufferPointer(start: nil, count: 0), consumed: &consumed)
            pending.consume(consumed)
            // It may need no more than the next piece, which is here.
            guard case .needInput = action, consumed > 0, !pending.isEmpty else { return action }
        }
    }

    private func admission(of path: String) -> Outcome {
        let outcome = shared.receiver.admit(recipient: path, of: session.offer)
        guard outcome.isPositive, shared.configuration.oneHookPerTransaction, listener.service == .smtp,
            let first = session.recipients.first
        else { return outcome }
        return shared.receiver.hook(of: first) == shared.receiver.hook(of: path) ? outcome : .otherHook
    }

    // MARK: - Messages

    private func handOver(_ transaction: SMTPTransaction, _ context: ChannelHandlerContext) {
        isWaiting = true
        dataDeadline = nil
        lineStart = nil
        var message = ReceivedMessage(
            envelope: Envelope(
                source: listener.source, mailFrom: transaction.reversePath, recipients: transaction.recipients, peer: peer,
                helo: transaction.helo, tls: tls),
            bytes: transaction.bytes, receivedAt: shared.now())
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let completion: @Sendable (Reception) -> Void = { reception in
            eventLoop.execute { bound.value.0.answer(reception, bound.value.1) }
        }
        let spool = spool
        self.spool = nil
        // A message that was refused may have left something behind: another has come since then.
        if let spool, transaction.taken > 0 {
            message.bytes = []
            shared.receive(message, spooled: spool, rest: transaction.bytes, completion)
        } else {
            shared.receive(message, completion)
        }
    }

    /// Moves what came of a message out of memory, and reads on when that is done.
    private func keep(_ octets: [UInt8], _ context: ChannelHandlerContext) {
        isWaiting = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let current = spool
        let folder = shared.configuration.spoolFolder
        shared.parsers.submit { _ in
            let spool = current ?? MessageSpool(folder: folder)
            spool.append(octets)
            eventLoop.execute {
                let (handler, context) = bound.value
                handler.isWaiting = false
                handler.spool = spool
                handler.lastActivity = .now()
                handler.proceed(context)
            }
        }
    }

    private func answer(_ reception: Reception, _ context: ChannelHandlerContext) {
        isWaiting = false
        if case .closed = phase { return }
        let outcomes = listener.service == .lmtp ? reception.recipients : [reception.answer]
        session.answerMessage(
            outcomes.map { outcome in
                var reply = outcome.smtpReply
                if outcome.isPositive, !reception.detail.isEmpty { reply.text += " \(reception.detail)" }
                return reply
            })
        lastActivity = .now()
        proceed(context)
    }

    /// True if there was any.
    @discardableResult
    func writeOutput(_ context: ChannelHandlerContext) -> Bool {
        guard session.hasOutput else { return false }
        // Most replies are on their way before the next one is made, and leave their memory to it.
        outgoing.clear()
        session.takeOutput { _ = outgoing.writeBytes($0) }
        context.write(wrapOutboundOut(outgoing), promise: nil)
        return true
    }
}
