// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A watched Maildir for tests, and a receiver that answers as a test wants.

import Foundation
import HookModel
import Logging
import Synchronization
import Testing

@testable import HookIntake

/// Answers by a rule, at once or when told to.
final class Receiver: MessageReceiver {
    struct State {
        var messages: [ReceivedMessage] = []
        var open: [@Sendable () -> Void] = []
        var mostOpen = 0
        /// Handed over by a thread that waits for the disk itself.
        var here = 0
    }

    let state = Mutex(State())
    private let rule: @Sendable (_ message: ReceivedMessage, _ number: Int) -> Outcome
    private let isHeld: Bool

    init(isHeld: Bool = false, _ rule: @escaping @Sendable (ReceivedMessage, Int) -> Outcome) {
        self.rule = rule
        self.isHeld = isHeld
    }

    var count: Int { state.withLock { $0.messages.count } }
    var bodies: [String] { state.withLock { $0.messages.map { String(decoding: $0.bytes, as: UTF8.self) } } }

    func admit(recipient: String, of offer: MailOffer) -> Outcome { .accepted }

    func receive(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void) {
        let answer: @Sendable () -> Void = state.withLock { state in
            state.messages.append(message)
            let outcome = rule(message, state.messages.count)
            let answer: @Sendable () -> Void = { completion(Reception(answer: outcome, recipients: [outcome])) }
            guard isHeld else { return answer }
            state.open.append(answer)
            state.mostOpen = max(state.mostOpen, state.open.count)
            return {}
        }
        answer()
    }

    func receiveHere(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void) {
        state.withLock { $0.here += 1 }
        receive(message, completion: completion)
    }

    func release() {
        let open = state.withLock { state in
            defer { state.open = [] }
            return state.open
        }
        open.forEach { $0() }
    }
}

struct MaildirPlaceGuide: MaildirGuide {
    func envelope(of message: [UInt8], in maildir: Maildir) -> Envelope {
        Envelope(source: .maildir, mailFrom: nil, recipients: maildir.to.map { [$0] } ?? [])
    }

    func unpack(_ packed: [UInt8], limit: Int) throws(MaildirUnpackFailure) -> [UInt8] {
        guard packed.count > 4 else { throw MaildirUnpackFailure(.unreadable) }
        return Array("unpacked".utf8)
    }
}

/// Keeps what is logged.
struct MaildirLog: LogHandler {
    private final class Lines: Sendable { let state = Mutex<[String]>([]) }

    private let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    func log(event: LogEvent) {
        lines.state.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    static func logger(_ log: MaildirLog) -> Logger { Logger(label: "test") { _ in log } }

    func count(_ text: String) -> Int { lines.state.withLock { $0.count { $0.contains(text) } } }
}

/// A Maildir in a temporary folder with a watcher on it.
final class MaildirPlace {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-maildir-\(UUID().uuidString)")
    let watcher: MaildirWatcher
    let log = MaildirLog()
    private let ended = DispatchSemaphore(value: 0)

    init(
        _ receiver: Receiver, waiting: [String] = [], afterwards: Maildir.Afterwards = .move,
        inotify: Inotify? = Inotify(), _ configure: (inout MaildirIntakeConfiguration) -> Void = { _ in }
    ) throws {
        try Self.make(root)
        for name in waiting { try Data(name.utf8).write(to: root.appendingPathComponent("new/\(name)")) }
        var configuration = MaildirIntakeConfiguration(
            maildirs: [Maildir(path: root.path, to: "a@b.example", afterwards: afterwards)], messageSize: 1000)
        configure(&configuration)
        let made = MaildirWatcher(
            configuration: configuration, guide: MaildirPlaceGuide(), receiver: receiver,
            logger: MaildirLog.logger(log), now: { Timestamp(microseconds: 0) }, inotify: inotify)
        watcher = try #require(made)
        Thread.detachNewThread { [watcher, ended] in
            watcher.run()
            ended.signal()
        }
    }

    deinit {
        stop()
        for folder in [root, aside] { try? FileManager.default.removeItem(at: folder) }
    }

    private static func make(_ root: URL) throws {
        for folder in ["new", "cur", "tmp"] {
            try FileManager.default.createDirectory(
                at: root.appendingPathComponent(folder), withIntermediateDirectories: true)
        }
    }

    /// Where the one before is after `replace`.
    var aside: URL { root.appendingPathExtension("old") }

    /// Moves the Maildir away; another one comes in its place.
    func replace() throws {
        rename(root.path, aside.path)
        try Self.make(root)
    }

    @discardableResult
    func stop() -> Bool {
        watcher.stop()
        defer { ended.signal() }
        return ended.wait(timeout: .now() + 15) == .success
    }

    func deliver(_ name: String, _ text: String? = nil) throws {
        let temporary = root.appendingPathComponent("tmp/\(name)")
        try Data((text ?? name).utf8).write(to: temporary)
        rename(temporary.path, root.appendingPathComponent("new/\(name)").path)
    }

    func list(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)) ?? []).sorted()
    }

    var refused: [String] { list(".mailhookd-refused/new") }

    func eventually(_ what: String, _ condition: () -> Bool) throws {
        let deadline = Date(timeIntervalSinceNow: 20)
        while !condition() {
            guard Date() < deadline else {
                struct InVain: Error { var what: String }
                throw InVain(what: what)
            }
            usleep(2000)
        }
    }
}
