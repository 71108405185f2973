// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the daemon that runs on a data folder listens: it writes its addresses down when it
// is ready, so that commands find it although it was started with port 0 or other flags.

import Glibc
import HookIntake
import Logging

enum RunningDaemon {
    private static func path(_ dataFolder: String) -> String { dataFolder + "/listeners" }

    /// One line a listener, as `serve` prints them: `smtp 127.0.0.1:2525`. Commands do without it where it cannot be
    /// written: a daemon on a full disk has senders to answer.
    static func note(_ listeners: [String], dataFolder: String, _ logger: Logger) {
        do throws(FileError) {
            try Files.replace(path(dataFolder), Array(listeners.map { $0 + "\n" }.joined().utf8), mode: 0o600)
        } catch {
            logger.error("cannot write down the listeners", metadata: ["error": "\(error)"])
        }
    }

    static func forget(dataFolder: String) { unlink(path(dataFolder)) }

    /// The first SMTP listener that was written down; nil where there is none. After a crash the note may be stale:
    /// connecting then fails and says so.
    static func smtp(dataFolder: String) -> ListenAddress? { first("smtp ", dataFolder) }

    /// The same for form and web hooks.
    static func http(dataFolder: String) -> ListenAddress? { first("http ", dataFolder) }

    private static func first(_ name: String, _ dataFolder: String) -> ListenAddress? {
        guard let bytes = try? Files.read(path(dataFolder), limit: 65536) else { return nil }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix(name) }
            .flatMap { ListenAddress(String($0.dropFirst(name.count))) }
    }
}
