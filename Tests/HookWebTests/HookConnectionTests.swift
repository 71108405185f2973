// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A connection to the public side without a socket: what a client sends in which pieces, and what
// it is answered. The client is no friend.

import HookModel
import HTTPTypes
import JSONLD
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import HookWeb

/// Keeps posts, and answers them at once or when it is told to.
final class Desk: PostReceiver {
    private let posts = Mutex<[ReceivedPost]>([])
    private let waiting = Mutex<[@Sendable () -> Void]>([])
    private let isPrompt: Bool
    private let outcome: Outcome

    init(isPrompt: Bool = true, outcome: Outcome = .accepted) {
        self.isPrompt = isPrompt
        self.outcome = outcome
    }

    func receive(_ post: ReceivedPost, completion: @escaping @Sendable (PostReception) -> Void) {
        let outcome = outcome
        let number = posts.withLock { posts in
            posts.append(post)
            return posts.count
        }
        let answer: @Sendable () -> Void = { completion(PostReception(answer: outcome, eventID: "evt_\(number)")) }
        if isPrompt { answer() } else { waiting.withLock { $0.append(answer) } }
    }

    /// The posts' entities as text.
    var entities: [String] { posts.withLock { $0.map { String(decoding: $0.message.bytes, as: UTF8.self) } } }

    func answerNext() {
        let next = waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        next?()
    }
}

/// What an embedded channel lacks of a socket: each side ends on its own, and writes may wait. Counts what is read.
final class Wire: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private(set) var reads = 0
    private(set) var hasOutputEnded = false
    private var hasInputEnded = false
    /// What is written waits, as when the client does not read it.
    private var isStuck = false
    private var waiting: [(data: NIOAny, promise: EventLoopPromise<Void>?)] = []
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func stick() { isStuck = true }

    /// So many writes go on, or all that wait and those to come.
    func release(_ count: Int? = nil) {
        if count == nil { isStuck = false }
        let released = waiting.prefix(count ?? waiting.count)
        waiting.removeFirst(released.count)
        for (data, promise) in released { context?.write(data, promise: promise) }
        context?.flush()
    }

    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isStuck { waiting.append((data, promise)) } else { context.write(data, promise: promise) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { hasInputEnded = true }
        context.fireUserInboundEventTriggered(event)
    }

    /// The end of the second side closes the socket, and what waits is lost.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output { hasOutputEnded = true }
        if mode == .output, !hasInputEnded {
            promise?.succeed(())
            return
        }
        for write in waiting { write.promise?.fail(ChannelError.ioOnClosedChannel) }
        waiting = []
        context.close(promise: promise)
    }
}

/// One connection to a site with the hooks of `Fixture`.
final class Client {
    let channel = EmbeddedChannel()
    let site: HookSite
    let desk: Desk
    let wire = Wire()

    static let limits = WebLimits(
        connections: 3, connectionsPerPeer: 3, bodySize: 100, headerFieldSize: 200, headerSize: 1000, headerFields: 10,
        idleTimeout: .seconds(10), requestTimeout: .seconds(4))

