// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection to the public side, on its event loop from the first octet to the last: requests
// one after another, their bodies within limits, each answered before the next is looked at. What
// a client sends ahead waits, and it is read no further. The octets of requests are read by the
// decoder before this handler; answers leave it as octets.

import HookModel
import NIOCore
import NIOHTTP1

final class HookConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// idle -> collecting -> waiting -> idle. With an answer that comes before the end of its request: idle or
    /// collecting -> skipping -> idle. From everywhere -> closing -> closed.
    enum Phase: Equatable {
        /// Between requests, or inside of a header.
        case idle
        /// A body comes.
        case collecting
        /// The request is complete and its answer is to come.
        case waiting
        /// The answer was given; the rest of the request is still taken, to a limit.
        case skipping
        /// The last answer was given, the other side may read it.
        case closing
        case closed
    }

    enum Input {
        case part(HTTPServerRequestPart)
        case malformed(isTooLarge: Bool)
        /// The client says no more.
        case end
    }

    let site: HookSite
    private let limits: WebLimits
    var context: ChannelHandlerContext?
    var phase = Phase.idle
    /// What came while an answer was waited for.
    var inputs = CircularBuffer<Input>()
    /// Somebody wanted to read while there was enough.
    private var hasHeldRead = false
    var isHandling = false
    var needsFlush = false
    var writer = AnswerWriter()
    /// There was an answer, which the client may be reading still.
    var hasAnswered = false

    /// The place this connection has.
    private var place: String?
    var address = "unix"

    // The request in progress.
    var edge: HookEdge?
    var post: PendingPost?
    var entity: [UInt8] = []
    /// Octets of the body, where the header says.
    var announced: Int?
    var requestID: String?
    var isHead = false
    var connection = AnswerWriter.Connection.stays
    /// Octets of a body that came behind the answer.
    var unwanted = 0
    /// Tells its answer from a late one of a request before.
    var number = 0

    /// Ends a body that does not come, or the reading of one that nobody wants.
    private var deadline: Scheduled<Void>?
    private var lastActivity = NIODeadline.uptimeNanoseconds(0)
    private var idleCheck: Scheduled<Void>?
    /// The listener stops: the connection ends with the request in progress, or the one that comes at this moment.
    var isEnding = false
    private var lastCall: Scheduled<Void>?

    /// How long what a client goes on sending after it was answered is still read, for its sake (`RequestFraming.drainLimit`).
    static let lingerTime = TimeAmount.seconds(2)
    /// Parts of requests that may wait; then nothing more is read.
    private static let inputLimit = 8

    init(site: HookSite) {
        self.site = site
        limits = site.current.limits
    }

    // MARK: - Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(.part(unwrapInboundIn(data))) }

    /// A request that came in one piece needs no clock.
    func channelReadComplete(context: ChannelHandlerContext) {
        flush()
        if deadline == nil {
            switch phase {
            case .collecting: schedule(TimeAmount(limits.requestTimeout)) { $0.refuse(.refusal(.timedOut)) }
            case .skipping: schedule(Self.lingerTime) { $0.close() }
            case .idle, .waiting, .closing, .closed: break
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError {
            take(.malformed(isTooLarge: error == .headerOverflow))
            flush()
        } else if phase != .closing, !(error is ByteToMessageDecoderError) {
            // Not for what comes behind octets that could not be read: answers may be due.
            close()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { return take(.end) }
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        guard !isEnding, phase != .closed else { return }
        isEnding = true
        callLast()
    }

    /// Ends the connection once nothing is in progress. It lasts until `DrainDeadline` at most.
    private func callLast() {
        lastCall = later(DrainDeadline.lastCall) { handler in
            if handler.phase == .idle, handler.inputs.isEmpty { handler.finishOutput() } else { handler.callLast() }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            proceed()
            flush()
        }
        context.fireChannelWritabilityChanged()
    }

    /// Whoever sends more than is answered, or does not read its answers, is not read either.
    func read(context: ChannelHandlerContext) {
        if inputs.count >= Self.inputLimit || !context.channel.isWritable {
            hasHeldRead = true
        } else {
            context.read()
        }
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard place == nil, phase == .idle else { return }
        address = context.channel.remoteAddress?.ipAddress ?? "unix"
        guard site.places.take(address) else {
            phase = .closed
            return context.close(promise: nil)
        }
        place = address
        touch()
        checkIdle(after: TimeAmount(limits.idleTimeout))
    }

    private func ended() {
        phase = .closed
        if let place { site.places.release(place) }
        place = nil
        inputs.removeAll()
        forgetRequest()
        for timer in [deadline, idleCheck, lastCall] { timer?.cancel() }
        (deadline, idleCheck, lastCall) = (nil, nil, nil)
    }

    // MARK: - Input

    private func take(_ input: Input) {
        if phase == .waiting || isHandling || !inputs.isEmpty || context?.channel.isWritable == false {
            if phase != .closed, phase != .closing { inputs.append(input) }
        } else {
            handle(input)
            proceed()
        }
    }

    /// Goes on with what waits, as far as that is possible.
    func proceed() {
        guard !isHandling, let channel = context?.channel else { return }
        while phase != .waiting, channel.isWritable, let input = inputs.popFirst() { handle(input) }
        if hasHeldRead, inputs.count < Self.inputLimit, channel.isWritable {
            hasHeldRead = false
            context?.read()
        }
    }

    private func handle(_ input: Input) {
        isHandling = true
        defer { isHandling = false }
        switch (input, phase) {
        case (_, .closed), (_, .waiting): break
        case (.part(.body(let buffer)), .skipping), (.part(.body(let buffer)), .closing):
            unwanted += buffer.readableBytes
            // What comes after an answer is of no interest to anybody.
            if unwanted > RequestFraming.drainLimit { close() }
        case (_, .closing): break
        case (.end, .idle), (.end, .collecting), (.end, .skipping): finishOutput()
        case (.malformed(let isTooLarge), _): refuse(isTooLarge ? RequestFraming.headerTooLarge : RequestFraming.malformed)
        case (.part(.head(let head)), _): begin(head)
        case (.part(.body(let buffer)), .collecting): collect(buffer)
        case (.part(.end), .collecting): receive()
        case (.part(.end), .skipping):
            cancelDeadline()
            forgetRequest()
            finishAnswer()
        case (.part(.body), .idle), (.part(.end), .idle): break
        }
    }

    // MARK: - Time

    func touch() {
        if let context { lastActivity = context.eventLoop.now }
    }

    private func checkIdle(after time: TimeAmount) {
        idleCheck = later(time) { handler in
            let limit = TimeAmount(handler.limits.idleTimeout)
            let end = handler.lastActivity + limit
            guard let now = handler.context?.eventLoop.now else { return }
            if handler.phase != .waiting, end <= now {
                handler.phase == .collecting ? handler.refuse(.refusal(.timedOut)) : handler.close()
            } else {
                handler.checkIdle(after: end <= now ? limit : end - now)
            }
        }
    }

    func schedule(_ time: TimeAmount, _ action: @escaping (HookConnection) -> Void) {
        deadline?.cancel()
        deadline = later(time, action)
    }

    func cancelDeadline() {
        deadline?.cancel()
        deadline = nil
    }

    private func later(_ time: TimeAmount, _ action: @escaping (HookConnection) -> Void) -> Scheduled<Void>? {
        context?.eventLoop.assumeIsolated().scheduleTask(in: time) { action(self) }
    }
}

@available(*, unavailable)
extension HookConnection: Sendable {}
