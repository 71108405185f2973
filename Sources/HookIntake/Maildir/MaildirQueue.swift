// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is to be done in one Maildir, and when: names that wait for their turn, files whose
// message is being stored, files that failed and are tried again later. Decides, does nothing
// itself, and knows no clock. Its memory is bounded: what does not fit is found by a scan later.

import HookModel

struct MaildirQueue {
    /// Monotonic time in nanoseconds.
    typealias Moment = Int64

    /// What to do next with a file.
    enum Task: Equatable {
        /// `isComplete`: known to be written to its end.
        case read(EntryName, isComplete: Bool)
        /// Its message is stored; the file has to leave `new/`.
        case dispose(EntryName, FileIdentity)
        case setAside(EntryName, Outcome, FileIdentity?)
    }

    /// What happened to a task.
    enum Failure {
        /// Somebody writes the file, and closing it will tell us.
        case unfinished(FileIdentity)
        /// Reading failed. The identity is what goes by this name now, as far as that can be told.
        case unread(FileIdentity?)
        /// Not the file's fault: a hook that is paused, a file system that fails, another file under this name.
        case putOff
        /// Moving or removing failed; the message must not be stored again.
        case unmoved
    }

    private struct Waiting {
        var task: Task
        var due: Moment
        var attempts: Int
        /// What it was when somebody wrote it.
        var identity: FileIdentity?
    }

    private struct Flight {
        /// How often it was put off before.
        var attempts: Int
        /// An event told of this name meanwhile.
        var cameAgain = false
    }

    /// Handed to the store without an answer yet.
    private var inFlight: [EntryName: Flight] = [:]
    private var waiting: [EntryName: Waiting] = [:]
    /// How many of those that wait could not be moved.
    private var unmoved = 0
    /// Nothing that waits is due before.
    private var firstDue: Moment = .max
    /// Some that wait to be read are not remembered, but left to a scan.
    private var hasDropped = false
    /// Names in the order they are to be read; those before `head` are done.
    private var names: [(name: EntryName, isComplete: Bool)] = []
    private var head = 0
    private var isNewsTurn = false
    /// A scan from the beginning is wanted.
    private(set) var needsScan = true
    /// A scan is under way, and its next names are wanted. It goes on where it was and does not begin anew, so that
    /// whatever lies in front holds up nothing behind it.
    private var isCut = false
    /// No scan before that time.
    private var scanDue: Moment = 0

    static let nameLimit = 20_000
    /// Of those that could not be moved, and of those that wait to be read.
    static let waitingLimit = 1_000
    static let readAttempts = 6

    /// No name waits to be read.
    var isAtRest: Bool { head == names.count && !needsScan && !isCut }
    var isFull: Bool { names.count - head >= Self.nameLimit }
    /// Too many files could not be moved away: more would only be stored and kept in memory as well.
    var isStuck: Bool { unmoved >= Self.waitingLimit }
    private var delayed: Int { waiting.count - unmoved }

    /// How much is known of a file that came.
    enum Arrival {
        /// Moved here: written to its end.
        case moved
        /// Closed by one who wrote it; another may have opened it.
        case closed
        case created
    }

    /// A name came. A file that waits to be read gets its turn at once when somebody has done with it.
    mutating func add(_ name: EntryName, _ arrival: Arrival) {
        guard !name.isHidden else { return }
        // The same file, or another under its name: that is seen when this one is out of the way.
        guard inFlight[name] == nil else {
            inFlight[name]?.cameAgain = true
            return
        }
        if let entry = waiting[name] {
            guard case .read = entry.task, arrival != .created else { return }
            set(name, nil)
        }
        if isFull { needsScan = true } else { names.append((name, arrival == .moved)) }
    }

    /// Whether a scan should list this name.
    func isUnknown(_ name: EntryName) -> Bool { inFlight[name] == nil && waiting[name] == nil }

    func isScanDue(_ now: Moment) -> Bool { nextScan.map { now >= $0 } ?? false }

    private var nextScan: Moment? {
        guard needsScan || isCut, head == names.count, !isStuck else { return nil }
        return isCut ? 0 : scanDue
    }

    /// Takes what a scan found. `isCut`: there is more, for the next scan.
    mutating func scanned(_ found: [EntryName], isCut: Bool) {
        names = found.map { ($0, false) }
        head = 0
        if !self.isCut { needsScan = false }
        self.isCut = isCut
    }

    /// The folder could not be listed.
    mutating func scanFailed(notBefore due: Moment) {
        isCut = false
        needsScan = true
        scanDue = due
    }

    mutating func requestScan() {
        needsScan = true
        scanDue = 0
    }

    /// The folder is gone. What waited is not inherited by another that comes in its place; what is in flight gets its
    /// answer.
    mutating func detach() {
        let flights = inFlight
        self = MaildirQueue()
        needsScan = false
        inFlight = flights
    }

    /// The next thing to do. What failed before and what is new take turns, so that neither holds up the other.
    mutating func next(_ now: Moment) -> Task? {
        if !isNewsTurn, let task = dueWaiting(now) {
            isNewsTurn = true
            return task
        }
        isNewsTurn = false
        return nextName() ?? dueWaiting(now)
    }

