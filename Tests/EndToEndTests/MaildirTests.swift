// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Mail that some server delivers into a Maildir, from outside: the daemon empties `new/`.

import Foundation
import TestSupport
import Testing

/// A Maildir in the folder of an installation.
struct TestMaildir {
    let root: URL

    init(_ installation: Installation, _ name: String = "Maildir") throws {
        root = installation.folder.appendingPathComponent(name)
        for folder in ["new", "cur", "tmp"] {
            try FileManager.default.createDirectory(
                at: root.appendingPathComponent(folder), withIntermediateDirectories: true)
        }
    }

    func deliver(_ name: String, _ mail: String) throws { try deliver(name, Data(mail.utf8)) }

    /// As the protocol has it: written and synced in `tmp/`, then renamed into `new/`.
    func deliver(_ name: String, _ mail: Data) throws {
        let temporary = root.appendingPathComponent("tmp/\(name)")
        _ = FileManager.default.createFile(atPath: temporary.path, contents: nil)
        let file = try FileHandle(forWritingTo: temporary)
        try file.write(contentsOf: mail)
        try file.synchronize()
        try file.close()
        rename(temporary.path, root.appendingPathComponent("new/\(name)").path)
    }

    func list(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)) ?? []).sorted()
    }
}

/// A mail with one document, told apart by its number.
func numberedMail(_ number: String, to recipient: String? = nil, header: String = "") -> String {
    """
    \(header)From: shop@fernleaf.example
    \(recipient.map { "To: \($0)\n" } ?? "")Subject: Order \(number)
    Message-ID: <\(number)@fernleaf.example>
    MIME-Version: 1.0
    Content-Type: application/json

    {"orderNumber": "\(number)"}

    """
}

extension Installation {
    /// `orderNumber` of every stored event, sorted.
    func orderNumbers() throws -> [String] {
        try events().compactMap { ($0["data"] as? [String: Any])?["orderNumber"] as? String }.sorted()
    }
}

@Suite struct MaildirTests {
    @Test func backlogAndNewMailBecomeEvents() throws {
        let installation = try Installation()
        let maildir = try TestMaildir(installation)
        for index in 0..<50 { try maildir.deliver("17600000.\(100 + index)", numberedMail("\(100 + index)")) }
        try installation.start(["--maildir", maildir.root.path])
        #expect(installation.daemon?.lines.contains("maildir \(maildir.root.path)") == true)
        try eventually("the backlog is moved") { maildir.list("new").isEmpty }
        // The only email hook there is gets mail that names no recipient.
        #expect(try installation.orderNumbers() == (100..<150).map(String.init))
        try maildir.deliver("17600001.1", numberedMail("200", header: "Return-Path: <bounce@fernleaf.example>\n"))
        try eventually("the new mail is moved") { maildir.list("new").isEmpty }
        #expect(maildir.list("cur").contains("17600001.1:2,S") && maildir.list("cur").count == 51)
        let event = try #require(try installation.events().last)
        #expect(event["mailfrom"] as? String == "bounce@fernleaf.example")
        #expect(try installation.stop() == 0)
    }

    /// The file is still in `new/`, as after a crash between commit and rename: the same event, not a second one.
    @Test func killedBetweenCommitAndRename() throws {
        let installation = try Installation(
            """
            subscriptions:
              - { name: log, events: [">"], file: { path: events.ndjson } }
            """)
        let maildir = try TestMaildir(installation)
        // Where `cur` is no folder, the message is stored and its file can't leave.
        let current = maildir.root.appendingPathComponent("cur")
        try FileManager.default.removeItem(at: current)
        try Data().write(to: current)
        try installation.start(["--maildir", maildir.root.path, "--to", Installation.orderUpdate])
        try maildir.deliver("1.a", numberedMail("7"))
        try eventually("the delivery") { installation.file("events.ndjson").hasSuffix("\n") }
        try installation.kill()
        #expect(maildir.list("new") == ["1.a"])

        try FileManager.default.removeItem(at: current)
        try installation.start(["--maildir", maildir.root.path, "--to", Installation.orderUpdate])
        try eventually("it is moved") { maildir.list("cur") == ["1.a:2,S"] }
        usleep(300_000)
        #expect(try installation.orderNumbers() == ["7"])
        // A delivery that the kill met before its end was stored comes again, with the same id.
        let delivered = try Installation.objects(installation.file("events.ndjson")).compactMap { $0["id"] as? String }
        #expect(Set(delivered).count == 1 && delivered.count <= 2)
        #expect(try installation.stop() == 0)
    }

