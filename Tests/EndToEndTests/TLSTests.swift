// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// TLS from outside: swaks, openssl s_client, and a client that breaks the rules.

import Foundation
import TestSupport
import Testing

@Suite(.openssl) struct TLSTests {
    private func installation(_ more: String = "", tls: String = "", listen: String = "smtps: [\"127.0.0.1:0\"]") throws -> Installation {
        let installation = try Installation(
            "tls: { certificate: tls.crt, key: tls.key\(tls) }\n\(more)", listen: listen)
        try TestCertificate(in: installation.folder)
        try installation.start()
        return installation
    }

    @Test func swaksWithSTARTTLSAndWithout() throws {
        let installation = try installation()
        let sent = try installation.swaks(Installation.exampleMail, to: Installation.alias, ["--tls", "--tls-verify", "--tls-ca-path", installation.folder.path + "/tls.crt"])
        #expect(sent.status == 0, "\(sent.output)\(sent.errors)")
        #expect(sent.output.contains("TLS started with cipher TLSv1.3"))
        // Announced before and not after.
        #expect(sent.output.components(separatedBy: "STARTTLS\n").count == 3, "\(sent.output)")
        #expect(try installation.swaks(mail(installation, "2")).status == 0)
        let (host, port) = try installation.address(of: "smtps")
        let implicit = try Child.run(
            "swaks",
            [
                "--server", host, "--port", port, "-tlsc", "--ehlo", "shop.example", "--from", "a@b.example", "--to", Installation.alias,
                "--data", "@\(mail(installation, "3").path)",
            ])
        #expect(implicit.status == 0, "\(implicit.output)\(implicit.errors)")
        #expect(try installation.orderNumbers() == ["2", "3", "88-104"])
        try installation.stop()
        let accepted = installation.lastLog.split(separator: "\n").filter { $0.contains("message accepted") }
        #expect(accepted.map { $0.contains("tls=TLSv1.3") } == [true, false, true], "\(accepted)")
    }

    @Test(arguments: ["starttls", "implicit"]) func sendTestVerifies(_ mode: String) throws {
        let installation = try installation()
        let authority = installation.folder.path + "/tls.crt"
        func send(_ options: String...) throws -> Child.Result {
            try installation.command(["send-test", Installation.orderUpdate, "--tls", mode] + options)
        }
        // By the name of the configuration, by another one of the certificate's, by its address, and by none.
        for options in [[], ["--tls-name", "127.0.0.1"], ["--tls-name", "hooks.example.com"]] {
            let sent = try installation.command(
                ["send-test", Installation.orderUpdate, "--tls", mode, "--tls-authority", authority] + options)
            #expect(sent.status == 0 && sent.output.contains("S: 250 2.0.0 Accepted"), "\(sent)")
            #expect(sent.output.contains("C: STARTTLS") == (mode == "starttls") && sent.output.contains("(TLS)"))
        }
        #expect(try send("--tls-unverified").status == 0)
        let unknown = try send()
        #expect(unknown.status == 75 && unknown.errors.contains("TLS: the server's certificate has expired, or is signed by nobody"))
        let other = try send("--tls-authority", authority, "--tls-name", "other.example.com")
        #expect(other.status == 75 && other.errors.contains("TLS: the server's certificate is made out to another name"))
        #expect(try send("--tls-authority", authority + ".none").status == 66)
        #expect(try installation.events().count == 4)
        try installation.stop()
        let accepted = installation.lastLog.split(separator: "\n").filter { $0.contains("message accepted") }
        #expect(accepted.count == 4 && accepted.allSatisfy { $0.contains("tls=TLSv1.3") }, "\(accepted)")
    }

    @Test func swaksWithPipelining() throws {
        let installation = try installation()
        for (number, options) in [["--pipeline"], ["--pipeline", "--tls"]].enumerated() {
            let recipients = "\(Installation.alias),nobody@hooks.example.com"
            let sent = try installation.swaks(mail(installation, "\(number)"), to: recipients, options)
            // Of two recipients one is taken, and so is the mail.
            #expect(sent.output.contains("550 5.1.1 ") && sent.output.contains("250 2.0.0 Accepted"), "\(sent.output)")
        }
        #expect(try installation.orderNumbers() == ["0", "1"])
    }

