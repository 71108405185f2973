// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The commands that need no daemon, as somebody at a terminal or a script sees them.

import Foundation
import TestSupport
import Testing

@Suite struct CommandLineTests {
    private func run(_ arguments: [String], input: String? = nil) throws -> Child.Result {
        try Child.run(Installation.binary, arguments, input: input)
    }

    @Test func everyCommandExplainsItself() throws {
        let overview = try run(["--help"]).output
        let names = overview.split(separator: "\n").drop { !$0.hasPrefix("SUBCOMMANDS") }.dropFirst()
            .filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }.filter { $0 != "See" }
        #expect(names.count >= 10)
        for name in names {
            let help = try run([name, "--help"])
            #expect(help.status == 0 && help.output.contains("USAGE: mailhookd \(name)"), "\(name)")
        }
        #expect(try run(["--version"]).output.hasPrefix("0."))
        #expect(try run(["sereve"]).status == 64)
    }

    @Test func extractReadsFilesFoldersAndStandardInput() throws {
        let mail = Installation.exampleMail.path
        let file = try run(["extract", mail])
        let object = try #require(try Installation.objects(file.output).first)
        #expect(file.status == 0 && object["file"] as? String == mail)
        let document = try #require((object["documents"] as? [[String: Any]])?.first)
        #expect(document["path"] as? String == "2" && document["kind"] as? String == "json-ld")
        #expect(document["origin"] as? String == "script" && document["index"] as? Int == 0 && document["attached"] as? Bool == false)
        #expect((document["value"] as? [String: Any])?["orderNumber"] as? String == "88-104")
        #expect((object["errors"] as? [Any])?.isEmpty == true)

        let folder = try run(["extract", Installation.exampleMail.deletingLastPathComponent().path])
        #expect(try Installation.objects(folder.output).count >= 1)
        let text = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        #expect(try run(["extract", "-"], input: text).output.contains("88-104"))
        let missing = try run(["extract", "/no/such/file", mail])
        #expect(missing.status == 66 && missing.errors.contains("/no/such/file") && missing.output.contains("88-104"))
    }

    @Test func extractTellsErrorsAndRepairs() throws {
        let mail = "Content-Type: text/html\n\n<script type=application/ld+json>{\"a\":1,}</script>\n"
        let strict = try #require(try Installation.objects(try run(["extract", "-"], input: mail).output).first)
        let error = try #require((strict["errors"] as? [[String: Any]])?.first)
        #expect(error["path"] as? String == "1" && error["index"] as? Int == 0 && error["code"] as? String == "invalid-json")
        let mended = try #require(try Installation.objects(try run(["extract", "--repair", "-"], input: mail).output).first)
        #expect((mended["documents"] as? [[String: Any]])?.first?["repairs"] as? [String] == ["trailing_commas"])
    }

    @Test func mimeShowsHeadersAndParts() throws {
        let object = try #require(try Installation.objects(try run(["mime", Installation.exampleMail.path]).output).first)
        let headers = try #require(object["headers"] as? [String: Any])
        #expect(headers["subject"] as? String == "Your order 88-104 – thank you!")
        #expect(headers["from"] as? [[String]] == [["Fernleaf Garden Supplies", "orders@fernleaf.example"]])
        #expect(headers["date"] as? String == "2026-11-24T08:30:00Z")
        let parts = try #require(object["parts"] as? [[String: Any]])
        #expect(parts.map { $0["path"] as? String } == ["1", "2"])
        #expect(parts.map { $0["type"] as? String } == ["text/plain", "text/html"])
        #expect(parts.allSatisfy { ($0["sha256"] as? String)?.count == 64 && $0["size"] as? Int ?? 0 > 100 })
    }

    @Test func jsonldWorksOnItsOwn() throws {
        let order = #"{"@context":"https://schema.org","@type":"Order","orderNumber":"7"}"#
        let expanded = try run(["jsonld", "expand", "-"], input: order)
        #expect(expanded.output.contains("http://schema.org/orderNumber") && expanded.status == 0)
        let quads = try run(["jsonld", "canonize", "-"], input: order)
        #expect(quads.output.contains("_:c14n0 <http://schema.org/orderNumber> \"7\" ."))
        let unknown = try run(["jsonld", "expand", "-"], input: order.replacingOccurrences(of: "schema.org", with: "x.example"))
        #expect(unknown.status == 65 && unknown.errors.hasPrefix("loading remote context failed"))
        #expect(try run(["jsonld", "check", "-"], input: "[1,]").status == 65)
        #expect(try run(["jsonld", "check", "-"], input: "[1]").status == 0)
    }

    @Test func checkTellsEverythingThatIsWrong() throws {
        let installation = try Installation("limits: { recipient: 5 }\nlog: loud")
        let result = try installation.command(["check"])
        #expect(result.status == 78)
        #expect(result.errors.contains("unknown key 'recipient' (did you mean 'recipients'?)"))
        #expect(result.errors.contains("log: must be one of"))
        #expect(try Installation().command(["check"]).status == 0)
    }

    /// Credentials of systemd are only there while the daemon runs.
    @Test func whatIsStoredIsLookedAfterWithoutSecrets() throws {
        let installation = try Installation()
        try installation.start()
        #expect(try installation.swaks().status == 0)
        #expect(try installation.stop() == 0)
        let secrets = """

            subscriptions:
              - name: erp
                events: [">"]
                webhook: { url: "https://erp.example.com/in", secretFile: gone/erp.key, headerFiles: { X-Key: gone/header } }
            tls: { certificate: gone/tls.pem, key: gone/tls.key }
            """
        let before = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (before + secrets).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        for command in [["events", "list"], ["deliveries", "list", "--subscription", "erp"], ["hooks", "list"], ["keys", "list"], ["store", "check"]] {
            let result = try installation.command(command)
            #expect(result.status == 0, "\(command): \(result.errors)")
        }
        #expect(try installation.events().count == 1)
        // These do what they do with the secrets, or leave it.
        for command in [["check"], ["serve"], ["subscriptions", "list"], ["try", Installation.exampleMail.path], ["apps", "list"]] {
            let result = try installation.command(command)
            #expect(result.status == 78 && result.errors.contains("gone/erp.key: No such file"), "\(command): \(result.errors)")
            #expect(result.errors.contains("gone/tls.pem: No such file"), "\(command): \(result.errors)")
        }
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let kept = try installation.command(["receive", "--to", Installation.alias], input: mail)
        #expect(kept.status == 75 && kept.errors.contains("no daemon runs, and without one: "), "\(kept.errors)")
        #expect(kept.errors.contains("gone/") && kept.errors.contains(": No such file"), "\(kept.errors)")
    }

    /// With a webhook, and the file of its secret.
    private static func startedWithSecret() throws -> (Installation, key: URL) {
        let installation = try Installation()
        let key = try installation.write("erp.key", "whsec_\(Data(repeating: 7, count: 32).base64EncodedString())\n")
        #expect(chmod(key.path, 0o600) == 0)
        let before = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (before + """

            subscriptions:
              - name: erp
                events: [">"]
                webhook: { url: "http://127.0.0.1:1/in", secretFile: erp.key }
            """).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        try installation.start()
        return (installation, key)
    }

    /// Root may read more than the user it becomes to store a mail, and the store may have to be waited for.
    @Test func secretsAreReadBeforeTheStoreIsWaitedFor() throws {
        let (installation, key) = try Self.startedWithSecret()
        #expect(try installation.stop() == 0)
        let lock = open(installation.folder.appendingPathComponent("data/mailhookd.sqlite.lock").path, O_RDWR)
        #expect(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        // Long enough for it to have met the lock.
        DispatchQueue.global().asyncAfter(deadline: .now() + 3) { try? FileManager.default.removeItem(at: key) }
        DispatchQueue.global().asyncAfter(deadline: .now() + 4) { close(lock) }
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let taken = try installation.command(["receive", "--to", Installation.alias], input: mail)
        #expect(taken.status == 0, "\(taken.errors)")
        #expect(!FileManager.default.fileExists(atPath: key.path))
    }

    /// As where systemd hands them to the daemon alone.
    @Test func aMailIsHandedOverWithoutSecrets() throws {
        let (installation, key) = try Self.startedWithSecret()
        try FileManager.default.removeItem(at: key)
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let taken = try installation.command(["receive", "--to", Installation.alias], input: mail)
        #expect(taken.status == 0, "\(taken.errors)")
        // The daemon has it still, and what the mail brings is to be delivered.
        let deliveries = try installation.command(["deliveries", "list", "--json"])
        #expect(try Installation.objects(deliveries.output).compactMap { $0["subscription"] as? String } == ["erp"], "\(deliveries.output)")
        #expect(try installation.stop() == 0)
    }

    /// What was mistyped chooses nothing, which must not look as if there was nothing to do.
    @Test func whatThereIsNoneOfIsToldOf() throws {
        let installation = try Installation("subscriptions:\n  - { name: file, events: [\">\"], file: { path: events.ndjson } }")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        let event = try #require(try installation.events().first?["id"] as? String)
        func check(_ arguments: [String], _ status: Int32, _ error: String) throws {
            let result = try installation.command(arguments)
            #expect(result.status == status && result.output.isEmpty && result.errors.contains(error), "\(arguments): \(result)")
        }
        for isRunning in [true, false] {
            if !isRunning { try installation.stop() }
            for command in ["list", "redrive", "cancel"] {
                try check(["deliveries", command, "--subscription", "flie"], 64, "there is no subscription 'flie'; did you mean 'file'?")
                try check(["deliveries", command, "--hook", Installation.orderUpdate + "s"], 64, "did you mean '\(Installation.orderUpdate)'?")
                try check(["deliveries", command, "999"], 1, "no delivery 999")
                try check(["deliveries", command, "--state", "dread"], 64, "there is no state 'dread'")
            }
            try check(["events", "redrive", "evt_none"], 1, "no event evt_none")
            try check(["events", "redrive", event, "--subscription", "flie"], 64, "there is no subscription 'flie'")
            try check(["events", "replay", "--since", "1h", "--hook", "order.updaet"], 64, "there is no hook 'order.updaet'")
            // What there is, and of which nothing is meant.
            for arguments in [
                ["--subscription", "file", "--state", "dead"], ["--hook", Installation.orderUpdate, "--state", "dead"],
                ["--hook", "mailhookd.delivery.dead"],
            ] {
                let none = try installation.command(["deliveries", "list"] + arguments)
                #expect(none.status == 0 && none.output.isEmpty && none.errors.isEmpty, "\(arguments): \(none)")
            }
        }
        // A subscription that is not configured any more has its deliveries still.
        try installation.edit("name: file", "name: other")
        // To send it anything more nobody knows how.
        try check(["events", "redrive", event, "--subscription", "file"], 64, "there is no subscription 'file'")
        let left = try installation.command(["deliveries", "list", "--subscription", "file", "--json"])
        #expect(left.status == 0 && left.output.split(separator: "\n").count == 1, "\(left)")
    }

    @Test func sendTestGoesTheWholeWay() throws {
        let installation = try Installation(hook: "key: required")
        try installation.start()
        let sent = try installation.command(["send-test", Installation.orderUpdate])
        #expect(sent.status == 0 && sent.output.contains("S: 250 2.0.0 Accepted msg_"), "\(sent.output)\(sent.errors)")
        let event = try #require(try installation.events().first)
        #expect(event["trust"] as? String == "key")
        let shown = try installation.command(["events", "show", try #require(event["id"] as? String)])
        #expect(try Installation.objects(shown.output).first?["id"] as? String == event["id"] as? String)
        #expect(try installation.command(["events", "show", "evt_none"]).status == 1)
        // Heard from the beginning, by pattern.
        let heard = try installation.command(["listen", "--all", "--count", "1", "--events", "kustomer.app.*.order.>", "--json"])
        #expect(try Installation.objects(heard.output).first?["id"] as? String == event["id"] as? String)
        let silent = try installation.command(["listen", "--count", "1", "--timeout", "1s"])
        #expect(silent.status == 1 && silent.output.isEmpty)
    }

    /// Secrets, subjects and addresses are not for logs.
    @Test func logHoldsNothingOfTheMail() throws {
        let installation = try Installation()
        try installation.start()
        #expect(try installation.swaks().status == 0)
        #expect(try installation.swaks(to: "nobody@hooks.example.com").status != 0)
        try installation.stop()
        let log = installation.lastLog
        #expect(log.contains("message accepted") && log.contains("msg_"))
        for word in ["fernleaf", "88-104", "ines@", "nobody@", "orders@", "127.0.0.1 "] {
            #expect(!log.contains(word), "\(word)")
        }
    }
}
