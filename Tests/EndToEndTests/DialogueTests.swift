// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What an SMTP client sees of the running daemon, and what happens to it at start and stop.

import Foundation
import TestSupport
import Testing

@Suite struct DialogueTests {
    /// While the daemon has no time to accept: what it listens with, not what NIO would.
    @Test(arguments: ["smtp", "http"]) func manyMayWaitToBeAccepted(listener: String) throws {
        let installation = try Installation(listen: "http: [\"127.0.0.1:0\"]")
        try installation.start()
        let port = try #require(UInt16(try installation.address(of: listener).port))
        let daemon = try #require(installation.daemon)
        daemon.signal(SIGSTOP)
        defer { daemon.signal(SIGCONT) }
        var waiting: [Int32] = []
        defer { waiting.forEach { close($0) } }
        for _ in 0..<400 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            waiting.append(descriptor)
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            _ = withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
        }
        // Over the loopback whoever has a place is connected at once; the others try again after a second.
        usleep(300_000)
        let connected = waiting.count { descriptor in
            var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            return poll(&poller, 1, 0) == 1 && Int32(poller.revents) & POLLOUT != 0
        }
        #expect(connected == 400)
    }

    @Test func unknownRecipientIsRefusedAtRCPT() throws {
        let installation = try Installation()
        try installation.start()
        let unknown = try installation.swaks(to: "nobody@hooks.example.com")
        #expect(unknown.status != 0)
        #expect(unknown.output.contains("550 5.1.1 "))
        #expect(!unknown.output.contains("DATA"))
        let foreign = try installation.swaks(to: "someone@elsewhere.example")
        #expect(foreign.output.contains("550 5.7.1 "))
        #expect(try installation.events().isEmpty)
    }

    @Test func ehloAnnouncesWhatIsServed() throws {
        let installation = try Installation()
        try installation.start()
        let session = try Connection(installation.smtp)
        #expect(try session.reply().hasPrefix("220 hooks.example.com ESMTP"))
        let lines = try session.command("EHLO client.example").split(separator: "\r\n")
        #expect(lines.first == "250-hooks.example.com")
        let keywords = Set(lines.dropFirst().map { String($0.dropFirst(4)) })
        #expect(keywords.isSuperset(of: ["PIPELINING", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES"]))
        #expect(!keywords.contains { $0.hasPrefix("STARTTLS") || $0.hasPrefix("XCLIENT") })
        #expect(try session.command("VRFY orders").hasPrefix("252 "))
        #expect(try session.command("QUIT").hasPrefix("221 "))
    }

    @Test func onNoDataRejectAnswersInTheSession() throws {
        let installation = try Installation(hook: "onNoData: reject")
        try installation.start()
        let mail = try installation.write("plain.eml", "From: a@b.example\nSubject: hello\n\nno data in here\n")
        let refused = try installation.swaks(mail)
        #expect(refused.status != 0)
        #expect(refused.output.contains("550 5.6.0 "))
        #expect(try installation.swaks().status == 0)
        #expect(try installation.events().count == 1)
    }

    @Test func keyRequired() throws {
        let installation = try Installation(hook: "key: required")
        try installation.start()
        #expect(try installation.swaks().output.contains("550 5.7.1 "))
        let hooks = try Installation.objects(installation.command(["hooks", "--json"]).output)
        let key = try #require(hooks.first?["key"] as? String)
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let keyed = try installation.write(
            "keyed.eml",
            mail.replacingOccurrences(
                of: "<script type=3D\"application/ld+json\">",
                with: "<script type=3D\"application/ld+json\"=\n data-kustomer-key=3D\"\(key)\">"))
        let sent = try installation.swaks(keyed)
        #expect(sent.status == 0, "\(sent.output)")
        #expect(try installation.events().count == 1)
        // A wrong key is told like a missing one.
        let wrong = try installation.write(
            "wrong.eml",
            mail.replacingOccurrences(
                of: "<script type=3D\"application/ld+json\">",
                with: "<script type=3D\"application/ld+json\" data-hook-key=3D\"k_wrong\">"))
        #expect(try installation.swaks(wrong).output.contains("550 5.7.1 The hook's key is missing or wrong"))
    }

    @Test func oversizeIsRefusedBeforeAndAfterData() throws {
        let installation = try Installation("limits: { messageSize: 64KiB }")
        try installation.start()
        let session = try Connection(installation.smtp)
        _ = try session.reply()
        _ = try session.command("EHLO client.example")
        #expect(try session.command("MAIL FROM:<a@b.example> SIZE=65537").hasPrefix("552 5.3.4 "))
        #expect(try session.command("MAIL FROM:<a@b.example>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
        #expect(try session.command("DATA").hasPrefix("354 "))
        session.send(String(repeating: String(repeating: "x", count: 70) + "\r\n", count: 1000))
        #expect(try session.command(".").hasPrefix("552 5.3.4 "))
        #expect(try session.command("NOOP").hasPrefix("250 "))
    }

    /// All of the suite, against the running daemon: nothing hidden in the data may start a second transaction.
    @Test(.conformance("smtp")) func smuggling() throws {
        let installation = try Installation()
        try installation.start()
        let suite = try #require(
            try JSONSerialization.jsonObject(with: Data(Conformance.bytes("smtp", "end-of-data.json"))) as? [String: Any])
        let template = try #require(suite["template"] as? [String: String])
        let sequences = try #require(suite["sequences"] as? [[String: Any]])
        #expect(sequences.count == 41)
        for row in sequences {
            let id = try #require(row["id"] as? String)
            let session = try Connection(installation.smtp)
            _ = try session.reply()
            _ = try session.command("EHLO client.example")
            _ = try session.command("MAIL FROM:<a@b.example>")
            _ = try session.command("RCPT TO:<\(Installation.alias)>")
            #expect(try session.command("DATA").hasPrefix("354 "), "\(id)")
            let after = try #require(template["after"]).replacingOccurrences(of: "victim@example.net", with: Installation.alias)
            session.send(
                Array(try #require(template["before"]).utf8) + hexadecimal(try #require(row["hex"] as? String))
                    + Array((after + (template["finish"] ?? "")).utf8))
            session.finishSending()
            let answers = session.rest()
            let isEnd = try #require(row["isEndOfData"] as? Bool)
            let allowed = try #require(row["allowed"] as? [String])
            if isEnd, allowed.contains("end-of-data-then-reject"), answers.hasPrefix("5") {
                // Refused for its lone CR or LF, and the connection closed: nothing behind it is run.
                #expect(answers.split(separator: "\r\n").count == 1, "\(id): \(answers)")
            } else {
                // A second transaction would show a second 354.
                #expect(answers.contains("354 ") == isEnd, "\(id): \(answers)")
            }
        }
        #expect(installation.daemon?.isRunning == true)
    }

    @Test func readinessIsToldAndSigtermDrains() throws {
        let installation = try Installation()
        let path = installation.folder.appendingPathComponent("notify").path
        let socket = try DatagramSocket(path: path)
        try installation.start(environment: ["NOTIFY_SOCKET": path])
        #expect(try socket.receive().contains("READY=1"))

        // A transaction in progress may end; one that is idle is told why not.
        let busy = try Connection(installation.smtp)
        let idle = try Connection(installation.smtp)
        for session in [busy, idle] {
            _ = try session.reply()
            _ = try session.command("EHLO client.example")
        }
        _ = try busy.command("MAIL FROM:<a@b.example>")
        _ = try busy.command("RCPT TO:<\(Installation.alias)>")
        _ = try busy.command("DATA")
        let daemon = try #require(installation.daemon)
        daemon.signal(SIGTERM)
        #expect(try socket.receive().contains("STOPPING=1"))
        #expect(try idle.reply().hasPrefix("421 4.3.2 "))
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        busy.send(mail.replacingOccurrences(of: "\n", with: "\r\n"))
        #expect(try busy.command(".").hasPrefix("250 2.0.0 "))
        #expect(try daemon.wait(seconds: 30).status == 0)
        #expect(try installation.events().count == 1)
    }

    @Test func aSecondDaemonOnTheSameDataIsRefused() throws {
        let installation = try Installation()
        try installation.start()
        let second = try installation.command(["serve"], seconds: 20)
        #expect(second.status == 75)
        #expect(second.errors.contains("another"))
    }
}
