// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SIGTERM: what is in progress ends, within its time; a second one does not wait. And the signs of
// life that a service manager watches for.

import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct StopTests {
    /// A session in the middle of a transaction.
    private func transaction(_ installation: Installation) throws -> Connection {
        let session = try installation.session()
        _ = try session.command("MAIL FROM:<a@b.example>")
        _ = try session.command("RCPT TO:<\(Installation.alias)>")
        #expect(try session.command("DATA").hasPrefix("354 "))
        return session
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func aSecondSignalEndsAtOnce(number: Int32) throws {
        let installation = try Installation()
        try installation.start()
        let session = try transaction(installation)
        let daemon = try #require(installation.daemon)
        daemon.signal(number)
        try eventually("the stop") { daemon.errors.contains("stopping") }
        usleep(200_000)
        #expect(daemon.isRunning)
        daemon.signal(number)
        let begin = Date()
        #expect(try daemon.wait(seconds: 10).status == number)
        #expect(Date().timeIntervalSince(begin) < 3)
        #expect(session.rest().isEmpty)
        try installation.start()
        #expect(try installation.stop() == 0)
    }

    @Test func theTimeToStopIsBounded() throws {
        let installation = try Installation("stopTimeout: 1s")
        let script = try installation.write("slow.sh", "cat > /dev/null; echo begun >> begun; [ -e go ] || exec sleep 60\n")
        _ = try installation.write(
            "mailhookd.yaml",
            installation.file("mailhookd.yaml") + """

                subscriptions:
                  - name: slow
                    events: [">"]
                    exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)", timeout: 90s }
                """)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("the attempt") { installation.file("begun") == "begun\n" }
        let session = try transaction(installation)
        let begin = Date()
        #expect(try installation.stop() == 0)
        #expect(Date().timeIntervalSince(begin) < 5)
        #expect(session.rest().isEmpty)
        // The attempt that was cut off is made again at once, whatever its lease was.
        _ = try installation.write("go", "")
        try installation.start()
        try eventually("the second attempt", seconds: 10) { installation.file("begun") == "begun\nbegun\n" }
        #expect(try installation.stop() == 0)
    }

    @Test func aDeliveryInFlightEnds() throws {
        let installation = try Installation()
        let script = try installation.write("slow.sh", "cat > begun; sleep 1; echo done >> done\n")
        _ = try installation.write(
            "mailhookd.yaml",
            installation.file("mailhookd.yaml") + """

                subscriptions:
                  - name: slow
                    events: [">"]
                    exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)" }
                """)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("the attempt") { !installation.file("begun").isEmpty }
        #expect(try installation.stop() == 0)
        #expect(installation.file("done") == "done\n")
        try installation.start()
        usleep(500_000)
        #expect(installation.file("done") == "done\n")
        #expect(try installation.stop() == 0)
    }

    @Test func requestsInFlightAreAnswered() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let head = "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        let (busy, idle, late) = (try Connection(web.http), try Connection(web.http), try Connection(web.http))
        busy.send(head + "{\"a\"")
        idle.send(head + "{\"b\": 12}")
        #expect(try idle.answer().hasPrefix("HTTP/1.1 202 "))
        usleep(200_000)
        let daemon = try #require(web.installation.daemon)
        daemon.signal(SIGTERM)
        try eventually("the stop") { daemon.errors.contains("stopping") }
        // Sent at the moment of the stop: still answered.
        late.send(head + "{\"c\": 12}")
        let last = late.rest()
        #expect(last.hasPrefix("HTTP/1.1 202 ") && last.lowercased().contains("connection: close"), "\(last)")
        #expect(idle.rest().isEmpty)
        #expect(throws: Child.Failure.self) { try Connection(web.http) }
        busy.send(": 12}")
        let answer = busy.rest()
        #expect(answer.hasPrefix("HTTP/1.1 202 ") && answer.lowercased().contains("connection: close"), "\(answer)")
        #expect(try daemon.wait(seconds: 20).status == 0)
        #expect(try web.installation.events().count == 3)
    }

    @Test func nothingIsLostByAStopUnderLoad() throws {
        let installation = try Installation()
        let load = Load()
        for client in 0..<4 { load.start { $0.sendMail(client: client) } }
        for _ in 0..<5 {
            try installation.start()
            let address = try installation.smtp
            let before = load.acknowledgedCount
            load.state.withLock { $0.address = address }
            try eventually("some mail") { load.acknowledgedCount > before + 200 }
            #expect(try installation.stop() == 0)
            load.state.withLock { $0.address = nil }
        }
        try installation.start()
        let address = try installation.smtp
        load.state.withLock { $0.address = address }
        #expect(load.finish(), "a client hangs")
        let (acknowledged, unanswered, failures) = load.state.withLock { ($0.acknowledged, $0.unanswered, $0.failures) }
        #expect(failures.isEmpty, "\(failures.prefix(3))")
        // Unlike with kill -9, every message that was sent whole has its answer.
        #expect(unanswered == 0)
        let numbers = try installation.orderNumbers()
        #expect(Set(numbers) == Set(acknowledged) && numbers.count == acknowledged.count)
        #expect(try installation.stop() == 0)
        print("stops under load: 5, \(acknowledged.count) mails acknowledged, 0 lost, \(unanswered) without an answer")
    }

    @Test func signsOfLifeCarryCounts() throws {
        let installation = try Installation()
        let path = installation.folder.appendingPathComponent("notify").path
        let socket = try DatagramSocket(path: path)
        try installation.start(environment: ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"])
        #expect(try socket.receive().contains("READY=1"))
        #expect(try installation.swaks().status == 0)
        let begin = Date()
        var last = ""
        for _ in 0..<6 {
            last = try socket.receive()
            #expect(last.hasPrefix("WATCHDOG=1\nSTATUS="), "\(last)")
        }
        #expect(Date().timeIntervalSince(begin) < 6 * 0.4)
        #expect(last.contains("1 messages accepted, 0 refused, 1 events"), "\(last)")
        #expect(try installation.stop() == 0)
    }

    /// A watchdog that is meant for another process is none of ours.
    @Test func anotherProcessWatchdogIsLeftAlone() throws {
        let installation = try Installation()
        let path = installation.folder.appendingPathComponent("notify").path
        let socket = try DatagramSocket(path: path)
        try installation.start(environment: ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"])
        #expect(try socket.receive().contains("READY=1"))
        usleep(500_000)
        installation.daemon?.signal(SIGTERM)
        #expect(try socket.receive().contains("STOPPING=1"))
    }

    @Test func aDataFolderThatOthersMayWriteIsRefused() throws {
        let installation = try Installation()
        try installation.start()
        #expect(try installation.stop() == 0)
        let data = installation.folder.appendingPathComponent("data").path
        chmod(data, 0o777)
        let open = try installation.command(["serve"], seconds: 20)
        #expect(open.status == 77 && open.errors.contains("others than its owner may write there (mode 777)"), "\(open.errors)")
        chmod(data, 0o755)
        chmod(data + "/instance.key", 0o644)
        try installation.start()
        #expect(installation.daemon?.errors.contains("others than its owner may look in") == true)
        #expect(installation.daemon?.errors.contains("holds secrets and is open to others") == true)
        #expect(try installation.stop() == 0)
    }

    /// One part that cannot begin ends all of them, those that wait in threads of their own included, before anybody is
    /// told that the daemon is ready.
    @Test(arguments: ["receive.sock", "control.sock", "lmtp.sock"]) func aFileInThePlaceOfASocket(name: String) throws {
        let installation = try Installation()
        let maildir = try TestMaildir(installation)
        try maildir.deliver("1", numberedMail("1"))
        let data = installation.folder.appendingPathComponent("data")
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let file = try installation.write("data/\(name)", "somebody's")
        let arguments = ["serve", "--maildir", maildir.root.path] + (name == "lmtp.sock" ? ["--lmtp", file.path] : [])
        let result = try installation.command(arguments, seconds: 15)
        #expect(result.status == 73, "\(result)")
        #expect(result.errors.contains("cannot listen on \(file.path): a file that is no socket is in its place"), "\(result.errors)")
        #expect(result.output.isEmpty)
        #expect(installation.file("data/\(name)") == "somebody's")
        // Nothing is left in the way of a start without it.
        try FileManager.default.removeItem(at: file)
        try installation.start(["--maildir", maildir.root.path])
        try eventually("the mail is moved") { maildir.list("new").isEmpty }
        #expect(try installation.orderNumbers() == ["1"])
        #expect(try installation.stop() == 0)
    }

    /// A daemon that waits for its last session leaves to the next one what is the next one's. With data folders of their
    /// own they have nothing but a socket in common; the other way round the second waits for the first.
    @Test func theNextOneKeepsItsSockets() throws {
        let installation = try Installation()
        let socket = installation.folder.appendingPathComponent("lmtp.sock").path
        try installation.start(["--lmtp", socket])
        let session = try transaction(installation)
        let first = try #require(installation.daemon)
        first.signal(SIGTERM)
        try eventually("the stop") { !FileManager.default.fileExists(atPath: socket) && first.errors.contains("intake stops") }
        let data = installation.folder.appendingPathComponent("other").path
        try installation.start(["--lmtp", socket, "--data", data])
        session.send("\(numberedMail("1").replacingOccurrences(of: "\n", with: "\r\n"))\r\n")
        #expect(try session.command(".").hasPrefix("250 "))
        #expect(try first.wait(seconds: 40).status == 0)
        #expect(try Connection(unix: socket).reply().hasPrefix("220 "))
        #expect(FileManager.default.fileExists(atPath: data + "/receive.sock"))
        #expect(!FileManager.default.fileExists(atPath: installation.folder.path + "/data/listeners"))
        #expect(try installation.stop() == 0)
        #expect(!FileManager.default.fileExists(atPath: socket))
    }

    /// Nothing that is known of a daemon is left when its store is free, for what is there then is the next one's.
    @Test func aSuccessorInTheSameFolder() throws {
        let installation = try Installation()
        let socket = installation.folder.appendingPathComponent("lmtp.sock").path
        let data = installation.folder.appendingPathComponent("data").path
        for _ in 0..<5 {
            try installation.start(["--lmtp", socket])
            let first = try #require(installation.daemon)
            first.signal(SIGTERM)
            try eventually("the stop") { !FileManager.default.fileExists(atPath: data + "/receive.sock") }
            // It begins as soon as it may have the store.
            try installation.start(["--lmtp", socket])
            #expect(try first.wait(seconds: 40).status == 0)
            for file in [socket, "\(data)/receive.sock", "\(data)/control.sock", "\(data)/listeners"] {
                #expect(FileManager.default.fileExists(atPath: file), "\(file)")
            }
            #expect(try Connection(unix: socket).reply().hasPrefix("220 "))
            #expect(try installation.stop() == 0)
        }
    }

    /// An operator who reads of errors looks for what is broken.
    @Test func aStopIsNoError() throws {
        let installation = try Installation(listen: "lmtp: [\"127.0.0.1:0\"], http: [\"127.0.0.1:0\"], admin: [\"127.0.0.1:0\"]")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        #expect(try installation.stop() == 0)
        #expect(!installation.lastLog.contains(" error "), "\(installation.lastLog)")
        #expect(installation.lastLog.contains("stopped"))
    }

    /// Root's daemon makes nothing there that the folder's owner could not go on with.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func aDataFolderOfSomebodyElseStaysTheirs() throws {
        let installation = try Installation()
        let data = installation.folder.appendingPathComponent("data").path
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        chown(data, 65534, 65534)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        let listed = try Child.run("find", [data, "!", "-user", "65534"])
        #expect(listed.status == 0 && listed.output.isEmpty, "\(listed.output)")
        #expect(try installation.stop() == 0)
        #expect(try Child.run("find", [data, "!", "-user", "65534"]).output.isEmpty)
        #expect(FileManager.default.fileExists(atPath: data + "/mailhookd.sqlite.lock"))
    }

    /// What root left behind in the data folder, the daemon's user cannot work with, and says how to mend it.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func aDataFolderOfSomebodyElseIsRefused() throws {
        let installation = try Installation()
        try installation.start()
        #expect(try installation.swaks().status == 0)
        #expect(try installation.stop() == 0)
        let data = installation.folder.appendingPathComponent("data").path
        func asNobody() throws -> Child.Result {
            try Child.run(
                "setpriv",
                [
                    "--reuid=65534", "--regid=65534", "--clear-groups", Installation.binary, "serve", "--config",
                    installation.configurationFile.path,
                ], seconds: 20)
        }
        chmod(installation.folder.path, 0o755)
        let wrong = try asNobody()
        #expect(wrong.status == 77 && wrong.errors.contains("\(data): error: Permission denied; it belongs to root, but this runs as nobody; run it as root, or"), "\(wrong.errors)")
        #expect(wrong.errors.contains("chown -R nobody: \(data)"))
        chown(data, 65534, 65534)
        let inside = try asNobody()
        #expect(inside.status == 77 && inside.errors.contains("Permission denied; it belongs to root"), "\(inside.errors)")
        // All but a segment of the store's journal.
        #expect(try Child.run("chown", ["-R", "65534:65534", data]).status == 0)
        let segment = data + "/mailhookd.sqlite.journal/00000001.seg"
        #expect(chown(segment, 0, 0) == 0)
        let deep = try asNobody()
        #expect(deep.status == 77 && deep.errors.contains("\(segment): Permission denied; it belongs to root"), "\(deep.errors)")
    }
}
