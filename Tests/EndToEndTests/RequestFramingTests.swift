// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Requests to both sides of HTTP that leave in doubt where they end: the answer says that the connection
// ends, and it does.

import Foundation
import TestSupport
import Testing

@Suite struct RequestFramingTests {
    private static let chunks = "2\r\n{}\r\n0\r\n\r\n"

    /// What is in doubt: fields, what is sent behind them, and the answer to a post that would be good otherwise.
    private static let cases: [(fields: String, body: String, status: Int)] = [
        ("Expect: 100-continue\r\nContent-Length: 500000\r\n", "", 413),
        ("Transfer-Encoding: gzip, chunked\r\n", chunks, 501),
        ("Transfer-Encoding:\r\nContent-Length: 2\r\n", "{}", 400),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", chunks, 400),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", "{}", 400),
        ("Content-Length: 9223372036854775808\r\n", "", 413),
        ("Host: y\r\nContent-Length: 2\r\n", "{}", 400),
    ]

    /// The answer, and whether the connection ended by itself soon.
    private static func ask(
        _ address: (host: String, port: String), _ line: String, _ fields: String, _ body: String
    ) throws -> (answer: WebInstallation.Answer, didEnd: Bool) {
        let connection = try Connection(address, timeout: 10)
        let start = Date()
        connection.send("\(line)\r\nHost: x\r\n\(fields)\r\n\(body)")
        let answer = WebInstallation.parse(connection.rest())
        return (answer, Date().timeIntervalSince(start) < 8)
    }

    @Test func requestsInDoubtEndTheConnection() throws {
        let web = try WebInstallation("http: { idleTimeout: 30s }", listen: #"admin: ["127.0.0.1:0"]"#)
        try web.start()
        let key = try web.key("org.permission.hook.create")
        let admin = try web.admin
        let authorization = "Authorization: Bearer \(key)\r\n"
        func check(_ address: (host: String, port: String), _ line: String, _ fields: String, _ body: String, _ status: Int) throws {
            let (answer, didEnd) = try Self.ask(address, line, fields, body)
            #expect(answer.status == status && answer.fields["connection"] == "close" && didEnd, "\(line) \(fields)")
        }
        let path = try web.path(WebInstallation.contact)
        let expected = "Expect: 100-continue\r\nContent-Length: 9\r\n"
        for test in Self.cases {
            try check(web.http, "POST \(path) HTTP/1.1", test.fields, test.body, test.status)
            try check(admin, "POST /v1/hooks/form HTTP/1.1", authorization + test.fields, test.body, test.status)
        }
        let old = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
        try check(web.http, "POST \(path) HTTP/1.0", old, Self.chunks, 400)
        try check(admin, "POST /v1/hooks/form HTTP/1.0", authorization + old, Self.chunks, 400)
        try check(admin, "POST /v1/hooks/form HTTP/1.1", expected, "", 401)
        try check(admin, "POST /v1/nothing HTTP/1.1", authorization + expected, "", 404)
        try check(admin, "PUT /v1/hooks/form HTTP/1.1", authorization + expected, "", 405)
        #expect(try web.installation.events().isEmpty)
    }

    /// Whoever asks for the end of the connection, or speaks HTTP/1.0 and does not ask for more, waits for nothing.
    @Test func connectionsEndWithoutTheClient() throws {
        let web = try WebInstallation("http: { idleTimeout: 30s }", listen: #"admin: ["127.0.0.1:0"]"#)
        try web.start()
        let path = try web.path(WebInstallation.contact)
        for (address, status) in [(try web.http, 202), (try web.admin, 404)] {
            for (version, fields) in [("1.0", ""), ("1.1", "Connection: close\r\n"), ("1.1", "Connection: a, Close\r\n")] {
                let (answer, didEnd) = try Self.ask(address, "POST \(path) HTTP/\(version)", fields + "Content-Length: 2\r\n", "{}")
                #expect(answer.status == status && answer.fields["connection"] == "close" && didEnd, "\(version) \(fields)")
            }
            let connection = try Connection(address, timeout: 10)
            for _ in 0..<2 {
                connection.send("POST \(path) HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}")
                let answer = try WebInstallation.parse(connection.answer())
                #expect(answer.status == status && answer.fields["connection"] == "keep-alive")
            }
        }
    }

    /// What is no request does not take the answers to those before it along.
    @Test func requestsBeforeABadOneAreAnswered() throws {
        let web = try WebInstallation(listen: #"admin: ["127.0.0.1:0"]"#)
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let good = "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        let bad = ["BAD\r\n\r\n", "POST \(path) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx"]
        for (address, status) in [(try web.http, 202), (try web.admin, 404)] {
            for bad in bad {
                let connection = try Connection(address, timeout: 10)
                connection.send(good + good + good + bad + good)
                let statuses = connection.rest().split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
                #expect(statuses == [status, status, status, 400], "\(bad)")
            }
        }
    }

    /// A body that was asked for is read, and the connection goes on.
    @Test func whoWaitsForAWordIsHeardBehindIt() throws {
        let web = try WebInstallation(listen: #"admin: ["127.0.0.1:0"]"#)
        try web.start()
        let key = try web.key("org.permission.hook.create")
        let connection = try Connection(try web.admin, timeout: 10)
        let head = "POST /v1/hooks/form HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(key)\r\nExpect: 100-continue\r\n"
        for _ in 0..<2 {
            connection.send("\(head)Content-Length: 2\r\n\r\n")
            #expect(try connection.answer().hasPrefix("HTTP/1.1 100 "))
            connection.send("{}")
            let answer = try connection.answer()
            #expect(answer.hasPrefix("HTTP/1.1 400 ") && !answer.lowercased().contains("connection: close"), "\(answer)")
        }
    }
}