    private func mail(_ installation: Installation, _ number: String) throws -> URL {
        try installation.write("mail-\(number).eml", numberedMail(number))
    }

    @Test(arguments: ["smtp", "smtps", "lmtp"]) func opensslClient(kind: String) throws {
        let installation = try installation(listen: "smtps: [\"127.0.0.1:0\"], lmtp: [\"127.0.0.1:0\"]")
        let (host, port) = try installation.address(of: kind)
        let start = kind == "smtps" ? [] : ["-starttls", kind]
        // The client takes a line that begins with R or Q for an order to itself.
        let hello = kind == "lmtp" ? "LHLO c" : "EHLO c"
        let result = try Child.run(
            "openssl", ["s_client", "-connect", "\(host):\(port)", "-crlf", "-ign_eof", "-tls1_2"] + start,
            input: "\(hello)\nNOOP\nquit\n")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("Protocol  : TLSv1.2") || result.output.contains("New, TLSv1.2"), "\(result.output)")
        #expect(result.output.contains("250-PIPELINING") && result.output.contains("221 2.0.0 Bye"), "\(result.output)")
    }

    @Test func oldVersionsAreRefused() throws {
        let installation = try installation(tls: ", minimumVersion: \"1.3\"")
        for (version, isTaken) in [("TLSv1_1", false), ("TLSv1_2", false), ("TLSv1_3", true)] {
            let client = try TLSClient(installation.address(of: "smtps"))
            #expect(try client.handshake(version).hasPrefix("TLSv1.3") == isTaken, "\(version)")
        }
    }

    /// What is put between the client and the handshake is not run behind it (CVE-2011-0411 and its likes).
    @Test func nothingIsInjectedBeforeTheHandshake() throws {
        let installation = try installation()
        for injected in ["NOOP\r\n", "EHLO x\r\nMAIL FROM:<injected@b.example>\r\nRCPT TO:<\(Installation.alias)>\r\nDATA\r\nm\r\n.\r\n"] {
            let client = try TLSClient(installation.smtp)
            _ = try client.reply()
            _ = try client.command("EHLO client.example")
            #expect(try client.command("STARTTLS\r\n\(injected)".trimmingCharacters(in: .newlines)).hasPrefix("220 2.0.0 "))
            #expect(try client.handshake().hasPrefix("TLSv1.3 "))
            // The first answer is that to the first command behind the handshake.
            #expect(try client.command("VRFY x").hasPrefix("252 "))
            #expect(try client.command("MAIL FROM:<a@b.example>").hasPrefix("503 5.5.1 Say hello"))
            let hello = try client.command("EHLO client.example")
            #expect(hello.hasPrefix("250-") && !hello.contains("STARTTLS"))
            #expect(try client.command("STARTTLS").hasPrefix("503 5.5.1 "))
            #expect(try client.command("QUIT").hasPrefix("221 "))
            #expect(try client.rest().isEmpty)
        }
        #expect(try installation.events().isEmpty)
    }

    /// What comes over a Unix socket has not left the machine: TLS is neither asked for nor offered there.
    @Test func requiredTLSIsNotForUnixSockets() throws {
        let installation = try Installation("tls: { certificate: tls.crt, key: tls.key, require: true }")
        try TestCertificate(in: installation.folder)
        let path = installation.folder.appendingPathComponent("lmtp.sock").path
        try installation.start(["--lmtp", path, "--lmtp", "127.0.0.1:0"])
        for (client, isLocal) in [(try Connection(unix: path), true), (try Connection(installation.address(of: "lmtp")), false)] {
            _ = try client.reply()
            #expect(try client.command("LHLO c").contains("STARTTLS") != isLocal)
            #expect(try client.command("MAIL FROM:<a@b.example>").hasPrefix(isLocal ? "250 " : "530 5.7.0 "))
        }
    }

    @Test func requiredTLS() throws {
        let installation = try installation(tls: ", require: true")
        let plain = try installation.swaks()
        #expect(plain.status != 0 && plain.output.contains("530 5.7.0 Must issue a STARTTLS command first"), "\(plain.output)")
        #expect(try installation.swaks(Installation.exampleMail, to: Installation.alias, ["--tls"]).status == 0)
        // The Unix socket does not leave the machine.
        #expect(try installation.events().count == 1)
    }

    /// New connections get the new certificate, those that are open stay; a broken one changes nothing.
    @Test func certificatesThatChange() throws {
        let installation = try installation()
        func fingerprint() throws -> String {
            let client = try TLSClient(installation.address(of: "smtps"))
            return String(try client.handshake().split(separator: " ").last ?? "")
        }
        let open = try TLSClient(installation.address(of: "smtps"))
        let first = try String(open.handshake().split(separator: " ").last ?? "")
        #expect(first.count == 64)
        _ = try open.reply()
        #expect(try fingerprint() == first)
        try TestCertificate(in: installation.folder)
        try eventually("the new certificate") { try fingerprint() != first }
        let second = try fingerprint()
        try "broken\n".write(to: installation.folder.appendingPathComponent("tls.crt"), atomically: true, encoding: .utf8)
        usleep(1_200_000)
        #expect(try fingerprint() == second)
        #expect(installation.daemon?.errors.contains("the certificate from before stays") == true)
        #expect(try open.command("NOOP").hasPrefix("250 "))
        try TestCertificate(in: installation.folder)
        try eventually("the third certificate") { try ![first, second].contains(fingerprint()) }
    }

    /// A reload may bring TLS, other files, and a listener for it.
    @Test func reload() throws {
        let installation = try Installation()
        try TestCertificate(in: installation.folder)
        try TestCertificate(in: installation.folder, name: "other")
        try installation.start()
        #expect(try installation.swaks(Installation.exampleMail, to: Installation.alias, ["--tls"]).status != 0)
        let plain = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        func change(_ configuration: String, _ said: String) throws {
            let before = installation.daemon?.errors.components(separatedBy: said).count ?? 0
            try configuration.write(to: installation.configurationFile, atomically: true, encoding: .utf8)
            installation.daemon?.signal(SIGHUP)
            try eventually(said) { (installation.daemon?.errors.components(separatedBy: said).count ?? 0) > before }
        }
        func fingerprint() throws -> String {
            let client = try TLSClient(installation.address(of: "smtps"))
            return String(try client.handshake().split(separator: " ").last ?? "")
        }
        let listening = plain.replacingOccurrences(of: "listen: { ", with: "listen: { smtps: [\"127.0.0.1:0\"], ")
        try change(listening + "\ntls: { certificate: tls.crt, key: tls.key }\n", " reloaded")
        #expect(try installation.swaks(Installation.exampleMail, to: Installation.alias, ["--tls"]).status == 0)
        let first = try fingerprint()
        try change(listening + "\ntls: { certificate: other.crt, key: other.key }\n", " reloaded")
        let second = try fingerprint()
        #expect(first.count == 64 && second.count == 64 && first != second)
        try change(listening + "\ntls: { certificate: other.crt, key: tls.key }\n", "reload refused")
        #expect(try fingerprint() == second)
        #expect(installation.daemon?.errors.contains("does not belong to the certificate") == true)
    }

    /// What is no handshake, or none that ends, costs a connection and nothing else.
    @Test func brokenHandshakes() throws {
        let installation = try installation("limits: { idleTimeout: 1s, connections: 5 }")
        for text in ["EHLO client.example\r\n", String(repeating: "\u{16}\u{3}\u{1}", count: 5000), "\u{16}\u{3}\u{1}\u{0}\u{5}"] {
            let client = try Connection(installation.address(of: "smtps"))
            client.send(text)
            #expect(!client.rest().contains("220 "))
        }
        let silent = try Connection(installation.address(of: "smtps"))
        #expect(silent.rest().isEmpty)
        let halfway = try Connection(installation.smtp)
        _ = try halfway.reply()
        _ = try halfway.command("EHLO c")
        #expect(try halfway.command("STARTTLS").hasPrefix("220 "))
        halfway.send("MAIL FROM:<a@b.example>\r\n")
        #expect(!halfway.rest().contains("250"))
        // All places were given back.
        let all = try (0..<5).map { _ in try Connection(installation.smtp) }
        for connection in all { #expect(try connection.reply().hasPrefix("220 ")) }
    }

    @Test func limitsHoldUnderTLS() throws {
        let installation = try installation("limits: { connectionsPerPeer: 2, perPeerExempt: [], messageSize: 64KiB }")
        let clients = try (0..<2).map { _ in try TLSClient(installation.address(of: "smtps")) }
        for client in clients {
            #expect(try client.handshake().hasPrefix("TLS"))
            #expect(try client.reply().hasPrefix("220 "))
        }
        #expect(try TLSClient(installation.address(of: "smtps")).handshake().hasPrefix("closed"))
        #expect(try Connection(installation.smtp).reply().hasPrefix("421 4.7.0"))
        let client = clients[0]
        _ = try client.command("EHLO c")
        #expect(try client.command("MAIL FROM:<a@b.example> SIZE=70000").hasPrefix("552 "))
        // SIGTERM reaches idle sessions under TLS, too.
        let daemon = try #require(installation.daemon)
        daemon.signal(SIGTERM)
        #expect(try client.reply().hasPrefix("421 4.3.2 "))
        #expect(try daemon.wait().status == 0)
    }

    @Test func checkTellsWhatIsWrong() throws {
        let installation = try Installation("tls: { certificate: tls.crt, key: other.key }", listen: "smtps: [\"127.0.0.1:0\"]")
        var check = try installation.command(["check"])
        #expect(check.status == 78 && check.errors.contains("tls.crt: No such file"), "\(check.errors)")
        try TestCertificate(in: installation.folder)
        try TestCertificate(in: installation.folder, name: "other")
        check = try installation.command(["check"])
        #expect(check.status == 78 && check.errors.contains("does not belong to the certificate"), "\(check.errors)")
        try TestCertificate(in: installation.folder, name: "tls", isExpired: true)
        try FileManager.default.removeItem(at: installation.folder.appendingPathComponent("other.key"))
        try FileManager.default.copyItem(
            at: installation.folder.appendingPathComponent("tls.key"), to: installation.folder.appendingPathComponent("other.key"))
        check = try installation.command(["check"])
        #expect(check.status == 0 && (check.errors + check.output).contains("has expired at 2002-01-01"), "\(check.errors)")
    }

    /// The rows of the suite under TLS: what ends a message is the same.
    @Test(.conformance("smtp")) func smuggling() throws {
        let installation = try installation()
        let suite = try #require(
            try JSONSerialization.jsonObject(with: Data(Conformance.bytes("smtp", "end-of-data.json"))) as? [String: Any])
        let template = try #require(suite["template"] as? [String: String])
        let sequences = try #require(suite["sequences"] as? [[String: Any]])
        for row in sequences {
            let id = try #require(row["id"] as? String)
            let client = try TLSClient(installation.address(of: "smtps"))
            _ = try client.handshake()
            _ = try client.reply()
            try client.send("EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<\(Installation.alias)>\r\nDATA\r\n")
            for _ in 0..<3 { _ = try client.reply() }
            #expect(try client.reply().hasPrefix("354 "), "\(id)")
            let after = try #require(template["after"]).replacingOccurrences(of: "victim@example.net", with: Installation.alias)
            try client.send(
                Array(try #require(template["before"]).utf8) + hexadecimal(try #require(row["hex"] as? String))
                    + Array((after + (template["finish"] ?? "")).utf8) + Array("QUIT\r\n".utf8))
            let answers = try client.rest()
            let isEnd = try #require(row["isEndOfData"] as? Bool)
            let allowed = try #require(row["allowed"] as? [String])
            if isEnd, allowed.contains("end-of-data-then-reject"), answers.hasPrefix("5") {
                #expect(answers.split(separator: "\r\n").count == 1, "\(id): \(answers)")
            } else {
                #expect(answers.contains("354 ") == isEnd, "\(id): \(answers)")
            }
        }
    }
}
