// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection to the public side, on its event loop from the first octet to the last: requests
// one after another, their bodies within limits, each answered before the next is looked at. What
// a client sends ahead waits, and it is read no further. The octets of requests are read by the
// decoder before this handler; answers leave it as octets.

import HookModel
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOPosix

final class HookConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// idle -> collecting -> waiting -> idle. With an answer that comes before the end of its request: idle or
    /// collecting -> skipping -> idle. From everywhere -> closing -> closed.
    private enum Phase: Equatable {
        /// Between requests, or inside of a header.
        case idle
        /// A body comes.
        case collecting
        /// The request is complete and its answer is to come.
        case waiting
        /// The answer was given; so many octets of the rest of the request are still taken.
        case skipping(left: Int)
        /// The last answer was given, the other side may read it.
        case closing
        case closed
    }

    private enum Input {
        case part(HTTPServerRequestPart)
        case malformed(isTooLarge: Bool)
        /// The client says no more.
        case end
    }

    private let site: HookSite
    private let limits: WebLimits
    private let drainTime: TimeAmount
    private var context: ChannelHandlerContext?
    private var phase = Phase.idle
    /// What came while an answer was waited for.
    private var inputs = CircularBuffer<Input>()
    /// Somebody wanted to read while there was enough.
    private var hasHeldRead = false
    private var isHandling = false
    private var needsFlush = false
    private var writer = AnswerWriter()

    /// The place this connection has.
    private var place: String?
    private var address = "unix"

    // The request in progress.
    private var edge: HookEdge?
    private var post: PendingPost?
    private var entity: [UInt8] = []
    /// Octets of the body, where the header says.
    private var announced: Int?
    private var requestID: String?
    private var isHead = false
    private var connection = AnswerWriter.Connection.stays
    /// Tells its answer from a late one of a request before.
    private var number = 0

    /// Ends a body that does not come, or the reading of one that nobody wants.
    private var deadline: Scheduled<Void>?
    private var lastActivity = NIODeadline.uptimeNanoseconds(0)
    private var idleCheck: Scheduled<Void>?
    /// The listener stops: the connection ends with the request in progress, or the one that comes at this moment.
    private var isEnding = false
    private var drainDeadline: Scheduled<Void>?

    /// How long what a client goes on sending after it was answered is still read, for its sake (`RequestFraming.drainLimit`).
    private static let lingerTime = TimeAmount.seconds(2)
    /// A client that sends a request just when the listener stops did nothing wrong: what comes within this time is
    /// still answered.
    private static let lastCall = TimeAmount.milliseconds(250)
    /// Parts of requests that may wait; then nothing more is read.
    private static let inputLimit = 8
    /// Octets of a post that is read on the event loop; larger ones would hold up other connections.
    private static let inlineSize = 64 << 10

    init(site: HookSite) {
        self.site = site
        limits = site.current.limits
        drainTime = site.drainTime
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
        } else if phase != .closing {
            close()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { return take(.end) }
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        guard !isEnding, phase != .closed else { return }
        isEnding = true
        let isIdle = phase == .idle && inputs.isEmpty
        let after = isIdle ? Self.lastCall : drainTime
        drainDeadline = later(after) { handler in
            if handler.phase == .idle { return handler.finishOutput() }
            if !isIdle { return handler.close() }
            handler.drainDeadline = handler.later(handler.drainTime) { $0.close() }
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
        for timer in [deadline, idleCheck, drainDeadline] { timer?.cancel() }
        (deadline, idleCheck, drainDeadline) = (nil, nil, nil)
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
    private func proceed() {
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
        case (.end, .closing), (.end, .idle), (.end, .collecting), (.end, .skipping): close()
        case (_, .closing): break
        case (.malformed(let isTooLarge), _): refuse(isTooLarge ? RequestFraming.headerTooLarge : RequestFraming.malformed)
        case (.part(.head(let head)), _): begin(head)
        case (.part(.body(let buffer)), .collecting): collect(buffer)
        case (.part(.body(let buffer)), .skipping(let left)):
            phase = .skipping(left: left - buffer.readableBytes)
            // What comes after an answer is of no interest to anybody.
            if left < buffer.readableBytes { close() }
        case (.part(.end), .collecting): receive()
        case (.part(.end), .skipping):
            cancelDeadline()
            forgetRequest()
            finishAnswer()
        case (.part(.body), .idle), (.part(.end), .idle): break
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        let edge = site.current
        let now = edge.now()
        touch()
        connection = Self.connection(head)
        if isEnding { connection = .ends }
        isHead = head.method == .HEAD
        let id = WebRequest.makeID()
        requestID = id
        guard let method = Self.method(head), Self.namesHost(head) else { return refuse(RequestFraming.malformed) }
        if let answer = RequestFraming.refusal(head) { return refuse(answer) }
        var request = WebRequest(
            method: method, target: head.uri, headers: head.headers, peer: address, id: id, receivedAt: now)
        if let forwarded = request[.forwardedFor] {
            request.peer = WebRequest.peer(address, forwarded: forwarded, isTrustedProxy: edge.isTrustedProxy)
        }
        self.edge = edge
        switch edge.endpoint.step(request) {
        case .answer(let answer): answerUnread(request, answer)
        case .body(let post): begin(post, edge, hearsInterim: head.version.minor > 0)
        }
    }

    private func begin(_ post: PendingPost, _ edge: HookEdge, hearsInterim: Bool) {
        let body = AnnouncedBody(post.request)
        announced = body.length
        if let announced, announced > post.limit { return answerUnread(post.request, edge.endpoint.tooLarge(post)) }
        // RFC 9110 section 10.1.1: in HTTP/1.0 there is no such word.
        if hearsInterim, body.isOnDemand, let context {
            var buffer = context.channel.allocator.buffer(capacity: 32)
            buffer.writeStaticString(AnswerWriter.proceed)
            context.write(wrapOutboundOut(buffer), promise: nil)
            needsFlush = true
        }
        entity = post.entityStart
        entity.reserveCapacity(entity.count + min(announced ?? 0, post.limit))
        self.post = post
        phase = .collecting
    }

    private func collect(_ buffer: ByteBuffer) {
        guard let post, let edge else { return }
        touch()
        guard entity.count - post.entityStart.count + buffer.readableBytes <= post.limit else {
            return answerEarly(edge.endpoint.tooLarge(post))
        }
        buffer.withUnsafeReadableBytes { entity.append(contentsOf: $0) }
    }

    private func receive() {
        guard let post, let edge, let context else { return }
        cancelDeadline()
        // Half a body never passes for a whole one.
        if let announced, entity.count - post.entityStart.count != announced { return close() }
        phase = .waiting
        number += 1
        let (number, eventLoop, octets) = (number, context.eventLoop, entity)
        entity = []
        self.post = nil
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let completion: @Sendable (WebAnswer) -> Void = { answer in
            if eventLoop.inEventLoop {
                bound.value.answered(number, answer)
            } else {
                eventLoop.execute { bound.value.answered(number, answer) }
            }
        }
        if octets.count <= Self.inlineSize {
            edge.endpoint.receive(post, octets, completion)
        } else {
            NIOThreadPool.singleton.submit { _ in edge.endpoint.receive(post, octets, completion) }
        }
    }

    // MARK: - Answers

    private func answered(_ number: Int, _ answer: WebAnswer) {
        guard number == self.number, phase == .waiting else { return }
        write(answer)
        forgetRequest()
        finishAnswer()
        proceed()
        // Inside of a read the end of the read flushes.
        if !isHandling { flush() }
    }

    /// Answers by the header alone. RFC 9112 sections 9.3 and 9.6: who will not read the body says that the connection ends.
    private func answerUnread(_ request: WebRequest, _ answer: WebAnswer) {
        let body = AnnouncedBody(request)
        if body.mayBeMissing { return refuse(answer) }
        if body.exceedsDrainLimit { connection = .ends }
        answerEarly(answer)
    }

    /// Answers before the request is read; its rest is not kept.
    private func answerEarly(_ answer: WebAnswer) {
        write(answer)
        cancelDeadline()
        phase = .skipping(left: RequestFraming.drainLimit)
        entity = []
        post = nil
    }

    /// The answer is given and the request is read.
    private func finishAnswer() {
        phase = .idle
        if case .ends = connection { finishOutput() }
    }

    /// Answers in place of the endpoint, if that has not, and ends the connection.
    private func refuse(_ answer: WebAnswer) {
        if phase == .idle || phase == .collecting {
            connection = .ends
            write(answer)
        }
        finishOutput()
        flush()
    }

    private func write(_ answer: WebAnswer) {
        guard let context else { return }
        touch()
        if isEnding { connection = .ends }
        var buffer = context.channel.allocator.buffer(capacity: 512 + answer.body.count)
        writer.write(
            answer, id: requestID, hasBody: !isHead, connection, now: (edge ?? site.current).now(), to: &buffer)
        context.write(wrapOutboundOut(buffer), promise: nil)
        needsFlush = true
    }

    private func flush() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    private func forgetRequest() {
        entity = []
        post = nil
        edge = nil
        announced = nil
        requestID = nil
        isHead = false
    }

    /// Says no more, and gives the client time to read what was said.
    private func finishOutput() {
        guard phase != .closing, phase != .closed else { return }
        phase = .closing
        inputs.removeAll()
        forgetRequest()
        needsFlush = false
        context?.flush()
        context?.close(mode: .output, promise: nil)
        schedule(Self.lingerTime) { $0.close() }
    }

    private func close() {
        guard phase != .closed else { return }
        phase = .closed
        inputs.removeAll()
        needsFlush = false
        context?.flush()
        context?.close(promise: nil)
    }

    // MARK: - Time

    private func touch() {
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

    private func schedule(_ time: TimeAmount, _ action: @escaping (HookConnection) -> Void) {
        deadline?.cancel()
        deadline = later(time, action)
    }

    private func cancelDeadline() {
        deadline?.cancel()
        deadline = nil
    }

    private func later(_ time: TimeAmount, _ action: @escaping (HookConnection) -> Void) -> Scheduled<Void>? {
        context?.eventLoop.assumeIsolated().scheduleTask(in: time) { action(self) }
    }
}

@available(*, unavailable)
extension HookConnection: Sendable {}

extension HookConnection {
    /// nil for a request that cannot be followed: of another version, or for a tunnel.
    fileprivate static func method(_ head: HTTPRequestHead) -> HTTPRequest.Method? {
        guard head.version.major == 1, head.method != .CONNECT else { return nil }
        return head.method == .POST ? .post : HTTPRequest.Method(head.method.rawValue)
    }

    /// RFC 9112 section 3.2: exactly once.
    fileprivate static func namesHost(_ head: HTTPRequestHead) -> Bool {
        head.version.minor == 0
            || head.headers.count(where: { $0.name.utf8.count == 4 && $0.name.lowercased() == "host" }) == 1
    }

    /// RFC 9112 sections 9.3 and 9.6: options in any case of letters, perhaps among others.
    fileprivate static func connection(_ head: HTTPRequestHead) -> AnswerWriter.Connection {
        var saysKeepAlive = false
        for field in head.headers where field.name.utf8.count == 10 && field.name.lowercased() == "connection" {
            let options = field.value.lowercased().split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }
            // Nobody here speaks another protocol, and the decoder reads nothing behind a request for one.
            if options.contains("close") || options.contains("upgrade") { return .ends }
            if options.contains("keep-alive") { saysKeepAlive = true }
        }
        if head.version.minor > 0 { return .stays }
        return saysKeepAlive ? .staysForOld : .ends
    }
}
