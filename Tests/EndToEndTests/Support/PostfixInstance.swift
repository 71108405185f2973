// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A Postfix of the test's own: configuration, queue and data in a temporary folder, SMTP on a
// port of 127.0.0.1. The system's Postfix is not touched.

import Foundation
import TestSupport
import Testing

final class PostfixInstance {
    /// Why there is none, or nil.
    static let absence: String? = {
        if geteuid() != 0 { return "skipped: Postfix can only be started by root" }
        return FileManager.default.isExecutableFile(atPath: "/usr/lib/postfix/sbin/master")
            ? nil : "skipped: Postfix is not installed; run scripts/test"
    }()

    let folder: URL
    let port: String
    private var master: Child?

    /// - Parameters:
    ///   - main, services: lines of a recipe, behind what every instance needs.
    init(main: String, services: String = "") throws {
        folder = URL(fileURLWithPath: "/tmp/mailhookd-postfix-\(UUID().uuidString.prefix(8))")
        port = String(try Self.freePort())
        for name in ["etc", "queue", "lib"] {
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        #expect(try Child.run("chown", ["postfix", folder.appendingPathComponent("lib").path]).status == 0)
        let own = """
            compatibility_level = 3.6
            queue_directory = \(folder.path)/queue
            data_directory = \(folder.path)/lib
            command_directory = /usr/sbin
            daemon_directory = /usr/lib/postfix/sbin
            mail_owner = postfix
            setgid_group = postdrop
            myhostname = mx.fernleaf.example
            mydestination =
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            smtp_dns_support_level = disabled
            default_transport = discard
            alias_maps =
            alias_database =
            local_recipient_maps =
            maillog_file = /dev/stdout
            notify_classes =
            minimal_backoff_time = 1s
            maximal_backoff_time = 1s
            queue_run_delay = 1s

            """
        try (own + main).write(to: folder.appendingPathComponent("etc/main.cf"), atomically: true, encoding: .utf8)
        let names = Set(services.split(separator: "\n").filter { !$0.hasPrefix(" ") }.compactMap { $0.split(separator: " ").first })
        let usual = Self.usualServices(port).filter { line in !names.contains(line.split(separator: " ")[0]) }
        try (usual.joined(separator: "\n") + "\n" + services)
            .write(to: folder.appendingPathComponent("etc/master.cf"), atomically: true, encoding: .utf8)
    }

    private static func usualServices(_ port: String) -> [String] {
        ["127.0.0.1:\(port) inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd", "virtual unix - n n - - virtual"]
            + ["error", "retry"].map { "\($0) unix - - n - - error" }
            + ["bounce", "defer", "trace"].map { "\($0) unix - - n - 0 bounce" }
            + ["smtp", "relay"].map { "\($0) unix - - n - - smtp" }
            + [
                "lmtp unix - - n - - lmtp", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                "rewrite unix - - n - - trivial-rewrite", "verify unix - - n - 1 verify", "discard unix - - n - - discard",
                "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "proxymap unix - - n - - proxymap",
                "tlsmgr unix - - n 1000? 1 tlsmgr",
            ]
    }

    func start() throws {
        let child = try Child("postfix", ["-c", folder.appendingPathComponent("etc").path, "start-fg"])
        master = child
        try eventually("Postfix listens: \(child.output)\(child.errors)", seconds: 40) {
            guard child.isRunning else { throw Child.Failure(description: "Postfix ended: \(child.output)\(child.errors)") }
            guard let session = try? Connection((host: "127.0.0.1", port: port)) else { return false }
            return (try? session.reply())?.hasPrefix("220 ") == true
        }
    }

    var log: String { master?.output ?? "" }

    /// Sends a mail with swaks.
    func send(_ mail: String, to recipient: String, from sender: String = "shop@fernleaf.example") throws -> Child.Result {
        let file = folder.appendingPathComponent("mail-\(UUID().uuidString.prefix(8)).eml")
        try mail.write(to: file, atomically: true, encoding: .utf8)
        return try Child.run(
            "swaks",
            [
                "--server", "127.0.0.1", "--port", port, "--ehlo", "shop.example", "--from", sender, "--to", recipient,
                "--data", "@\(file.path)",
            ])
    }

    /// The master process ends its children and then itself on SIGTERM. It is a child of the script that we started, which
    /// would end without telling it.
    func stop() {
        guard let script = master else { return }
        let file = folder.appendingPathComponent("queue/pid/master.pid")
        if let text = try? String(contentsOf: file, encoding: .utf8),
            let process = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), process > 1
        {
            kill(process, SIGTERM)
        } else {
            script.signal(SIGTERM)
        }
        _ = try? script.wait(seconds: 15)
        master = nil
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Below those that the kernel hands out (net.ipv4.ip_local_port_range), where a daemon of another test could be given it
    /// before Postfix binds it.
    private static func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            let port = UInt16.random(in: 20_000..<32_000)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if status == 0 { return port }
        }
        throw Child.Failure(description: "no free port: errno \(errno)")
    }
}
