// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon's log on standard error, a line each. Under systemd the lines carry the priority
// that sd-daemon(3) describes and leave the time to the journal.

import Glibc
import HookModel
import Logging
import Synchronization

enum DaemonLog {
    /// What all copies of a logger have in common, so that it can change while the daemon runs.
    final class Level: Sendable {
        /// Its place among all levels; read at every line.
        private let index: Atomic<Int>

        init(_ name: String) { index = Atomic(Self.index(name)) }

        var value: Logger.Level { Logger.Level.allCases[index.load(ordering: .relaxed)] }

        func change(_ name: String) { index.store(Self.index(name), ordering: .relaxed) }

        private static func index(_ name: String) -> Int {
            Logger.Level.allCases.firstIndex(of: Logger.Level(rawValue: name) ?? .info) ?? 0
        }
    }

    static func logger(level: Level) -> Logger {
        Logger(label: "mailhookd") { _ in LineLogHandler(level, isJournal: getenv("JOURNAL_STREAM") != nil) }
    }

    /// A thread that has more to do than to write lines.
    fileprivate struct Gathering: Sendable {
        var thread: pthread_t
        var lines: [@Sendable () -> String] = []
    }

    fileprivate static let gathering = Mutex<Gathering?>(nil)

    /// What `body` logs on this thread is written behind it: of many mails that were stored together each would wait for
    /// the lines of those before it. While another thread gathers, lines are written at once.
    static func gather(_ body: () -> Void) {
        let isMine = gathering.withLock { gathering in
            guard gathering == nil else { return false }
            gathering = Gathering(thread: pthread_self())
            return true
        }
        body()
        guard isMine else { return }
        let lines = gathering.withLock { gathering in
            defer { gathering = nil }
            return gathering?.lines ?? []
        }
        if !lines.isEmpty { Terminal.printErrors(lines.map { $0() }) }
    }

    /// A value with spaces or quotation marks is quoted; control characters never reach a terminal.
    static func quoted(_ value: String) -> String {
        if !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !needsQuotes($0) }) { return value }
        let plain = Terminal.harmless(value)
        guard plain.isEmpty || plain.utf8.contains(where: needsQuotes) else { return plain }
        // By octets: a mark that combines with a quotation mark is no reason to leave it as it is.
        var quoted = Array("\"".utf8)
        for octet in plain.utf8 {
            if octet == UInt8(ascii: "\\") || octet == UInt8(ascii: "\"") { quoted.append(UInt8(ascii: "\\")) }
            quoted.append(octet)
        }
        return String(decoding: quoted, as: UTF8.self) + "\""
    }

    private static func needsQuotes(_ octet: UInt8) -> Bool {
        octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\"") || octet == UInt8(ascii: "=")
    }

    /// For libraries whose news is none for an operator.
    static var quiet: Logger { Logger(label: "mailhookd") { _ in SwiftLogNoOpLogHandler() } }
}

private struct LineLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    private let shared: DaemonLog.Level
    /// Of this copy alone, where somebody set one.
    private var own: Logger.Level?
    private let isJournal: Bool

    init(_ level: DaemonLog.Level, isJournal: Bool) {
        shared = level
        self.isJournal = isJournal
    }

    var logLevel: Logger.Level {
        get { own ?? shared.value }
        set { own = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let time = isJournal ? nil : Timestamp.now()
        let isGathered = DaemonLog.gathering.withLock { gathering in
            guard gathering?.thread == pthread_self() else { return false }
            gathering?.lines.append { line(event, time) }
            return true
        }
        if !isGathered { Terminal.printError(line(event, time)) }
    }

    /// Every mail is a line, so that the usual values are only looked at as octets.
    private func line(_ event: LogEvent, _ time: Timestamp?) -> String {
        let said = event.metadata ?? [:]
        let all = metadata.isEmpty ? said : metadata.merging(said) { $1 }
        var line = time.map { "\($0.rfc3339) \(event.level) " } ?? "<\(Self.priority(event.level))>"
        line += event.message.description
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " "
            line += key
            line += "="
            if case .string(let text) = value { line += DaemonLog.quoted(text) } else { line += DaemonLog.quoted("\(value)") }
        }
        return line
    }

    /// syslog(3).
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
