// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The beginning of a connection that comes from a load balancer: reads the PROXY header and then
// lets the handlers behind it believe that the connection opens now, from the client it names.
// A peer that must send the header and does not is cut off: nobody could tell whose mail it is.

import HookModel
import Logging
import NIOCore
import SMTPProtocol

/// Told to the handlers behind before the connection becomes active.
struct ProxiedClient: Sendable, Hashable {
    /// In its usual form; nil where the load balancer speaks for itself.
    var address: String?
}

final class ProxyHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Under this name connections are counted until they say whose they are.
    static let place = "proxy"

    /// The header is the first thing a load balancer sends.
    private static let patience = TimeAmount.seconds(5)

    private let shared: SessionContext
    private var input = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isCounted = false

    init(context: SessionContext) { shared = context }

    func channelActive(context: ChannelHandlerContext) {
        guard shared.places.take(Self.place) else { return context.close(promise: nil) }
        isCounted = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let patience = min(Self.patience, TimeAmount(shared.configuration.idleTimeout))
        timer = context.eventLoop.scheduleTask(in: patience) { bound.value.0.refuse(bound.value.1, "timeout") }
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        giveUpPlace()
        timer?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var piece = unwrapInboundIn(data)
        input.writeBuffer(&piece)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard isCounted else { return }
        switch ProxyHeader.read(input.readableBytesView) {
        case .needsMore: context.read()
        case .malformed: refuse(context, "malformed")
        case .complete(let header, let consumed):
            input.moveReaderIndex(forwardBy: consumed)
            hand(over: header, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Half a header, and nothing more to come.
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func hand(over header: ProxyHeader, _ context: ChannelHandlerContext) {
        giveUpPlace()
        timer?.cancel()
        let rest = input
        input = ByteBuffer()
        context.fireUserInboundEventTriggered(ProxiedClient(address: header.address))
        context.fireChannelActive()
        if rest.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func refuse(_ context: ChannelHandlerContext, _ reason: String) {
        let peer = SessionHandler.peer(of: context)
        shared.logger.warning("connection without PROXY header closed", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
        context.close(promise: nil)
    }

    private func giveUpPlace() {
        if isCounted { shared.places.release(Self.place) }
        isCounted = false
    }
}
