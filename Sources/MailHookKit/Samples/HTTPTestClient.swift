// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A small HTTP client over a blocking socket, for `send-test`: one POST, every wait bounded, and
// the dialogue kept so that it can be shown.

import Glibc
import HookIntake

struct HTTPTestClient {
    /// What was said, `C: ` and `S: ` before each line; the body is the last line.
    private(set) var transcript: [String] = []
    private let descriptor: Int32
    private let host: String

    private static let timeoutSeconds = 60
    private static let answerLimit = 1 << 20

    init(_ address: ListenAddress) throws(SetupError) {
        descriptor = try SMTPTestClient.connect(address)
        host = "\(address)"
        var limit = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    /// Posts and closes the connection; the status of the answer.
    mutating func post(_ body: [UInt8], to path: String, fields: [(String, String)]) throws(SetupError) -> Int {
        defer { close(descriptor) }
        let lines =
            ["POST \(path) HTTP/1.1", "Host: \(host)", "Connection: close", "Content-Length: \(body.count)"]
            + fields.map { "\($0.0): \($0.1)" }
        transcript += lines.map { "C: \($0)" } + ["C: (\(body.count) octets)"]
        try SMTPTestClient.transmit(Array(lines.map { $0 + "\r\n" }.joined().utf8) + [13, 10] + body, to: descriptor)
        let answer = try receive()
        let head = answer.prefix { $0 != 13 }
        let words = head.split(separator: UInt8(ascii: " "))
        guard words.count > 1, words[0].starts(with: "HTTP/".utf8), let status = Int(String(decoding: words[1], as: UTF8.self))
        else { throw SMTPTestClient.failure("this is no HTTP server") }
        transcript += String(decoding: answer, as: UTF8.self).split(separator: "\r\n").map { "S: \(Terminal.harmless(String($0)))" }
        return status
    }

    /// Up to the end of the connection.
    private func receive() throws(SetupError) -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while answer.count < Self.answerLimit {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        guard !answer.isEmpty else { throw SMTPTestClient.failure("the daemon gave no answer") }
        return answer
    }
}
