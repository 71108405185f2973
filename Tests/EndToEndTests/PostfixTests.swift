// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Behind a real Postfix, with the recipes of docs/mail-servers.md as they stand there but for
// paths, ports and users.

import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: PostfixInstance.absence == nil, Comment(rawValue: PostfixInstance.absence ?? "")), .serialized)
struct PostfixTests {
    private static let unknown = "nobody@hooks.example.com"

    /// Lets the users that Postfix drops to reach what lies in the installation's folder.
    private func open(_ installation: Installation) throws {
        #expect(try Child.run("chmod", ["755", installation.folder.path]).status == 0)
    }

    private func checkDelivery(_ postfix: PostfixInstance, _ installation: Installation) throws {
        let sent = try postfix.send(numberedMail("1"), to: Installation.alias)
        #expect(sent.status == 0, "\(sent.output)")
        try eventually("the event: \(postfix.log)") { try installation.orderNumbers() == ["1"] }
        let event = try #require(try installation.events().first)
        #expect(event["mailfrom"] as? String == "shop@fernleaf.example")
        // The null sender stays one.
        #expect(try postfix.send(numberedMail("2"), to: Installation.alias, from: "<>").status == 0)
        try eventually("the second event: \(postfix.log)") { try installation.orderNumbers() == ["1", "2"] }
        #expect((try installation.events().last?["mailfrom"] as? String ?? "").isEmpty)
    }

    @Test func lmtpOverAUnixSocket() throws {
        let installation = try Installation(hook: "onNoData: reject")
        try open(installation)
        let socket = installation.folder.appendingPathComponent("lmtp.sock").path
        try installation.start(["--lmtp", socket])
        let recipe = try Recipe("Postfix: LMTP")
        let postfix = try PostfixInstance(
            main: recipe.block("main.cf", replacing: ["/run/mailhookd/lmtp.sock": socket]),
            services: recipe.block("master.cf"))
        try postfix.start()
        try checkDelivery(postfix, installation)
        // Refused while the sender is there.
        let unknown = try postfix.send(numberedMail("3"), to: Self.unknown)
        #expect(unknown.status != 0 && unknown.output.contains(" 550 5.1.1 "), "\(unknown.output)")
        // Refused by mailhookd after the data: Postfix returns the mail with our reason.
        #expect(try postfix.send("Subject: x\n\nno data\n", to: Installation.alias).status == 0)
        try eventually("the refusal: \(postfix.log)") {
            postfix.log.contains("dsn=5.6.0, status=bounced") && postfix.log.contains("No structured data found")
        }
        // While nobody listens, mail waits.
        try installation.kill()
        #expect(try postfix.send(numberedMail("4"), to: Installation.alias).status == 0)
        try eventually("the mail is deferred: \(postfix.log)") { postfix.log.contains("status=deferred") }
        try installation.start(["--lmtp", socket])
        try eventually("it comes after the restart: \(postfix.log)") { try installation.orderNumbers() == ["1", "2", "4"] }
        postfix.stop()
        #expect(try installation.stop() == 0)
    }

    @Test func lmtpOverTCP() throws {
        let installation = try Installation()
        try installation.start(["--lmtp", "127.0.0.1:0"])
        let line = try #require(installation.daemon?.lines.first { $0.hasPrefix("lmtp 127.0.0.1:") })
        let address = String(line.dropFirst(5))
        let base = try Recipe("Postfix: LMTP").block("main.cf")
        let line2 = try Recipe("Over TCP").block("mailhookd.yaml", replacing: ["127.0.0.1:2424": address])
        let postfix = try PostfixInstance(
            main: base.split(separator: "\n").filter { !$0.hasPrefix("relay_transport") }.joined(separator: "\n") + "\n" + line2)
        try postfix.start()
        try checkDelivery(postfix, installation)
        #expect(try installation.stop() == 0)
    }

    @Test(.openssl) func smtpWithTLS() throws {
        let recipe = try Recipe("Postfix: SMTP with TLS")
        let installation = try Installation(
            recipe.block("mailhookd.yaml", replacing: [
                "/etc/mailhookd/tls/fullchain.pem": "tls.crt", "/etc/mailhookd/tls/key.pem": "tls.key",
            ]))
        try TestCertificate(in: installation.folder)
        try installation.start()
        let port = try installation.smtp.port
        let postfix = try PostfixInstance(
            main: recipe.block("main.cf", replacing: ["[hooks.example.com]:25": "[127.0.0.1]:\(port)"]))
        try postfix.start()
        try checkDelivery(postfix, installation)
        let unknown = try postfix.send(numberedMail("3"), to: Self.unknown)
        #expect(unknown.status != 0 && unknown.output.contains(" 550 5.1.1 "), "\(unknown.output)")
        postfix.stop()
        #expect(try installation.stop() == 0)
        #expect(installation.lastLog.split(separator: "\n").filter { $0.contains("message accepted") }.allSatisfy { $0.contains("tls=TLSv1.3") })
    }

    @Test(arguments: [true, false])
    func pipe(isRunning: Bool) throws {
        let installation = try Installation(hook: "onNoData: reject")
        try open(installation)
        let data = installation.folder.appendingPathComponent("data").path
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        // The daemon's user. Root, which runs it here, gives the socket to the folder's owner.
        #expect(try Child.run("chown", ["nobody:nogroup", data]).status == 0)
        #expect(try Child.run("chmod", ["700", data]).status == 0)
        if isRunning { try installation.start() } else { try installation.makeSecret() }
        // The program as everybody may run it, wherever the build folder lies.
        let program = installation.folder.appendingPathComponent("mailhookd").path
        try FileManager.default.copyItem(atPath: Installation.binary, toPath: program)
        let recipe = try Recipe("Postfix: pipe")
        let postfix = try PostfixInstance(
            main: recipe.block("main.cf"),
            services: recipe.block(
                "master.cf",
                replacing: [
                    "/usr/bin/mailhookd": program, "/etc/mailhookd/mailhookd.yaml": installation.configurationFile.path,
                    "user=mailhookd": "user=nobody",
                ]))
        try postfix.start()
        try checkDelivery(postfix, installation)
        #expect(try postfix.send(numberedMail("3"), to: Self.unknown).status == 0)
        #expect(try postfix.send("Subject: x\n\nno data\n", to: Installation.alias).status == 0)
        try eventually("both refusals: \(postfix.log)") {
            postfix.log.contains("dsn=5.1.1, status=bounced (No such hook")
                && postfix.log.contains("dsn=5.6.0, status=bounced (No structured data found")
        }
        postfix.stop()
        if isRunning { #expect(try installation.stop() == 0) }
    }

    @Test func maildir() throws {
        let installation = try Installation()
        try open(installation)
        let base = installation.folder.appendingPathComponent("hooks")
        try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
        #expect(try Child.run("chown", ["5000:5000", base.path]).status == 0)
        let recipe = try Recipe("Postfix: Maildir")
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + "\n" + recipe.block("mailhookd.yaml", replacing: ["/var/mail/hooks": base.path]))
            .write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        // Postfix makes the Maildir with the first mail.
        try installation.start()
        let postfix = try PostfixInstance(main: recipe.block("main.cf", replacing: ["/var/mail/hooks": base.path]))
        try postfix.start()
        try checkDelivery(postfix, installation)
        let maildir = base.appendingPathComponent("Maildir/cur").path
        #expect(try FileManager.default.contentsOfDirectory(atPath: maildir).allSatisfy { $0.hasSuffix(":2,S") })
        postfix.stop()
        #expect(try installation.stop() == 0)
    }
}
