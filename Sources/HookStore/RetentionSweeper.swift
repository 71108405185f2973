// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Looks for what is too old or too much, and gives it to the writer to erase, a little at a time.
// Looking is done on a thread of the lowest priority with a connection of its own; the writer
// checks each row again and shares its sync with whatever else waits.

internal import Glibc
internal import HookModel
internal import Synchronization

/// Safe to share: `state` and `answers` synchronize themselves; the connection is the thread's alone.
final class RetentionSweeper: @unchecked Sendable {
    struct Task: Sendable {
        var policy: RetentionPolicy
        var now: @Sendable () -> Timestamp
        /// nil: `now` is believed whatever it says.
        var steady: (@Sendable () -> Duration)?
        var report: @Sendable (RetentionReport) -> Void
    }

    private struct State {
        var task: Task?
        var isStarted = false
    }

    private enum Signal: Sendable {
        case answer(Result<WriteJob.Erased, StoreError>)
        case policyChanged
    }

    /// Rows and octets of one piece of work: a commit that comes behind it hardly notices.
    private static let batchRows = 64
    private static let batchOctets = 1 << 20
    /// Messages that are forgotten: each touches five tables.
    private static let batchMessages = 32
    /// Rows of one look.
    static let pageRows = 500
    /// Milliseconds between two pieces, for whoever else wants the disk.
    private static let breath = 5

    private let path: String
    private let writer: WriterLoop
    private let state = Mutex(State())
    private let signals = StoreQueue<Signal>()
    private let note: ClockNote

    init(path: String, writer: WriterLoop) {
        self.path = path
        note = ClockNote(of: path)
        self.writer = writer
    }

    func close() { signals.close() }

    /// Sets what is to be done from now on. True if the thread has to be started.
    func set(_ task: Task) -> Bool {
        let isFirst = state.withLock { state in
            state.task = task
            defer { state.isStarted = true }
            return !state.isStarted
        }
        if !isFirst { _ = signals.add(.policyChanged) }
        return isFirst
    }

    /// The thread's whole life.
    func run() {
        // Of this thread alone on Linux (setpriority(2), Notes).
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        var finder: RetentionFinder?
        var trust: ClockTrust?
        var wasAhead = false
        while let task = state.withLock({ $0.task }) {
            var report = RetentionReport()
            do throws(StoreError) {
                let usable: RetentionFinder
                if let finder { usable = finder } else { usable = try RetentionFinder(path) }
                finder = usable
                let now = task.now()
                let verdict = judge(now, task, &trust)
                // Its beginning is reported, or each pass would say it again.
                report.isClockDoubted = verdict == .ahead && !wasAhead
                wasAhead = verdict == .ahead
                guard try sweep(task, verdict == .ahead ? nil : now, usable, &report) else { return }
            } catch {
                // Tried again after the pause, with a new connection.
                report.failure = error
                finder = nil
            }
            if !report.isEmpty { task.report(report) }
            let pause = Int(task.policy.interval / .milliseconds(1))
            if signals.takeAll(timeout: pause) == nil { return }
        }
    }

    // MARK: - One pass

    /// False when the store closes.
    ///
    /// - Parameter now: nil where the clock is not believed; ages say nothing then.
    private func sweep(
        _ task: Task, _ now: Timestamp?, _ finder: RetentionFinder, _ report: inout RetentionReport
    ) throws(StoreError) -> Bool {
        if let now {
            guard try eraseByAge(task.policy, now, finder, &report) else { return false }
        }
        return try shrink(task, finder, &report)
    }

    private func judge(_ now: Timestamp, _ task: Task, _ trust: inout ClockTrust?) -> ClockTrust.Verdict {
        guard let steady = task.steady?() else { return .believed }
        var known = trust ?? remembered(now, steady)
        let verdict = known.judge(now, steady: steady)
        if let last = known.last, last != trust?.last { note.write(last) }
        trust = known
        note.write(known.doubt(now, steady: steady))
        return verdict
    }

    private func remembered(_ now: Timestamp, _ steady: Duration) -> ClockTrust {
        var trust = ClockTrust(last: note.read(), steady: steady)
        if note.hasDoubt { trust.resume(note.readDoubt(), now: now, steady: steady) }
        return trust
    }

