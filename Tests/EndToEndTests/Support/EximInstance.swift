// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// An Exim of the test's own: configuration, spool and log in a temporary folder. There is no
// daemon: each mail is queued and the queue is run, which keeps the rights that a transport needs.

import Foundation
import TestSupport

final class EximInstance {
    private static let program = ProcessInfo.processInfo.environment["MAILHOOKD_TEST_EXIM"]

    /// Why there is none, or nil.
    static let absence: String? = {
        if geteuid() != 0 { return "skipped: Exim can only be started by root" }
        guard let program, FileManager.default.isExecutableFile(atPath: program) else {
            return "skipped: Exim is not there; run scripts/test"
        }
        return nil
    }()

    let folder: URL

    /// - Parameters: blocks of a recipe.
    init(router: String, transport: String) throws {
        folder = URL(fileURLWithPath: "/tmp/mailhookd-exim-\(UUID().uuidString.prefix(8))")
        for name in ["spool", "log"] {
            let path = folder.appendingPathComponent(name).path
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            _ = try Child.run("chown", ["mail:mail", path])
        }
        // Mail that is put off stays until the queue is run.
        try """
            exim_path = \(Self.program ?? "")
            exim_user = mail
            exim_group = mail
            never_users =
            keep_environment =
            spool_directory = \(folder.path)/spool
            log_file_path = \(folder.path)/log/%slog
            primary_hostname = mx.fernleaf.example
            begin routers
            \(router)
            begin transports
            \(transport)
            begin retry
            * * F,1h,1s

            """.write(to: configuration, atomically: true, encoding: .utf8)
    }

    private var configuration: URL { folder.appendingPathComponent("exim.conf") }

    /// What was delivered, put off and returned.
    var log: String { (try? String(contentsOf: folder.appendingPathComponent("log/mainlog"), encoding: .utf8)) ?? "" }

    /// Takes a mail and tries to deliver it before it returns.
    func send(_ mail: String, to recipients: String..., from sender: String = "shop@fernleaf.example") throws -> Child.Result {
        let taken = try Child.run(
            Self.program ?? "", ["-C", configuration.path, "-odq", "-i", "-f", sender] + recipients, input: mail)
        _ = try runQueue()
        return taken
    }

    /// Tries what is queued or was put off, whenever it would be due.
    @discardableResult
    func runQueue() throws -> Child.Result { try Child.run(Self.program ?? "", ["-C", configuration.path, "-qff"]) }

    deinit { try? FileManager.default.removeItem(at: folder) }
}
