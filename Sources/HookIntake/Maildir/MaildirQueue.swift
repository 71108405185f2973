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
        case dispose(EntryName)
        case setAside(EntryName, Outcome)
    }

    /// What happened to a task.
    enum Failure {
        /// Somebody writes the file, and closing it will tell us.
        case unfinished
        /// Reading failed.
        case unread
        /// Moving or removing failed; the message must not be stored again.
        case unmoved
    }

    private struct Waiting {
        var task: Task
        var due: Moment
        var attempts: Int
    }

    /// Handed to the store without an answer yet.
    private var inFlight: Set<EntryName> = []
    private var waiting: [EntryName: Waiting] = [:]
    /// Names in the order they are to be read; those before `head` are done.
    private var names: [(name: EntryName, isComplete: Bool)] = []
    private var head = 0
    private(set) var needsScan = true
    /// No scan before that time.
    private var scanDue: Moment = 0

    static let nameLimit = 20_000
    static let waitingLimit = 1_000
    static let readAttempts = 6

    /// No name waits to be read.
    var isAtRest: Bool { head == names.count && !needsScan }
    var isFull: Bool { names.count - head >= Self.nameLimit }
    /// Too many files could not be moved away: more would only be stored and kept in memory as well.
    var isStuck: Bool { waiting.count >= Self.waitingLimit }

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
        guard !name.isHidden, !inFlight.contains(name) else { return }
        if let entry = waiting[name] {
            guard case .read = entry.task, arrival != .created else { return }
            waiting[name] = nil
        }
        if isFull { needsScan = true } else { names.append((name, arrival == .moved)) }
    }

    /// Whether a scan should list this name.
    func isUnknown(_ name: EntryName) -> Bool { !inFlight.contains(name) && waiting[name] == nil }

    func isScanDue(_ now: Moment) -> Bool { needsScan && now >= scanDue && head == names.count && !isStuck }

    /// Takes what a scan found. `isCut`: there is more, for the next scan.
    mutating func scanned(_ found: [EntryName], isCut: Bool) {
        names = found.map { ($0, false) }
        head = 0
        needsScan = isCut
    }

    mutating func requestScan(notBefore due: Moment = 0) {
        needsScan = true
        scanDue = due
    }

    /// The next thing to do; what failed before goes first when its time has come.
    mutating func next(_ now: Moment) -> Task? {
        if let entry = dueWaiting(now) { return entry }
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

    private func dueWaiting(_ now: Moment) -> Task? {
        waiting.isEmpty ? nil : waiting.values.first { $0.due <= now }?.task
    }

    mutating func handedOver(_ name: EntryName) {
        waiting[name] = nil
        inFlight.insert(name)
    }

    /// The store answered. The caller goes on with `dispose` or `setAside`, or gives the name back.
    mutating func answered(_ name: EntryName) { inFlight.remove(name) }

    /// The file is dealt with.
    mutating func done(_ name: EntryName) { if !waiting.isEmpty { waiting[name] = nil } }

    /// Not the file's fault: it has its turn again, first of all.
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
        let attempts = (waiting[name]?.attempts ?? 0) + 1
        switch failure {
        // Closing the file is an event that ends the wait earlier.
        case .unfinished: waiting[name] = Waiting(task: task, due: now + Self.seconds(10), attempts: 0)
        case .unread where attempts >= Self.readAttempts:
            waiting[name] = Waiting(task: .setAside(name, .unreadable), due: now, attempts: 0)
        case .unread, .unmoved:
            waiting[name] = Waiting(task: task, due: now + Self.delay(attempts), attempts: attempts)
        }
    }

    /// When something falls due by time alone; nil when nothing waits.
    func nextDue(_ now: Moment) -> Moment? {
        let scan: Moment? = needsScan && head == names.count && !isStuck ? scanDue : nil
        let earliest = waiting.values.lazy.map(\.due).min()
        return [scan, earliest].compactMap { $0 }.min()
    }

    /// 1 s, doubled with each attempt, 60 s at most.
    static func delay(_ attempts: Int) -> Moment { min(seconds(1) << Moment(min(max(attempts - 1, 0), 6)), seconds(60)) }

    static func seconds(_ count: Moment) -> Moment { count * 1_000_000_000 }
}

extension MaildirQueue.Task {
    var name: EntryName {
        switch self {
        case .read(let name, _), .dispose(let name), .setAside(let name, _): name
        }
    }
}
