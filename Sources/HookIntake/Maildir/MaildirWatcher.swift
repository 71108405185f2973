// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The thread that empties Maildirs: waits for inotify, reads files, hands messages over, and
// moves each file once its message is on disk. Many messages are in flight at a time, so that
// they share syncs. A file whose message was stored, but which is still in `new/` after a crash,
// is handed over again and makes the same events, which are no new ones.

import Glibc
import HookModel
import Logging

/// Safe to share: `inbox` synchronizes itself; everything else belongs to the thread that runs `run`.
final class MaildirWatcher: @unchecked Sendable {
    let configuration: MaildirIntakeConfiguration
    let guide: any MaildirGuide
    let receiver: any MessageReceiver
    let logger: Logger
    let now: @Sendable () -> Timestamp
    let inbox: MaildirInbox
    let inotify: Inotify
    var boxes: [MaildirBox]
    let mover = MaildirMover()
    /// Files handed over and not yet out of `new/`.
    var inFlight = 0
    /// Of messages without an answer.
    var octetsInFlight = 0
    /// While the store can't take anything: until when, and how often in a row.
    private var pausedUntil: MaildirQueue.Moment = 0
    var pauses = 0

    /// nil with `errno` set where the system has no descriptors for it.
    init?(
        configuration: MaildirIntakeConfiguration, guide: any MaildirGuide, receiver: any MessageReceiver,
        logger: Logger, now: @escaping @Sendable () -> Timestamp, inotify: Inotify? = Inotify()
    ) {
        guard let inotify, let inbox = MaildirInbox() else { return nil }
        self.configuration = configuration
        self.guide = guide
        self.receiver = receiver
        self.logger = logger
        self.now = now
        self.inotify = inotify
        self.inbox = inbox
        boxes = configuration.maildirs.map { MaildirBox(maildir: $0) }
    }

    /// No more messages are begun; `run` returns when those in flight have their answer. Called by any thread.
    func stop() { inbox.tell { $0.isStopping = true } }

    // MARK: - The thread

    func run() {
        // A lease that somebody breaks is told by this signal, which would end the process.
        signal(SIGIO, SIG_IGN)
        defer { mover.end() }
        var deadline: MaildirQueue.Moment?
        while true {
            let news = inbox.take()
            for move in news.moves { finish(move) }
            take(news.answers)
            let moment = Self.moment()
            if news.isStopping {
                deadline = deadline ?? moment + MaildirQueue.Moment(configuration.drainTimeout / .nanoseconds(1))
                if inFlight == 0 || moment >= deadline ?? 0 { return }
                sleep(until: deadline, isStopping: true)
                continue
            }
            readEvents()
            if !work(moment) { sleep(until: nextDue(moment), isStopping: false) }
        }
    }

    /// Does a bounded amount of work; false when there is nothing to do now.
    private func work(_ moment: MaildirQueue.Moment) -> Bool {
        var hasWorked = false
        for index in boxes.indices {
            if boxes[index].folder == nil, moment >= boxes[index].attachDue { attach(index, moment) }
            if moment >= boxes[index].lookDue { look(index, moment) }
            guard boxes[index].isReady(moment) else { continue }
            if boxes[index].queue.isScanDue(moment) { scan(index, moment) }
            // A few of each Maildir in turn, and answers between them.
            for _ in 0..<16 {
                guard pausedUntil <= moment, hasRoom, boxes[index].isReady(moment),
                    let task = boxes[index].queue.next(moment)
                else { break }
                perform(task, index, moment)
                hasWorked = true
            }
        }
        return hasWorked
    }

    private var hasRoom: Bool {
        inFlight < configuration.filesInFlight && octetsInFlight < configuration.octetsInFlight
    }

    private func nextDue(_ moment: MaildirQueue.Moment) -> MaildirQueue.Moment? {
        // Without room an answer comes first; nothing is due before it.
        guard hasRoom else { return nil }
        if pausedUntil > moment { return pausedUntil }
        return boxes.map { $0.nextDue(moment) }.min()
    }

    /// Sleeps until an event, an answer or the time.
    private func sleep(until due: MaildirQueue.Moment?, isStopping: Bool) {
        let left = due.map { max(0, $0 - Self.moment()) }
        // Rounded up: waking a little too early would only mean to sleep again.
        let milliseconds = left.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
        inbox.sleep(
            milliseconds: milliseconds, or: isStopping ? nil : inotify.descriptor, knowsOfStop: isStopping)
    }

    static func moment() -> MaildirQueue.Moment {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MaildirQueue.Moment(time.tv_sec) * 1_000_000_000 + MaildirQueue.Moment(time.tv_nsec)
    }

    // MARK: - Pauses

    /// Nothing is begun for a while: what failed has nothing to do with one message. All that was in flight fails
    /// alike and counts once.
    func pause(_ moment: MaildirQueue.Moment, _ reason: String) {
        guard moment >= pausedUntil else { return }
        pauses += 1
        let delay = MaildirQueue.delay(pauses)
        pausedUntil = moment + delay
        logger.warning(
            "Maildir intake pauses", metadata: ["reason": "\(reason)", "seconds": "\(delay / 1_000_000_000)"])
    }

    /// The same for one Maildir, whose file system fails. One damaged file among good ones is no reason to rest.
    func rest(_ index: Int, _ moment: MaildirQueue.Moment) {
        boxes[index].rests += 1
        guard boxes[index].rests > 1 else { return }
        boxes[index].restUntil = moment + MaildirQueue.delay(boxes[index].rests - 1)
    }

    // MARK: - Log

    func log(
        _ level: Logger.Level, _ text: Logger.Message, _ index: Int, _ name: EntryName? = nil, outcome: Outcome? = nil,
        error: Int32? = nil
    ) {
        var metadata: Logger.Metadata = ["path": "\(boxes[index].maildir.path)"]
        if let name { metadata["file"] = "\(name)" }
        if let outcome { metadata["outcome"] = "\(outcome.rawValue)" }
        if let error { metadata["error"] = "\(Self.text(error))" }
        logger.log(level: level, text, metadata: metadata)
    }

    static func text(_ error: Int32) -> String { String(cString: strerror(error)) }
}
