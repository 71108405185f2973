// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A real Dovecot delivers by LMTP into the Maildir that we watch, compressed, with the recipe of
// docs/mail-servers.md. It runs on sockets and folders of the test's own.

import Foundation
import TestSupport
import Testing

@Suite struct DovecotTests {
    static let absence: String? = {
        if geteuid() != 0 { return "skipped: Dovecot can only be started by root" }
        return FileManager.default.isExecutableFile(atPath: "/usr/lib/dovecot/lmtp")
            ? nil : "skipped: Dovecot (dovecot-lmtpd) is not installed"
    }()

    @Test(.enabled(if: absence == nil, Comment(rawValue: absence ?? "")))
    func lmtpIntoAWatchedMaildir() throws {
        let installation = try Installation()
        #expect(try Child.run("chmod", ["755", installation.folder.path]).status == 0)
        let home = installation.folder.appendingPathComponent("hooks")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        #expect(try Child.run("chown", ["5000:5000", home.path]).status == 0)
        let recipe = try Recipe("Dovecot: LMTP into a watched Maildir").block("dovecot.conf", replacing: ["/var/mail/hooks": home.path])
        let place = installation.folder.path
        let configuration = try installation.write(
            "dovecot.conf",
            """
            base_dir = \(place)/base
            state_dir = \(place)/state
            log_path = /dev/stderr
            protocols = lmtp
            ssl = no
            passdb {
              driver = static
              args = nopassword=y
            }
            userdb {
              driver = static
              args = uid=5000 gid=5000 home=\(home.path) allow_all_users=yes
            }
            service lmtp {
              unix_listener \(place)/dovecot.sock {
                mode = 0666
              }
            }
            \(recipe)
            """)
        try installation.start(["--maildir", home.appendingPathComponent("Maildir").path])
        let dovecot = try Child("dovecot", ["-F", "-c", configuration.path])
        defer {
            dovecot.signal(SIGTERM)
            _ = try? dovecot.wait(seconds: 15)
        }
        try eventually("Dovecot listens: \(dovecot.errors)") { (try? Connection(unix: "\(place)/dovecot.sock").reply()) != nil }
        let sent = try Child.run(
            "swaks",
            [
                "--protocol", "LMTP", "--socket", "\(place)/dovecot.sock", "--from", "orders@fernleaf.example", "--to",
                Installation.alias, "--data", "@\(Installation.exampleMail.path)",
            ])
        #expect(sent.status == 0, "\(sent.output)\(dovecot.errors)")
        let maildir = home.appendingPathComponent("Maildir")
        func files(_ name: String) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: maildir.appendingPathComponent(name).path)) ?? []
        }
        try eventually("the mail is taken") { files("cur").count == 1 && files("new").isEmpty }
        let file = maildir.appendingPathComponent("cur").appendingPathComponent(try #require(files("cur").first))
        // Else the test would say nothing about compressed mail.
        #expect(try Data(contentsOf: file).starts(with: [0x1F, 0x8B]))
        let event = try #require(try installation.events().first)
        #expect((event["data"] as? [String: Any])?["orderNumber"] as? String == "88-104")
        #expect(event["mailfrom"] as? String == "orders@fernleaf.example")
        #expect(try installation.stop() == 0)
    }
}
