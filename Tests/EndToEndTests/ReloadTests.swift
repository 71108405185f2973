// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SIGHUP: another configuration takes the place of the first wholly or not at all, and nobody's
// connection breaks.

import Foundation
import TestSupport
import Testing

extension Installation {
    /// Puts another text in place of a part of the configuration.
    func edit(_ old: String, _ new: String) throws {
        let text = file("mailhookd.yaml")
        #expect(text.contains(old), "nothing to replace: \(old)")
        _ = try write("mailhookd.yaml", text.replacingOccurrences(of: old, with: new))
    }

    /// SIGHUP; returns what was logged until it was done or refused.
    func reload() throws -> String {
        let child = try #require(daemon)
        let before = child.errors
        child.signal(SIGHUP)
        var log = ""
        try eventually("the end of the reload in \(child.errors)") {
            log = String(child.errors.dropFirst(before.count))
            return log.contains(" reloaded ") || log.contains(" reload refused;")
        }
        return log
    }

    /// A session that has said EHLO.
    func session() throws -> Connection {
        let session = try Connection(smtp)
        #expect(try session.reply().hasPrefix("220 "))
        #expect(try session.command("EHLO client.example").hasPrefix("250"))
        return session
    }

    /// The same over LMTP and TCP.
    func lmtpSession() throws -> Connection {
        let session = try Connection(address(of: "lmtp"))
        #expect(try session.reply().hasPrefix("220 "))
        #expect(try session.command("LHLO client.example").hasPrefix("250"))
        return session
    }

    /// The example mail, ready to follow DATA.
    static func exampleData() throws -> String {
        try String(contentsOf: exampleMail, encoding: .utf8).replacingOccurrences(of: "\n", with: "\r\n")
    }
}

@Suite struct ReloadTests {
    private static let log = "subscriptions:\n  - { name: log, events: [\">\"], file: { path: events.ndjson } }"

