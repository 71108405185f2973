// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// LMTP from outside, over TCP and over a Unix socket (RFC 2033).

import Foundation
import TestSupport
import Testing

@Suite struct LMTPTests {
    private static let second = "kustomer.app.parcels.parcel.update"

    /// Two hooks: one keeps mail without data, the other refuses it.
    private func installation() throws -> Installation {
        let installation = try Installation("  \(Self.second): { aliases: [parcels@hooks.example.com], onNoData: reject }\n")
        _ = try installation.write(
            "apps/parcels.json",
            #"{"app":"parcels","version":"1.0.0","title":"Parcels","hooks":[{"eventName":"\#(Self.second)","type":"email"}]}"#)
        return installation
    }

    @Test func oneAnswerARecipient() throws {
        let installation = try installation()
        try installation.start(["--lmtp", "127.0.0.1:0"])
        let line = try #require(installation.daemon?.lines.first { $0.hasPrefix("lmtp 127.0.0.1:") })
        let session = try Connection((host: "127.0.0.1", port: String(line.split(separator: ":")[1])))
        #expect(try session.reply().hasPrefix("220 hooks.example.com LMTP"))
        #expect(try session.command("EHLO client.example").hasPrefix("500 "))
        let hello = try session.command("LHLO client.example")
        #expect(hello.hasPrefix("250") && hello.contains("PIPELINING") && hello.contains("ENHANCEDSTATUSCODES"))
        // RFC 2033 section 4.2: as many replies as recipients were accepted, in their order.
        #expect(try session.command("MAIL FROM:<>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<parcels@hooks.example.com>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<nobody@hooks.example.com>").hasPrefix("550 5.1.1"))
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
        #expect(try session.command("DATA").hasPrefix("354 "))
        session.send("Subject: x\r\n\r\nno data\r\n.\r\n")
        #expect(try session.reply().hasPrefix("550 5.6.0 "))
        #expect(try session.reply().hasPrefix("250 2.0.0 "))
        #expect(try session.command("NOOP").hasPrefix("250 "))
        // Without any recipient: section 4.2, DATA is refused.
        #expect(try session.command("MAIL FROM:<a@b.example>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<nobody@hooks.example.com>").hasPrefix("550 "))
        #expect(try session.command("DATA").hasPrefix("503 "))
        #expect(try session.command("QUIT").hasPrefix("221 "))
    }

    @Test func overAUnixSocketWithSwaks() throws {
        let installation = try installation()
        let path = installation.folder.appendingPathComponent("lmtp.sock").path
        try installation.start(["--lmtp", path])
        #expect(installation.daemon?.lines.contains("lmtp \(path)") == true)
        // Who may reach it is said by the folder it stands in.
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o666)
        let sent = try Child.run(
            "swaks",
            [
                "--protocol", "LMTP", "--socket", path, "--from", "shop@fernleaf.example", "--to",
                "\(Installation.alias),parcels@hooks.example.com", "--data", "@\(Installation.exampleMail.path)",
            ])
        #expect(sent.status == 0, "\(sent.output)")
        #expect(Set(try installation.events().compactMap { $0["type"] as? String }) == [Installation.orderUpdate, Self.second])
        // Left behind by a kill, the socket is replaced.
        try installation.kill()
        try installation.start(["--lmtp", path])
        let session = try Connection(unix: path)
        #expect(try session.reply().hasPrefix("220 "))
        let daemon = try #require(installation.daemon)
        daemon.signal(SIGTERM)
        #expect(try session.reply().hasPrefix("421 4.3.2 "))
        #expect(try daemon.wait().status == 0)
    }

    @Test func configuredListeners() throws {
        let installation = try installation()
        let path = installation.folder.appendingPathComponent("configured.sock").path
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try configuration.replacingOccurrences(
            of: #"listen: { smtp: ["127.0.0.1:0"] }"#,
            with: #"listen: { smtp: ["127.0.0.1:0"], lmtp: ["\#(path)", "127.0.0.1:0"] }"#
        ).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        try installation.start()
        #expect(installation.daemon?.lines.filter { $0.hasPrefix("lmtp ") }.count == 2)
        let sent = try Child.run("smtp-source", ["-L", "-s", "10", "-m", "100", "-f", "a@b.example", "-t", Installation.alias, "unix:\(path)"])
        #expect(sent.status == 0, "\(sent.errors)")
        #expect(try installation.stop() == 0)
    }

    /// A message too large, or with a lone line feed, is refused for each recipient, and the dialogue stays in step.
    @Test func refusalsKeepStep() throws {
        let installation = try Installation("limits: { messageSize: 64KiB }")
        try installation.start(["--lmtp", "127.0.0.1:0"])
        let line = try #require(installation.daemon?.lines.first { $0.hasPrefix("lmtp 127.0.0.1:") })
        let session = try Connection((host: "127.0.0.1", port: String(line.split(separator: ":")[1])))
        _ = try session.reply()
        _ = try session.command("LHLO client.example")
        let tagged = Installation.alias.replacingOccurrences(of: "@", with: "+tag@")
        session.send(
            "MAIL FROM:<a@b.example>\r\nRCPT TO:<\(Installation.alias)>\r\nRCPT TO:<\(tagged)>\r\nDATA\r\n")
        for code in ["250 ", "250 ", "250 ", "354 "] { #expect(try session.reply().hasPrefix(code)) }
        session.send(String(repeating: String(repeating: "x", count: 70) + "\r\n", count: 1000) + ".\r\nNOOP\r\n")
        for code in ["552 5.3.4 ", "552 5.3.4 ", "250 "] { #expect(try session.reply().hasPrefix(code)) }
    }
}
