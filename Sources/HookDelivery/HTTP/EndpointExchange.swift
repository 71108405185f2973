// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection to an endpoint: at most one request on it at a time, and the answer to it.

internal import NIOCore
internal import NIOSSL

/// What a receiver answered.
struct EndpointAnswer: Sendable, Hashable {
    var status: Int
    var retryAfter: String?
    /// The first octets of the body.
    var excerpt: [UInt8] = []
}

/// Why there is no answer.
struct EndpointFailure: Error, Sendable, Hashable {
    /// One of a closed set of names.
    var reason: String
    /// A connection that was kept from before ended as it was used again: the request may be sent on a new one.
    var isStale = false
}

/// The end of a connection's pipeline. Everything runs on its event loop.
final class EndpointExchange: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    typealias Completion = (Result<EndpointAnswer, EndpointFailure>) -> Void

    private struct Exchange {
        var parser = HTTPResponseParser()
        var completion: Completion
        var isFirst: Bool
    }

    private var exchange: Exchange?
    private var failure: EndpointFailure?
    private var exchanges = 0
    /// When the exchange, or the time without one, is over.
    private var end = NIODeadline.distantFuture
    /// One timer for both, which is late rather than set anew: ends move on with each request.
    private var timer: Scheduled<Void>?
    private var timerEnd = NIODeadline.distantFuture
    private let idleTime: TimeAmount
    /// Called when the connection may carry another request.
    private let onReady: (EndpointExchange) -> Void
    /// nil when the connection is gone.
    private var context: ChannelHandlerContext?

    init(idleTime: TimeAmount, onReady: @escaping (EndpointExchange) -> Void) {
        self.idleTime = idleTime
        self.onReady = onReady
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends a request. `completion` is called once, on the event loop.
    func begin(_ request: ByteBuffer, until deadline: NIODeadline, completion: @escaping Completion) {
        guard let context, context.channel.isActive, exchange == nil else {
            return completion(.failure(failure ?? EndpointFailure(reason: "connection_closed", isStale: exchanges > 0)))
        }
        exchange = Exchange(completion: completion, isFirst: exchanges == 0)
        exchanges += 1
        arm(deadline, context)
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    private func arm(_ end: NIODeadline, _ context: ChannelHandlerContext) {
        self.end = end
        if timer != nil, timerEnd <= end { return }
        timer?.cancel()
        timerEnd = end
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(deadline: end) { bound.value.timerHasFired() }
    }

    private func timerHasFired() {
        timer = nil
        guard let context else { return }
        if .now() < end { return arm(end, context) }
        fail(EndpointFailure(reason: "timeout"))
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let piece = unwrapInboundIn(data)
        guard exchange != nil else { return context.close(promise: nil) }
        let progress = piece.withUnsafeReadableBytes { exchange?.parser.feed($0) } ?? .needsMore
        conclude(progress, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        guard let exchange else { return }
        var parser = exchange.parser
        // Nothing came on a connection that was used before: the receiver had closed it meanwhile.
        guard parser.hasBegun || failure != nil else {
            return fail(EndpointFailure(reason: "connection_closed", isStale: !exchange.isFirst))
        }
        conclude(failure == nil ? parser.end() : .truncated, context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A receiver that ends TLS without saying so has ended all the same; what came decides.
        if case NIOSSLError.uncleanShutdown = error {
            return context.close(promise: nil)
        }
        failure = failure ?? EndpointFailure(reason: WebhookFailure.reason(error))
        if let exchange, !exchange.isFirst, !exchange.parser.hasBegun { failure?.isStale = true }
        context.close(promise: nil)
    }

    private func conclude(_ progress: HTTPResponseParser.Progress, _ context: ChannelHandlerContext) {
        switch progress {
        case .needsMore: return
        case .complete(let isReusable):
            guard let exchange else { return }
            self.exchange = nil
            let parser = exchange.parser
            // First the connection, then the answer: whoever gets it may ask for a connection at once.
            isReusable ? becomeReady(context) : context.close(promise: nil)
            exchange.completion(
                .success(EndpointAnswer(status: parser.status, retryAfter: parser.retryAfter, excerpt: parser.excerpt)))
        case .malformed:
            fail(EndpointFailure(reason: "bad_response"))
            context.close(promise: nil)
        case .truncated:
            fail(failure ?? EndpointFailure(reason: "connection_closed"))
            context.close(promise: nil)
        }
    }

    private func becomeReady(_ context: ChannelHandlerContext) {
        arm(.now() + idleTime, context)
        onReady(self)
    }

    private func fail(_ failure: EndpointFailure) {
        guard let exchange else { return }
        self.exchange = nil
        exchange.completion(.failure(failure))
    }
}
