// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Who may send what, from outside: networks, load balancers, other people's clients, early
// talkers, loops, several hooks at once.

import Foundation
import TestSupport
import Testing

@Suite struct PolicyTests {
    private static let second = "kustomer.app.parcels.parcel.update"

    private func twoHooks(_ configuration: String) throws -> Installation {
        let installation = try Installation("  \(Self.second): { aliases: [parcels@hooks.example.com] }\n\(configuration)")
        _ = try installation.write(
            "apps/parcels.json",
            #"{"app":"parcels","version":"1.0.0","title":"Parcels","hooks":[{"eventName":"\#(Self.second)","type":"email"}]}"#)
        return installation
    }

    @Test func clientsThatMayNotConnect() throws {
        let installation = try Installation("limits: { allowClients: [192.0.2.0/24, \"2001:db8::/32\"] }", listen: "lmtp: [\"127.0.0.1:0\", \"lmtp.sock\"]"
            .replacingOccurrences(of: "\"lmtp.sock\"", with: "\"/tmp/mailhookd-\(UUID().uuidString.prefix(8)).sock\""))
        try installation.start()
        for kind in ["smtp", "lmtp"] {
            let denied = try Connection(installation.address(of: kind))
            #expect(try denied.reply().hasPrefix("554 5.7.1 This client may not"))
            #expect(denied.rest().isEmpty)
        }
        let path = try #require(installation.daemon?.lines.first { $0.hasPrefix("lmtp /") }).dropFirst(5)
        defer { unlink(String(path)) }
        #expect(try Connection(unix: String(path)).reply().hasPrefix("220 "))
        let allowing = try Installation("limits: { allowClients: [127.0.0.0/8] }")
        try allowing.start()
        #expect(try allowing.swaks().status == 0)
    }

    // MARK: - Senders and sizes of one hook

    @Test func sendersAndSizeOfAHook() throws {
        let installation = try twoHooks("  \"*\": { senders: [\"*.fernleaf.example\", bounce@fernleaf.example], messageSize: 2KiB }")
        try installation.start()
        let client = try Connection(installation.smtp)
        _ = try client.reply()
        _ = try client.command("EHLO shop.example")
        func offer(_ sender: String, _ recipient: String = Installation.alias) throws -> String {
            _ = try client.command("RSET")
            #expect(try client.command("MAIL FROM:\(sender)").hasPrefix("250 "))
            return try client.command("RCPT TO:<\(recipient)>")
        }
        #expect(try offer("<orders@shop.fernleaf.example>").hasPrefix("250 2.1.5"))
        #expect(try offer("<Bounce@Fernleaf.example>").hasPrefix("250 2.1.5"))
        #expect(try offer("<orders@fernleaf.example>").hasPrefix("550 5.7.1 This hook takes no mail from this sender"))
        #expect(try offer("<>").hasPrefix("550 5.7.1 "))
        #expect(try offer("<a@b.fernleaf.example> SIZE=2049").hasPrefix("552 5.2.3 Message too big for this hook"))
        #expect(try offer("<a@b.fernleaf.example> SIZE=2048").hasPrefix("250 2.1.5"))
        // Who says nothing before hears it behind the data.
        #expect(try offer("<a@b.fernleaf.example>").hasPrefix("250 2.1.5"))
        #expect(try client.command("DATA").hasPrefix("354 "))
        let line = String(repeating: "x", count: 70) + "\r\n"
        client.send("Subject: x\r\n\r\n" + String(repeating: line, count: 40) + ".\r\n")
        #expect(try client.reply().hasPrefix("552 5.2.3 "))
        #expect(try installation.events().isEmpty)
        let piped = try installation.command(
            ["receive", "--to", Installation.alias, "--from", "stranger@x.example"], input: "Subject: x\n\n{}\n")
        #expect(piped.status == 77, "\(piped.errors)")
        let tested = try installation.command(["send-test", Installation.orderUpdate])
        #expect(tested.status == 0, "send-test comes from one whose mail is taken: \(tested.output)")
    }

    // MARK: - PROXY

    private static let proxied = "limits: { proxyPeers: [127.0.0.1], allowClients: [192.0.2.0/24], connectionsPerPeer: 1, idleTimeout: 2s }"

    @Test(arguments: ["1", "2"]) func proxyHeaderBySwaks(version: String) throws {
        let installation = try Installation(Self.proxied)
        try installation.start()
        func send(from address: String) throws -> Child.Result {
            try installation.swaks(Installation.exampleMail, to: Installation.alias, [
                "--proxy-version", version, "--proxy-family", version == "1" ? "TCP4" : "AF_INET", "--proxy-source", address,
                "--proxy-source-port", "4711", "--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25",
            ] + (version == "1" ? [] : ["--proxy-command", "PROXY", "--proxy-protocol", "STREAM"]))
        }
        let sent = try send(from: "192.0.2.7")
        #expect(sent.status == 0, "\(sent.output)\(sent.errors)")
        let denied = try send(from: "203.0.113.5")
        #expect(denied.status != 0 && denied.output.contains("554 5.7.1"), "\(denied.output)")
        #expect(try installation.events().count == 1)
    }

    @Test func theProxiedAddressCounts() throws {
        let installation = try Installation(Self.proxied)
        try installation.start()
        func connect(_ header: String) throws -> Connection {
            let connection = try Connection(installation.smtp)
            connection.send(header)
            return connection
        }
        let first = try connect("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nEHLO pipelined\r\n")
        #expect(try first.reply().hasPrefix("220 ") && first.reply().contains("PIPELINING"))
        #expect(try connect("PROXY TCP4 192.0.2.7 198.51.100.1 4712 25\r\n").reply().hasPrefix("421 4.7.0"))
        #expect(try connect("PROXY TCP4 192.0.2.8 198.51.100.1 4713 25\r\n").reply().hasPrefix("220 "))
        // The balancer for itself is subject to its own address.
        #expect(try connect("PROXY UNKNOWN\r\n").reply().hasPrefix("554 5.7.1"))
        // Cut anywhere.
        let slow = try Connection(installation.smtp)
        for octet in Array("PROXY TCP4 192.0.2.9 198.51.100.1 4711 25\r\nEHLO c\r\n".utf8) { slow.send([octet]) }
        #expect(try slow.reply().hasPrefix("220 ") && slow.reply().hasPrefix("250-"))
    }

    @Test func noProxyHeaderNoService() throws {
        let installation = try Installation(Self.proxied)
        try installation.start()
        for text in ["EHLO client.example\r\n", "PROXY TCP4 1.2.3.4\r\n", "\r\n\r\n\u{0}\r\nQUIT\n!", "PROXY " + String(repeating: "x", count: 200)] {
            let client = try Connection(installation.smtp)
            client.send(text)
            #expect(client.rest().isEmpty, "\(text)")
        }
        let silent = try Connection(installation.smtp)
        #expect(silent.rest().isEmpty)
        let half = try Connection(installation.smtp)
        half.send("PROXY TCP4 ")
        half.finishSending()
        #expect(half.rest().isEmpty)
        // From a peer that is no load balancer, the header is no command.
        let other = try Installation()
        try other.start()
        let client = try Connection(other.smtp)
        _ = try client.reply()
        #expect(try client.command("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25").hasPrefix("500 "))
    }

    @Test(.openssl) func proxyHeaderBeforeTLS() throws {
        let installation = try Installation(
            "tls: { certificate: tls.crt, key: tls.key }\n\(Self.proxied)", listen: "smtps: [\"127.0.0.1:0\"]")
        try TestCertificate(in: installation.folder)
        try installation.start()
        let client = try TLSClient(installation.address(of: "smtps"))
        try client.send("PROXY TCP6 2001:db8::1 2001:db8::2 4711 465\r\n")
        // That address may not connect: the handshake is not even begun.
        #expect(try client.handshake().hasPrefix("closed"))
        let allowed = try TLSClient(installation.address(of: "smtps"))
        try allowed.send("PROXY TCP4 192.0.2.7 198.51.100.1 4711 465\r\n")
        #expect(try allowed.handshake().hasPrefix("TLSv1.3"))
        #expect(try allowed.reply().hasPrefix("220 "))
        #expect(try allowed.command("QUIT").hasPrefix("221 "))
    }

    // MARK: - International domains

    /// As a domain of hooks, an alias and a sender, in either spelling.
    @Test func bothSpellingsOfADomain() throws {
        let installation = try Installation(
            "domains: [münchen.example]", hook: "senders: [bücher.example]")
        try installation.edit("aliases: [\(Installation.alias)]", "aliases: [orders@größe.example]")
        try installation.start()
        let listed = try Installation.objects(installation.command(["hooks", "--json"]).output)
        let address = try #require(listed.first { $0["type"] as? String == "email" }?["address"] as? String)
        #expect(address.hasSuffix("@xn--mnchen-3ya.example"))
        let token = try #require(address.split(separator: "@").first)
        for sender in ["a@bücher.example", "a@xn--bcher-kva.example"] {
            for recipient in ["\(token)@münchen.example", address, "orders@größe.example", "orders@xn--gre-6ka8i.example"] {
                let session = try Connection(installation.smtp)
                _ = try session.reply()
                _ = try session.command("EHLO c")
                #expect(try session.command("MAIL FROM:<\(sender)> SMTPUTF8").hasPrefix("250 "))
                let answer = try session.command("RCPT TO:<\(recipient)>")
                #expect(answer.hasPrefix("250 "), "\(sender) \(recipient): \(answer)")
            }
        }
    }

    // MARK: - XCLIENT

    /// Behind one mail server there are many whom it does not know.
    @Test func unknownClientsAreNotOnePeer() throws {
        let installation = try Installation(
            "limits: { xclientPeers: [127.0.0.1], connectionsPerPeer: 1, perPeerExempt: [127.0.0.1] }")
        try installation.start()
        let open = try (0..<4).map { _ in try Connection(installation.smtp) }
        for connection in open {
            _ = try connection.reply()
            _ = try connection.command("EHLO mx")
            #expect(try connection.command("XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]").hasPrefix("220 "))
        }
    }


    @Test func xclientBySwaks() throws {
        let installation = try Installation("limits: { xclientPeers: [127.0.0.0/8], allowClients: [127.0.0.1, 192.0.2.0/24] }\nlog: debug")
        try installation.start()
        let sent = try installation.swaks(
            Installation.exampleMail, to: Installation.alias,
            ["--xclient-addr", "192.0.2.7", "--xclient-name", "client.example", "--xclient-helo", "client.example", "--xclient-proto", "ESMTP"])
        #expect(sent.status == 0, "\(sent.output)\(sent.errors)")
        // What swaks says, not what it was offered.
        #expect(sent.output.contains(" -> XCLIENT ") && sent.output.contains(" ADDR=192.0.2.7"), "\(sent.output)")
        let denied = try installation.swaks(
            Installation.exampleMail, to: Installation.alias, ["--xclient-addr", "203.0.113.7"])
        #expect(denied.status != 0 && denied.output.contains("554 5.7.1"), "\(denied.output)")
        #expect(try installation.events().count == 1)
    }

    @Test func xclientCountsForLimits() throws {
        let installation = try Installation("limits: { xclientPeers: [127.0.0.1], connectionsPerPeer: 2 }")
        try installation.start()
        func connect() throws -> Connection {
            let connection = try Connection(installation.smtp)
            _ = try connection.reply()
            #expect(try connection.command("EHLO mx").contains("-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"))
            return connection
        }
        let open = try (0..<3).map { _ in try connect() }
        #expect(try open[0].command("XCLIENT ADDR=192.0.2.7").hasPrefix("220 "))
        #expect(try open[1].command("XCLIENT ADDR=192.0.2.7").hasPrefix("220 "))
        #expect(try open[2].command("XCLIENT ADDR=192.0.2.7").hasPrefix("421 4.7.0"))
        // Back to another address, its place is free again.
        #expect(try open[0].command("XCLIENT ADDR=IPV6:2001:db8::1").hasPrefix("220 "))
        #expect(try connect().command("XCLIENT ADDR=192.0.2.7").hasPrefix("220 "))
        let other = try Installation("limits: { xclientPeers: [192.0.2.1] }")
        try other.start()
        let client = try Connection(other.smtp)
        _ = try client.reply()
        #expect(try !client.command("EHLO c").contains("XCLIENT"))
        #expect(try client.command("XCLIENT ADDR=192.0.2.7").hasPrefix("502 "))
    }

    // MARK: - Time

    @Test func earlyTalkers() throws {
        let installation = try Installation("smtp: { greetDelay: 1s }", listen: "lmtp: [\"127.0.0.1:0\"]")
        try installation.start()
        for kind in ["smtp", "lmtp"] {
            let start = Date()
            let early = try Connection(installation.address(of: kind))
            early.send("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n")
            #expect(try early.reply().hasPrefix("554 5.5.1 "))
            #expect(early.rest().isEmpty)
            #expect(Date().timeIntervalSince(start) < 5)
        }
        let start = Date()
        let patient = try Connection(installation.smtp)
        #expect(try patient.reply().hasPrefix("220 "))
        #expect(Date().timeIntervalSince(start) > 0.9)
        #expect(try patient.command("EHLO c").hasPrefix("250-"))
        #expect(try installation.swaks().status == 0)
        // Told to stop in the pause.
        let waiting = try Connection(installation.smtp)
        usleep(200_000)
        let daemon = try #require(installation.daemon)
        daemon.signal(SIGTERM)
        #expect(try waiting.reply().hasPrefix("421 4.3.2 "))
        #expect(try daemon.wait().status == 0)
    }

    /// Over a Unix socket comes the mail server of this machine: it need not prove its patience, and is not kept waiting.
    @Test func noPauseOnAUnixSocket() throws {
        let installation = try Installation("smtp: { greetDelay: 10s }")
        let path = installation.folder.appendingPathComponent("lmtp.sock").path
        try installation.start(["--lmtp", path])
        let client = try Connection(unix: path)
        client.send("LHLO mx.example\r\n")
        #expect(try client.reply().hasPrefix("220 "))
        #expect(try client.reply().hasPrefix("250-"))
    }

    /// An octet now and then is no command.
    @Test func octetByOctet() throws {
        let installation = try Installation("limits: { idleTimeout: 1s, dataTimeout: 2s }")
        try installation.start()
        for opening in [[], ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<\(Installation.alias)>", "BDAT 1000"]] {
            let slow = try Connection(installation.smtp)
            _ = try slow.reply()
            slow.send(opening.map { $0 + "\r\n" }.joined())
            for _ in opening.dropLast() { _ = try slow.reply() }
            let reply = slow.replyWhileSending("N")
            #expect(reply?.hasPrefix("421 4.4.2 Timed out") == true, "\(opening): \(reply ?? "none")")
        }
    }

    // MARK: - Loops and hooks

    private func looping(_ number: String, _ count: Int) -> String {
        numberedMail(number, header: (0..<count).map { "Received: from a by b with SMTP id \($0)\n" }.joined())
    }

    @Test func mailThatGoesInCircles() throws {
        let installation = try Installation("limits: { receivedFields: 20 }", listen: "lmtp: [\"127.0.0.1:0\"]")
        try installation.start()
        #expect(try installation.swaks(installation.write("a.eml", looping("1", 20))).status == 0)
        let loop = try installation.swaks(installation.write("b.eml", looping("2", 21)))
        #expect(loop.status != 0 && loop.output.contains("554 5.4.6 Mail loop"), "\(loop.output)")
        // Fields of an attached message are another message's way.
        let attached = "Content-Type: message/rfc822\nSubject: forwarded\n\n" + looping("3", 30)
        let forwarded = try installation.swaks(installation.write("c.eml", attached))
        #expect(forwarded.status == 0, "\(forwarded.output)")
        // The same by other roads.
        let piped = try installation.command(["receive", "--to=\(Installation.alias)"], input: looping("4", 21))
        #expect(piped.status == 65 && (piped.output + piped.errors).contains("Mail loop"), "\(piped)")
        let session = try Connection(installation.address(of: "lmtp"))
        _ = try session.reply()
        session.send("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<\(Installation.alias)>\r\nRCPT TO:<orders+x@hooks.example.com>\r\nDATA\r\n")
        for _ in 0..<5 { _ = try session.reply() }
        session.send(looping("5", 21).replacingOccurrences(of: "\n", with: "\r\n") + ".\r\n")
        #expect(try session.reply().hasPrefix("554 5.4.6") && session.reply().hasPrefix("554 5.4.6"))
        #expect(try installation.orderNumbers() == ["1"])
        let tried = try installation.command(["try", installation.folder.appendingPathComponent("b.eml").path, "--to", Installation.alias])
        #expect(tried.output.contains("mail_loop") && tried.output.contains("554 5.4.6"), "\(tried.output)")
    }

    @Test func oneHookPerTransaction() throws {
        for (isOne, code) in [(true, "452 4.5.3 "), (false, "250 ")] {
            let installation = try twoHooks("smtp: { oneHookPerTransaction: \(isOne) }")
            try installation.start()
            let session = try Connection(installation.smtp)
            _ = try session.reply()
            _ = try session.command("EHLO c")
            _ = try session.command("MAIL FROM:<>")
            #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
            #expect(try session.command("RCPT TO:<parcels@hooks.example.com>").hasPrefix(code))
            // A sub-address is the same hook, and who is refused is nobody's first.
            #expect(try session.command("RCPT TO:<orders+x@hooks.example.com>").hasPrefix("250 "))
            #expect(try session.command("RSET").hasPrefix("250 "))
            _ = try session.command("MAIL FROM:<>")
            #expect(try session.command("RCPT TO:<nobody@hooks.example.com>").hasPrefix("550 "))
            #expect(try session.command("RCPT TO:<parcels@hooks.example.com>").hasPrefix("250 "))
            #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix(code))
            // swaks goes on with those that are taken.
            let sent = try installation.swaks(to: "\(Installation.alias),parcels@hooks.example.com")
            #expect(sent.output.contains("452 4.5.3") == isOne)
            #expect(try installation.events().count == (isOne ? 1 : 2))
        }
    }

    /// LMTP has an answer for each recipient, so that no two hooks are in each other's way.
    @Test func severalHooksPerTransactionOfLMTP() throws {
        let installation = try twoHooks("smtp: { oneHookPerTransaction: true }")
        try installation.start(["--lmtp", "127.0.0.1:0"])
        let session = try Connection(installation.address(of: "lmtp"))
        _ = try session.reply()
        _ = try session.command("LHLO c")
        _ = try session.command("MAIL FROM:<>")
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<parcels@hooks.example.com>").hasPrefix("250 "))
        _ = try session.command("DATA")
        session.send(numberedMail("1").replacingOccurrences(of: "\n", with: "\r\n") + ".\r\n")
        #expect(try session.reply().hasPrefix("250 2.0.0 ") && session.reply().hasPrefix("250 2.0.0 "))
        #expect(try installation.events().count == 2)
    }

    @Test func bareNewlinesNormalized() throws {
        let installation = try Installation("smtp: { bareNewline: normalize }")
        try installation.start()
        let session = try Connection(installation.smtp)
        _ = try session.reply()
        _ = try session.command("EHLO c")
        _ = try session.command("MAIL FROM:<>")
        _ = try session.command("RCPT TO:<\(Installation.alias)>")
        _ = try session.command("DATA")
        session.send(numberedMail("1") + "\n.\nMAIL FROM:<smuggled@b.example>\r\n.\n\r\n.\r\n")
        #expect(try session.reply().hasPrefix("250 2.0.0 "))
        #expect(try session.command("QUIT").hasPrefix("221 "))
        #expect(session.rest().isEmpty)
    }
}
