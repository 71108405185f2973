// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A whole mailhookd in a temporary folder: configuration, app definition, data, and the real
// binary running on ports it picks itself.

import Foundation
import TestSupport
import Testing

final class Installation {
    let folder: URL
    private(set) var daemon: Child?
    /// What the daemon that was stopped last wrote to standard error.
    private(set) var lastLog = ""

    static let orderUpdate = "kustomer.app.ecommstore.order.update"
    static let alias = "orders@hooks.example.com"

    /// The binary that was built together with the tests.
    static let binary: String = {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appendingPathComponent("mailhookd").path
    }()

    static let exampleMail = Conformance.packageRoot.appendingPathComponent("examples/mails/order.eml")

    /// - Parameters:
    ///   - configuration: YAML to put behind the usual lines, for example `subscriptions:`.
    ///   - listen: further listeners besides SMTP, for example `lmtp: ["127.0.0.1:0"]`.
    init(_ configuration: String = "", hook: String = "", listen: String = "") throws {
        let name = "mailhookd-test-\(UUID().uuidString)"
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(name, isDirectory: true)
        let apps = folder.appendingPathComponent("apps")
        try FileManager.default.createDirectory(at: apps, withIntermediateDirectories: true)
        let examples = Conformance.packageRoot.appendingPathComponent("examples/apps")
        // Octet by octet: FileManager's copy wants the owner to be the same, which not everybody may say.
        for name in try FileManager.default.contentsOfDirectory(atPath: examples.path) {
            try Data(contentsOf: examples.appendingPathComponent(name)).write(to: apps.appendingPathComponent(name))
        }
        let text = """
            hostname: hooks.example.com
            data: data
            apps: apps
            listen: { smtp: ["127.0.0.1:0"]\(listen.isEmpty ? "" : ", " + listen) }
            hooks:
              \(Self.orderUpdate):
                aliases: [\(Self.alias)]
            \(hook.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))
            \(configuration)
            """
        try text.write(to: configurationFile, atomically: true, encoding: .utf8)
    }

    deinit {
        daemon?.signal(SIGKILL)
        _ = try? daemon?.wait(seconds: 5)
        try? FileManager.default.removeItem(at: folder)
    }

    var configurationFile: URL { folder.appendingPathComponent("mailhookd.yaml") }

    /// Starts `mailhookd serve` and waits until it says where it listens.
    ///
    /// - Parameter wrapper: a command that runs what follows it in its own place.
    func start(_ arguments: [String] = [], environment: [String: String] = [:], within wrapper: [String] = []) throws {
        let command = wrapper + [Self.binary, "serve", "--config", configurationFile.path] + arguments
        let child = try Child(command[0], Array(command.dropFirst()), environment: environment)
        daemon = child
        try child.waitForOutput("says where it listens") { lines in
            lines.contains { $0.hasPrefix("smtp ") } || !child.isRunning
        }
        guard child.isRunning else { throw Child.Failure(description: "the daemon did not start:\n\(child.errors)") }
    }

    /// Makes the instance secret, which a mail without a daemon needs.
    func makeSecret() throws {
        let result = try command(["hooks"])
        guard result.status == 0 else { throw Child.Failure(description: "hooks: \(result.errors)") }
    }

    /// SIGTERM; returns the exit status.
    @discardableResult
    func stop() throws -> Int32 {
        let child = try #require(daemon)
        child.signal(SIGTERM)
        daemon = nil
        let result = try child.wait(seconds: 40)
        lastLog = result.errors
        return result.status
    }

    /// SIGKILL: no chance to tidy up.
    func kill() throws {
        let child = try #require(daemon)
        child.signal(SIGKILL)
        daemon = nil
        _ = try child.wait(seconds: 10)
    }

    /// Where the running daemon listens for SMTP.
    var smtp: (host: String, port: String) {
        get throws {
            try address(of: "smtp")
        }
    }

    /// Where it listens for `smtp`, `smtps`, `lmtp` or `http` over TCP; what a reload has added counts.
    func address(of kind: String) throws -> (host: String, port: String) {
        let line = try #require(daemon?.lines.last { $0.hasPrefix("\(kind) 127.0.0.1:") })
        let parts = line.dropFirst(kind.count + 1).split(separator: ":")
        return (String(parts[0]), String(parts[1]))
    }

    /// Runs a command of the binary with this configuration.
    func command(_ arguments: [String], input: String? = nil, seconds: Double = 60) throws -> Child.Result {
        let all = arguments + ["--config", configurationFile.path]
        return try Child.run(Self.binary, all, input: input, seconds: seconds)
    }

    /// Every stored event, oldest first.
    func events() throws -> [[String: Any]] {
        let result = try command(["events", "list", "--json"])
        guard result.status == 0 else { throw Child.Failure(description: "events list: \(result.errors)") }
        return try Self.objects(result.output)
    }

    static func objects(_ lines: String) throws -> [[String: Any]] {
        try lines.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    /// Sends a mail with swaks; returns its exit status and transcript.
    func swaks(_ mail: URL = exampleMail, to recipient: String = alias, _ arguments: [String] = []) throws -> Child.Result {
        let (host, port) = try smtp
        return try Child.run(
            "swaks",
            [
                "--server", host, "--port", port, "--ehlo", "shop.example", "--from", "orders@fernleaf.example", "--to",
                recipient, "--data", "@\(mail.path)",
            ] + arguments)
    }

    func file(_ name: String) -> String {
        (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? ""
    }

    func write(_ name: String, _ text: String) throws -> URL {
        let url = folder.appendingPathComponent(name)
        try text.write(to: url, atomically: true, encoding: .utf8)
        return url
    }
}
