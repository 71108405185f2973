// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The management side's guard without what stands around it: which answers end the connection, and which words in a
// request's header count.

import HookModel
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import Testing

@testable import HookWeb

/// A connection of which both the requests and what is above the guard are played by the test.
private final class Guarded {
    let channel = EmbeddedChannel()
    let wire = Wire()

    init() throws {
        let places = ConnectionPlaces(limit: 1, limitPerPeer: 1, isExempt: { _ in false })
        try channel.pipeline.syncOperations.addHandlers(
            wire, DrainDeadline(.seconds(3)), ConnectionGuard(places: places, requestTimeout: .seconds(4)))
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
    }

    func request(_ fields: HTTPFields = [:], isWhole: Bool = true) throws {
        var request = HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/v1/hooks/form")
        request.headerFields = fields
        try channel.writeInbound(HTTPRequestPart.head(request))
        if isWhole { try channel.writeInbound(HTTPRequestPart.end(nil)) }
    }

    func malformed() { channel.pipeline.fireErrorCaught(HTTPParserError.invalidMethod) }

    func endInput() { channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }

    /// The layer above answers the oldest request that has no answer.
    func answer(_ status: HTTPResponse.Status = .ok, bodySize: Int = 0) {
        channel.write(HTTPResponsePart.head(HTTPResponse(status: status)), promise: nil)
        if bodySize > 0 {
            channel.write(HTTPResponsePart.body(ByteBuffer(repeating: 0, count: bodySize)), promise: nil)
        }
        channel.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
    }

    /// Heads of answers since the last time: status, and what is said of the connection.
    func answers() throws -> [String] {
        var heads: [String] = []
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            if case .head(let head) = part { heads.append("\(head.status.code) \(head.headerFields[.connection] ?? "-")") }
        }
        return heads
    }

    /// Octets of the bodies of answers that were sent since the last time.
    func bodySize() throws -> Int {
        var size = 0
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            if case .body(let buffer) = part { size += buffer.readableBytes }
        }
        return size
    }

    /// Requests that went up to the layer above, as far as they did, since the last time.
    func parts() throws -> String {
        var parts = ""
        while let part = try channel.readInbound(as: HTTPRequestPart.self) {
            switch part {
            case .head: parts += "h"
            case .body: parts += "b"
            case .end: parts += "e"
            }
        }
        return parts
    }

    func advance(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    func advance(milliseconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .milliseconds(milliseconds)) }

    /// The listener stops.
    func quiesce() { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }

    var isOpen: Bool { channel.isActive }

    /// What the layer above was told of first since the last time.
    func error() -> (any Error)? {
        do {
            try channel.throwIfErrorCaught()
            return nil
        } catch {
            return error
        }
    }
}

