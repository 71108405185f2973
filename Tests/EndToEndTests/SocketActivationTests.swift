// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Sockets that a service manager holds: a launcher plays its part, so that the tests need no
// systemd; systemd's own tool is used where it is there.

import Foundation
import Synchronization
import TestSupport
import Testing

/// A launcher that holds sockets, and the daemons it starts with them.
final class Activation {
    let installation: Installation
    private let launcher: Child

    /// - Parameters:
    ///   - sockets: `smtp=127.0.0.1:0`, `lmtp=/path`.
    ///   - variables: of the environment.
    init(_ installation: Installation, _ sockets: [String], variables: [String: String] = [:]) throws {
        self.installation = installation
        let script = Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/activate.py").path
        launcher = try Child(
            "python3",
            [script] + sockets + ["--", Installation.binary, "serve", "--config", installation.configurationFile.path],
            environment: variables)
        try launcher.waitForOutput("its sockets") { _ in self.count("passed ") == sockets.count }
    }

    deinit {
        launcher.closeInput()
        _ = try? launcher.wait(seconds: 10)
    }

    /// Whole ones: the last may still be on its way.
    var lines: [String] { launcher.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }
    var log: String { launcher.errors }

    /// Where a socket was bound.
    func address(_ name: String) throws -> (host: String, port: String) {
        let line = try #require(lines.first { $0.hasPrefix("passed \(name) ") })
        let parts = try #require(line.split(separator: " ").last).split(separator: ":")
        return (String(parts[0]), String(parts[1]))
    }

    /// Does not wait until the daemon is ready.
    func start() throws {
        let count = count("started ")
        launcher.write("start\n")
        try launcher.waitForOutput("a start") { _ in self.count("started ") > count }
    }

    /// SIGTERM, SIGKILL (`kill`) or nothing (`wait`); returns the exit status, negative for a signal.
    @discardableResult
    func end(_ order: String = "stop") throws -> Int {
        let count = count("ended ")
        launcher.write("\(order)\n")
        try launcher.waitForOutput(seconds: 60, "the end") { _ in self.count("ended ") > count }
        return try #require(Int(lines.last { $0.hasPrefix("ended ") }?.dropFirst(6) ?? ""))
    }

    func signal(_ number: Int32) { launcher.write("signal \(number)\n") }

    func count(_ prefix: String) -> Int { lines.count { $0.hasPrefix(prefix) } }
}

@Suite struct SocketActivationTests {
    @Test func passedSocketsAreServedAndNotBoundTwice() throws {
        let installation = try Installation()
        let socket = installation.folder.appendingPathComponent("lmtp.sock").path
        let activation = try Activation(installation, ["smtp=127.0.0.1:0", "lmtp=\(socket)", "http=127.0.0.1:0", "admin=127.0.0.1:0"])
        let (host, port) = try activation.address("smtp")
        try installation.edit("smtp: [\"127.0.0.1:0\"]", "smtp: [\"\(host):\(port)\"], lmtp: [\"\(socket)\"]")
        try activation.start()
        let session = try Connection((host, port))
        #expect(try session.reply().hasPrefix("220 "))
        try eventually("the listeners") { activation.count("admin ") == 1 }
        #expect(activation.lines.filter { $0.hasPrefix("smtp ") } == ["smtp \(host):\(port)"])
        #expect(activation.count("lmtp ") == 1 && activation.count("http ") == 1)
        #expect(try Connection(unix: socket).reply().hasPrefix("220 "))
        let http = try activation.address("http")
        #expect(try WebInstallation.curl("http://\(http.host):\(http.port)/", []).status == 404)
        let admin = try activation.address("admin")
        #expect(try WebInstallation.curl("http://\(admin.host):\(admin.port)/healthz", []).status == 200)

        // A reload that no longer names it leaves it alone: it is the service manager's.
        try installation.edit("smtp: [\"\(host):\(port)\"], lmtp: [\"\(socket)\"]", "smtp: [], lmtp: []")
        activation.signal(SIGHUP)
        try eventually("the reload") { activation.log.contains(" reloaded ") }
        #expect(try Connection((host, port)).reply().hasPrefix("220 "))
        _ = try session.command("QUIT")
        #expect(try activation.end() == 0)
        #expect(FileManager.default.fileExists(atPath: socket))
    }

    /// Programs that the daemon starts get neither the sockets nor the variables.
    @Test func programsInheritNothing() throws {
        let installation = try Installation()
        let script = try installation.write(
            "look.sh", "cat > /dev/null; { env; ls -l /proc/$$/fd; } > look.tmp; mv look.tmp look\n")
        _ = try installation.write(
            "mailhookd.yaml",
            installation.file("mailhookd.yaml") + """

                subscriptions:
                  - name: look
                    events: [">"]
                    exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)" }
                """)
        let activation = try Activation(installation, ["smtp=127.0.0.1:0"])
        try activation.start()
        try Self.send("1", to: activation.address("smtp"))
        try eventually("the program") { !installation.file("look").isEmpty }
        #expect(!installation.file("look").contains("LISTEN_"))
        #expect(!installation.file("look").contains("socket:"))
        #expect(installation.file("look").contains("MAILHOOKD_EVENT_ID"))
        #expect(try activation.end() == 0)
    }

