// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Stands in each connection between the HTTP decoder and the rest and keeps it within limits:
// places, the time a body may take, what is still read of a request that was answered early.
// It answers what is not HTTP, and it makes sure that half a body never passes for a whole one.

import HookModel
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// The connection ended inside of a request.
struct RequestTruncated: Error {}

final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let places: ConnectionPlaces
    private let requestTimeout: TimeAmount
    /// How long a request may take to end once the listener stops.
    private let drainTime: TimeAmount
    /// The peer whose place this connection has.
    private var peer: String?
    /// A request's head came and its end did not.
    private var isReading = false
    /// Requests whose answers did not end.
    private var answersDue = 0
    /// The answer to the oldest of them has begun.
    private var isAnswering = false
    private var deadline: Scheduled<Void>?
    /// The client asked for the end of the connection in a spelling that the layer above does not know.
    private var closesAfterAnswer = false
    /// Of the request that came last.
    private var body = AnnouncedBody()
    /// The client was told that the connection ends, and nothing it says behind that counts.
    private var isLast = false
    /// Octets still taken of a request that was answered already; nil where there is none.
    private var lingering: Int?
    /// The listener stops: the connection ends with the request in progress, or the one that comes at this moment.
    private var isEnding = false
    /// The layer above was told so.
    private var hasToldEnd = false

    /// How long what a client goes on sending after it was answered is still read, for its sake (`RequestFraming.drainLimit`).
    private static let lingerTime = TimeAmount.seconds(2)
    /// A client that sends a request just when the listener stops did nothing wrong: what comes within this time is
    /// still answered.
    private static let lastCall = TimeAmount.milliseconds(250)

    init(places: ConnectionPlaces, requestTimeout: TimeAmount, drainTime: TimeAmount) {
        self.places = places
        self.requestTimeout = requestTimeout
        self.drainTime = drainTime
    }

    func channelActive(context: ChannelHandlerContext) {
        let peer = context.channel.remoteAddress?.ipAddress ?? "unix"
        if places.take(peer) { self.peer = peer }
        context.fireChannelActive()
        if self.peer == nil { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let peer { places.release(peer) }
        peer = nil
        deadline?.cancel()
        inputEnded(context)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if isLast, !part.isBody { return }
        switch part {
        case .head(let head):
            isReading = true
            answersDue += 1
            closesAfterAnswer = Self.closes(head.headerFields[.connection])
            let fields = head.headerFields
            body = AnnouncedBody(
                length: fields[.contentLength], encoding: fields[.transferEncoding], expect: fields[.expect])
        case .body(let buffer):
            if let left = lingering {
                lingering = left - buffer.readableBytes
                // What comes after an answer is of no interest to anybody.
                if left < buffer.readableBytes { context.close(promise: nil) }
                return
            }
        case .end:
            isReading = false
            lingering = nil
            deadline?.cancel()
            deadline = nil
        }
        context.fireChannelRead(data)
        // It ends the connection after the answer to what it has heard of.
        if isEnding { tellEnd(context) }
    }

    /// A request that came in one piece needs no clock.
    func channelReadComplete(context: ChannelHandlerContext) {
        if isReading, deadline == nil, lingering == nil {
            schedule(requestTimeout, context) { $0.requestTimedOut($1) }
        }
        context.fireChannelReadComplete()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            isAnswering = head.status.kind != .informational
            // RFC 9112 sections 9.3 and 9.6: who will not read a body says that the connection ends.
            if head.status == .continue {
                // It comes now, and may be too long still.
                body.isOnDemand = false
            } else if isAnswering, body.mayBeMissing || body.exceedsDrainLimit, isReading, answersDue == 1 {
                isLast = true
                closesAfterAnswer = true
            }
            if isEnding || isLast, isAnswering {
                head.headerFields[.connection] = "close"
                return context.write(wrapOutboundOut(.head(head)), promise: promise)
            }
        case .body: break
        case .end:
            isAnswering = false
            answersDue -= 1
            if isReading, answersDue == 0 {
                lingering = RequestFraming.drainLimit
                schedule(Self.lingerTime, context) { $1.close(promise: nil) }
            }
            if closesAfterAnswer, answersDue == 0 {
                context.writeAndFlush(data, promise: promise)
                return context.close(mode: .output, promise: nil)
            }
        }
        context.write(data, promise: promise)
    }

    /// RFC 9112 section 9.6: an option in any case of letters, perhaps among others.
    private static func closes(_ connection: String?) -> Bool {
        guard let connection, connection != "close" else { return false }
        return connection.lowercased().split(separator: ",").contains { $0.drop { $0 == " " }.prefix(5) == "close" }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let refused = error as? FramingGuard.Refused { return refuse(refused.answer, context) }
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        refuse(error == .headerOverflow ? RequestFraming.headerTooLarge : RequestFraming.malformed, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { inputEnded(context) }
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        isEnding = true
        if answersDue > 0 {
            schedule(drainTime, context) { $1.close(promise: nil) }
            tellEnd(context)
        } else {
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.lastCall) { self.tellEnd(context) }
        }
    }

    private func tellEnd(_ context: ChannelHandlerContext) {
        guard !hasToldEnd else { return }
        hasToldEnd = true
        context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    /// The layer above takes the end of the connection for the end of the body (RFC 9112 section 8 says it is not).
    private func inputEnded(_ context: ChannelHandlerContext) {
        guard isReading else { return }
        isReading = false
        context.fireErrorCaught(RequestTruncated())
    }

    private func requestTimedOut(_ context: ChannelHandlerContext) {
        refuse(.refusal(.timedOut), context)
    }

    /// Answers in place of the layer above, if that has not begun to, and closes.
    private func refuse(_ answer: WebAnswer, _ context: ChannelHandlerContext) {
        let isNext = !isAnswering && answersDue == (isReading ? 1 : 0)
        isReading = false
        deadline?.cancel()
        if isNext {
            var fields = answer.fields
            fields[.connection] = "close"
            fields[.contentLength] = String(answer.body.count)
            let head = HTTPResponse(status: .init(code: answer.status), headerFields: fields)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(ByteBuffer(bytes: answer.body))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        // Nobody above may answer as well, or take what there is for a request.
        context.fireErrorCaught(RequestTruncated())
        context.close(promise: nil)
    }

    private func schedule(
        _ time: TimeAmount, _ context: ChannelHandlerContext,
        _ action: @escaping (ConnectionGuard, ChannelHandlerContext) -> Void
    ) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { action(self, context) }
    }
}

extension HTTPRequestPart {
    fileprivate var isBody: Bool {
        if case .body = self { true } else { false }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
