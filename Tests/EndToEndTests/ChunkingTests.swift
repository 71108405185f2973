// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// BDAT, SMTPUTF8 and other extensions, as a client sees them.

import Foundation
import TestSupport
import Testing

@Suite struct ChunkingTests {
    private func session(_ installation: Installation, _ parameters: String = "") throws -> Connection {
        let session = try Connection(installation.smtp)
        _ = try session.reply()
        _ = try session.command("EHLO client.example")
        #expect(try session.command("MAIL FROM:<a@b.example>\(parameters)").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
        return session
    }

    private func wire(_ number: String) -> [UInt8] { Array(numberedMail(number).replacingOccurrences(of: "\n", with: "\r\n").utf8) }

    @Test func chunksOfAnySize() throws {
        let installation = try Installation()
        try installation.start()
        let mail = wire("1")
        for (number, size) in [1, 7, mail.count / 2, mail.count].enumerated() {
            let mail = wire("\(number)")
            let session = try session(installation)
            // All in one write: BDAT is pipelined (RFC 3030 section 4.3).
            var bytes: [UInt8] = []
            let starts = Array(stride(from: 0, to: mail.count, by: size))
            for start in starts {
                let chunk = mail[start..<min(start + size, mail.count)]
                bytes += Array("BDAT \(chunk.count)\r\n".utf8) + chunk
            }
            session.send(bytes + Array("BDAT 0 LAST\r\nQUIT\r\n".utf8))
            for _ in starts { #expect(try session.reply().hasPrefix("250 2.0.0 Chunk")) }
            #expect(try session.reply().hasPrefix("250 2.0.0 Accepted"))
            #expect(try session.reply().hasPrefix("221 "))
        }
        #expect(try installation.orderNumbers() == ["0", "1", "2", "3"])
        // The same content by DATA is the same mail.
        #expect(try installation.swaks(installation.write("same.eml", numberedMail("3"))).status == 0)
    }

    @Test func aChunkBeyondTheLimitIsSwallowed() throws {
        let installation = try Installation("limits: { messageSize: 64KiB }")
        try installation.start()
        let session = try session(installation)
        session.send("BDAT 300000\r\n" + String(repeating: "NOOP\r\n", count: 50_000) + "BDAT 0 LAST\r\n")
        #expect(try session.reply().hasPrefix("552 5.3.4 "))
        #expect(try session.reply().hasPrefix("503 5.5.1 "))
        #expect(try session.command("NOOP").hasPrefix("250 "))
        // A size nobody has: read as long as patience lasts, never kept.
        let endless = try self.session(installation)
        endless.send("BDAT 999999999999999999 LAST\r\n")
        for _ in 0..<50 { endless.send(String(repeating: "x", count: 100_000)) }
        #expect(try installation.swaks().status == 0)
    }

    @Test func binaryBodies() throws {
        let installation = try Installation()
        try installation.start()
        let json = #"{"orderNumber": "ü"}"#
        let head = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/json\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        let mail = Array(head.utf8) + Array("\n\n\(json)\n".utf8)
        let session = try session(installation, " BODY=BINARYMIME SIZE=\(mail.count)")
        #expect(try session.command("DATA").hasPrefix("503 5.5.1 "))
        session.send(Array("BDAT \(mail.count) LAST\r\n".utf8) + mail)
        #expect(try session.reply().hasPrefix("250 2.0.0 "))
        #expect(try installation.orderNumbers() == ["ü"])
        // Without it, the same is refused, and nothing behind it is run.
        let strict = try self.session(installation)
        strict.send(Array("BDAT \(mail.count) LAST\r\n".utf8) + mail + Array("NOOP\r\n".utf8))
        #expect(try strict.reply().hasPrefix("521 5.5.2 "))
        #expect(strict.rest().isEmpty)
    }

    /// Every row of the suite as one chunk.
    @Test(.conformance("smtp")) func smuggling() throws {
        let installation = try Installation()
        try installation.start()
        let suite = try #require(
            try JSONSerialization.jsonObject(with: Data(Conformance.bytes("smtp", "end-of-data.json"))) as? [String: Any])
        let template = try #require(suite["template"] as? [String: String])
        let sequences = try #require(suite["sequences"] as? [[String: Any]])
        for row in sequences {
            let after = try #require(template["after"]).replacingOccurrences(of: "victim@example.net", with: Installation.alias)
            let content = Array(try #require(template["before"]).utf8) + hexadecimal(try #require(row["hex"] as? String)) + Array(after.utf8)
            let session = try session(installation)
            session.send(Array("BDAT \(content.count) LAST\r\n".utf8) + content + Array("QUIT\r\n".utf8))
            let answers = session.rest().split(separator: "\r\n").map { String($0.prefix(3)) }
            let isBare = content.indices.contains { index in
                content[index] == 13 && (index + 1 == content.count || content[index + 1] != 10)
                    || content[index] == 10 && (index == 0 || content[index - 1] != 13)
            }
            #expect(answers == (isBare ? ["521"] : ["250", "221"]), "\(row["id"] ?? "")")
        }
    }

    @Test func internationalAddresses() throws {
        let installation = try Installation()
        try installation.start()
        let session = try Connection(installation.smtp)
        _ = try session.reply()
        #expect(try session.command("EHLO c").contains("SMTPUTF8"))
        #expect(try session.command("MAIL FROM:<grün@fernleaf.example>").hasPrefix("550 5.6.7 "))
        #expect(try session.command("MAIL FROM:<grün@fernleaf.example> SMTPUTF8 RET=HDRS ENVID=a+2Bb").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<blau@hooks.example.com>").hasPrefix("550 5.1.1"))
        #expect(try session.command("RCPT TO:<größe@hooks.example.com>").hasPrefix("550 5.1.1"))
        #expect(try session.command("RCPT TO:<orders+größe@hooks.example.com> NOTIFY=NEVER ORCPT=utf-8;größe@y").hasPrefix("250 "))
        session.send([0x52, 0x43, 0x50, 0x54, 0x20, 0x54, 0x4F, 0x3A, 0x3C, 0xFF, 0x40, 0x62, 0x3E, 13, 10])
        #expect(try session.reply().hasPrefix("501 5.5.2 "))
        _ = try session.command("DATA")
        session.send(wire("1"))
        #expect(try session.command(".").hasPrefix("250 "))
        let event = try #require(try installation.events().first)
        #expect(event["mailfrom"] as? String == "grün@fernleaf.example")
    }
}
