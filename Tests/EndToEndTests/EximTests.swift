// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Behind a real Exim, with the recipes of docs/mail-servers.md as they stand there but for paths,
// ports and users.

import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: EximInstance.absence == nil, Comment(rawValue: EximInstance.absence ?? "")), .serialized)
struct EximTests {
    /// Mail of the shop's, of nobody's, to nobody, without data.
    ///
    /// - Parameters: what the log says of the latter two.
    private func checkDelivery(
        _ exim: EximInstance, _ installation: Installation, unknown: String = "No such hook",
        noData: String = "No structured data found"
    ) throws {
        #expect(try exim.send(numberedMail("1"), to: Installation.alias).status == 0)
        #expect(try installation.orderNumbers() == ["1"], "\(exim.log)")
        let event = try #require(try installation.events().first)
        #expect(event["mailfrom"] as? String == "shop@fernleaf.example")
        _ = try exim.send(numberedMail("2"), to: Installation.alias, from: "<>")
        #expect(try installation.orderNumbers() == ["1", "2"], "\(exim.log)")
        _ = try exim.send(numberedMail("3"), to: "nobody@hooks.example.com")
        #expect(exim.log.contains("** nobody@hooks.example.com") && exim.log.contains(unknown), "\(exim.log)")
        _ = try exim.send("Subject: x\n\nno data\n", to: Installation.alias)
        #expect(exim.log.contains(noData), "\(exim.log)")
    }

    @Test(.openssl) func smtpWithTLS() throws {
        let tls = try Recipe("Postfix: SMTP with TLS").block("mailhookd.yaml", replacing: [
            "/etc/mailhookd/tls/fullchain.pem": "tls.crt", "/etc/mailhookd/tls/key.pem": "tls.key",
        ])
        let installation = try Installation(tls + "log: debug\n", hook: "onNoData: reject")
        try TestCertificate(in: installation.folder)
        try installation.start()
        let recipe = try Recipe("Exim: SMTP with TLS")
        let port = try installation.smtp.port
        let exim = try EximInstance(
            router: recipe.block("routers", replacing: ["route_data = hooks.example.com": "route_data = 127.0.0.1"]) + "  self = send\n",
            transport: recipe.block("transports", replacing: ["port = 25": "port = \(port)"]))
        try checkDelivery(exim, installation)
        // X: the cipher; K: the message went by BDAT; C: our answer.
        let delivered = exim.log.split(separator: "\n").filter { $0.contains("=> \(Installation.alias)") }
        #expect(delivered.count == 2 && delivered.allSatisfy { $0.contains(" X=TLS1.3:") && $0.contains(" K ") && $0.contains("C=\"250 2.0.0 Accepted") }, "\(exim.log)")
        // A message larger than Exim's chunks, which have a buffer of 8 kB.
        let padding = (0..<4000).map { "X-Padding-\($0): \(String(repeating: "x", count: 50))\n" }.joined()
        _ = try exim.send(numberedMail("4", header: padding), to: Installation.alias)
        #expect(try installation.orderNumbers() == ["1", "2", "4"], "\(exim.log)")
        // While nobody listens, mail waits.
        try installation.kill()
        _ = try exim.send(numberedMail("5"), to: Installation.alias)
        #expect(exim.log.contains("== \(Installation.alias)"), "\(exim.log)")
        try installation.start(["--smtp", "127.0.0.1:\(port)"])
        try exim.runQueue()
        try eventually("it comes after the restart: \(exim.log)") { try installation.orderNumbers() == ["1", "2", "4", "5"] }
        #expect(try installation.stop() == 0)
        #expect(installation.lastLog.contains("tls=TLSv1.3"))
    }

    @Test func lmtpOverAUnixSocket() throws {
        let installation = try Installation(hook: "onNoData: reject")
        #expect(try Child.run("chmod", ["755", installation.folder.path]).status == 0)
        let socket = installation.folder.appendingPathComponent("lmtp.sock").path
        try installation.start(["--lmtp", socket])
        let recipe = try Recipe("Exim: LMTP")
        let exim = try EximInstance(
            router: recipe.block("routers"),
            // Without a user of its own, a transport runs as the recipient, whom nobody looks for here.
            transport: recipe.block("transports", replacing: ["/run/mailhookd/lmtp.sock": socket]) + "  user = mail\n")
        try checkDelivery(exim, installation)
        #expect(try installation.stop() == 0)
    }

    @Test func pipe() throws {
        let installation = try Installation(hook: "onNoData: reject")
        #expect(try Child.run("chmod", ["755", installation.folder.path]).status == 0)
        let data = installation.folder.appendingPathComponent("data").path
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        #expect(try Child.run("chown", ["nobody:nogroup", data]).status == 0)
        #expect(try Child.run("chmod", ["700", data]).status == 0)
        let program = installation.folder.appendingPathComponent("mailhookd").path
        try FileManager.default.copyItem(atPath: Installation.binary, toPath: program)
        try installation.start()
        let recipe = try Recipe("Exim: LMTP")
        let exim = try EximInstance(
            router: recipe.block("routers"),
            transport: Recipe("Exim: pipe").block("transports", replacing: [
                "/usr/bin/mailhookd": program, "/etc/mailhookd/mailhookd.yaml": installation.configurationFile.path,
                "user = mailhookd": "user = nobody",
            ]))
        // The reason goes to the sender.
        try checkDelivery(exim, installation, unknown: "returned 67", noData: "returned 65")
        #expect(try installation.stop() == 0)
    }
}
