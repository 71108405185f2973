// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// More clients than the daemon may have descriptors: they wait, it rests, none is lost, and the store goes on.

import Foundation
import TestSupport
import Testing

@Suite struct DescriptorTests {
    private static func limits(_ process: Int32) throws -> (soft: String, hard: String) {
        let text = try String(contentsOfFile: "/proc/\(process)/limits", encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("Max open files") })
        let fields = line.dropFirst("Max open files".count).split(separator: " ")
        return (String(fields[0]), String(fields[1]))
    }

    @Test func whatIsAllowedIsTaken() throws {
        let installation = try Installation()
        try installation.start(within: ["prlimit", "--nofile=700:900"])
        let limits = try Self.limits(#require(installation.daemon).identifier)
        #expect(limits.soft == "900" && limits.hard == "900")
    }

    /// What listeners leave free (AcceptPause).
    private static let reserve = 16

    /// As many descriptors as `daemon` has open now, and `more`. Set when it runs: how many it needs for itself depends on
    /// the processors.
    private static func limit(_ daemon: Child, to more: Int) throws -> Int {
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(daemon.identifier)/fd").compactMap(Int.init)
        let limit = (open.max() ?? 0) + 1 + more
        let set = try Child.run("prlimit", ["--pid", "\(daemon.identifier)", "--nofile=\(limit):\(limit)"])
        try #require(set.status == 0, "\(set.errors)")
        return limit
    }

    /// However many there are, who is connected can have a mail stored.
    @Test func connectionsLeaveTheStoreItsDescriptors() throws {
        let installation = try Installation("limits: { connectionsPerPeer: 500 }")
        try installation.start()
        let daemon = try #require(installation.daemon)
        let limit = try Self.limit(daemon, to: Self.reserve + 6)
        let session = try installation.session()
        let idle = try (0..<limit).map { _ in try Connection(installation.smtp) }
        try eventually("SMTP waits") { daemon.errors.contains("connections have to wait") }
        usleep(1_500_000)
        for number in 1...3 {
            _ = try session.command("MAIL FROM:<a@b.example>")
            #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
            _ = try session.command("DATA")
            session.send(numberedMail("\(number)").replacingOccurrences(of: "\n", with: "\r\n"))
            let reply = try session.command(".")
            #expect(reply.hasPrefix("250 2.0.0 "), "\(reply)")
        }
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(daemon.identifier)/fd").count
        #expect(idle.count == limit && open < limit)
        #expect(try session.command("QUIT").hasPrefix("221 "))
        #expect(try installation.stop() == 0)
    }

    @Test(arguments: [24, 30, 40]) func tooFewToBegin(limit: Int) throws {
        let installation = try Installation()
        let refused = try Child.run(
            "prlimit",
            [
                "--nofile=\(limit):\(limit)", Installation.binary, "serve", "--config", installation.configurationFile.path,
            ], seconds: 20)
        #expect(refused.status == 75 && refused.errors.contains("no more than \(limit) files may be open"), "\(refused)")
    }

    @Test func withoutDescriptorsListenersRest() throws {
        let installation = try Installation(
            "limits: { connectionsPerPeer: 200 }", listen: "lmtp: [\"127.0.0.1:0\"], http: [\"127.0.0.1:0\"], admin: [\"127.0.0.1:0\"]")
        try installation.start()
        let daemon = try #require(installation.daemon)
        let limit = try Self.limit(daemon, to: Self.reserve + 8)
        var clients = try (0..<limit).map { _ in try Connection(installation.smtp) }
        #expect(try clients[0].reply().hasPrefix("220 "))
        func warnings() -> Int { daemon.errors.components(separatedBy: "connections have to wait").count - 1 }
        try eventually("SMTP waits") { warnings() == 1 }
        // One more for each of the other listeners, when nothing is left for it.
        for kind in ["lmtp", "http", "admin"] { clients.append(try Connection(installation.address(of: kind))) }
        let data = installation.folder.appendingPathComponent("data").path
        for socket in ["receive.sock", "control.sock"] { clients.append(try Connection(unix: "\(data)/\(socket)")) }
        try eventually("all listeners wait") { warnings() == 6 }
        let before = try daemon.processorSeconds
        usleep(2_000_000)
        let used = try daemon.processorSeconds - before
        #expect(used < 0.4, "\(used) s of two")
        // Each listener has said so, and none of them twice.
        #expect(warnings() == 6, "\(daemon.errors)")
        #expect(try clients[0].command("NOOP").hasPrefix("250 "))
        clients = []
        #expect(try Connection(installation.smtp).reply().hasPrefix("220 "))
        #expect(try Connection(installation.address(of: "lmtp")).reply().hasPrefix("220 "))
        for kind in ["http", "admin"] {
            let client = try Connection(installation.address(of: kind))
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try client.answer().hasPrefix("HTTP/1.1 "))
        }
        #expect(try installation.swaks().status == 0)
        let piped = try installation.command(["receive", "--to", Installation.alias], input: numberedMail("7"))
        #expect(piped.status == 0, "\(piped.errors)")
        #expect(try installation.orderNumbers() == ["7", "88-104"])
        #expect(try installation.stop() == 0)
    }
}
