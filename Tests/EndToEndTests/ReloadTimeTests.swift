// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SIGHUP at the wrong moment: while the daemon starts, while another reload is under way, while it stops. A pipe in the
// place of a file holds the daemon where the test wants it.

import Foundation
import TestSupport
import Testing

/// A pipe with a name. Who reads it as a file waits until it is released.
private final class Gate {
    private let path: String
    private var descriptor: Int32 = -1

    init(_ path: String) throws {
        self.path = path
        guard mkfifo(path, 0o600) == 0 else { throw Child.Failure(description: "mkfifo \(path): errno \(errno)") }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Returns when somebody waits.
    func waitForReader() throws {
        try eventually("a reader of \(path)") {
            descriptor = open(path, O_WRONLY | O_NONBLOCK)
            return descriptor >= 0
        }
    }

    /// Who waits reads `text`; who comes later reads the file that takes the pipe's place, if there is to be one.
    func release(_ text: String, leaving later: String?) throws {
        unlink(path)
        if let later { try later.write(toFile: path, atomically: true, encoding: .utf8) }
        #expect(write(descriptor, text, text.utf8.count) == text.utf8.count)
        close(descriptor)
        descriptor = -1
    }
}

@Suite struct ReloadTimeTests {
    private static let app = """
        { "app": "fernleaf", "version": "1.0.0", "title": "Fernleaf",
          "hooks": [{ "eventName": "kustomer.app.fernleaf.news", "displayEventName": "News", "description": "d",
                      "type": "email" }] }
        """

    private static func count(_ words: String, _ daemon: Child) -> Int { daemon.errors.components(separatedBy: words).count - 1 }

    /// It is heard when the daemon is up.
    @Test func whileTheDaemonStarts() throws {
        let installation = try Installation()
        let old = installation.file("mailhookd.yaml")
        let new = old.replacingOccurrences(of: Installation.alias, with: "sales@hooks.example.com")
        try FileManager.default.removeItem(at: installation.configurationFile)
        let gate = try Gate(installation.configurationFile.path)
        let daemon = try Child(Installation.binary, ["serve", "--config", installation.configurationFile.path])
        try gate.waitForReader()
        daemon.signal(SIGHUP)
        usleep(200_000)
        try #require(daemon.isRunning)
        try gate.release(old, leaving: new)
        try eventually("the reload: \(daemon.errors)") { daemon.errors.contains(" reloaded ") }
        #expect(Self.count(" info reloading", daemon) == 1)
        let line = try #require(daemon.lines.first { $0.hasPrefix("smtp 127.0.0.1:") })
        let session = try Connection(("127.0.0.1", String(line.split(separator: ":")[1])))
        #expect(try session.reply().hasPrefix("220 "))
        _ = try session.command("EHLO client.example")
        _ = try session.command("MAIL FROM:<a@b.example>")
        #expect(try session.command("RCPT TO:<sales@hooks.example.com>").hasPrefix("250 "))
        daemon.signal(SIGTERM)
        #expect(try daemon.wait(seconds: 40).status == 0)
    }

    /// The signal is pending when the program begins, and comes as soon as it can.
    private static func daemon(_ installation: Installation, beginsWith signal: String) throws -> Child {
        try Child(
            "/usr/bin/env",
            [
                "--block-signal=\(signal)", "sh", "-c", "kill -\(signal) $$; exec \"$@\"", "sh", Installation.binary, "serve", "--config",
                installation.configurationFile.path,
            ])
    }

    @Test func whenTheProcessBegins() throws {
        let installation = try Installation()
        let daemon = try Self.daemon(installation, beginsWith: "HUP")
        try eventually("the reload: \(daemon.errors)") { daemon.errors.contains(" reloaded ") || !daemon.isRunning }
        #expect(Self.count(" info reloading", daemon) == 1)
        daemon.signal(SIGTERM)
        #expect(try daemon.wait(seconds: 40).status == 0)
        let stopped = try Self.daemon(installation, beginsWith: "TERM").wait(seconds: 40)
        // Should it come as late as when it is waited for, it is a stop like others.
        #expect(stopped.status == SIGTERM || stopped.status == 0, "\(stopped)")
    }

    @Test func thoseThatWaitAreOne() throws {
        let installation = try Installation()
        try installation.start()
        let daemon = try #require(installation.daemon)
        let gate = try Gate(installation.folder.appendingPathComponent("apps/fernleaf.json").path)
        daemon.signal(SIGHUP)
        try gate.waitForReader()
        for _ in 0..<5 {
            daemon.signal(SIGHUP)
            usleep(100_000)
        }
        try gate.release(Self.app, leaving: Self.app)
        try eventually("two reloads") { Self.count(" reloaded ", daemon) == 2 }
        usleep(500_000)
        #expect(Self.count(" info reloading", daemon) == 2)
        #expect(try installation.stop() == 0)
    }

    /// What waits is not begun any more, and the service manager hears of nothing but the stop.
    @Test func whileTheDaemonStops() throws {
        let installation = try Installation()
        let path = installation.folder.appendingPathComponent("notify").path
        let socket = try DatagramSocket(path: path)
        try installation.start(environment: ["NOTIFY_SOCKET": path])
        #expect(try socket.receive().contains("READY=1"))
        let daemon = try #require(installation.daemon)
        let gate = try Gate(installation.folder.appendingPathComponent("apps/fernleaf.json").path)
        daemon.signal(SIGHUP)
        try gate.waitForReader()
        #expect(try socket.receive().contains("RELOADING=1"))
        daemon.signal(SIGHUP)
        usleep(200_000)
        daemon.signal(SIGTERM)
        #expect(try socket.receive().contains("STOPPING=1"))
        usleep(200_000)
        daemon.signal(SIGHUP)
        try gate.release(Self.app, leaving: Self.app)
        #expect(try daemon.wait(seconds: 40).status == 0)
        #expect(Self.count(" info reloading", daemon) == 1, "\(daemon.errors)")
        #expect(socket.isSilent)
    }

    /// Definitions that are being replaced: read in between, every address would be unknown.
    @Test func whileTheAppsAreAway() throws {
        let installation = try Installation()
        try installation.start()
        let (apps, away) = (
            installation.folder.appendingPathComponent("apps"), installation.folder.appendingPathComponent("apps.new"))
        try FileManager.default.moveItem(at: apps, to: away)
        try FileManager.default.createDirectory(at: apps, withIntermediateDirectories: true)
        let refused = try installation.reload()
        #expect(refused.contains("reload refused") && refused.contains("holds no app definition any more"), "\(refused)")
        #expect(refused.contains("line=3") && refused.contains("restart the daemon"), "\(refused)")
        #expect(try installation.swaks().status == 0)
        // The new ones are there.
        try FileManager.default.removeItem(at: apps)
        try FileManager.default.moveItem(at: away, to: apps)
        let log = try installation.reload()
        #expect(log.contains(" reloaded "), "\(log)")
        #expect(try installation.swaks().status == 0)
        #expect(try installation.stop() == 0)
    }
}
