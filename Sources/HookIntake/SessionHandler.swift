// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection: feeds bytes to the dialogue and performs what it asks for. Reading is asked
// for piece by piece, so a client that sends faster than we store waits in its own kernel.

import HookModel
import Logging
import NIOCore
import NIOPosix
import SMTPProtocol

final class SessionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The peer at the other end of a Unix socket.
    static let unixPeer = "local"

    private let service: SMTPServerConfiguration.Service
    private let shared: SessionContext
    private var session: SMTPServerSession
    private var pending: ByteBuffer?
    private var peer = ""
    private var isCounted = false
    /// A message was handed to the receiver and has no answer yet, or a piece of it is being spooled.
    private var isWaiting = false
    /// The beginning of a large message.
    private var spool: MessageSpool?
    private var isFinishing = false
    /// We have said our last; what still comes is read and dropped.
    private var isClosed = false
    /// The client has said its last.
    private var isInputClosed = false
    private var timer: Scheduled<Void>?
    private var lastActivity = NIODeadline.now()
    /// When the data of the current message must be complete; nil outside of data.
    private var dataDeadline: NIODeadline?

    /// How long a connection that we end may take to hear the last reply.
    private static let lingering = TimeAmount.seconds(2)

    init(service: SMTPServerConfiguration.Service, context: SessionContext) {
        self.service = service
        shared = context
        let configuration = context.configuration
        session = SMTPServerSession(
            configuration: SMTPServerConfiguration(
                hostname: configuration.hostname, service: service, messageSize: configuration.messageSize,
                recipients: configuration.recipients))
    }

    func channelActive(context: ChannelHandlerContext) {
        peer = context.remoteAddress?.ipAddress ?? Self.unixPeer
        guard shared.places.take(peer) else {
            // The first reply says it: no greeting before it.
            _ = session.takeOutput()
            session.end(with: .tooManyConnections)
            return close(context)
        }
        isCounted = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        shared.sessions.add(.init(channel: context.channel) { bound.value.0.finish(bound.value.1) })
        writeOutput(context)
        context.flush()
        lastActivity = .now()
        scheduleTimer(context)
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        timer?.cancel()
        shared.sessions.remove(context.channel)
        if isCounted { shared.places.release(peer) }
        isCounted = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        var piece = unwrapInboundIn(data)
        if pending?.readableBytes ?? 0 > 0 {
            pending?.writeBuffer(&piece)
        } else {
            pending = piece
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard !isClosed else { return context.read() }
        lastActivity = .now()
        proceed(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        isInputClosed = true
        // A client may half-close behind its last command and still wants the answers.
        if isClosed { context.close(promise: nil) } else { proceed(context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        shared.logger.debug("connection failed", metadata: ["peer": "\(peer)", "error": "\(error)"])
        context.close(promise: nil)
    }

    /// Runs the dialogue until it needs input or an answer.
    private func proceed(_ context: ChannelHandlerContext) {
        guard !isWaiting, !isClosed else { return }
        while true {
            switch advance() {
            case .needInput:
                if isFinishing, !session.isInTransaction { return endForShutdown(context) }
                if isInputClosed { return close(context) }
                startOrStopDataClock()
                writeOutput(context)
                context.flush()
                if let octets = session.takeData(atLeast: SessionContext.memorySize) { return keep(octets, context) }
                if !session.isReadingData { spool = nil }
                return context.read()
            case .recipient(let path): session.answerRecipient(shared.receiver.admit(recipient: path))
            case .message(let transaction):
                writeOutput(context)
                context.flush()
                return handOver(transaction, context)
            case .close: return close(context)
            }
        }
    }

    private func advance() -> SMTPServerSession.Action {
        var consumed = 0
        let action = pending.map { buffer in
            buffer.withUnsafeReadableBytes { session.advance($0, consumed: &consumed) }
        } ?? session.advance(UnsafeRawBufferPointer(start: nil, count: 0), consumed: &consumed)
        pending?.moveReaderIndex(forwardBy: consumed)
        if pending?.readableBytes == 0 { pending = nil }
        return action
    }

    private func handOver(_ transaction: SMTPTransaction, _ context: ChannelHandlerContext) {
        isWaiting = true
        dataDeadline = nil
        var message = ReceivedMessage(
            envelope: Envelope(
                source: service == .lmtp ? .lmtp : .smtp, mailFrom: transaction.reversePath,
                recipients: transaction.recipients, peer: peer, helo: transaction.helo),
            bytes: transaction.bytes, receivedAt: shared.now())
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let completion: @Sendable (Reception) -> Void = { reception in
            eventLoop.execute { bound.value.0.answer(reception, bound.value.1) }
        }
        if let spool {
            self.spool = nil
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
        guard !isClosed else { return }
        let outcomes = service == .lmtp ? reception.recipients : [reception.answer]
        session.answerMessage(
            outcomes.map { outcome in
                var reply = outcome.smtpReply
                if outcome.isPositive, !reception.detail.isEmpty { reply.text += " \(reception.detail)" }
                return reply
            })
        lastActivity = .now()
        proceed(context)
    }

    // MARK: - Ends

    /// Shutdown was asked for: at once between transactions, after the current one else.
    private func finish(_ context: ChannelHandlerContext) {
        guard !isClosed else { return }
        isFinishing = true
        if !isWaiting, !session.isInTransaction, pending == nil { endForShutdown(context) }
    }

    private func endForShutdown(_ context: ChannelHandlerContext) {
        session.end(with: .shuttingDown)
        close(context)
    }

    /// Sends what is left to say and closes our side. What the client still sends is read away for a moment: the
    /// kernel would answer it with a reset, and that may overtake the last reply.
    private func close(_ context: ChannelHandlerContext) {
        guard !isClosed else { return }
        isClosed = true
        pending = nil
        timer?.cancel()
        shared.sessions.remove(context.channel)
        let channel = context.channel
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let isInputClosed = isInputClosed
        writeOutput(context)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            if isInputClosed { return channel.close(promise: nil) }
            channel.close(mode: .output, promise: nil)
            bound.value.read()
        }
        timer = context.eventLoop.scheduleTask(in: Self.lingering) { channel.close(promise: nil) }
    }

    private func writeOutput(_ context: ChannelHandlerContext) {
        let output = session.takeOutput()
        if !output.isEmpty { context.write(wrapOutboundOut(ByteBuffer(bytes: output)), promise: nil) }
    }

    // MARK: - Time

    private func startOrStopDataClock() {
        dataDeadline =
            session.isReadingData ? dataDeadline ?? .now() + TimeAmount(shared.configuration.dataTimeout) : nil
    }

    private var deadline: NIODeadline {
        let idle = lastActivity + TimeAmount(shared.configuration.idleTimeout)
        return dataDeadline.map { min($0, idle) } ?? idle
    }

    /// One timer a connection, set anew only when it runs out: activity just moves the deadline.
    private func scheduleTimer(_ context: ChannelHandlerContext) {
        let limits = [shared.configuration.idleTimeout, shared.configuration.dataTimeout].map { TimeAmount($0) }
        let next = min(deadline, .now() + (limits.min() ?? .seconds(60)))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(deadline: next) { bound.value.0.timerFired(bound.value.1) }
    }

    private func timerFired(_ context: ChannelHandlerContext) {
        guard !isClosed else { return }
        // While the store has the message, it is not the client who is slow.
        guard !isWaiting, .now() >= deadline else { return scheduleTimer(context) }
        session.end(with: .timedOut)
        close(context)
    }
}
