// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Stands in each connection to the management side between the HTTP decoder and the rest and keeps it
// within limits: places, the time a body may take, the time a client may leave its answer unread, what is
// still read of a request that was answered early. It answers what is not HTTP when its turn has come, makes
// sure that half a body never passes for a whole one, and ends the connection so that the client comes to
// read what it was answered.

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
    /// The peer whose place this connection has.
    private var peer: String?
    /// A request's head came and its end did not.
    private var isReading = false
    /// Requests whose answers did not end.
    private var answersDue = 0
    /// The answer to the oldest of them has begun.
    private var isAnswering = false
    /// For the rest of a request, and once the output has ended for the connection.
    private var deadline: Scheduled<Void>?
    /// Of the request that came last.
    private var body = AnnouncedBody()
    /// The client of HTTP/1.0 is told that the connection stays.
    private var isOld = false
    /// The connection ends with the answer to it: the client asked for that, or was told. Nothing behind it counts.
    private var isLast = false
    /// Octets still taken of a request that was answered already; nil where there is none.
    private var lingering: Int?
    /// What is to be said once what came before is answered, and whether the head of the request in question went up.
    private var refusal: (answer: WebAnswer, isOfRequestUnderWay: Bool)?
    /// Nothing more is said; the other side may read what was.
    private var isClosing = false
    /// Of the answer that was given last.
    private var lastWrite: EventLoopFuture<Void>?
    /// Parts of answers that wait for the client to read what came before.
    private var unsent = 0
    /// When such a part was written or sent last.
    private var lastProgress = NIODeadline.uptimeNanoseconds(0)
    private var progressCheck: Scheduled<Void>?
    /// The listener stops: the connection ends with the request in progress, or the one that comes at this moment.
    private var isEnding = false
    /// The layer above was told so.
    private var hasToldEnd = false
    private var lastCall: Scheduled<Void>?

    /// How long what a client goes on sending after it was answered is still read, for its sake (`RequestFraming.drainLimit`).
    private static let lingerTime = TimeAmount.seconds(2)
    /// Octets of an answer that are written in one piece: who reads slowly is known by the pieces that were sent.
    static let pieceSize = 64 << 10

    /// - Parameter requestTimeout: for the body of a request, and for a client that reads nothing of its answer.
    init(places: ConnectionPlaces, requestTimeout: TimeAmount) {
        self.places = places
        self.requestTimeout = requestTimeout
    }

    /// Nothing that comes counts any more.
    private var isOver: Bool { isClosing || refusal != nil || (isLast && !isReading) }

    func channelActive(context: ChannelHandlerContext) {
        let peer = context.channel.remoteAddress?.ipAddress ?? "unix"
        if places.take(peer) { self.peer = peer }
        context.fireChannelActive()
        if self.peer == nil { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let peer { places.release(peer) }
        peer = nil
        isClosing = true
        for timer in [deadline, progressCheck, lastCall] { timer?.cancel() }
        inputEnded(context)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            if isOver { return }
            isReading = true
            answersDue += 1
            let fields = head.headerFields
            isOld = fields[.connection] == AnswerWriter.Connection.staysForOld.option
            isLast = fields[.connection] == AnswerWriter.Connection.ends.option
            body = AnnouncedBody(
                length: fields[.contentLength], encoding: fields[.transferEncoding], expect: fields[.expect])
        case .body(let buffer):
            if let left = lingering {
                lingering = left - buffer.readableBytes
                // What comes after an answer is of no interest to anybody.
                if left < buffer.readableBytes { context.close(promise: nil) }
                return
            }
            if !isReading || isOver { return }
        case .end:
            lingering = nil
            if !isReading || isOver { return }
            isReading = false
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
            schedule(requestTimeout, context) { $0.refuse(.refusal(.timedOut), $1) }
        }
        context.fireChannelReadComplete()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isClosing else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status == .continue:
            // The body comes now, and may be too long still.
            body.isOnDemand = false
            context.write(data, promise: promise)
        case .head(var head):
            isAnswering = true
            // RFC 9112 sections 9.3 and 9.6: who will not read a body says that the connection ends.
            let isUnread = isReading && (body.mayBeMissing || body.exceedsDrainLimit)
            if answersDue == 1, isEnding || isUnread { isLast = true }
            let connection: AnswerWriter.Connection = isLast && answersDue == 1 ? .ends : isOld ? .staysForOld : .stays
            head.headerFields[.connection] = connection.option
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(var buffer):
            while buffer.readableBytes > Self.pieceSize, let piece = buffer.readSlice(length: Self.pieceSize) {
                send(.body(piece), nil, context)
            }
            send(.body(buffer), promise, context)
        case .end(let trailer):
            send(.end(trailer), promise, context)
            isAnswering = false
            answersDue -= 1
            answered(context)
        }
    }

    /// Writes, and takes note when it is sent.
    private func send(_ part: HTTPResponsePart, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        let sent = promise ?? context.eventLoop.makePromise()
        lastWrite = sent.futureResult
        unsent += 1
        lastProgress = context.eventLoop.now
        if progressCheck == nil { checkProgress(after: requestTimeout, context) }
        sent.futureResult.assumeIsolated().whenComplete { _ in
            self.unsent -= 1
            self.lastProgress = context.eventLoop.now
        }
        context.write(wrapOutboundOut(part), promise: sent)
    }

    /// Lets go of who reads nothing for as long as a request may take. An answer as a whole may take longer.
    private func checkProgress(after time: TimeAmount, _ context: ChannelHandlerContext) {
        progressCheck = later(time, context) { handler, context in
            handler.progressCheck = nil
            guard handler.unsent > 0 else { return }
            let left = handler.lastProgress + handler.requestTimeout - context.eventLoop.now
            if left > .zero { handler.checkProgress(after: left, context) } else { context.close(promise: nil) }
        }
    }

    private func answered(_ context: ChannelHandlerContext) {
        if isReading, answersDue == 0 {
            lingering = RequestFraming.drainLimit
            schedule(Self.lingerTime, context) { $1.close(promise: nil) }
        }
        if refusal != nil { return refuseInTurn(context) }
        if isLast || isEnding, answersDue == 0 { finish(context) }
    }

    /// The layers above end a connection where they know of no more to say; how it ends is decided here. What is on its
    /// way to the client is nothing they know of.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if !isClosing, mode == .output || (mode == .all && unsent > 0) { finish(context) }
        guard isClosing, mode != .input else { return context.close(mode: mode, promise: promise) }
        context.channel.closeFuture.cascade(to: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isOver { return }
        if let refused = error as? FramingGuard.Refused { return refuse(refused.answer, context) }
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        refuse(error == .headerOverflow ? RequestFraming.headerTooLarge : RequestFraming.malformed, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { inputEnded(context) }
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        isEnding = true
        if answersDue > 0 {
            tellEnd(context)
        } else {
            lastCall = later(DrainDeadline.lastCall, context) { $0.tellEnd($1) }
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

    /// Answers in place of the layer above what goes no further, and ends the connection; nothing behind it counts.
    private func refuse(_ answer: WebAnswer, _ context: ChannelHandlerContext) {
        if isOver { return }
        refusal = (answer, isReading)
        deadline?.cancel()
        // Nobody above may take what there is for a request.
        inputEnded(context)
        refuseInTurn(context)
    }

    /// Requests that came before are answered first; one that was answered early gets no second answer.
    private func refuseInTurn(_ context: ChannelHandlerContext) {
        guard let refusal, !isAnswering else { return }
        let own = refusal.isOfRequestUnderWay ? 1 : 0
        guard answersDue <= own else { return }
        if answersDue == own {
            var fields = refusal.answer.fields
            fields[.connection] = AnswerWriter.Connection.ends.option
            fields[.contentLength] = String(refusal.answer.body.count)
            let head = HTTPResponse(status: .init(code: refusal.answer.status), headerFields: fields)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            send(.body(ByteBuffer(bytes: refusal.answer.body)), nil, context)
            send(.end(nil), nil, context)
        }
        finish(context)
    }

    /// Says no more, and gives the client time to read what was said: as long as it reads, and a little patience once it
    /// is sent.
    private func finish(_ context: ChannelHandlerContext) {
        isClosing = true
        deadline?.cancel()
        context.flush()
        // Not before: where the client has ended its side, the end of this one closes the socket and forgets what waits.
        let written = lastWrite ?? context.eventLoop.makeSucceededVoidFuture()
        written.assumeIsolated().whenComplete { _ in
            guard context.channel.isActive else { return }
            self.schedule(Self.lingerTime, context) { $1.close(promise: nil) }
            context.close(mode: .output, promise: nil)
        }
    }

    private func schedule(
        _ time: TimeAmount, _ context: ChannelHandlerContext,
        _ action: @escaping (ConnectionGuard, ChannelHandlerContext) -> Void
    ) {
        deadline?.cancel()
        deadline = later(time, context, action)
    }

    private func later(
        _ time: TimeAmount, _ context: ChannelHandlerContext,
        _ action: @escaping (ConnectionGuard, ChannelHandlerContext) -> Void
    ) -> Scheduled<Void> {
        context.eventLoop.assumeIsolated().scheduleTask(in: time) { action(self, context) }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
