// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How a connection ends: at shutdown, after our last word, and when a client is too slow.

import HookModel
import NIOCore
import SMTPProtocol

extension SessionHandler {
    /// How long a connection that we end may take to hear the last reply.
    private static let lingering = TimeAmount.seconds(2)
    /// How long a handshake may take.
    private static let handshakeTime = TimeAmount.seconds(30)

    /// Shutdown was asked for: at once between transactions, after the current one else.
    func finish(_ context: ChannelHandlerContext) {
        isFinishing = true
        switch phase {
        case .closed: break
        case .handshake: if listener.kind == .smtps { context.close(promise: nil) }
        case .pause: refuse(.shuttingDown, context)
        case .dialogue: if !isWaiting, !session.isInTransaction, pending.isEmpty { endForShutdown(context) }
        }
    }

    func endForShutdown(_ context: ChannelHandlerContext) {
        session.end(with: .shuttingDown)
        close(context)
    }

    /// Sends what is left to say and closes our side. What the client still sends is read away for a moment: the
    /// kernel would answer it with a reset, and that may overtake the last reply. Not so after QUIT: a client that has read
    /// its reply may come again at once, and finds its place free; nor with one of very many that get no place.
    func close(_ context: ChannelHandlerContext) {
        if case .closed = phase { return }
        phase = .closed
        let isDone = isInputClosed || !isCounted && !isCountedAsRefused || session.hasQuit && pending.isEmpty && tls == nil
        pending.removeAll()
        timer?.cancel()
        shared.sessions.remove(context.channel)
        let channel = context.channel
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        // Before the write, which may end the connection at once: a timer that nobody cancels would keep all of it in memory.
        timer = context.eventLoop.scheduleTask(in: Self.lingering) { channel.close(promise: nil) }
        writeOutput(context)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            if isDone { return channel.close(promise: nil) }
            channel.close(mode: .output, promise: nil)
            bound.value.read()
        }
    }

    // MARK: - Time

    /// After input was taken: the clock of a message runs from its first octet to its last, that of a command line as
    /// well. A client that sends an octet now and then is not silent, but it is slow.
    func watchClocks(hasAnswered: Bool) {
        dataDeadline =
            session.isReadingData ? dataDeadline ?? .now() + TimeAmount(shared.configuration.dataTimeout) : nil
        if !session.isReadingLine {
            lineStart = nil
        } else if hasAnswered || lineStart == nil {
            lineStart = lastActivity
        }
    }

    private var deadline: NIODeadline {
        let idleTime = TimeAmount(shared.configuration.idleTimeout)
        if case .handshake = phase { return lastActivity + min(idleTime, Self.handshakeTime) }
        let idle = (lineStart ?? lastActivity) + idleTime
        return dataDeadline.map { min($0, idle) } ?? idle
    }

    /// One timer a connection, set anew when it runs out or when the phase changes: activity just moves the deadline.
    func scheduleTimer(_ context: ChannelHandlerContext) {
        timer?.cancel()
        let limit = NIODeadline.now() + TimeAmount(min(shared.configuration.idleTimeout, shared.configuration.dataTimeout))
        // The deadline of one who waits for the store may be over; a timer in the past would have the loop do nothing else.
        let next = isWaiting ? limit : min(deadline, limit)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(deadline: next) { bound.value.0.timerFired(bound.value.1) }
    }

    private func timerFired(_ context: ChannelHandlerContext) {
        if case .closed = phase { return }
        // While the store has the message, it is not the client who is slow.
        guard !isWaiting, .now() >= deadline else { return scheduleTimer(context) }
        // Who hangs in a handshake can't read a reply.
        if case .handshake = phase { return context.close(promise: nil) }
        session.end(with: .timedOut)
        close(context)
    }
}
