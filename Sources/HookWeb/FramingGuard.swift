// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What RequestFraming says of requests to the management side, whose next handlers do not see the version
// of a request. Nothing behind a request that is refused is looked at.

import NIOCore
import NIOHTTP1

final class FramingGuard: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    /// Why a request goes no further.
    struct Refused: Error {
        let answer: WebAnswer
    }

    private var hasRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasRefused else { return }
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        if let answer = RequestFraming.refusal(head) {
            hasRefused = true
            return context.fireErrorCaught(Refused(answer: answer))
        }
        // However the client has put it, the next handlers read what the answer will say, or nothing.
        let option = RequestFraming.connection(head).option
        head.headers.remove(name: "Connection")
        if let option { head.headers.add(name: "Connection", value: option) }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }
}

@available(*, unavailable)
extension FramingGuard: Sendable {}
