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

@Suite struct ConnectionGuardTests {
    /// A client that was told to go on may send a body that nobody reads to its end all the same.
    @Test(arguments: [
        (length: 9, isToldToGoOn: false, ends: true), (length: 9, isToldToGoOn: true, ends: false),
        (length: RequestFraming.drainLimit + 1, isToldToGoOn: true, ends: true),
        (length: RequestFraming.drainLimit, isToldToGoOn: true, ends: false),
    ])
    func aWordInBetween(length: Int, isToldToGoOn: Bool, ends: Bool) throws {
        let places = ConnectionPlaces(limit: 1, limitPerPeer: 1, isExempt: { _ in false })
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(
            ConnectionGuard(places: places, requestTimeout: .seconds(4), drainTime: .seconds(3)))
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
        var request = HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/v1/hooks/form")
        request.headerFields = [.expect: "100-continue", .contentLength: String(length)]
        try channel.writeInbound(HTTPRequestPart.head(request))
        if isToldToGoOn { try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .continue))) }
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .contentTooLarge)))
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        var fields: [String?] = []
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            if case .head(let head) = part { fields.append(head.headerFields[.connection]) }
        }
        #expect(fields == (isToldToGoOn ? [nil] : []) + [ends ? "close" : nil])
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    /// Blanks may stand around a word, and make another one of it inside.
    @Test(arguments: [
        ("chunked", nil), (" \tChunked ,\t", nil), (",, chunked", nil), ("chun ked", 400), ("chunk\ted", 400),
        ("gzip , chunked", 501), ("gz ip", 400),
    ] as [(String, Int?)])
    func codings(value: String, status: Int?) {
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: ["Transfer-Encoding": value])
        #expect(RequestFraming.refusal(head)?.status == status)
    }
}
