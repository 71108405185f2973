// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Requests that two readers could read differently: where a proxy before the daemon sees one
// request, the daemon must not see two, or another one. What is in doubt is refused, and ends the
// connection.

import Testing

@testable import HookWeb

@Suite struct RequestSmugglingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        /// Behind the request line.
        var header: String
        var body = "a=1"
        var line = "POST /v1/hooks/form/tokform HTTP/1.1\r\n"
        /// What the first answer is.
        var status = 400
        var testDescription: String { name }
    }

    /// What every case is followed by: must not be answered where the case was refused.
    private static let smuggled = Requests.post("smuggled")

    @Test(arguments: [
        Case(name: "length and chunks", header: "Host: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"),
        Case(name: "chunks and length", header: "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", body: "0\r\n\r\n"),
        Case(name: "two lengths", header: "Host: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n"),
        Case(name: "the same length twice", header: "Host: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n"),
        Case(name: "a list of lengths", header: "Host: x\r\nContent-Length: 3, 3\r\n"),
        Case(name: "a length with a sign", header: "Host: x\r\nContent-Length: +3\r\n"),
        Case(name: "a negative length", header: "Host: x\r\nContent-Length: -3\r\n"),
        Case(name: "a hexadecimal length", header: "Host: x\r\nContent-Length: 0x3\r\n"),
        Case(name: "a length in two words", header: "Host: x\r\nContent-Length: 3 3\r\n"),
        Case(name: "a length that overflows", header: "Host: x\r\nContent-Length: 18446744073709551619\r\n"),
        Case(name: "a length of 2^63", header: "Host: x\r\nContent-Length: 9223372036854775808\r\n", status: 413),
        Case(name: "no length at all", header: "Host: x\r\nContent-Length:\r\n"),
        Case(name: "a space before the colon", header: "Host: x\r\nContent-Length : 3\r\n"),
        Case(name: "chunks with a space before the colon", header: "Host: x\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n"),
        Case(name: "a folded field", header: "Host: x\r\nX: a\r\n Content-Length: 9\r\nContent-Length: 3\r\n"),
        Case(name: "a folded encoding", header: "Host: x\r\nTransfer-Encoding:\r\n chunked\r\n", body: "0\r\n\r\n"),
        Case(name: "a field without a name", header: "Host: x\r\n: b\r\nContent-Length: 3\r\n"),
        Case(name: "a field without a colon", header: "Host: x\r\nabc\r\nContent-Length: 3\r\n"),
        Case(name: "a line of one LF", header: "Host: x\nContent-Length: 3\r\n"),
        Case(name: "a bare CR in a value", header: "Host: x\r\nX: a\rContent-Length: 9\r\nContent-Length: 3\r\n"),
        Case(name: "NUL in a value", header: "Host: x\r\nX: a\0b\r\nContent-Length: 3\r\n"),
        Case(name: "NUL in a name", header: "Host: x\r\nX\0: b\r\nContent-Length: 3\r\n"),
        Case(name: "another encoding", header: "Host: x\r\nTransfer-Encoding: gzip\r\n", body: ""),
        Case(name: "an encoding behind chunks", header: "Host: x\r\nTransfer-Encoding: chunked, gzip\r\n", body: "0\r\n\r\n"),
        Case(name: "chunks with a blank inside", header: "Host: x\r\nTransfer-Encoding: chun ked\r\n", body: "0\r\n\r\n"),
        Case(name: "an unknown encoding", header: "Host: x\r\nTransfer-Encoding: xchunked\r\n", body: "0\r\n\r\n"),
        Case(name: "chunks said twice", header: "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"),
        Case(name: "chunks and none", header: "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", body: "0\r\n\r\n"),
        Case(name: "an encoding before chunks", header: "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n", status: 501),
        Case(name: "no encoding before chunks", header: "Host: x\r\nTransfer-Encoding: identity, chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n", status: 501),
        Case(name: "an encoding and chunks", header: "Host: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n", status: 501),
        Case(name: "an encoding, chunks, another method", header: "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n", line: "GET / HTTP/1.1\r\n", status: 501),
        Case(name: "chunks twice in one field", header: "Host: x\r\nTransfer-Encoding: chunked, chunked\r\n", body: "0\r\n\r\n"),
        Case(name: "chunks with a parameter", header: "Host: x\r\nTransfer-Encoding: chunked;a=b\r\n", body: "0\r\n\r\n"),
        Case(name: "an empty encoding", header: "Host: x\r\nTransfer-Encoding:\r\n", body: ""),
        Case(name: "an empty encoding and a length", header: "Host: x\r\nTransfer-Encoding:\r\nContent-Length: 3\r\n"),
        Case(name: "chunks before there were any", header: "Host: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n", line: "POST /v1/hooks/form/tokform HTTP/1.0\r\n"),
        Case(name: "chunks in quotation marks", header: "Host: x\r\nTransfer-Encoding: \"chunked\"\r\n", body: "0\r\n\r\n"),
        Case(name: "a chunk size with a sign", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "+3\r\na=1\r\n0\r\n\r\n"),
        Case(name: "a chunk size with 0x", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "0x3\r\na=1\r\n0\r\n\r\n"),
        Case(name: "a chunk size that overflows", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "10000000000000003\r\na=1\r\n0\r\n\r\n"),
        Case(name: "a chunk that is longer", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "2\r\na=1\r\n0\r\n\r\n"),
        Case(name: "a chunk size ended by LF", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "3\na=1\r\n0\r\n\r\n"),
        Case(name: "a chunk ended by LF", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "3\r\na=1\n0\r\n\r\n"),
        Case(name: "LF in a chunk extension", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "3;a\nb\r\na=1\r\n0\r\n\r\n"),
        Case(name: "a length in a trailer", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "3\r\na=1\r\n0\r\nContent-Length: 99\r\n\r\n"),
        Case(name: "blanks behind a length", header: "Host: x\r\nContent-Length: 3 \t\r\n"),
        Case(name: "no host", header: "Content-Length: 3\r\n"),
        Case(name: "two hosts", header: "Host: x\r\nHost: y\r\nContent-Length: 3\r\n"),
        Case(name: "two hosts in HTTP/1.0", header: "Host: x\r\nHost: y\r\nConnection: keep-alive\r\nContent-Length: 3\r\n", line: "POST /v1/hooks/form/tokform HTTP/1.0\r\n"),
        Case(name: "a space in the target", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST /v1/hooks/form/tok form HTTP/1.1\r\n"),
        Case(name: "a line without a version", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST /v1/hooks/form/tokform\r\n"),
        Case(name: "another version", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST /v1/hooks/form/tokform HTTP/2.0\r\n"),
        Case(name: "no version of ours", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST /v1/hooks/form/tokform HTTP/1.9\r\n"),
        Case(name: "another protocol", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST /v1/hooks/form/tokform ICE/1.0\r\n"),
        Case(name: "an unknown method", header: "Host: x\r\nContent-Length: 3\r\n", line: "PO ST /v1/hooks/form/tokform HTTP/1.1\r\n"),
        Case(name: "a tunnel", header: "Host: x\r\nContent-Length: 3\r\n", line: "CONNECT example.org:25 HTTP/1.1\r\n"),
        Case(name: "a long field", header: "Host: x\r\nX: \(String(repeating: "a", count: 300))\r\nContent-Length: 3\r\n", status: 431),
        Case(name: "many fields", header: "Host: x\r\n\(String(repeating: "X: a\r\n", count: 20))Content-Length: 3\r\n", status: 431),
        Case(name: "a long header", header: "Host: x\r\n\(String(repeating: "X: \(String(repeating: "a", count: 150))\r\n", count: 8))Content-Length: 3\r\n", status: 431),
        Case(name: "a long target", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST /\(String(repeating: "a", count: 300)) HTTP/1.1\r\n", status: 431),
    ])
    func whatIsInDoubtIsRefused(_ test: Case) throws {
        let request = Array((test.line + test.header + "\r\n" + test.body + Self.smuggled).utf8)
        for pieces in [[request], request.map { [$0] }] {
            let client = try Client()
            for piece in pieces { client.send(piece) }
            let answers = client.answers()
            #expect(Client.statuses(answers) == [test.status], "\(answers)")
            #expect(answers.contains("\r\nConnection: close\r\n"))
            #expect(client.desk.entities.isEmpty)
            client.advance(3)
            #expect(!client.isOpen)
        }
    }

    /// What is right although it looks odd is taken, and the next request begins where it should.
    @Test(arguments: [
        Case(name: "leading line ends", header: "Host: x\r\nContent-Length: 3\r\n", line: "\r\nPOST /v1/hooks/form/tokform HTTP/1.1\r\n"),
        Case(name: "no space behind the colon", header: "Host:x\r\nContent-Length:3\r\n"),
        Case(name: "a blank behind a length", header: "Host: x\r\nContent-Length: 3 \r\n"),
        Case(name: "blanks around a value", header: "Host: \t x \t\r\nContent-Length: \t 3\r\n"),
        Case(name: "two spaces in the line", header: "Host: x\r\nContent-Length: 3\r\n", line: "POST  /v1/hooks/form/tokform HTTP/1.1\r\n"),
        Case(name: "any case", header: "hOST: x\r\ncONTENT-lENGTH: 3\r\n"),
        Case(name: "leading zeros", header: "Host: x\r\nContent-Length: 003\r\n"),
        Case(name: "chunks in capitals", header: "Host: x\r\nTransfer-Encoding: Chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n"),
        Case(name: "chunks behind nothing", header: "Host: x\r\nTransfer-Encoding: , chunked\r\n", body: "3\r\na=1\r\n0\r\n\r\n"),
        Case(name: "a chunk extension", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "3;a=\"b;c\"\r\na=1\r\n0\r\n\r\n"),
        Case(name: "trailers", header: "Host: x\r\nTransfer-Encoding: chunked\r\n", body: "3\r\na=1\r\n0\r\nX-Sum: 99\r\n\r\n"),
        Case(name: "octets that are no ASCII", header: "Host: x\r\nX: \u{e9}\r\nContent-Length: 3\r\n"),
    ])
    func whatIsOddIsTaken(_ test: Case) throws {
        let request = Array((test.line + test.header + "\r\n" + test.body + Self.smuggled).utf8)
        for pieces in [[request], request.map { [$0] }] {
            let client = try Client()
            for piece in pieces { client.send(piece) }
            #expect(client.statuses() == [202, 202])
            #expect(client.desk.entities == ["\r\na=1", "\r\nsmuggled"])
        }
    }

    /// What comes behind may be of another protocol: it is not read.
    @Test func anUpgradeNobodyWantsEndsTheConnection() throws {
        let client = try Client()
        client.send(Requests.post("a", "Connection: Upgrade\r\nUpgrade: h2c\r\n") + Self.smuggled)
        let answers = client.answers()
        #expect(Client.statuses(answers) == [202] && answers.contains("\r\nConnection: close\r\n"))
        #expect(client.desk.entities == ["\r\na"])
        client.advance(3)
        #expect(!client.isOpen)
    }
}
