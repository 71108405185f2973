// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Full, failing, read-only and damaged: what senders of every road are told, that what was
// acknowledged stays, and that the daemon goes on by itself where it can.

import Foundation
import TestSupport
import Testing

/// An installation whose data lies on a disk that can be made sick, with every road open.
private final class SickInstallation {
    let installation: Installation
    let maildir: TestMaildir

    static let contact = "kustomer.app.ecommstore.contact.request"

    /// - Parameter freeSpace: the low-water mark; none by default.
    init(freeSpace: String = "0") throws {
        installation = try Installation("limits: { freeSpace: \(freeSpace) }")
        maildir = try TestMaildir(installation)
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    }

    var data: String { installation.folder.appendingPathComponent("data").path }

    func start(environment: [String: String] = [:]) throws {
        try installation.start(
            [
                "--maildir", maildir.root.path, "--to", Installation.orderUpdate, "--lmtp", "127.0.0.1:0", "--http",
                "127.0.0.1:0",
            ], environment: environment)
    }

    /// Where the running daemon listens for `name`.
    func place(_ name: String) throws -> (host: String, port: String) {
        let line = try #require(installation.daemon?.lines.first { $0.hasPrefix(name + " ") })
        let parts = line.dropFirst(name.count + 1).split(separator: ":")
        return (String(parts[0]), String(parts[1]))
    }

    /// The last reply of an SMTP or LMTP session that sends a mail.
    func reply(_ name: String, _ mail: String) throws -> String {
        let session = try Connection(try place(name))
        _ = try session.reply()
        var last = ""
        let lines = [name == "lmtp" ? "LHLO x" : "EHLO x", "MAIL FROM:<a@x.example>", "RCPT TO:<\(Installation.alias)>", "DATA"]
        for line in lines {
            session.send(line + "\r\n")
            last = try session.reply()
            guard last.hasPrefix("2") || last.hasPrefix("3") else { return "\(line.prefix(4)): \(last)" }
        }
        session.send(mail.replacingOccurrences(of: "\n", with: "\r\n") + "\r\n.\r\n")
        return try session.reply()
    }

    func pipe(_ mail: String) throws -> Child.Result {
        try installation.command(["receive", "--to", Installation.alias], input: mail)
    }

