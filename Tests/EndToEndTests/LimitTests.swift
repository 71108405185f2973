// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The limits of the SMTP intake that only show with real connections and real time.

import Foundation
import TestSupport
import Testing

@Suite struct LimitTests {
    @Test func connectionsInAll() throws {
        let installation = try Installation("limits: { connections: 3 }")
        try installation.start()
        let open = try (0..<3).map { _ in try Connection(installation.smtp) }
        for connection in open { #expect(try connection.reply().hasPrefix("220 ")) }
        let fourth = try Connection(installation.smtp)
        #expect(try fourth.reply().hasPrefix("421 4.7.0 Too many connections"))
        #expect(fourth.rest().isEmpty)
        // A place that is given back can be taken again.
        #expect(try open[0].command("QUIT").hasPrefix("221 "))
        try eventually("a place is free") { try Connection(installation.smtp).reply().hasPrefix("220 ") }
    }

    @Test func connectionsOfOnePeer() throws {
        let installation = try Installation("limits: { connectionsPerPeer: 2, perPeerExempt: [] }")
        try installation.start()
        let open = try (0..<2).map { _ in try Connection(installation.smtp) }
        for connection in open { #expect(try connection.reply().hasPrefix("220 ")) }
        #expect(try Connection(installation.smtp).reply().hasPrefix("421 4.7.0 "))
    }

    /// Who gets no place hears so, and a crowd of them takes no descriptors from the others.
    @Test func thoseWithoutAPlaceAreFew() throws {
        let installation = try Installation("limits: { connectionsPerPeer: 2, perPeerExempt: [] }")
        try installation.start()
        let daemon = try #require(installation.daemon)
        func open() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(daemon.identifier)/fd").count
        }
        let before = try open()
        let crowd = try (0..<300).map { _ in try Connection(installation.smtp) }
        let replies = try crowd.map { try $0.reply() }
        #expect(replies.count { $0.hasPrefix("220 ") } == 2)
        #expect(replies.count { $0.hasPrefix("421 4.7.0 ") } == 298)
        #expect(try open() <= before + 2 + 64 + 8)
    }

    /// A socket for both families gives it another address (RFC 4291 section 2.5.5.2).
    @Test func anIPv4ClientIsOnePeer() throws {
        let installation = try Installation(
            "limits: { connectionsPerPeer: 2, perPeerExempt: [] }", listen: "lmtp: [\"[::]:0\"]")
        try installation.start()
        let line = try #require(installation.daemon?.lines.last { $0.hasPrefix("lmtp [::]:") })
        let port = String(line.dropFirst(10))
        let first = try Connection(installation.smtp)
        let second = try Connection((host: "127.0.0.1", port: port))
        for connection in [first, second] { #expect(try connection.reply().hasPrefix("220 ")) }
        #expect(try Connection((host: "127.0.0.1", port: port)).reply().hasPrefix("421 4.7.0 "))
    }

    @Test func silentAndSlowClients() throws {
        let installation = try Installation("limits: { idleTimeout: 1s, dataTimeout: 2s }")
        try installation.start()
        let silent = try Connection(installation.smtp)
        _ = try silent.reply()
        #expect(try silent.reply().hasPrefix("421 4.4.2 Timed out"))

        // A line now and then keeps a client from being silent, but not from being slow.
        let slow = try Connection(installation.smtp)
        _ = try slow.reply()
        for command in ["EHLO client.example", "MAIL FROM:<a@b.example>", "RCPT TO:<\(Installation.alias)>", "DATA"] {
            _ = try slow.command(command)
        }
        let reply = slow.replyWhileSending("x\r\n")
        #expect(reply?.hasPrefix("421 4.4.2 Timed out") == true, "\(reply ?? "none")")
        #expect(try installation.events().isEmpty)
    }

    @Test func recipientsOfOneMessage() throws {
        let installation = try Installation("limits: { recipients: 2 }")
        try installation.start()
        let session = try Connection(installation.smtp)
        _ = try session.reply()
        _ = try session.command("EHLO client.example")
        _ = try session.command("MAIL FROM:<a@b.example>")
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<orders+x@hooks.example.com>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<orders+y@hooks.example.com>").hasPrefix("452 4.5.3 "))
        #expect(try session.command("DATA").hasPrefix("354 "))
    }

    /// What was put aside of a large message that is then refused, or given up, is not the beginning of the next one.
    @Test(arguments: [
        "RSET\r\n", "EHLO again\r\n", "BDAT 300000\r\n" + String(repeating: "x", count: 300_000),
    ])
    func nothingIsLeftOfALargeMessage(_ end: String) throws {
        let installation = try Installation("limits: { messageSize: 500KiB }")
        try installation.start()
        let session = try Connection(installation.smtp)
        _ = try session.reply()
        let envelope = "MAIL FROM:<a@b.example>\r\nRCPT TO:<\(Installation.alias)>\r\n"
        let mail = numberedMail("2").replacingOccurrences(of: "\n", with: "\r\n")
        // In front of other mail, this would make all of it a text.
        let large = "S: x\r\n\r\n" + String(repeating: "X: y\r\n", count: 49_998) + "zz\r\n"
        session.send("EHLO c\r\n\(envelope)BDAT 300000\r\n" + large)
        for _ in 0..<4 { _ = try session.reply() }
        // All in one write, so that nothing is between the two messages.
        session.send("\(end)\(envelope)BDAT \(mail.utf8.count) LAST\r\n\(mail)QUIT\r\n")
        #expect(session.rest().contains("250 2.0.0 Accepted"))
        #expect(try installation.orderNumbers() == ["2"])
    }

    /// Whoever has said QUIT has left, even if his end of the connection stays open for a while.
    @Test func aPlaceIsFreeAfterQuit() throws {
        let installation = try Installation("limits: { connections: 1 }")
        try installation.start()
        let first = try Connection(installation.smtp)
        _ = try first.reply()
        #expect(try first.command("QUIT").hasPrefix("221 "))
        var next = ""
        // Less than the time for which the last reply is waited for where the client has not said it.
        for _ in 0..<50 where !next.hasPrefix("220 ") {
            usleep(10_000)
            next = try Connection(installation.smtp).reply()
        }
        #expect(next.hasPrefix("220 "))
        withExtendedLifetime(first) {}
    }

    /// As many sessions at a time as there may be, each sending mail upon mail, and none is lost.
    @Test func twoHundredSessions() throws {
        let installation = try Installation("limits: { connections: 250 }")
        try installation.start()
        let (host, port) = try installation.smtp
        let sent = try Child.run(
            "smtp-source",
            ["-s", "200", "-m", "2000", "-l", "4096", "-f", "a@b.example", "-t", Installation.alias, "\(host):\(port)"])
        #expect(sent.status == 0, "\(sent.errors)")
        try installation.stop()
        let accepted = installation.lastLog.split(separator: "\n").count { $0.contains("message accepted") }
        #expect(accepted == 2000)
    }
}
