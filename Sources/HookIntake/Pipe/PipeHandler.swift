// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection of `mailhookd receive`: reads a request, hands the message over, answers.

import HookModel
import NIOCore
import NIOPosix

final class PipeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case reading
        /// The message was handed over.
        case waiting
        /// The answer is written; what still comes is dropped.
        case answered
    }

    private let receiver: any MessageReceiver
    private let messageSize: Int
    private let sessions: SessionRegistry
    private let now: @Sendable () -> Timestamp
    private var state = State.reading
    private var input = ByteBuffer()
    private var timer: Scheduled<Void>?

    /// For envelope and framing besides the message.
    private static let envelopeSize = 1 << 20
    /// A client on this machine has the message at hand.
    private static let readTime = TimeAmount.seconds(60)

    init(
        receiver: any MessageReceiver, messageSize: Int, sessions: SessionRegistry, now: @escaping @Sendable () -> Timestamp
    ) {
        self.receiver = receiver
        self.messageSize = messageSize
        self.sessions = sessions
        self.now = now
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let channel = context.channel
        OpenConnections.all.opened()
        sessions.add(
            .init(channel: channel) {
                if case .reading = bound.value.0.state { bound.value.0.answer(PipeAnswer(outcome: .shuttingDown), bound.value.1) }
            })
        timer = context.eventLoop.scheduleTask(in: Self.readTime) { channel.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        sessions.remove(context.channel)
        OpenConnections.all.closed()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .reading = state else { return }
        var piece = unwrapInboundIn(data)
        input.writeBuffer(&piece)
        switch Netstring.length(input.readableBytesView.prefix(10)) {
        case .needsMore: return
        case .malformed: context.close(promise: nil)
        case .known(let count, _) where count > messageSize + Self.envelopeSize:
            answer(PipeAnswer(outcome: .messageTooLarge), context)
        case .known(let count, let start):
            guard input.readableBytes > start + count else { return }
            let octets = Array(input.readableBytesView.prefix(start + count + 1))
            input = ByteBuffer()
            var rest = octets[...]
            guard let content = Netstring.take(from: &rest), let request = PipeRequest(content: content) else {
                return context.close(promise: nil)
            }
            handOver(request, context)
        }
    }

    private func handOver(_ request: PipeRequest, _ context: ChannelHandlerContext) {
        timer?.cancel()
        if let refusal = PipeIntake.refusal(request, by: receiver, messageSize: messageSize) {
            return answer(PipeAnswer(outcome: refusal), context)
        }
        state = .waiting
        let message = PipeIntake.message(request, now: now())
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let completion: @Sendable (Reception) -> Void = { reception in
            eventLoop.execute {
                bound.value.0.answer(PipeAnswer(outcome: reception.answer, detail: reception.detail), bound.value.1)
            }
        }
        let receiver = receiver
        if message.bytes.count <= SessionContext.inlineSize {
            receiver.receive(message, completion: completion)
        } else {
            NIOThreadPool.singleton.submit { _ in receiver.receive(message, completion: completion) }
        }
    }

    /// Says it and closes our side; the client closes the other one.
    private func answer(_ answer: PipeAnswer, _ context: ChannelHandlerContext) {
        state = .answered
        input = ByteBuffer()
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: answer.encoded))).whenComplete { _ in
            channel.close(mode: .output, promise: nil)
        }
        timer?.cancel()
        timer = context.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
    }
}
