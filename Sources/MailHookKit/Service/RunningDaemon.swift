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
    static func smtp(_ isImplicitTLS: Bool, dataFolder: String) -> ListenAddress? {
        first(isImplicitTLS ? "smtps " : "smtp ", dataFolder)
    }

    /// The same for form and web hooks.
    static func http(dataFolder: String) -> [HookURLs.Listener] {
        [(true, "https "), (false, "http ")].compactMap { isSecured, name in
            first(name, dataFolder).map { HookURLs.Listener(isSecured: isSecured, address: $0) }
        }
    }

    private static func first(_ name: String, _ dataFolder: String) -> ListenAddress? {
        guard let bytes = try? Files.read(path(dataFolder), limit: 65536) else { return nil }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix(name) }
            .flatMap { ListenAddress(String($0.dropFirst(name.count))) }
    }

    enum ReloadResult: Sendable, Hashable {
        case noDaemon
        case done
        /// Why, a line each.
        case refused(String)
        /// It gave no answer, and may do it still.
        case unknown
        /// It has too many control connections, and did nothing.
        case busy
        /// The daemon belongs to somebody else.
        case notPermitted
    }

    /// Has the daemon of a data folder read everything again, and waits for that as long as it gives signs of life.
    ///
    /// - Parameter withoutApps: whether it is meant that no app is left.
    static func reload(dataFolder: String, withoutApps: Bool) -> ReloadResult {
        do throws(PipeSocket.Failure) {
            let descriptor = try PipeSocket.connection(ControlRequest.path(dataFolder), within: ControlClient.heartbeatTimeout)
            defer { close(descriptor) }
            // One that hangs is not sent a signal as well: it would do in an hour what nobody waits for any more.
            guard let line = try? ControlClient.exchange(ControlRequest.reload(withoutApps: withoutApps).line, descriptor),
                let answer = ControlAnswer(line: line)
            else { return .unknown }
            if answer.error == ControlAnswer.tooManyConnections { return .busy }
            if answer.error != ControlAnswer.unknownRequest { return answer.error.map { .refused($0) } ?? .done }
        } catch {
            if case .busy = error { return .unknown }
        }
        // A reload that was applied ends with a new note.
        let before = inode(path(dataFolder))
        do throws(PipeSocket.Failure) {
            let cause = try PipeSocket.withDaemon(dataFolder: dataFolder) { kill($0, SIGHUP) == 0 ? 0 : errno }
            guard let cause else { return .noDaemon }
            guard cause == 0 else { return cause == EPERM ? .notPermitted : .noDaemon }
        } catch {
            // One whose queue of connections is full is there all the same.
            if case .busy = error { return .unknown }
            return .noDaemon
        }
        for _ in 0..<500 {
            usleep(20_000)
            if inode(path(dataFolder)) != before { return .done }
        }
        return .unknown
    }

    private static func inode(_ path: String) -> UInt {
        var status = stat()
        return stat(path, &status) == 0 ? UInt(status.st_ino) : 0
    }
}