    private mutating func nextName() -> Task? {
        guard !isStuck else { return nil }
        while head < names.count {
            let (name, isComplete) = names[head]
            head += 1
            if head == names.count {
                names.removeAll(keepingCapacity: names.capacity < 4096)
                head = 0
            }
            if isUnknown(name) { return .read(name, isComplete: isComplete) }
        }
        return nil
    }

    private mutating func dueWaiting(_ now: Moment) -> Task? {
        guard firstDue <= now else { return nil }
        if let entry = waiting.values.first(where: { $0.due <= now }) { return entry.task }
        firstDue = waiting.values.lazy.map(\.due).min() ?? .max
        return nil
    }

    private mutating func set(_ name: EntryName, _ entry: Waiting?) {
        if let old = waiting[name], !old.task.isRead { unmoved -= 1 }
        if let entry {
            if !entry.task.isRead { unmoved += 1 }
            firstDue = min(firstDue, entry.due)
        }
        waiting[name] = entry
    }

    /// What the file was when it was looked at some seconds ago and somebody wrote it.
    func earlier(_ name: EntryName) -> FileIdentity? { waiting.isEmpty ? nil : waiting[name]?.identity }

    mutating func handedOver(_ name: EntryName) {
        inFlight[name] = Flight(attempts: waiting.isEmpty ? 0 : waiting[name]?.attempts ?? 0)
        if !waiting.isEmpty { set(name, nil) }
    }

    /// The store answered. The caller goes on with `dispose` or `setAside`, or gives the name back.
    mutating func answered(_ name: EntryName) {
        if inFlight.removeValue(forKey: name)?.cameAgain == true { add(name, .created) }
    }

    /// The file is dealt with.
    mutating func done(_ name: EntryName) {
        if !waiting.isEmpty { set(name, nil) }
        // Room for those that were left out. While those in flight come back to wait, there is none.
        if hasDropped, delayed + inFlight.count < Self.waitingLimit / 2 {
            hasDropped = false
            requestScan()
        }
    }

    /// Not the file's fault, nor that of others in this Maildir: it has its turn again, first of all.
    ///
    /// - Parameter isComplete: known to be written to its end.
    mutating func giveBack(_ name: EntryName, isComplete: Bool) {
        if head > 0 {
            head -= 1
            names[head] = (name, isComplete)
        } else {
            names.insert((name, isComplete), at: 0)
        }
    }

    /// The task failed and is tried again later, with growing distance. A file that can't be read is set aside in
    /// the end; one that can't be moved stays known until it can.
    mutating func failed(_ task: Task, _ failure: Failure, now: Moment) {
        let name = task.name
        let flight = inFlight.removeValue(forKey: name)
        let attempts = (waiting[name]?.attempts ?? flight?.attempts ?? 0) + 1
        let later = now + Self.delay(attempts)
        switch failure {
        // Closing the file is an event that ends the wait earlier.
        case .unfinished(let identity):
            postpone(Waiting(task: task, due: now + Self.seconds(10), attempts: 0, identity: identity))
        case .unread(let identity) where attempts >= Self.readAttempts:
            set(name, Waiting(task: .setAside(name, .unreadable, identity), due: now, attempts: attempts))
        case .unread: postpone(Waiting(task: task, due: later, attempts: attempts))
        case .putOff: postpone(Waiting(task: .read(name, isComplete: false), due: later, attempts: attempts))
        case .unmoved:
            // That it can't be read may be over before it can be moved.
            if case .setAside(_, .unreadable, _) = task {
                postpone(Waiting(task: .read(name, isComplete: false), due: later, attempts: attempts))
            } else {
                set(name, Waiting(task: task, due: later, attempts: attempts))
            }
        }
        // Another file came meanwhile, which need not wait.
        if flight?.cameAgain == true { add(name, .closed) }
    }

    /// Of files that wait to be read, only so many are remembered: nothing is lost with the others, which a scan finds.
    private mutating func postpone(_ entry: Waiting) {
        let name = entry.task.name
        if waiting[name] != nil || delayed < Self.waitingLimit { return set(name, entry) }
        hasDropped = true
    }

    /// When something falls due by time alone; nil when nothing waits.
    func nextDue(_ now: Moment) -> Moment? {
        [nextScan, waiting.values.lazy.map(\.due).min()].compactMap { $0 }.min()
    }

    /// 1 s, doubled with each attempt, 60 s at most.
    static func delay(_ attempts: Int) -> Moment { min(seconds(1) << Moment(min(max(attempts - 1, 0), 6)), seconds(60)) }

    static func seconds(_ count: Moment) -> Moment { count * 1_000_000_000 }
}

extension MaildirQueue.Task {
    var name: EntryName {
        switch self {
        case .read(let name, _), .dispose(let name, _), .setAside(let name, _, _): name
        }
    }

    var isRead: Bool {
        if case .read = self { true } else { false }
    }
}