    /// The status and code of a post to the form hook.
    func post(_ number: String) throws -> (status: Int, code: String?) {
        let hooks = try Installation.objects(installation.command(["hooks", "--json"]).output)
        let url = try #require(hooks.first { $0["eventName"] as? String == Self.contact }?["url"] as? String)
        let answer = try WebInstallation.curl(
            url, ["-H", "Content-Type: application/json", "-d", #"{"orderNumber": "\#(number)"}"#])
        return (answer.status, answer.code)
    }

    /// Every road says that the mail is to be kept, each in its own words; the Maildir keeps it without a busy loop.
    func expectRefusal(_ outcome: String, smtp: String, isEarly: Bool = false, _ name: String) throws {
        let prefix = isEarly ? "MAIL: " : ""
        for road in ["smtp", "lmtp"] {
            let reply = try reply(road, paddedMail("refused-\(name)-\(road)"))
            #expect(reply.hasPrefix(prefix + smtp), "\(road): \(reply)")
        }
        let piped = try pipe(paddedMail("refused-\(name)-pipe"))
        #expect(piped.status == 75 && piped.errors.hasPrefix(String(smtp.dropFirst(4))), "\(piped)")
        let post = try post("refused-\(name)-post" + String(repeating: " ", count: 50_000))
        #expect(post.status == 503 && post.code == outcome, "\(post)")
        try maildir.deliver("\(name).1", paddedMail("maildir-\(name)"))
        try eventually("the Maildir pauses") {
            self.installation.daemon?.errors.contains("Maildir intake pauses") == true
        }
        let daemon = try #require(installation.daemon)
        let before = try daemon.processorSeconds
        usleep(700_000)
        #expect(try daemon.processorSeconds - before < 0.3, "no busy loop")
        #expect(maildir.list("new") == ["\(name).1"])
    }

    /// Every road takes mail again, that of the Maildir included, and nothing that was refused has become an event.
    func expectRecovery(_ name: String, acknowledged: [String]) throws {
        for road in ["smtp", "lmtp"] { #expect(try reply(road, paddedMail("\(name)-\(road)")).hasPrefix("250 2.0.0")) }
        #expect(try pipe(paddedMail("\(name)-pipe")).status == 0)
        #expect(try post("\(name)-post").status == 202)
        try eventually("the Maildir is emptied", seconds: 40) { self.maildir.list("new").isEmpty }
        let expected = acknowledged + ["smtp", "lmtp", "pipe", "post"].map { "\(name)-\($0)" } + ["maildir-\(name)"]
        #expect(try installation.orderNumbers() == expected.sorted())
        // Once more from the disk alone.
        try installation.kill()
        #expect(try installation.orderNumbers() == expected.sorted())
        let check = try installation.command(["store", "check", "--deep"])
        #expect(check.status == 0, "\(check)")
    }
}

/// A mail that needs room of its own: some 100 kB, which do not get smaller.
private func paddedMail(_ number: String) -> String {
    var generator = SystemRandomNumberGenerator()
    var noise = Data(capacity: 80_000)
    for _ in 0..<10_000 { withUnsafeBytes(of: generator.next()) { noise.append(contentsOf: $0) } }
    let text = noise.base64EncodedString(options: [.lineLength76Characters, .endLineWithLineFeed])
    return """
        Subject: x
        Message-ID: <\(number)@fernleaf.example>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary=b

        --b
        Content-Type: text/plain

        \(text)
        --b
        Content-Type: application/json

        {"orderNumber": "\(number)"}
        --b--

        """
}

@Suite(.serialized) struct SickDiskTests {
    @Test(.enabled(if: SmallDisk.absence == nil, "skipped: mounting a small tmpfs needs root"))
    func aFullDisk() throws {
        let sick = try SickInstallation()
        let disk = try SmallDisk(at: sick.data, megabytes: 24)
        try sick.start()
        var acknowledged: [String] = []
        for index in 0..<10 {
            #expect(try sick.reply("smtp", paddedMail("before-\(index)")).hasPrefix("250 "))
            acknowledged.append("before-\(index)")
        }
        try disk.fill()
        // What is left of the log's last page or of freed pages may still take a mail or two.
        var last = ""
        for index in 0..<200 where !last.hasPrefix("452") {
            last = try sick.reply("smtp", paddedMail("while-\(index)"))
            if last.hasPrefix("250") { acknowledged.append("while-\(index)") }
        }
        #expect(last.hasPrefix("452 4.3.1 "), "\(last)")
        try sick.expectRefusal("store_full", smtp: "452 4.3.1 ", "full")
        // Nothing else would tell the operator.
        #expect(sick.installation.daemon?.errors.contains("error message not stored") == true)
        disk.makeRoom()
        try sick.expectRecovery("full", acknowledged: acknowledged)
    }

    @Test(.enabled(if: SmallDisk.absence == nil, "skipped: mounting a small tmpfs needs root"))
    func aDiskThatIsNearlyFull() throws {
        let sick = try SickInstallation(freeSpace: "6MiB")
        let disk = try SmallDisk(at: sick.data, megabytes: 24)
        try sick.start()
        #expect(try sick.reply("smtp", paddedMail("before")).hasPrefix("250 "))
        // In the middle of a transaction: its end is refused as well.
        let session = try Connection(try sick.place("smtp"))
        _ = try session.reply()
        for line in ["EHLO x", "MAIL FROM:<a@x.example>", "RCPT TO:<\(Installation.alias)>"] {
            #expect(try session.command(line).hasPrefix("250"))
        }
        try Data(count: 19 << 20).write(to: URL(fileURLWithPath: disk.path + "/ballast"))
        usleep(1_100_000)
        #expect(try session.command("DATA").hasPrefix("354"))
        #expect(try session.command("Subject: x\r\n\r\n{\"a\": 1}\r\n.").hasPrefix("452 4.3.1 "))
        try sick.expectRefusal("store_full", smtp: "452 4.3.1 ", isEarly: true, "low")
        let log = try #require(sick.installation.daemon?.errors)
        #expect(log.components(separatedBy: "disk nearly full").count == 2, "it is said once")
        disk.makeRoom()
        usleep(1_100_000)
        try sick.expectRecovery("low", acknowledged: ["before"])
    }

    /// The kernel's own doing, below a running daemon. Such a file system has to be mounted anew, for which the daemon must
    /// let go of it; that it goes on by itself where writing works again is `aDiskThatFails`.
    @Test(.enabled(if: BreakingDisk.absence == nil, "skipped: \(BreakingDisk.absence ?? "")"))
    func aFileSystemThatGoesReadOnly() throws {
        let sick = try SickInstallation()
        let disk = try BreakingDisk(at: sick.data, megabytes: 64)
        try sick.start()
        for index in 0..<5 { #expect(try sick.reply("smtp", paddedMail("before-\(index)")).hasPrefix("250 ")) }
        try disk.goReadOnly()
        try sick.expectRefusal("store_failed", smtp: "451 4.3.0 ", "read-only")
        let log = try #require(sick.installation.daemon?.errors)
        #expect(log.contains("message not stored") && log.contains("Read-only file system"), "\(log)")
        #expect(try sick.installation.stop() == 0, "it ends in order")
        try disk.repair()
        try sick.start()
        try sick.expectRecovery("read-only", acknowledged: (0..<5).map { "before-\($0)" })
    }

    struct Failure: CustomTestStringConvertible {
        var error: Int32
        var calls: String
        var outcome: String
        var reply: String
        var testDescription: String { "\(String(cString: strerror(error))) of \(calls)" }
    }

    @Test(
        .enabled(if: FailingDisk.absence == nil, "skipped: no C compiler, or the program is linked statically"),
        arguments: [
            Failure(error: EIO, calls: "w", outcome: "store_failed", reply: "451 4.3.0 "),
            Failure(error: EIO, calls: "s", outcome: "store_failed", reply: "451 4.3.0 "),
            // As a file system does after an error that made it read-only.
            Failure(error: EROFS, calls: "ws", outcome: "store_failed", reply: "451 4.3.0 "),
            Failure(error: ENOSPC, calls: "w", outcome: "store_full", reply: "452 4.3.1 "),
            Failure(error: EDQUOT, calls: "w", outcome: "store_full", reply: "452 4.3.1 "),
        ])
    func aDiskThatFails(_ failure: Failure) throws {
        let sick = try SickInstallation()
        let disk = FailingDisk(sick.installation, folder: "/data/mailhookd.sqlite")
        try sick.start(environment: disk.environment)
        #expect(try sick.reply("smtp", paddedMail("before")).hasPrefix("250 "))
        try disk.fail(with: failure.error, calls: failure.calls)
        try sick.expectRefusal(failure.outcome, smtp: failure.reply, "failing")
        let log = try #require(sick.installation.daemon?.errors)
        #expect(log.contains("message not stored") && log.contains(" error "), "\(log)")
        disk.work()
        try sick.expectRecovery("failing", acknowledged: ["before"])
    }

    /// The database, or the folder of its journal, which is made by the first mail.
    @Test(arguments: ["", ".journal"]) func aStoreThatIsMovedAway(ending: String) throws {
        let sick = try SickInstallation()
        try sick.start()
        #expect(try sick.reply("smtp", paddedMail("before")).hasPrefix("250 "))
        let path = sick.data + "/mailhookd.sqlite" + ending
        usleep(1_100_000)
        #expect(try sick.reply("smtp", paddedMail("before-2")).hasPrefix("250 "))
        #expect(rename(path, path + ".moved") == 0)
        usleep(1_100_000)
        try sick.expectRefusal("store_failed", smtp: "451 4.3.0 ", isEarly: true, "moved")
        #expect(sick.installation.daemon?.errors.contains("the store was moved away or removed") == true)
        #expect(rename(path + ".moved", path) == 0)
        usleep(1_100_000)
        try sick.expectRecovery("moved", acknowledged: ["before", "before-2"])
    }

    /// Garbage where tables were, found while running: nothing is acknowledged from then on.
    @Test func aStoreThatIsDamagedWhileRunning() throws {
        let sick = try SickInstallation()
        try sick.start()
        let first = paddedMail("first")
        #expect(try sick.reply("smtp", first).hasPrefix("250 "))
        // So much that the first one is in no cache any more.
        for index in 0..<80 { #expect(try sick.reply("smtp", paddedMail("more-\(index)")).hasPrefix("250 ")) }
        for ending in ["", "-wal"] {
            let path = sick.data + "/mailhookd.sqlite" + ending
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            let size = try file.seekToEnd()
            try file.seek(toOffset: 16384)
            if size > 16384 { try file.write(contentsOf: Data(repeating: 0xA5, count: Int(size) - 16384)) }
            try file.close()
        }
        // Known by its digest, which leads to a row that can't be read.
        #expect(try sick.reply("smtp", first).hasPrefix("451 4.3.0 "))
        try sick.expectRefusal("store_failed", smtp: "451 4.3.0 ", "damaged")
        let log = try #require(sick.installation.daemon?.errors)
        #expect(log.contains("message not stored error=\"corrupt("), "\(log)")
    }
}

@Suite struct StartTests {
    /// Runs `serve`, which has to refuse, and gives what it said.
    private func refusal(_ installation: Installation, as user: [String] = []) throws -> Child.Result {
        let command = user + [Installation.binary, "serve", "--config", installation.configurationFile.path]
        return try Child.run(command[0], Array(command.dropFirst()), seconds: 30)
    }

    @Test(.enabled(if: SmallDisk.absence == nil, "skipped: mounting a small tmpfs needs root"))
    func onAReadOnlyFileSystem() throws {
        let sick = try SickInstallation()
        let disk = try SmallDisk(at: sick.data, megabytes: 24)
        try sick.start()
        #expect(try sick.reply("smtp", numberedMail("1")).hasPrefix("250 "))
        #expect(try sick.installation.stop() == 0)
        disk.makeReadOnly()
        let result = try refusal(sick.installation)
        #expect(result.status == 77 && result.errors.contains("Read-only file system"), "\(result)")
        #expect(result.errors.contains("must belong to the daemon's user"))
        // What only reads still works.
        #expect(try sick.installation.orderNumbers() == ["1"])
        #expect(try sick.installation.command(["store", "check"]).status == 0)
        #expect(try sick.installation.command(["receive", "--to", Installation.alias], input: numberedMail("2")).status == 75)
    }

    @Test func withoutPermission() throws {
        let installation = try Installation()
        try installation.makeSecret()
        #expect(try installation.command(["receive", "--to", Installation.alias], input: numberedMail("1")).status == 0)
        let data = installation.folder.appendingPathComponent("data").path
        for name in try FileManager.default.contentsOfDirectory(atPath: data) { chmod("\(data)/\(name)", 0o444) }
        chmod(data, 0o555)
        chmod(installation.folder.path, 0o755)
        // Root may write anywhere.
        let user = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
        let result = try refusal(installation, as: user)
        #expect(result.status == 77 && result.errors.contains("Permission denied"), "\(result)")
        chmod(data, 0o755)
    }

    @Test func whereNoFolderCanBeMade() throws {
        let installation = try Installation()
        try Data().write(to: installation.folder.appendingPathComponent("data"))
        let result = try refusal(installation)
        #expect(result.status == 73 && result.errors.contains("data"), "\(result)")
    }

    struct Damage: CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout Data) -> Void
    }

    @Test(arguments: [
        Damage(testDescription: "garbage") { $0 = Data(repeating: 0xA5, count: $0.count) },
        Damage(testDescription: "header") { $0.replaceSubrange(0..<100, with: Data(repeating: 0, count: 100)) },
        Damage(testDescription: "tables") { $0.replaceSubrange(16384..<20000, with: Data(repeating: 7, count: 3616)) },
        Damage(testDescription: "cut off") { $0 = $0.prefix($0.count / 2) },
    ])
    func withADamagedStore(_ damage: Damage) throws {
        let installation = try Installation()
        try installation.makeSecret()
        for index in 0..<5 {
            #expect(try installation.command(["receive", "--to", Installation.alias], input: numberedMail("\(index)")).status == 0)
        }
        let backup = installation.folder.appendingPathComponent("saved/").path + "/"
        #expect(try installation.command(["store", "backup", backup]).status == 0)
        let path = installation.folder.appendingPathComponent("data/mailhookd.sqlite")
        var bytes = try Data(contentsOf: path)
        damage.change(&bytes)
        try bytes.write(to: path)
        let result = try refusal(installation)
        #expect(result.status == 65, "\(result)")
        for words in [path.path, "is damaged", "mailhookd store check", "mailhookd store restore", "away"] {
            #expect(result.errors.contains(words), "\(words): \(result.errors)")
        }
        #expect(try Data(contentsOf: path) == bytes, "it is left as it was")
        #expect(try installation.command(["receive", "--to", Installation.alias], input: numberedMail("9")).status == 75)
        let check = try installation.command(["store", "check"])
        #expect(check.status == 65 && !check.output.isEmpty, "\(check)")
        // As it was told.
        let restored = try installation.command(["store", "restore", backup])
        #expect(restored.status == 0, "\(restored)")
        #expect(try installation.orderNumbers() == ["0", "1", "2", "3", "4"])
        try installation.start()
        #expect(try installation.stop() == 0)
    }
}