    /// Who comes while the daemon is down waits, and is served by the next one.
    @Test func aConnectionOutlastsTheDaemon() throws {
        let installation = try Installation()
        let activation = try Activation(installation, ["smtp=127.0.0.1:0", "http=127.0.0.1:0"])
        let (smtp, http) = (try activation.address("smtp"), try activation.address("http"))
        for order in ["stop", "kill"] {
            try activation.start()
            try Self.send("before \(order)", to: smtp)
            #expect(try activation.end(order) == (order == "stop" ? 0 : -9))
            let session = try Connection(smtp)
            let request = try Connection(http)
            request.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            usleep(200_000)
            try activation.start()
            try Self.send("after \(order)", over: session)
            #expect(request.rest().hasPrefix("HTTP/1.1 404 "))
            #expect(try activation.end() == 0)
        }
        #expect(try installation.orderNumbers().sorted() == ["after kill", "after stop", "before kill", "before stop"])
    }

    /// Restarts without a pause under the load of four clients: no connection is refused, nothing that was
    /// acknowledged is lost, nothing comes twice.
    @Test func restartsUnderLoad() throws {
        let restarts = ProcessInfo.processInfo.environment["MAILHOOKD_LONG"] == "1" ? 100 : 10
        let installation = try Installation()
        let activation = try Activation(installation, ["smtp=127.0.0.1:0"])
        let load = Load()
        let address = try activation.address("smtp")
        load.state.withLock { $0.address = address }
        for client in 0..<4 { load.start { $0.sendMail(client: client) } }
        for number in 1...restarts {
            try activation.start()
            let before = load.acknowledgedCount
            try eventually("mail is taken after start \(number): \(activation.log.suffix(500))") { load.acknowledgedCount > before + 100 }
            #expect(try activation.end() == 0)
        }
        try activation.start()
        #expect(load.finish(), "a client hangs")
        #expect(try activation.end() == 0)
        let (acknowledged, unanswered, refused, failures) = load.state.withLock {
            ($0.acknowledged, $0.unanswered, $0.refused, $0.failures)
        }
        #expect(failures.isEmpty, "\(failures.prefix(3))")
        #expect(refused == 0 && unanswered == 0)
        let numbers = try installation.orderNumbers()
        #expect(Set(numbers) == Set(acknowledged) && numbers.count == acknowledged.count)
        print(
            "restarts under load: \(restarts), \(acknowledged.count) mails acknowledged, 0 lost, 0 doubled, "
                + "\(refused) connections refused, \(unanswered) mails without an answer")
    }

    @Test(arguments: [
        ("mail", "FileDescriptorName= is one of smtp,"), ("", "FileDescriptorName= is one of smtp,"),
        ("smtps", "needs a certificate"),
    ])
    func whatCannotBeServedEndsTheStart(name: String, reason: String) throws {
        let installation = try Installation()
        let activation = try Activation(installation, ["\(name)=127.0.0.1:0"])
        try activation.start()
        try eventually("the reason") { activation.log.contains(reason) }
        #expect(try activation.end("wait") == 78)
    }

    /// As systemd does it for a service that is started by the first connection.
    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-socket-activate"),
            "systemd-socket-activate is not installed"))
    func bySystemdsOwnTool() throws {
        let installation = try Installation()
        let socket = installation.folder.appendingPathComponent("smtp.sock").path
        let tool = try Child(
            "/usr/bin/systemd-socket-activate",
            ["-l", socket, "--fdname=smtp", Installation.binary, "serve", "--config", installation.configurationFile.path])
        var session: Connection?
        try eventually("the socket") {
            session = try? Connection(unix: socket)
            return session != nil
        }
        try Self.send("1", over: #require(session))
        tool.signal(SIGTERM)
        #expect(try tool.wait(seconds: 40).status == 0)
        #expect(try installation.orderNumbers() == ["1"])
    }

    private static func send(_ number: String, to address: (host: String, port: String)) throws {
        try send(number, over: try Connection(address))
    }

    private static func send(_ number: String, over session: Connection) throws {
        #expect(try session.reply().hasPrefix("220 "))
        _ = try session.command("EHLO client.example")
        _ = try session.command("MAIL FROM:<a@b.example>")
        #expect(try session.command("RCPT TO:<\(Installation.alias)>").hasPrefix("250 "))
        _ = try session.command("DATA")
        session.send(numberedMail(number).replacingOccurrences(of: "\n", with: "\r\n"))
        #expect(try session.command(".").hasPrefix("250 2.0.0 "))
        #expect(try session.command("QUIT").hasPrefix("221 "))
    }
}