    @Test func configuredMaildirsAndRecipientsFromTheHeader() throws {
        let second = "kustomer.app.parcels.parcel.update"
        let installation = try Installation(
            """
              \(second): { aliases: [parcels@hooks.example.com], onNoData: reject }
            maildirs:
              - { path: direct, to: \(second), afterwards: delete }
              - { path: shared }
            """)
        _ = try installation.write(
            "apps/parcels.json",
            #"{"app":"parcels","version":"1.0.0","title":"Parcels","hooks":[{"eventName":"\#(second)","type":"email"}]}"#)
        let direct = try TestMaildir(installation, "direct")
        let shared = try TestMaildir(installation, "shared")
        try installation.start()
        try direct.deliver("1", numberedMail("direct"))
        try shared.deliver("1", numberedMail("to", to: "Orders <\(Installation.alias)>"))
        try shared.deliver(
            "2", numberedMail("delivered", to: Installation.alias, header: "Delivered-To: parcels+x@hooks.example.com\n"))
        try shared.deliver("3", numberedMail("nobody", to: "someone@elsewhere.example"))
        try direct.deliver("2", "Subject: no data\n\nnothing\n")
        try eventually("all are dealt with") { shared.list("new").isEmpty && direct.list("new").isEmpty }
        let events = try installation.events().map { event -> String in
            let number = (event["data"] as? [String: Any])?["orderNumber"] as? String ?? ""
            return "\(number) \((event["type"] as? String)?.split(separator: ".").last ?? "") \(event["type"] as? String == second)"
        }
        #expect(Set(events) == ["direct update true", "to update false", "delivered update true"])
        #expect(shared.list("cur") == ["1:2,S", "2:2,S"] && direct.list("cur").isEmpty)
        #expect(shared.list(".mailhookd-refused/new") == ["3,R=recipient_unknown"])
        // Refused mail is kept, although what is stored is deleted.
        #expect(direct.list(".mailhookd-refused/new") == ["2,R=no_structured_data"])
        let log = try #require(installation.daemon?.errors)
        #expect(log.contains("mail set aside") && log.contains("outcome=no_structured_data"))
        let refusals = log.split(separator: "\n").filter { $0.contains("message refused") }
        #expect(refusals.count == 2 && refusals.contains { $0.contains("outcome=recipient_unknown") }, "\(refusals)")
    }

    @Test func aRecipientThatIsNoHookIsFoundByCheck() throws {
        let installation = try Installation("maildirs: [{ path: m, to: kustomer.app.ecommstore.order.updat }]")
        let checked = try installation.command(["check"])
        #expect(checked.status == 78)
        let words = "maildirs[0].to: 'kustomer.app.ecommstore.order.updat' is no email hook (did you mean '\(Installation.orderUpdate)'?)"
        #expect((checked.errors + checked.output).contains(words), "\(checked.errors)\(checked.output)")
        #expect(try installation.command(["serve", "--to", Installation.alias]).status == 64)
    }

    @Test func compressedByDovecot() throws {
        let installation = try Installation()
        let maildir = try TestMaildir(installation)
        let plain = try installation.write("mail", numberedMail("packed"))
        #expect(try Child.run("gzip", ["-k", plain.path]).status == 0)
        let packed = try Data(contentsOf: plain.appendingPathExtension("gz"))
        try installation.start(["--maildir", maildir.root.path])
        try maildir.deliver("1,S=200", packed)
        try maildir.deliver("2,S=200", packed.dropLast(9))
        // 40 MiB of nothing in 40 kB.
        let bomb = try installation.write("bomb", "")
        #expect(truncate(bomb.path, 40 << 20) == 0)
        #expect(try Child.run("gzip", ["-k", bomb.path]).status == 0)
        try maildir.deliver("3,S=200", Data(contentsOf: bomb.appendingPathExtension("gz")))
        try eventually("all are dealt with") { maildir.list("new").isEmpty }
        #expect(try installation.orderNumbers() == ["packed"])
        #expect(maildir.list("cur") == ["1,S=200:2,S"])
        let refused = maildir.list(".mailhookd-refused/new")
        // The third passes the limits of size and of ratio; which of them is told first is a matter of the unpacking.
        #expect(refused.count == 2 && refused.first == "2,S=200,R=unreadable")
        #expect(["3,S=200,R=limit_exceeded", "3,S=200,R=message_too_large"].contains(refused.last))
    }

    @Test func theSameMailByEveryRoadIsOneEvent() throws {
        let installation = try Installation()
        let maildir = try TestMaildir(installation)
        try installation.start(["--maildir", maildir.root.path])
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        #expect(try installation.swaks().status == 0)
        try maildir.deliver("1", "Return-Path: <x@y.example>\nDelivered-To: \(Installation.alias)\n" + mail)
        let piped = try installation.command(["receive", "--to", Installation.alias], input: "From x@y.example Tue Nov 24\n" + mail)
        #expect(piped.status == 0)
        try eventually("it is moved") { maildir.list("cur") == ["1:2,S"] }
        #expect(try installation.events().count == 1)
    }

    /// A Maildir that waits for nothing costs nothing.
    @Test func restsWhenThereIsNothingToDo() throws {
        let installation = try Installation("limits: { messageSize: 64KiB }")
        let maildir = try TestMaildir(installation)
        try installation.start(["--maildir", maildir.root.path])
        try maildir.deliver("large", String(repeating: "x", count: 70_000))
        try FileManager.default.createDirectory(
            at: maildir.root.appendingPathComponent("new/folder"), withIntermediateDirectories: true)
        try eventually("set aside") { maildir.list("new").isEmpty }
        let daemon = try #require(installation.daemon)
        let before = try daemon.processorSeconds
        usleep(1_500_000)
        #expect(try daemon.processorSeconds - before < 0.3)
    }

    /// A mail that compresses a thousandfold is a mail still.
    @Test func largeCompressedMail() throws {
        let installation = try Installation()
        let maildir = try TestMaildir(installation)
        try installation.start(["--maildir", maildir.root.path, "--to", Installation.orderUpdate])
        let mail = """
            From: shop@fernleaf.example
            MIME-Version: 1.0
            Content-Type: multipart/mixed; boundary=b

            --b
            Content-Type: application/json

            {"orderNumber": "7"}
            --b
            Content-Type: application/octet-stream

            \(String(repeating: String(repeating: "A", count: 76) + "\n", count: 80_000))
            --b--

            """
        let file = maildir.root.appendingPathComponent("tmp/1.large")
        try Data(mail.utf8).write(to: file)
        #expect(try Child.run("gzip", ["-9", file.path]).status == 0)
        rename(file.path + ".gz", maildir.root.appendingPathComponent("new/1.packed").path)
        try eventually("it is moved") { maildir.list("new").isEmpty }
        #expect(try installation.orderNumbers() == ["7"])
        #expect(maildir.list("cur") == ["1.packed:2,S"])
        #expect(try installation.stop() == 0)
    }

    /// Permission that comes late, or is taken away for a while, is no reason to set mail aside.
    @Test(.enabled(if: geteuid() == 0, "only root can become somebody else"))
    func accessThatComesLate() throws {
        let installation = try Installation()
        let maildir = try TestMaildir(installation)
        #expect(try Child.run("chown", ["-R", "65534:65534", installation.folder.path]).status == 0)
        try installation.start(
            ["--maildir", maildir.root.path, "--to", Installation.orderUpdate],
            within: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        // As `cp -p` of root makes it: its owner comes last.
        let new = maildir.root.appendingPathComponent("new")
        let file = new.appendingPathComponent("1.late").path
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        let mail = Array(numberedMail("1").utf8)
        #expect(write(descriptor, mail, mail.count) == mail.count)
        close(descriptor)
        usleep(500_000)
        chown(file, 65534, 65534)
        try eventually("it is moved") { maildir.list("cur") == ["1.late:2,S"] }
        chmod(new.path, 0)
        try maildir.deliver("2.locked", numberedMail("2"))
        chown(new.appendingPathComponent("2.locked").path, 65534, 65534)
        usleep(1_500_000)
        chmod(new.path, 0o700)
        try eventually("the other one is moved") { maildir.list("cur") == ["1.late:2,S", "2.locked:2,S"] }
        #expect(try installation.orderNumbers() == ["1", "2"])
        #expect(maildir.list(".mailhookd-refused/new").isEmpty)
        #expect(try installation.stop() == 0)
    }
}
