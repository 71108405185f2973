// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Ends a connection that is not done in time once its listener stops, whatever it is in the middle of. Stands nearest
// to the socket: behind TLS, the end of a connection would wait for the client to confirm it.

import NIOCore

final class DrainDeadline: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    /// A client that sends a request just when the listener stops did nothing wrong: what comes within this time is
    /// still answered.
    static let lastCall = TimeAmount.milliseconds(250)

    private let drainTime: TimeAmount
    private var deadline: Scheduled<Void>?

    /// - Parameter drainTime: how long a connection may last once its listener stops.
    init(_ drainTime: TimeAmount) { self.drainTime = drainTime }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, deadline == nil {
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: drainTime) { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }
}

@available(*, unavailable)
extension DrainDeadline: Sendable {}