    @Test func aSessionHearsOfNewAliasesAndGoesOn() throws {
        let installation = try Installation()
        try installation.start()
        let session = try installation.session()
        _ = try session.command("MAIL FROM:<a@b.example>")
        #expect(try session.command("RCPT TO:<sales@hooks.example.com>").hasPrefix("550 5.1.1 "))
        try installation.edit("[\(Installation.alias)]", "[sales@hooks.example.com]")
        let log = try installation.reload()
        #expect(log.contains(" reloaded "), "\(log)")
        #expect(try session.command("RCPT TO:<sales@hooks.example.com>").hasPrefix("250 "))
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("550 5.1.1 "))
        #expect(try session.command("DATA").hasPrefix("354 "))
        session.send(try Installation.exampleData())
        #expect(try session.command(".").hasPrefix("250 2.0.0 "))
        #expect(try installation.events().count == 1)
        #expect(try installation.stop() == 0)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var old: String
        var new: String
        var log: [String]
    }

    @Test(arguments: [
        Mistake(
            testDescription: "an unknown key", old: "apps: apps", new: "apps: apps\nlimit: {}",
            log: ["line=4", "column=1", "unknown key"]),
        Mistake(testDescription: "no YAML", old: "apps: apps", new: "apps: [", log: ["line=", "mailhookd.yaml"]),
        Mistake(testDescription: "no apps", old: "apps: apps", new: "apps: nowhere", log: ["nowhere", "no such file"]),
        Mistake(
            testDescription: "another data folder", old: "data: data", new: "data: elsewhere",
            log: ["place=data", "line=2", "cannot change while the daemon runs"]),
        Mistake(
            testDescription: "another stopTimeout", old: "data: data", new: "data: data\nstopTimeout: 7s",
            log: ["place=stopTimeout", "line=3", "cannot change while the daemon runs"]),
        Mistake(
            testDescription: "another processorBinding", old: "data: data", new: "data: data\nprocessorBinding: never",
            log: ["place=processorBinding", "line=3", "cannot change while the daemon runs"]),
        Mistake(
            testDescription: "an address that cannot be bound", old: "\"127.0.0.1:0\"",
            new: "\"127.0.0.1:0\", \"127.0.0.1:0\", \"192.0.2.1:25\"", log: ["place=listen", "cannot listen on 192.0.2.1:25"]),
        Mistake(
            testDescription: "a secret that is not there", old: "apps: apps",
            new: "apps: apps\nsubscriptions: [{ name: x, events: [\">\"], webhook: { url: \"http://127.0.0.1:1/\", secretFile: no.key } }]",
            log: ["line=4", "no.key"]),
    ])
    func aMistakeChangesNothing(mistake: Mistake) throws {
        let installation = try Installation()
        let path = installation.folder.appendingPathComponent("notify").path
        let socket = try DatagramSocket(path: path)
        try installation.start(environment: ["NOTIFY_SOCKET": path])
        #expect(try socket.receive().contains("READY=1"))
        let session = try installation.session()
        let listeners = installation.daemon?.lines
        // What is right in the same file is not taken either.
        try installation.edit("[\(Installation.alias)]", "[sales@hooks.example.com]")
        try installation.edit(mistake.old, mistake.new)
        let log = try installation.reload()
        for part in ["reload refused", "error configuration"] + mistake.log { #expect(log.contains(part), "\(log)") }

        let reloading = try socket.receive()
        #expect(reloading.contains("RELOADING=1\nMONOTONIC_USEC="))
        let ready = try socket.receive()
        #expect(ready.contains("READY=1") && ready.contains("STATUS=Reload refused"), "\(ready)")
        #expect(installation.daemon?.lines == listeners)
        _ = try session.command("MAIL FROM:<a@b.example>")
        #expect(try session.command("RCPT TO:<sales@hooks.example.com>").hasPrefix("550 "))
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))

        // Mended, it is taken.
        try installation.edit(mistake.new, mistake.old)
        #expect(try installation.reload().contains(" reloaded "))
        #expect(try session.command("RCPT TO:<sales@hooks.example.com>").hasPrefix("250 "))
        #expect(try session.command("QUIT").hasPrefix("221 "))
        #expect(try installation.stop() == 0)
    }

    @Test func appDefinitionsAreReadAgain() throws {
        let installation = try Installation()
        try installation.start()
        let old = installation.file("apps/ecommstore.json")
        _ = try installation.write("apps/ecommstore.json", old + "x")
        let log = try installation.reload()
        #expect(log.contains("reload refused") && log.contains("ecommstore.json") && log.contains("line="), "\(log)")
        #expect(try installation.swaks().status == 0)
        let second = """
            { "app": "fernleaf", "version": "1.0.0", "title": "Fernleaf",
              "hooks": [{ "eventName": "kustomer.app.fernleaf.news", "displayEventName": "News", "description": "d",
                          "type": "email" }] }
            """
        _ = try installation.write("apps/ecommstore.json", old)
        _ = try installation.write("apps/fernleaf.json", second)
        try installation.edit("hooks:", "hooks:\n  kustomer.app.fernleaf.news: { aliases: [news@hooks.example.com] }")
        #expect(try installation.reload().contains(" reloaded "))
        #expect(try installation.swaks(to: "news@hooks.example.com").status == 0)
        #expect(try installation.events().map { $0["type"] as? String } == [
            Installation.orderUpdate, "kustomer.app.fernleaf.news",
        ])
    }

    @Test func domainsAndContextsAreReadAgain() throws {
        let installation = try Installation(hook: "form: expanded\nonUnprocessable: refuse\nonNoData: reject")
        try installation.start()
        let mail = try installation.write(
            "ctx.eml",
            "Subject: x\nContent-Type: application/ld+json\n\n"
                + #"{"@context": "https://ctx.example/c", "orderNumber": "7"}"# + "\n")
        let before = try installation.swaks(mail)
        #expect(before.status != 0 && before.output.contains("<** 5"), "\(before.output)")
        try FileManager.default.createDirectory(
            atPath: installation.folder.appendingPathComponent("contexts").path, withIntermediateDirectories: true)
        _ = try installation.write("contexts/index.json", #"{"https://ctx.example/c": "c.jsonld"}"#)
        _ = try installation.write("contexts/c.jsonld", #"{"@context": {"orderNumber": "https://v.example/number"}}"#)
        try installation.edit("data: data", "data: data\ncontexts: contexts\ndomains: [mail.example.com]")
        #expect(try installation.reload().contains(" reloaded "))
        #expect(try installation.swaks(mail).status == 0)
        #expect(installation.daemon?.isRunning == true)
        #expect(String(describing: try installation.events()).contains("https://v.example/number"))
        let session = try installation.session()
        _ = try session.command("MAIL FROM:<a@b.example>")
        let token = try #require(
            try Installation.objects(installation.command(["hooks", "--json"]).output).first?["address"] as? String)
        #expect(token.hasSuffix("@mail.example.com"))
        #expect(try session.command("RCPT TO:<\(token)>").hasPrefix("250 "))
        let old = token.replacingOccurrences(of: "mail.example.com", with: "hooks.example.com")
        #expect(try session.command("RCPT TO:<\(old)>").hasPrefix("550 "))
        #expect(try session.command("QUIT").hasPrefix("221 "))
    }

    @Test func listenersComeAndGo() throws {
        let installation = try Installation()
        try installation.start()
        let stays = try installation.session()
        let (host, port) = try installation.smtp
        let socket = installation.folder.appendingPathComponent("l.sock").path
        try installation.edit(
            "listen: { smtp: [\"127.0.0.1:0\"]",
            "listen: { smtp: [\"127.0.0.1:0\"], lmtp: [\"127.0.0.1:0\", \"\(socket)\"], http: [\"127.0.0.1:0\"]")
        #expect(try installation.reload().contains(" reloaded "))
        #expect(try installation.smtp == (host, port))
        let lmtp = try installation.lmtpSession()
        let unix = try Connection(unix: socket)
        #expect(try unix.reply().hasPrefix("220 "))
        let http = try installation.address(of: "http")
        #expect(try WebInstallation.curl("http://\(http.host):\(http.port)/", []).status == 404)
        #expect(installation.file("data/listeners").split(separator: "\n").count == 4)

        try installation.edit(", lmtp: [\"127.0.0.1:0\", \"\(socket)\"], http: [\"127.0.0.1:0\"]", "")
        #expect(try installation.reload().contains(" reloaded "))
        #expect(!FileManager.default.fileExists(atPath: socket))
        #expect(throws: Child.Failure.self) { try installation.lmtpSession() }
        try eventually("HTTP is closed") { (try? Connection(http)) == nil }
        // Who was there before goes on, by an old listener too.
        for session in [stays, lmtp, unix] { #expect(try session.command("NOOP").hasPrefix("250 ")) }
        #expect(try installation.stop() == 0)
        #expect(try lmtp.reply().hasPrefix("421 4.3.2 "))
    }

    @Test(.openssl) func aCertificateComesChangesAndGoes() throws {
        let installation = try Installation()
        try installation.start()
        let before = try installation.session()
        try installation.edit("smtp: [\"127.0.0.1:0\"]", "smtp: [\"127.0.0.1:0\"], smtps: [\"127.0.0.1:0\"]")
        let refused = try installation.reload()
        #expect(refused.contains("reload refused") && refused.contains("needs a certificate"), "\(refused)")
        let files = "tls: { certificate: tls.crt, key: tls.key }"
        try installation.edit("apps: apps", "apps: apps\n\(files)")
        #expect(try installation.reload().contains("reload refused"))
        try TestCertificate(in: installation.folder)
        #expect(try installation.reload().contains(" reloaded "))
        #expect(try TLSClient(installation.address(of: "smtps")).handshake().hasPrefix("TLSv1.3 "))
        let after = try Connection(installation.smtp)
        _ = try after.reply()
        #expect(try after.command("EHLO client.example").contains("STARTTLS"))
        #expect(try before.command("EHLO client.example").contains("STARTTLS") == false)

        // A broken one is found by the reload too; what was in use stays.
        try "broken\n".write(to: installation.folder.appendingPathComponent("tls.crt"), atomically: true, encoding: .utf8)
        let broken = try installation.reload()
        #expect(broken.contains("reload refused") && broken.contains("tls.crt"), "\(broken)")
        #expect(try TLSClient(installation.address(of: "smtps")).handshake().hasPrefix("TLSv1.3 "))

        try installation.edit("\n\(files)", "")
        try installation.edit(", smtps: [\"127.0.0.1:0\"]", "")
        #expect(try installation.reload().contains(" reloaded "))
        #expect(throws: Child.Failure.self) { try Connection(installation.address(of: "smtps")) }
        let last = try Connection(installation.smtp)
        _ = try last.reply()
        #expect(try !last.command("EHLO client.example").contains("STARTTLS"))
        for session in [before, after, last] { #expect(try session.command("QUIT").hasPrefix("221 ")) }
        #expect(try installation.stop() == 0)
    }

    @Test func theSamePortOnOtherAddresses() throws {
        let installation = try Installation()
        try installation.start()
        let port = try installation.smtp.port
        try installation.edit("127.0.0.1:0", "127.0.0.1:\(port)")
        // The old one was bound as port 0; it goes, and the same port comes.
        #expect(try installation.reload().contains(" reloaded "))
        let session = try installation.session()
        for address in ["0.0.0.0:\(port)", "127.0.0.1:\(port)", "0.0.0.0:\(port)"] {
            let text = installation.file("mailhookd.yaml")
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("listen:") })
            try installation.edit(String(line), "listen: { smtp: [\"\(address)\"] }")
            let log = try installation.reload()
            #expect(log.contains(" reloaded "), "\(log)")
            #expect(try Connection(("127.0.0.1", port)).reply().hasPrefix("220 "))
        }
        // From one protocol to the other.
        try installation.edit("smtp: [", "smtp: [], lmtp: [")
        #expect(try installation.reload().contains(" reloaded "))
        let other = try Connection(("127.0.0.1", port))
        #expect(try other.reply().hasPrefix("220 "))
        #expect(try other.command("LHLO client.example").hasPrefix("250"))
        #expect(try session.command("NOOP").hasPrefix("250 "))
    }

    @Test func subscriptionsStartStopAndKeepWhatIsDue() throws {
        let script = "subscriptions:\n  - { name: script, events: [\">\"], retry: [300ms, 300ms], exec: { command: [/bin/sh, run.sh], folder: . } }"
        let installation = try Installation()
        _ = try installation.write("run.sh", "echo \"$MAILHOOKD_EVENT_ID\" >> tries; [ -e go ] || exit 75\n")
        let configuration = installation.file("mailhookd.yaml")
        func take(_ subscriptions: String) throws {
            _ = try installation.write("mailhookd.yaml", configuration + "\n" + subscriptions.replacingOccurrences(
                of: "folder: .", with: "folder: \"\(installation.folder.path)\""))
            if installation.daemon == nil { return try installation.start() }
            let log = try installation.reload()
            #expect(log.contains(" reloaded "), "\(log)")
        }
        try take(script.replacingOccurrences(of: "[300ms, 300ms]", with: "[300ms, 1h]"))
        #expect(try installation.swaks().status == 0)
        try eventually("two tries") { installation.file("tries").split(separator: "\n").count == 2 }
        // Another subscription takes its place; the delivery waits.
        try take(Self.log)
        _ = try installation.write("go", "")
        let second = try installation.write(
            "second.eml", String(contentsOf: Installation.exampleMail, encoding: .utf8).replacingOccurrences(of: "88-104", with: "88-105"))
        #expect(try installation.swaks(second).status == 0)
        try eventually("the second event") { installation.file("events.ndjson").contains("88-105") }
        #expect(installation.file("tries").split(separator: "\n").count == 2)
        // Back again; only what was made for it comes, at its time. With another path in the other, which restarts.
        try take(script + "\n" + Self.log.replacingOccurrences(of: "subscriptions:\n", with: "").replacingOccurrences(
            of: "events.ndjson", with: "other.ndjson"))
        let third = try installation.write(
            "third.eml", String(contentsOf: Installation.exampleMail, encoding: .utf8).replacingOccurrences(of: "88-104", with: "88-106"))
        #expect(try installation.swaks(third).status == 0)
        try eventually("the third in both") {
            installation.file("other.ndjson").contains("88-106") && installation.file("tries").split(separator: "\n").count >= 3
        }
        #expect(!installation.file("events.ndjson").contains("88-106"))
        #expect(try installation.stop() == 0)
    }

    @Test func anAttemptInFlightEndsBeforeItsSubscriptionDoes() throws {
        let installation = try Installation()
        let script = try installation.write("slow.sh", "cat > begun; sleep 1; echo done >> done\n")
        let base = installation.file("mailhookd.yaml")
        func subscription(_ more: String) -> String {
            """
            \(base)
            subscriptions:
              - name: slow
                events: [">"]
                exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)"\(more) }
            """
        }
        _ = try installation.write("mailhookd.yaml", subscription(""))
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("the attempt") { !installation.file("begun").isEmpty }
        _ = try installation.write("mailhookd.yaml", subscription(", timeout: 7s"))
        #expect(try installation.reload().contains(" reloaded "))
        try eventually("its end") { !installation.file("done").isEmpty }
        usleep(1_500_000)
        // Once: the successor waited, and found nothing to do.
        #expect(installation.file("done") == "done\n")
        #expect(try installation.stop() == 0)
    }

    @Test func maildirsComeAndGo() throws {
        let installation = try Installation()
        try installation.start()
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        func maildir(_ name: String) throws -> URL {
            let url = installation.folder.appendingPathComponent(name)
            for part in ["new", "cur", "tmp"] {
                try FileManager.default.createDirectory(
                    at: url.appendingPathComponent(part), withIntermediateDirectories: true)
            }
            return url
        }
        func put(_ number: Int, _ box: URL) throws {
            try mail.replacingOccurrences(of: "88-104", with: "88-\(number)").write(
                to: box.appendingPathComponent("new/\(number).h"), atomically: true, encoding: .utf8)
        }
        let (a, b) = (try maildir("a"), try maildir("b"))
        let base = installation.file("mailhookd.yaml")
        try put(1, a)
        _ = try installation.write("mailhookd.yaml", base + "\nmaildirs: [{ path: a, to: \(Installation.orderUpdate) }]\n")
        #expect(try installation.reload().contains(" reloaded "))
        try eventually("the first event") { try installation.events().count == 1 }
        try put(2, b)
        _ = try installation.write("mailhookd.yaml", base + "\nmaildirs: [{ path: b, to: \(Installation.orderUpdate) }]\n")
        #expect(try installation.reload().contains(" reloaded "))
        try eventually("the second event") { try installation.events().count == 2 }
        try put(3, a)
        try put(4, b)
        try eventually("the third event") { try installation.events().count == 3 }
        #expect(FileManager.default.fileExists(atPath: a.appendingPathComponent("new/3.h").path))
        _ = try installation.write("mailhookd.yaml", base)
        #expect(try installation.reload().contains(" reloaded "))
        try put(5, b)
        usleep(300_000)
        #expect(try installation.events().count == 3)
        #expect(try installation.stop() == 0)
    }

    @Test func limitsOfMailHoldForWhoComesNext() throws {
        let installation = try Installation("limits: { messageSize: 1MiB, connections: 2 }")
        try installation.start()
        let old = try installation.session()
        try installation.edit("messageSize: 1MiB, connections: 2", "messageSize: 100kB, connections: 1")
        #expect(try installation.reload().contains(" reloaded "))
        // The session that is open keeps its size, and its place counts.
        #expect(try old.command("MAIL FROM:<a@b.example> SIZE=500000").hasPrefix("250 "))
        #expect(try Connection(installation.smtp).reply().hasPrefix("421 4.7.0 "))
        #expect(try old.command("QUIT").hasPrefix("221 "))
        var next: Connection?
        try eventually("a place") {
            next = try Connection(installation.smtp)
            return try next?.reply().hasPrefix("220 ") == true
        }
        #expect(try next?.command("EHLO client.example").contains("SIZE 100000") == true)
    }

    @Test func limitsOfHTTPHoldForTheNextRequest() throws {
        let web = try WebInstallation("http: { perHook: 1000 }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let connection = try Connection(web.http)
        func post(_ octets: Int) throws -> String {
            let body = "note=" + String(repeating: "x", count: octets)
            connection.send(
                "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            return try connection.answer()
        }
        #expect(try post(2000).hasPrefix("HTTP/1.1 202 "))
        try web.installation.edit("http: { perHook: 1000 }", "http: { perHook: 3, bodySize: 1kB }")
        #expect(try web.installation.reload().contains(" reloaded "))
        #expect(try post(2000).hasPrefix("HTTP/1.1 413 "))
        let fresh = try web.curl(path, ["-d", "note=1"])
        #expect(fresh.status == 202 && fresh.fields["x-ratelimit-limit"] == "3", "\(fresh)")
        // Another reload does not give back what was used up.
        #expect(try web.curl(path, ["-d", "note=2"]).status == 202)
        #expect(try web.installation.reload().contains(" reloaded "))
        let statuses = try (0..<3).map { try web.curl(path, ["-d", "again=\($0)"]).status }
        #expect(statuses.contains(429), "\(statuses)")
    }

    @Test func theLogLevelChanges() throws {
        let installation = try Installation("log: error")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        #expect(installation.daemon?.errors.contains("message accepted") == false)
        try installation.edit("log: error", "log: info")
        installation.daemon?.signal(SIGHUP)
        try eventually("the reload") { installation.daemon?.errors.contains(" reloaded ") == true }
        #expect(try installation.swaks().status == 0)
        try eventually("the line") { installation.daemon?.errors.contains("message accepted") == true }
    }

    /// Fields stand in the order of their names; values with spaces are quoted, others are not.
    @Test func linesOfTheLogCanBeTakenApart() throws {
        let installation = try Installation()
        try installation.start()
        #expect(try installation.swaks().status == 0)
        func log() -> String { installation.daemon?.errors ?? "" }
        try eventually("the line") { log().contains(" outcome=") }
        #expect(log().contains(" info ready listeners=\"smtp 127.0.0.1:"), "\(log())")
        #expect(log().contains(#/ message accepted duplicate=false events=1 intake=smtp message=[^ "=]+ outcome=accepted\n/#), "\(log())")
    }

    /// Many reloads, some of them refused, while mail comes as fast as it can: nothing is refused or lost.
    @Test func underLoad() throws {
        let installation = try Installation(Self.log, hook: "sources: [body]")
        try installation.start()
        let (host, port) = try installation.smtp
        let load = try Child(
            "smtp-source",
            ["-s", "10", "-m", "4000", "-l", "2000", "-d", "-f", "a@shop.example", "-t", Installation.alias, "\(host):\(port)"])
        let good = installation.file("mailhookd.yaml")
        var reloads = 0
        let begin = Date()
        while load.isRunning, reloads < 60 {
            let extra = ["", "\nlimits: { connections: 150 }\n", "\nlimits: { wrong: 1 }\n"][reloads % 3]
            _ = try installation.write("mailhookd.yaml", good + extra)
            let log = try installation.reload()
            #expect(log.contains(reloads % 3 == 2 ? "reload refused" : " reloaded "), "\(log)")
            reloads += 1
        }
        let milliseconds = Int(Date().timeIntervalSince(begin) * 1000)
        let sent = try load.wait(seconds: 60)
        #expect(sent.status == 0, "\(sent.errors)")
        #expect(reloads > 5)
        print("reloads under load: \(reloads) in \(milliseconds) ms, 4000 mails, 0 lost, 0 refused")
        #expect(try installation.stop() == 0)
        #expect(installation.lastLog.components(separatedBy: "message accepted").count - 1 == 4000)
    }
}