    static func site(_ desk: Desk) -> HookSite {
        let directory = HookDirectory(hooks: Fixture.hooks, domains: ["hooks.example"])
        let endpoint = HookEndpoint(
            directory: { directory }, receiver: desk, authorizer: TwoKeys(), organization: "org1",
            bodySize: limits.bodySize, hookLimiter: RateLimiter(limit: nil), peerLimiter: RateLimiter(limit: nil),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return HookSite(
            HookEdge(endpoint: endpoint, limits: limits, isTrustedProxy: { _ in false }, now: { Fixture.now }))
    }

    init(_ desk: Desk = Desk(), site: HookSite? = nil) throws {
        self.desk = desk
        self.site = site ?? Self.site(desk)
        try channel.pipeline.syncOperations.addHandlers(wire, DrainDeadline(.seconds(3)))
        _ = try self.site.open(channel).wait()
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
    }

    /// Parts that come one by one.
    func send(_ octets: some Collection<UInt8>) {
        guard channel.isActive else { return }
        // Errors of the decoder come back here too; what was answered is looked at.
        _ = try? channel.writeInbound(ByteBuffer(bytes: octets))
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func advance(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    func advance(milliseconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .milliseconds(milliseconds)) }

    /// The listener stops.
    func quiesce() { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }

    /// Everything that was answered since the last time.
    func answers() -> String {
        var text = ""
        while let buffer = try? channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
        return text
    }

    func statuses() -> [Int] { Self.statuses(answers()) }

    static func statuses(_ text: String) -> [Int] {
        text.ranges(of: "HTTP/1.1 ").compactMap { Int(text[$0.upperBound...].prefix(3)) }
    }

    /// Whether one more read is asked for where the last one has ended.
    func wantsMore() -> Bool {
        let before = wire.reads
        channel.read()
        return wire.reads > before
    }

    var isOpen: Bool { channel.isActive }
}

enum Requests {
    static func post(_ body: String, _ fields: String = "", path: String = "/v1/hooks/form/tokform") -> String {
        "POST \(path) HTTP/1.1\r\nHost: x\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    static let chunked =
        "POST /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\na=1\r\n2\r\n&b\r\n0\r\nX: y\r\n\r\n"
}

@Suite struct HookConnectionTests {
    /// Two at once, one for nobody, one that is too large, one without a body, and one more.
    private static let stream =
        Requests.post(#"{"n":1}"#, "Content-Type: application/json\r\n") + Requests.chunked
        + Requests.post("who", path: "/v1/hooks/form/nobody") + Requests.post(String(repeating: "x", count: 101))
        + "GET /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\n\r\n" + Requests.post("last")

    private static let entities = [
        "Content-Type: application/json\r\n\r\n{\"n\":1}", "\r\na=1&b", "\r\nlast",
    ]
    private static let statuses = [202, 202, 404, 413, 405, 202]

    @Test func everySplitGivesTheSame() throws {
        let octets = Array(Self.stream.utf8)
        for split in 0...octets.count {
            let client = try Client()
            client.send(octets[..<split])
            client.send(octets[split...])
            #expect(client.statuses() == Self.statuses, "\(split)")
            #expect(client.desk.entities == Self.entities, "\(split)")
            #expect(client.isOpen)
        }
    }

    @Test func octetByOctet() throws {
        let client = try Client()
        for octet in Self.stream.utf8 { client.send(CollectionOfOne(octet)) }
        #expect(client.statuses() == Self.statuses)
        #expect(client.desk.entities == Self.entities)
    }

    /// The same while answers take their time: one after the other, in order.
    @Test func postsSentAheadWait() throws {
        let client = try Client(Desk(isPrompt: false))
        client.send(Self.stream)
        #expect(client.statuses().isEmpty && client.desk.entities.count == 1)
        client.desk.answerNext()
        #expect(client.statuses() == [202] && client.desk.entities.count == 2)
        client.desk.answerNext()
        #expect(client.statuses() == [202, 404, 413, 405] && client.desk.entities.count == 3)
        client.desk.answerNext()
        #expect(client.statuses() == [202] && client.isOpen)
    }

    /// Posts before octets that are no request are answered, also when more such octets come.
    @Test func whatIsNoRequestWaitsForItsTurn() throws {
        let client = try Client(Desk(isPrompt: false))
        client.send(Requests.post("a") + "BAD\r\n\r\n")
        client.send("WORSE\r\n\r\n")
        #expect(client.isOpen && client.answers().isEmpty)
        client.desk.answerNext()
        #expect(client.statuses() == [202, 400] && client.wire.hasOutputEnded && client.isOpen)
        client.advance(3)
        #expect(!client.isOpen)
    }

    @Test func whoSendsTooMuchAheadIsNotRead() throws {
        let client = try Client(Desk(isPrompt: false))
        client.send(Requests.post("a"))
        #expect(client.wantsMore())
        client.send(String(repeating: Requests.post("b"), count: 4))
        #expect(!client.wantsMore())
        for _ in 0..<5 { client.desk.answerNext() }
        #expect(client.statuses() == [202, 202, 202, 202, 202])
        #expect(client.wantsMore())
    }

    @Test func whoDoesNotReadAnswersIsNotReadEither() throws {
        let client = try Client()
        client.channel.isWritable = false
        client.send(String(repeating: Requests.post("b"), count: 4))
        #expect(!client.wantsMore())
        #expect(client.desk.entities.count <= 1)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        #expect(client.desk.entities.count == 4 && client.wantsMore())
        #expect(client.statuses() == [202, 202, 202, 202])
        client.channel.isWritable = false
        client.advance(11)
        #expect(!client.isOpen)
    }

    @Test func whatIsPromisedIsTold() throws {
        let client = try Client()
        client.send(Requests.post("a"))
        let answer = client.answers()
        #expect(answer.hasPrefix("HTTP/1.1 202 Accepted\r\n"))
        for field in [
            "Date: Fri, 15 Jan 2027 08:00:00 GMT", "Content-Type: application/json", "Access-Control-Allow-Origin: *",
            "Content-Length: 85",
        ] {
            #expect(answer.contains("\r\n\(field)\r\n"), "\(field) in \(answer)")
        }
        #expect(answer.contains("\r\nX-Request-Id: req_") && !answer.contains("Connection:"))
        #expect(answer.hasSuffix(#"{"data":{"id":"evt_1","type":"hook_transaction","links":{"self":"/v1/events/evt_1"}}}"#))
    }

    @Test func aLateAnswerIsForNobody() throws {
        let client = try Client(Desk(isPrompt: false))
        client.send(Requests.post("a"))
        _ = try client.channel.finish(acceptAlreadyClosed: true)
        client.desk.answerNext()
        #expect(client.answers().isEmpty && client.desk.entities.count == 1)
    }

    @Test func placesAreGivenBack() throws {
        let desk = Desk()
        let site = Client.site(desk)
        var clients = try (0..<4).map { _ in try Client(desk, site: site) }
        #expect(clients.map(\.isOpen) == [true, true, true, false])
        _ = try clients.removeFirst().channel.finish()
        #expect(try Client(desk, site: site).isOpen)
        #expect(try !Client(desk, site: site).isOpen)
    }

    // MARK: - How connections end

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false), ("HTTP/1.1", "Connection: a, Close\r\n", false),
        ("HTTP/1.1", "Connection: a\r\nConnection: close\r\n", false), ("HTTP/1.1", "Connection: closed\r\n", true),
        ("HTTP/1.1", "Connection: cl ose\r\n", true), ("HTTP/1.1", "Connection: a,,\tclose \r\n", false),
        ("HTTP/1.0", "", false), ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
    ])
    func connectionsStayOrEnd(version: String, fields: String, stays: Bool) throws {
        let client = try Client()
        let request = "POST /v1/hooks/form/tokform \(version)\r\nHost: x\r\n\(fields)Content-Length: 1\r\n\r\na"
        client.send(request + request)
        let answers = client.answers()
        #expect(Client.statuses(answers) == (stays ? [202, 202] : [202]))
        #expect(answers.contains("Connection: close\r\n") == !stays)
        #expect(answers.contains("Connection: keep-alive\r\n") == (stays && version == "HTTP/1.0"))
        // The server says that it has said everything, and does not wait for the client to end the connection.
        #expect(client.wire.hasOutputEnded == !stays && client.isOpen)
        client.advance(1)
        #expect(client.isOpen)
        client.advance(2)
        #expect(client.isOpen == stays)
    }

    /// Half a body is none, however its end is told.
    @Test(arguments: ["Content-Length: 20\r\n\r\na=1", "Transfer-Encoding: chunked\r\n\r\n5\r\na=1", "X: y"])
    func truncatedRequests(rest: String) throws {
        let client = try Client()
        client.send(Requests.post("whole") + "POST /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\n\(rest)")
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(client.desk.entities == ["\r\nwhole"])
        #expect(!client.statuses().dropFirst().contains(202))
        client.advance(3)
        #expect(!client.isOpen)
    }

    /// A client that says no more is still answered.
    @Test func halfClosedConnectionsAreAnswered() throws {
        let client = try Client(Desk(isPrompt: false))
        client.send(Requests.post("a"))
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(client.isOpen)
        client.desk.answerNext()
        #expect(client.statuses() == [202])
        #expect(!client.isOpen)
    }

    /// A client that says no more and is slow to read gets every answer, and one that does not read is let go.
    @Test(arguments: [true, false]) func whatIsNotWrittenYetOutlastsTheInput(isRead: Bool) throws {
        let client = try Client()
        client.wire.stick()
        client.send(Requests.post("a") + Requests.post("b"))
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        client.advance(9)
        #expect(client.isOpen && client.answers().isEmpty)
        if isRead { client.wire.release() } else { client.advance(2) }
        #expect(client.statuses() == (isRead ? [202, 202] : []) && !client.isOpen)
    }

    @Test func slowBodiesAndSilenceEnd() throws {
        let slow = try Client()
        slow.send("POST /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        for _ in 0..<3 {
            slow.advance(1)
            slow.send("a")
        }
        #expect(slow.statuses().isEmpty)
        slow.advance(2)
        #expect(slow.statuses() == [408])
        slow.advance(3)
        #expect(!slow.isOpen)

        let header = try Client()
        for octet in "POST /v1/".utf8 {
            header.advance(1)
            header.send(CollectionOfOne(octet))
        }
        #expect(header.isOpen)
        header.advance(2)
        #expect(!header.isOpen && header.answers().isEmpty)

        // Whoever waits for an answer is not silent.
        let waiting = try Client(Desk(isPrompt: false))
        waiting.send(Requests.post("a"))
        waiting.advance(30)
        #expect(waiting.isOpen)
        waiting.desk.answerNext()
        #expect(waiting.statuses() == [202])
        waiting.advance(9)
        #expect(waiting.isOpen)
        waiting.advance(31)
        #expect(!waiting.isOpen)
    }

    @Test func anEarlyAnswerIsFollowedByALittlePatience() throws {
        let client = try Client()
        client.send("POST /v1/hooks/form/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc")
        #expect(client.statuses() == [404] && client.isOpen)
        client.advance(1)
        #expect(client.isOpen)
        client.advance(2)
        #expect(!client.isOpen)

        let endless = try Client()
        endless.send("POST /v1/hooks/form/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        #expect(endless.answers().contains("\r\nConnection: close\r\n") && endless.wire.hasOutputEnded)
        let piece = [UInt8](repeating: 0, count: 1 << 20)
        for _ in 0..<4 { endless.send(piece) }
        #expect(endless.isOpen)
        endless.send(piece)
        #expect(!endless.isOpen)
    }

    /// The server's side ends behind the last answer also while a body comes still, which is taken for a little while.
    @Test(arguments: ["", "Connection: close\r\n"]) func theRestOfABodyMayComeBehindTheEnd(fields: String) throws {
        let client = try Client()
        client.send("POST /v1/hooks/form/nobody HTTP/1.1\r\nHost: x\r\n\(fields)Content-Length: 9\r\n\r\nabc")
        let ends = !fields.isEmpty
        #expect(client.statuses() == [404] && client.wire.hasOutputEnded == ends)
        client.advance(1)
        client.send("defghi" + Requests.post("next"))
        #expect(client.isOpen && client.statuses() == (ends ? [] : [202]))
        client.advance(2)
        #expect(client.isOpen == !ends)
    }

    /// In a handshake nothing can be written, and nothing was: there is no reason to wait.
    @Test func theEndDoesNotWaitForWhoHasAskedNothing() throws {
        let client = try Client()
        client.wire.stick()
        client.quiesce()
        client.advance(milliseconds: 200)
        #expect(client.isOpen)
        client.advance(milliseconds: 100)
        #expect(!client.isOpen)
    }

    /// Who does not read answers has the time that a request in progress has.
    @Test(arguments: ["answered", "half-closed", "sent ahead"]) func theEndWaitsForNobodyForLong(_ way: String) throws {
        let client = try Client()
        if way == "sent ahead" { client.channel.isWritable = false } else { client.wire.stick() }
        client.send(String(repeating: Requests.post("a"), count: 4))
        if way == "half-closed" { client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        client.quiesce()
        client.advance(milliseconds: 2_900)
        #expect(client.isOpen)
        client.advance(milliseconds: 200)
        #expect(!client.isOpen)
    }

    /// An answer that was given before the listener stops does not say that it is the last.
    @Test func theEndComesBehindTheRestOfABody() throws {
        let client = try Client()
        client.send("POST /v1/hooks/form/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        client.quiesce()
        client.advance(1)
        #expect(client.statuses() == [404] && !client.wire.hasOutputEnded)
        client.send("def")
        client.advance(milliseconds: 300)
        #expect(client.wire.hasOutputEnded && client.isOpen)
    }

    @Test func stopping() throws {
        let idle = try Client()
        idle.quiesce()
        idle.send(Requests.post("at the last moment"))
        #expect(idle.answers().contains("\r\nConnection: close\r\n"))
        idle.advance(3)
        #expect(!idle.isOpen)

        let silent = try Client()
        silent.quiesce()
        silent.advance(3)
        #expect(!silent.isOpen && silent.answers().isEmpty)

        let busy = try Client(Desk(isPrompt: false))
        busy.send(Requests.post("a"))
        busy.quiesce()
        busy.advance(1)
        busy.desk.answerNext()
        #expect(busy.answers().contains("\r\nConnection: close\r\n"))

        let late = try Client()
        late.send("POST /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        late.quiesce()
        late.advance(2)
        #expect(late.isOpen)
        late.advance(2)
        #expect(!late.isOpen && late.desk.entities.isEmpty)
    }

    @Test(arguments: [
        ("100-continue", true, [100, 202]), ("100-Continue", true, [100, 202]), ("100-continue ", true, [100, 202]),
        ("other", true, [202]), ("100-continue", false, [404]),
    ])
    func continues(expectation: String, isKnown: Bool, statuses: [Int]) throws {
        let client = try Client()
        let path = isKnown ? "tokform" : "nobody"
        client.send("POST /v1/hooks/form/\(path) HTTP/1.1\r\nHost: x\r\nExpect: \(expectation)\r\nContent-Length: 1\r\n\r\n")
        let first = client.statuses()
        client.send("a")
        #expect(first + client.statuses() == statuses)
        if statuses.count == 2 { #expect(first == [100]) }
    }

    /// Who was refused before it sent the body it announced may send it or not: what comes then is no request.
    @Test(arguments: [
        (413, "POST /v1/hooks/form/tokform", "Content-Length: 101"), (404, "POST /v1/hooks/form/nobody", "Content-Length: 9"),
        (404, "POST /v1/hooks/form/nobody", "Transfer-Encoding: chunked"), (405, "PUT /v1/hooks/form/tokform", "Content-Length: 9"),
        (401, "POST /v1/hooks/web/tokweb", "Content-Length: 9"),
        (415, "POST /v1/hooks/form/tokform", "Content-Encoding: gzip\r\nContent-Length: 9"),
    ])
    func whoWaitsForAWordAndGetsAnotherIsDone(status: Int, line: String, fields: String) throws {
        let client = try Client()
        client.send("\(line) HTTP/1.1\r\nHost: x\r\nExpect: 100-continue \t\r\n\(fields)\r\n\r\n")
        let answer = client.answers()
        #expect(Client.statuses(answer) == [status] && answer.contains("\r\nConnection: close\r\n"))
        client.send(String(repeating: "x", count: 101))
        client.send(Requests.post("a"))
        #expect(client.answers().isEmpty && client.desk.entities.isEmpty)
        client.advance(3)
        #expect(!client.isOpen)
    }

    /// RFC 9110 section 5.5.
    @Test func blanksBehindAValueAreNoPartOfIt() throws {
        let client = try Client()
        client.send(Requests.post("a", "Authorization: Bearer sender \t\r\n", path: "/v1/hooks/web/tokweb"))
        #expect(client.statuses() == [202])
    }

    @Test func whoWaitsForAWordWithoutABodyGoesOn() throws {
        let client = try Client()
        client.send("GET /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n" + Requests.post("a"))
        #expect(client.statuses() == [405, 202])
    }

    @Test func headHasNoBody() throws {
        let client = try Client()
        client.send("HEAD /v1/hooks/form/tokform HTTP/1.1\r\nHost: x\r\n\r\n" + Requests.post("a"))
        let answers = client.answers().components(separatedBy: "\r\n\r\n")
        #expect(answers[0].hasPrefix("HTTP/1.1 405 ") && answers[0].contains("\r\nContent-Length: "))
        #expect(answers[1].hasPrefix("HTTP/1.1 202 "))
    }

    @Test(arguments: [(Outcome.storeFull, "60"), (.storeFailed, "10"), (.hookPaused, "60"), (.jsonInvalid, nil)] as [(Outcome, String?)])
    func whoCanComeBackIsToldWhen(outcome: Outcome, seconds: String?) throws {
        let client = try Client(Desk(outcome: outcome))
        client.send(Requests.post("a"))
        let answer = client.answers()
        #expect(Client.statuses(answer) == [outcome.httpStatus])
        #expect(answer.contains("\r\nRetry-After: \(seconds ?? "")") == (seconds != nil))
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