    private func eraseByAge(
        _ policy: RetentionPolicy, _ now: Timestamp, _ finder: RetentionFinder, _ report: inout RetentionReport
    ) throws(StoreError) -> Bool {
        // The way messages go: one that moves meanwhile is met at the next place.
        for place in [RetentionFinder.Place.journaled, .fresh, .packed] {
            var last = Int64.min
            while let page = try finder.messages(in: place, after: last, policy, now: now) {
                last = page.last
                guard try eraseOctets(page.rows, in: place, finder, &report) else { return false }
            }
        }
        while let page = try finder.events(policy, now: now) {
            let before = page.allErasedBefore
            let isGoingOn = try erase(page.rows, { .events($0, before: before) }) { erased in
                report.events += erased.count
                report.deliveries += erased.deliveries
            }
            guard isGoingOn else { return false }
        }
        var last = Int64.min
        while let page = try finder.deliveries(after: last, policy, now: now) {
            last = page.last
            guard try erase(page.rows, { .deliveries($0) }, { report.deliveries += $0.count }) else { return false }
        }
        last = Int64.min
        while let page = try finder.forgettable(after: last, policy, now: now) {
            last = page.last
            guard try forget(page.rows, &report) else { return false }
        }
        return true
    }

    private func eraseOctets(
        _ rows: [RetentionFinder.Row], in place: RetentionFinder.Place, _ finder: RetentionFinder,
        _ report: inout RetentionReport
    ) throws(StoreError) -> Bool {
        for batch in Self.batches(rows) {
            try finder.warm(batch, in: place)
            guard let erased = try perform(.octets(batch.map(\.id))) else { return false }
            report.messages += erased.count
        }
        return true
    }

    /// Gives rows to the writer in small batches. False when the store closes.
    private func erase(
        _ rows: [RetentionFinder.Row], _ erasure: ([Int64]) -> WriteJob.Erasure, _ count: (WriteJob.Erased) -> Void
    ) throws(StoreError) -> Bool {
        for batch in Self.batches(rows) {
            guard let erased = try perform(erasure(batch.map(\.id))) else { return false }
            count(erased)
        }
        return true
    }

    private static func batches(_ rows: [RetentionFinder.Row]) -> [ArraySlice<RetentionFinder.Row>] {
        var batches: [ArraySlice<RetentionFinder.Row>] = []
        var rest = rows[...]
        while !rest.isEmpty {
            var octets = 0
            let batch = rest.prefix(batchRows).prefix { row in
                defer { octets += row.octets }
                return octets < batchOctets
            }
            batches.append(batch)
            rest = rest.dropFirst(batch.count)
        }
        return batches
    }

    /// Keys of messages that still wait in memory go to their table first, which takes some transactions.
    private func forget(_ rows: [RetentionFinder.Row], _ report: inout RetentionReport) throws(StoreError) -> Bool {
        var rest = rows[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.batchMessages).map(\.id)
            guard let erased = try perform(.messages(batch)) else { return false }
            report.forgotten += erased.count
            report.deliveries += erased.deliveries
            if !erased.isUnsettled { rest = rest.dropFirst(batch.count) }
        }
        return true
    }

    /// Erases the oldest until the store is as small as it has to be, and a little smaller.
    private func shrink(
        _ task: Task, _ finder: RetentionFinder, _ report: inout RetentionReport
    ) throws(StoreError) -> Bool {
        guard let limit = task.policy.size, try finder.usedOctets() > limit else { return true }
        let goal = limit - limit / 50
        for place in [RetentionFinder.Place.packed, .fresh, .journaled] {
            var last = Int64.min
            while let excess = try excess(finder, goal), let page = try finder.oldest(in: place, after: last, excess) {
                last = page.last
                guard try eraseOctets(page.rows, in: place, finder, &report) else { return false }
            }
        }
        var last = Int64.min
        while let excess = try excess(finder, goal), let page = try finder.oldestEvents(after: last, excess) {
            last = page.last
            let isGoingOn = try erase(page.rows, { .events($0, before: 0) }) { erased in
                report.events += erased.count
                report.deliveries += erased.deliveries
            }
            guard isGoingOn else { return false }
        }
        report.isOverSize = try finder.usedOctets() > limit
        return true
    }

    private func excess(_ finder: RetentionFinder, _ goal: Int) throws(StoreError) -> Int? {
        let excess = try finder.usedOctets() - goal
        return excess > 0 ? excess : nil
    }

    /// nil when the store closes.
    private func perform(_ erasure: WriteJob.Erasure) throws(StoreError) -> WriteJob.Erased? {
        writer.add(.erase(erasure) { [signals] result in _ = signals.add(.answer(result)) })
        while let taken = signals.takeAll() {
            for case .answer(let result) in taken {
                if case .failure(.closed) = result { return nil }
                let erased = try result.get()
                breathe()
                return erased
            }
        }
        return nil
    }

    private func breathe() {
        var time = timespec(tv_sec: 0, tv_nsec: Self.breath * 1_000_000)
        nanosleep(&time, nil)
    }
}