@Suite struct ConnectionGuardTests {
    /// A client that was told to go on may send a body that nobody reads to its end all the same.
    @Test(arguments: [
        (length: 9, isToldToGoOn: false, ends: true), (length: 9, isToldToGoOn: true, ends: false),
        (length: RequestFraming.drainLimit + 1, isToldToGoOn: true, ends: true),
        (length: RequestFraming.drainLimit, isToldToGoOn: true, ends: false),
    ])
    func aWordInBetween(length: Int, isToldToGoOn: Bool, ends: Bool) throws {
        let connection = try Guarded()
        try connection.request([.expect: "100-continue", .contentLength: String(length)], isWhole: false)
        if isToldToGoOn {
            connection.channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)), promise: nil)
        }
        connection.answer(.contentTooLarge)
        #expect(try connection.answers() == (isToldToGoOn ? ["100 -"] : []) + ["413 \(ends ? "close" : "-")"])
        #expect(connection.wire.hasOutputEnded == ends)
    }

    // MARK: - How connections end

    /// The server ends its side behind the last answer, and the connection when the client had time to read it.
    @Test(arguments: [("close", true), ("keep-alive", false), (nil, false)] as [(String?, Bool)])
    func connectionsStayOrEnd(option: String?, ends: Bool) throws {
        let connection = try Guarded()
        for _ in 0..<2 { try connection.request(option.map { [.connection: $0] } ?? [:]) }
        #expect(try connection.parts() == (ends ? "he" : "hehe"))
        connection.answer()
        #expect(connection.wire.hasOutputEnded == ends && connection.isOpen)
        // What the layer above does about the end does not cut the time short.
        if ends { connection.channel.close(promise: nil) } else { connection.answer() }
        #expect(try connection.answers() == [String](repeating: "200 \(option ?? "-")", count: ends ? 1 : 2))
        connection.advance(1)
        #expect(connection.isOpen)
        connection.advance(2)
        #expect(connection.isOpen == !ends)
    }

    @Test func theLayerAboveEndsAConnectionThatIsSilent() throws {
        let connection = try Guarded()
        try connection.request()
        connection.answer()
        connection.channel.close(promise: nil)
        #expect(!connection.isOpen)
    }

    /// A client that says no more and is slow to read gets its answer, and one that does not read is let go.
    @Test(arguments: [true, false]) func whatIsNotWrittenYetOutlastsTheInput(isRead: Bool) throws {
        let connection = try Guarded()
        connection.wire.stick()
        try connection.request()
        connection.endInput()
        connection.answer()
        // The layer above has heard the end too.
        connection.channel.close(mode: .output, promise: nil)
        connection.channel.close(promise: nil)
        connection.advance(3)
        #expect(connection.isOpen)
        if isRead { connection.wire.release() } else { connection.advance(2) }
        #expect(try connection.answers() == (isRead ? ["200 -"] : []))
        #expect(!connection.isOpen)
    }

    /// However long an answer takes as a whole: the limit is for a client that reads nothing. What the layer above does
    /// about a connection that seems to be silent waits for the end of the answer.
    @Test(arguments: ["close", "kept", "silent", "half-closed"]) func whoReadsSlowlyGetsAllOfAnAnswer(_ way: String) throws {
        let connection = try Guarded()
        connection.wire.stick()
        try connection.request(way == "close" ? [.connection: "close"] : [:])
        if way == "half-closed" { connection.endInput() }
        let size = 4 * ConnectionGuard.pieceSize + 1
        connection.answer(bodySize: size)
        if way == "half-closed" { connection.channel.close(mode: .output, promise: nil) }
        // The head; five pieces follow, and the end.
        connection.wire.release(1)
        var sent = 0
        for _ in 0..<5 {
            connection.advance(3)
            if way == "silent" { connection.channel.close(promise: nil) }
            #expect(connection.isOpen && !connection.wire.hasOutputEnded)
            connection.wire.release(1)
            sent += try connection.bodySize()
        }
        #expect(sent == size)
        connection.wire.release()
        #expect(connection.wire.hasOutputEnded == (way != "kept") && connection.isOpen == (way != "half-closed"))
        connection.advance(3)
        #expect(connection.isOpen == (way == "kept"))
    }

    /// Though the answer began well, and the layer above does nothing about it.
    @Test(arguments: ["close", nil]) func whoStopsReadingIsLetGo(option: String?) throws {
        let connection = try Guarded()
        connection.wire.stick()
        try connection.request(option.map { [.connection: $0] } ?? [:])
        connection.answer(bodySize: 4 * ConnectionGuard.pieceSize)
        connection.advance(3)
        connection.wire.release(2)
        connection.advance(3)
        #expect(connection.isOpen)
        connection.advance(2)
        #expect(!connection.isOpen)
    }

    /// Neither a client that does not read nor a request that takes long holds up the end of the listener.
    @Test(arguments: ["answered", "kept", "late", "silent"]) func theEndOfTheListenerIsBounded(_ way: String) throws {
        let connection = try Guarded()
        if way == "answered" || way == "kept" {
            connection.wire.stick()
            try connection.request(way == "answered" ? [.connection: "close"] : [:])
            connection.answer()
        }
        connection.quiesce()
        if way == "late" { try connection.request() }
        connection.advance(milliseconds: 300)
        // By now the layer above was told; it knows of nothing in progress.
        if way == "kept" { connection.channel.close(promise: nil) }
        connection.advance(milliseconds: 2_600)
        #expect(connection.isOpen)
        connection.advance(milliseconds: 200)
        #expect(!connection.isOpen)
    }

    /// The layer above ends the connection behind its answer; a client that reads slowly gets all of it.
    @Test func anAnswerThatTheEndOfTheListenerMetIsReadToItsEnd() throws {
        let connection = try Guarded()
        connection.wire.stick()
        try connection.request()
        connection.channel.write(HTTPResponsePart.head(HTTPResponse(status: .ok)), promise: nil)
        connection.quiesce()
        connection.channel.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
        connection.channel.close(promise: nil)
        connection.advance(2)
        #expect(connection.isOpen)
    }

    // MARK: - Refusals

    /// Answers that are due come first, in order; then the refusal, then the end.
    @Test(arguments: [0, 1, 3], [true, false]) func aRefusalWaitsForItsTurn(before: Int, isUnderWay: Bool) throws {
        let connection = try Guarded()
        for _ in 0..<before { try connection.request() }
        if isUnderWay { try connection.request(isWhole: false) }
        connection.malformed()
        // What comes behind it.
        connection.channel.pipeline.fireErrorCaught(
            ByteToMessageDecoderError.dataReceivedInErrorState(HTTPParserError.invalidMethod, ByteBuffer()))
        let error = connection.error()
        #expect(isUnderWay ? error is RequestTruncated : error == nil)
        _ = try connection.parts()
        try connection.request()
        #expect(try connection.parts() == "")
        for number in 0..<before {
            #expect(try connection.answers() == (number == 0 ? [] : ["200 -"]) && !connection.wire.hasOutputEnded)
            connection.answer()
        }
        // Too late.
        connection.answer()
        #expect(try connection.answers() == (before == 0 ? [] : ["200 -"]) + ["400 close"])
        #expect(connection.wire.hasOutputEnded && connection.isOpen)
        connection.advance(3)
        #expect(!connection.isOpen)
    }

    /// A request that was answered before its body turned out to be none gets no second answer.
    @Test func whatIsAnsweredIsNotRefused() throws {
        let connection = try Guarded()
        try connection.request([.contentLength: "9"], isWhole: false)
        connection.answer(.notFound)
        connection.malformed()
        #expect(try connection.answers() == ["404 -"])
        #expect(connection.wire.hasOutputEnded)
    }

    @Test func aBodyThatDoesNotComeIsRefusedInItsTurn() throws {
        let connection = try Guarded()
        try connection.request()
        try connection.request([.contentLength: "9"], isWhole: false)
        connection.advance(5)
        #expect(try connection.answers() == [])
        connection.answer()
        #expect(try connection.answers() == ["200 -", "408 close"])
    }

    // MARK: - What a header says

    /// However a client puts it, the next handlers read one of two words or none.
    @Test(arguments: [
        (HTTPVersion.http1_1, "Close", "close"), (.http1_1, "a,\tclose", "close"), (.http1_1, "closed", nil),
        (.http1_1, "upgrade", "close"), (.http1_1, "keep-alive", nil), (.http1_0, "a", "close"), (.http1_0, "Keep-Alive", "keep-alive"),
    ] as [(HTTPVersion, String, String?)])
    func options(version: HTTPVersion, value: String, option: String?) throws {
        let channel = EmbeddedChannel(handler: FramingGuard())
        let head = HTTPRequestHead(version: version, method: .POST, uri: "/", headers: ["Host": "x", "Connection": value])
        try channel.writeInbound(HTTPServerRequestPart.head(head))
        guard case .head(let read) = try channel.readInbound(as: HTTPServerRequestPart.self) else {
            Issue.record("it went no further")
            return
        }
        #expect(read.headers["Connection"] == (option.map { [$0] } ?? []))
    }

    @Test(arguments: [
        (HTTPMethod.GET, ["Host": "x"], nil), (.GET, [:], 400), (.GET, ["Host": "x", "host": "x"], 400), (.CONNECT, ["Host": "x"], 400),
    ] as [(HTTPMethod, HTTPHeaders, Int?)])
    func whoCanBeFollowed(method: HTTPMethod, headers: HTTPHeaders, status: Int?) {
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/", headers: headers)
        #expect(RequestFraming.refusal(head)?.status == status)
    }

    /// Blanks may stand around a word, and make another one of it inside.
    @Test(arguments: [
        ("chunked", nil), (" \tChunked ,\t", nil), (",, chunked", nil), ("chun ked", 400), ("chunk\ted", 400),
        ("gzip , chunked", 501), ("gz ip", 400),
    ] as [(String, Int?)])
    func codings(value: String, status: Int?) {
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: ["Host": "x", "Transfer-Encoding": value])
        #expect(RequestFraming.refusal(head)?.status == status)
    }
}
