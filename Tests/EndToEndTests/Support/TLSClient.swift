// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Drives tlsclient.py: a connection that can begin TLS whenever a test wants.

import Foundation
import TestSupport

final class TLSClient {
    private let child: Child
    private var answers = 0

    init(_ address: (host: String, port: String)) throws {
        let script = Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/tlsclient.py")
        child = try Child("python3", [script.path, address.host, address.port])
    }

    private func step(_ words: [Any]) throws -> String {
        child.write(String(decoding: try JSONSerialization.data(withJSONObject: words), as: UTF8.self) + "\n")
        answers += 1
        try child.waitForOutput("answers \(words[0])") { [answers] in $0.count >= answers }
        let line = Data("[\(child.lines[answers - 1])]".utf8)
        return (try JSONSerialization.jsonObject(with: line) as? [String])?.first ?? ""
    }

    func send(_ text: String) throws { _ = try step(["send", text]) }
    func send(_ octets: [UInt8]) throws {
        let digits = octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        _ = try step(["octets", digits])
    }

    func reply() throws -> String { try step(["reply"]) }
    func rest() throws -> String { try step(["rest"]) }

    func command(_ line: String) throws -> String {
        try send(line + "\r\n")
        return try reply()
    }

    /// The version and the certificate's SHA-256, or `closed` and why.
    func handshake(_ version: String? = nil) throws -> String { try step(["tls", version ?? NSNull()]) }
}
