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
        var lines: [@Sendable () -> [UInt8]] = []
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
        if !isGathered { Terminal.printErrors([line(event, time)]) }
    }

    private func line(_ event: LogEvent, _ time: Timestamp?) -> [UInt8] {
        var line = LogLine(time.map { "\($0.rfc3339) \(event.level) " } ?? "<\(Self.priority(event.level))>")
        line.append(event.message.description)
        let said = event.metadata ?? [:]
        let all = metadata.isEmpty ? said : metadata.merging(said) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            if case .string(let text) = value { line.append(key, text) } else { line.append(key, "\(value)") }
        }
        return line.octets
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
