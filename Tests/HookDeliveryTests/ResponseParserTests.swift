// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a receiver may answer, in one piece and cut at every place.

import Testing

@testable import HookDelivery

@Suite struct ResponseParserTests {
    struct Answer: CustomTestStringConvertible, Sendable {
        var text: String
        var progress: HTTPResponseParser.Progress
        var status = 200
        var excerpt = ""
        var retryAfter: String?
        /// Whether the connection has to end for the answer to end.
        var endsWithConnection = false

        var testDescription: String { text.debugDescription }
    }

    static let answers: [Answer] = [
        Answer(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", progress: .complete(isReusable: true), excerpt: "ok"),
        Answer(text: "HTTP/1.1 204\r\n\r\n", progress: .complete(isReusable: true), status: 204),
        Answer(text: "HTTP/1.1 200 OK\ncontent-length:0\n\n", progress: .complete(isReusable: true)),
        Answer(
            text: "HTTP/1.1 503 Busy\r\nRETRY-AFTER: \t30 \r\ncontent-length: 0\r\nConnection: close\r\n\r\n",
            progress: .complete(isReusable: false), status: 503, retryAfter: "30"),
        Answer(text: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", progress: .complete(isReusable: false)),
        Answer(
            text: "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
            progress: .complete(isReusable: true)),
        Answer(
            text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n3 \r\ncde\r\n0\r\nTrailer: 1\r\n\r\n",
            progress: .complete(isReusable: true), excerpt: "abcde"),
        Answer(
            text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            progress: .complete(isReusable: false)),
        Answer(
            text: "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
            progress: .complete(isReusable: true), status: 410),
        Answer(
            text: "HTTP/1.1 200 OK\r\n\r\nuntil the end", progress: .complete(isReusable: false), excerpt: "until the end",
            endsWithConnection: true),
        Answer(
            text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\nX: a\r\n folded: b\r\n\r\n12345",
            progress: .complete(isReusable: true), excerpt: "12345"),
        Answer(text: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", progress: .truncated, excerpt: "half", endsWithConnection: true),
        Answer(text: "HTTP/1.1 200 OK\r\nContent-Le", progress: .truncated, endsWithConnection: true),
        Answer(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", progress: .truncated, excerpt: "ab", endsWithConnection: true),
        Answer(text: "HTTP/1.1 2", progress: .truncated, status: 0, endsWithConnection: true),
    ]

    static let malformed = [
        "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 600 X\r\n\r\n", "\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: HTTPResponseParser.headLimit) + "\r\n",
        String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 1000),
    ]

    private func read(_ pieces: [ArraySlice<UInt8>], ends: Bool) -> (HTTPResponseParser, HTTPResponseParser.Progress) {
        var parser = HTTPResponseParser()
        var progress = HTTPResponseParser.Progress.needsMore
        for piece in pieces {
            progress = piece.withUnsafeBytes { parser.feed($0) }
            if progress != .needsMore { break }
        }
        return (parser, ends ? parser.end() : progress)
    }

    @Test(arguments: answers) func isReadWhereverItIsCut(_ answer: Answer) {
        let bytes = Array(answer.text.utf8)
        for cut in 0...bytes.count {
            let (parser, progress) = read([bytes[..<cut], bytes[cut...]], ends: answer.endsWithConnection)
            #expect(progress == answer.progress, "cut at \(cut)")
            #expect(parser.status == answer.status)
            #expect(parser.retryAfter == answer.retryAfter)
            #expect(String(decoding: parser.excerpt, as: UTF8.self) == answer.excerpt)
        }
        let (parser, progress) = read(bytes.map { [$0][...] }, ends: answer.endsWithConnection)
        #expect(progress == answer.progress && parser.status == answer.status)
    }

    @Test(arguments: malformed) func isRefused(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(read([bytes[...]], ends: false).1 == .malformed)
        #expect(read(bytes.map { [$0][...] }, ends: false).1 == .malformed)
    }

    @Test func octetsBehindTheEndEndTheConnection() {
        let bytes = Array("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK".utf8)
        #expect(read([bytes[...]], ends: false).1 == .complete(isReusable: false))
    }

    @Test func longBodiesAreNotKept() {
        var parser = HTTPResponseParser()
        let head = Array("HTTP/1.1 500 X\r\n\r\n".utf8)
        #expect(head.withUnsafeBytes { parser.feed($0) } == .needsMore)
        let piece = [UInt8](repeating: 0x41, count: 8192)
        var octets = 0
        while piece.withUnsafeBytes({ parser.feed($0) }) == .needsMore, octets < 1 << 20 { octets += piece.count }
        #expect(octets <= HTTPResponseParser.bodyLimit + piece.count)
        #expect(parser.status == 500 && parser.excerpt.count == HTTPResponseParser.excerptLimit)
    }
}
