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
    private struct Box {
        var maildir: Maildir
        var queue = MaildirQueue()
        /// nil while the Maildir is not there.
        var folder: MaildirFolder?
        var watch: Int32 = -1
        var attachDue: MaildirQueue.Moment = 0
        /// When it is looked at without an event.
        var lookDue: MaildirQueue.Moment = 0
        var attachAttempts = 0
    }

    private let configuration: MaildirIntakeConfiguration
    private let guide: any MaildirGuide
    private let receiver: any MessageReceiver
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let inbox: MaildirInbox
    private let inotify: Inotify
    private var boxes: [Box]
    private let mover = MaildirMover()
    /// Files handed over and not yet out of `new/`.
    private var inFlight = 0
    /// Of messages without an answer.
    private var octetsInFlight = 0
    /// While the store can't take anything: until when, and how often in a row.
    private var pausedUntil: MaildirQueue.Moment = 0
    private var pauses = 0

    /// nil with `errno` set where the system has no descriptors for it.
    init?(
        configuration: MaildirIntakeConfiguration, guide: any MaildirGuide, receiver: any MessageReceiver,
        logger: Logger, now: @escaping @Sendable () -> Timestamp
    ) {
        guard let inotify = Inotify(), let inbox = MaildirInbox() else { return nil }
        self.configuration = configuration
        self.guide = guide
        self.receiver = receiver
        self.logger = logger
        self.now = now
        self.inotify = inotify
        self.inbox = inbox
        boxes = configuration.maildirs.map { Box(maildir: $0) }
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
            guard boxes[index].folder != nil else { continue }
            if boxes[index].queue.isScanDue(moment) { scan(index, moment) }
            // A few of each Maildir in turn, and answers between them.
            for _ in 0..<16 {
                guard pausedUntil <= moment, hasRoom, let task = boxes[index].queue.next(moment) else { break }
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
        return boxes.compactMap { box in
            box.folder == nil ? box.attachDue : min(box.lookDue, box.queue.nextDue(moment) ?? box.lookDue)
        }.min()
    }

    /// Sleeps until an event, an answer or the time.
    private func sleep(until due: MaildirQueue.Moment?, isStopping: Bool) {
        let left = due.map { max(0, $0 - Self.moment()) }
        // Rounded up: waking a little too early would only mean to sleep again.
        let milliseconds = left.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
        inbox.sleep(
            milliseconds: milliseconds, or: isStopping ? nil : inotify.descriptor, knowsOfStop: isStopping)
    }

    private static func moment() -> MaildirQueue.Moment {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MaildirQueue.Moment(time.tv_sec) * 1_000_000_000 + MaildirQueue.Moment(time.tv_nsec)
    }

    // MARK: - Folders

    private func attach(_ index: Int, _ moment: MaildirQueue.Moment) {
        let path = boxes[index].maildir.path
        // Watched before it is listed, so that nothing comes between the two.
        let watch = inotify.watch(path + "/new")
        if let watch, let folder = MaildirFolder(path) {
            boxes[index].watch = watch
            boxes[index].folder = folder
            boxes[index].attachAttempts = 0
            boxes[index].lookDue = moment + lookInterval
            boxes[index].queue.requestScan()
            logger.info("watching Maildir", metadata: ["path": "\(path)"])
            return
        }
        let cause = errno
        if let watch { inotify.remove(watch) }
        boxes[index].attachAttempts += 1
        boxes[index].attachDue = moment + MaildirQueue.delay(boxes[index].attachAttempts)
        guard boxes[index].attachAttempts == 1 else { return }
        logger.warning(
            "cannot watch Maildir; trying again", metadata: ["path": "\(path)", "error": "\(Self.text(cause))"])
    }

    private var lookInterval: MaildirQueue.Moment {
        MaildirQueue.Moment(configuration.lookInterval / .nanoseconds(1))
    }

    /// What inotify does not tell: that a folder above was moved away, or this one removed, and another one is in its
    /// place, and what comes by another machine to a file system of the network.
    private func look(_ index: Int, _ moment: MaildirQueue.Moment) {
        guard let folder = boxes[index].folder else { return }
        guard folder.isAt(boxes[index].maildir.path) else { return detach(index, moment) }
        boxes[index].lookDue = moment + lookInterval
        boxes[index].queue.requestScan()
    }

    private func detach(_ index: Int, _ moment: MaildirQueue.Moment) {
        guard boxes[index].folder != nil else { return }
        logger.warning("Maildir is gone", metadata: ["path": "\(boxes[index].maildir.path)"])
        inotify.remove(boxes[index].watch)
        boxes[index].watch = -1
        boxes[index].folder = nil
        boxes[index].attachDue = moment
    }

    private func scan(_ index: Int, _ moment: MaildirQueue.Moment) {
        let box = boxes[index]
        if let (names, isCut) = box.folder?.list(limit: MaildirQueue.nameLimit, { box.queue.isUnknown($0) }) {
            boxes[index].queue.scanned(names, isCut: isCut)
        } else {
            log(.warning, "cannot list Maildir", index, error: errno)
            boxes[index].queue.requestScan(notBefore: moment + MaildirQueue.seconds(5))
        }
    }

    private func readEvents() {
        let moment = Self.moment()
        _ = inotify.read { event in
            switch event {
            case .moved(let watch, let name): add(name, watch, .moved)
            case .closed(let watch, let name): add(name, watch, .closed)
            case .created(let watch, let name): add(name, watch, .created)
            case .overflow: for index in boxes.indices { boxes[index].queue.requestScan() }
            case .gone(let watch):
                if let index = boxes.firstIndex(where: { $0.watch == watch }) { detach(index, moment) }
            }
        }
    }

    private func add(_ name: EntryName, _ watch: Int32, _ arrival: MaildirQueue.Arrival) {
        for index in boxes.indices where boxes[index].watch == watch { boxes[index].queue.add(name, arrival) }
    }

    // MARK: - Files

    private func perform(_ task: MaildirQueue.Task, _ index: Int, _ moment: MaildirQueue.Moment) {
        switch task {
        case .read(let name, let isComplete): read(name, isComplete, index, moment)
        case .dispose: dispose(task, index)
        case .setAside: setAside(task, index)
        }
    }

    private func read(_ name: EntryName, _ isComplete: Bool, _ index: Int, _ moment: MaildirQueue.Moment) {
        guard let folder = boxes[index].folder else { return }
        let task = MaildirQueue.Task.read(name, isComplete: isComplete)
        let bytes: [UInt8]
        do throws(MaildirFolder.ReadFailure) {
            let read = try folder.read(name, limit: configuration.messageSize, isComplete: isComplete)
            bytes = try unpacked(read)
        } catch {
            switch error {
            case .gone: boxes[index].queue.done(name)
            case .unfinished: boxes[index].queue.failed(task, .unfinished, now: moment)
            case .failed(let cause):
                log(.warning, "cannot read mail", index, name, error: cause)
                boxes[index].queue.failed(task, .unread, now: moment)
            case .exhausted:
                boxes[index].queue.giveBack(name, isComplete: isComplete)
                pause(moment, "no memory or descriptors left")
            case .refused(let outcome): setAside(.setAside(name, outcome), index)
            }
            return
        }
        handOver(bytes, name, index)
    }

    private func handOver(_ bytes: [UInt8], _ name: EntryName, _ index: Int) {
        boxes[index].queue.handedOver(name)
        let octets = bytes.count
        inFlight += 1
        octetsInFlight += octets
        let message = ReceivedMessage(
            envelope: guide.envelope(of: bytes, in: boxes[index].maildir), bytes: bytes, receivedAt: now())
        let completion: @Sendable (Reception) -> Void = { [inbox] reception in
            inbox.tell { $0.answers.append(.init(box: index, name: name, octets: octets, outcome: reception.answer)) }
        }
        // The only one there is gains nothing from being stored beside others.
        if inFlight == 1, !hasBacklog {
            receiver.receiveHere(message, completion: completion)
        } else {
            receiver.receive(message, completion: completion)
        }
    }

    /// Dovecot can keep mail compressed; what its other formats begin with is told from mail that is only strange.
    private func unpacked(_ bytes: [UInt8]) throws(MaildirFolder.ReadFailure) -> [UInt8] {
        if bytes.starts(with: [0x1F, 0x8B]) {
            do throws(MaildirUnpackFailure) {
                return try guide.unpack(bytes, limit: configuration.messageSize)
            } catch {
                throw error.outcome.smtpReply.isTemporary ? .exhausted : .refused(error.outcome)
            }
        }
        let others: [[UInt8]] = [
            Array("BZh".utf8), [0x28, 0xB5, 0x2F, 0xFD], [0xFD, 0x37, 0x7A, 0x58, 0x5A], Array("Dovecot-LZ4".utf8),
        ]
        if others.contains(where: { bytes.starts(with: $0) }) { throw .refused(.unreadable) }
        return bytes
    }

    private func take(_ answers: [MaildirInbox.Answer]) {
        // Whoever waits for the next file could as well move this one.
        let isBusy = hasBacklog
        var moves: [MaildirMove] = []
        for answer in answers {
            let (name, index) = (answer.name, answer.box)
            octetsInFlight -= answer.octets
            if answer.outcome.isPositive {
                pauses = 0
                if isBusy, let move = move(of: name, index) {
                    moves.append(move)
                    continue
                }
            }
            inFlight -= 1
            boxes[index].queue.answered(name)
            if answer.outcome.isPositive {
                dispose(.dispose(name), index)
            } else if answer.outcome.smtpReply.isTemporary {
                boxes[index].queue.giveBack(name, isComplete: true)
                pause(Self.moment(), answer.outcome.rawValue)
            } else {
                setAside(.setAside(name, answer.outcome), index)
            }
        }
        guard !moves.isEmpty else { return }
        mover.perform(moves) { [inbox] moves in inbox.tell { $0.moves += moves } }
    }

    private var hasBacklog: Bool { !boxes.allSatisfy(\.queue.isAtRest) }

    private func move(of name: EntryName, _ index: Int) -> MaildirMove? {
        boxes[index].folder.map {
            MaildirMove(box: index, name: name, folder: $0, afterwards: boxes[index].maildir.afterwards)
        }
    }

    /// The mover is done with a file.
    private func finish(_ move: MaildirMove) {
        inFlight -= 1
        boxes[move.box].queue.answered(move.name)
        noteEnd(of: move)
    }

    private func dispose(_ task: MaildirQueue.Task, _ index: Int) {
        // Without its folders the file stays; found again, its message is a duplicate.
        guard var move = move(of: task.name, index) else { return boxes[index].queue.done(task.name) }
        move.perform()
        noteEnd(of: move)
    }

    private func noteEnd(of move: MaildirMove) {
        if move.failure == 0 { return boxes[move.box].queue.done(move.name) }
        log(.error, "cannot move stored mail out of new/", move.box, move.name, error: move.failure)
        boxes[move.box].queue.failed(.dispose(move.name), .unmoved, now: Self.moment())
    }

    private func setAside(_ task: MaildirQueue.Task, _ index: Int) {
        guard let folder = boxes[index].folder, case .setAside(let name, let outcome) = task else {
            return boxes[index].queue.done(task.name)
        }
        let failure = folder.setAside(name, outcome)
        if failure == 0 {
            log(.warning, "mail set aside", index, name, outcome: outcome)
            return boxes[index].queue.done(name)
        }
        log(.error, "cannot set mail aside", index, name, outcome: outcome, error: failure)
        boxes[index].queue.failed(task, .unmoved, now: Self.moment())
    }

    /// Nothing is begun for a while: what failed has nothing to do with one message. All that was in flight fails
    /// alike and counts once.
    private func pause(_ moment: MaildirQueue.Moment, _ reason: String) {
        guard moment >= pausedUntil else { return }
        pauses += 1
        let delay = MaildirQueue.delay(pauses)
        pausedUntil = moment + delay
        logger.warning(
            "Maildir intake pauses", metadata: ["reason": "\(reason)", "seconds": "\(delay / 1_000_000_000)"])
    }

    // MARK: - Log

    private func log(
        _ level: Logger.Level, _ text: Logger.Message, _ index: Int, _ name: EntryName? = nil, outcome: Outcome? = nil,
        error: Int32? = nil
    ) {
        var metadata: Logger.Metadata = ["path": "\(boxes[index].maildir.path)"]
        if let name { metadata["file"] = "\(name)" }
        if let outcome { metadata["outcome"] = "\(outcome.rawValue)" }
        if let error { metadata["error"] = "\(Self.text(error))" }
        logger.log(level: level, text, metadata: metadata)
    }

    private static func text(_ error: Int32) -> String { String(cString: strerror(error)) }
}
