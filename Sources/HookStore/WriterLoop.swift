// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The writer thread: follows the journal with the database, and does what else changes it. Records
// are brought over many at a time, a moment after they were written; a job finds all of them there
// that were written before it came.

internal import Glibc
internal import HookModel
internal import Synchronization

/// Safe to share: `queue`, the counters and the handler synchronize themselves, the rest is constant or, as `writer` and
/// `lastCount`, used by the writer thread only.
final class WriterLoop: @unchecked Sendable {
    /// Milliseconds for which records gather, if nobody waits for them: when few come, and when many do. Each
    /// transaction writes some ten pages, however few its records are.
    private static let pause = 3
    private static let longPause = 20
    /// Even one quick sender makes so many in the short pause.
    private static let many: Int64 = 4
    /// Records of one transaction. More hardly save anything.
    private static let records = 512
    /// How often room is made on a full disk before that is given up for now.
    private static let roomTries = 5

    private let queue = StoreQueue<WriteJob>()
    /// nil after the end.
    private var writer: StoreWriter?
    /// The database was found to be damaged: whatever were written to it now might not be there later.
    private var damage: StoreError?
    private let checkpointer: Checkpointer
    private let segments: JournalSegments
    private let progress: JournalProgress
    private let options: SQLiteStore.Options
    /// The thread was told that there is something in the journal.
    private let isTold = Atomic<Bool>(false)
    private let lastMessage = Atomic<Int64>(0)
    /// Jobs done, for whoever wants to know whether the store is at rest.
    private let jobsDone = Atomic<Int>(0)
    private let handler = Mutex<Handler?>(nil)
    /// Records that came together the last time.
    private var lastCount: Int64 = 0

    init(
        _ writer: StoreWriter, _ checkpointer: Checkpointer, _ segments: JournalSegments, _ progress: JournalProgress,
        options: SQLiteStore.Options
    ) {
        self.writer = writer
        self.checkpointer = checkpointer
        self.segments = segments
        self.progress = progress
        self.options = options
    }

    var activity: Int { jobsDone.load(ordering: .relaxed) }

    /// A function that is itself the value of a `Mutex` is wrapped anew by each access, until a call of it is deeper than
    /// the thread's stack.
    private struct Handler: Sendable {
        let call: @Sendable (Set<String>) -> Void
    }

    func setHandler(_ handler: @escaping @Sendable (Set<String>) -> Void) {
        self.handler.withLock { $0 = Handler(call: handler) }
    }

    /// Queues a job, or answers it with `closed`.
    func add(_ job: WriteJob) {
        guard queue.add(job) else { return job.complete(.failure(.closed)) }
    }

    func close() { queue.close() }

    // MARK: - For those who read and write the journal

    /// There is something new in the journal.
    func noteJournaled() {
        if !isTold.exchange(true, ordering: .acquiringAndReleasing) { add(.apply(atOnce: false)) }
    }

    /// Somebody waits for what is in the journal.
    func wake() { add(.apply(atOnce: true)) }

    /// The last message that came from the journal to the database since the store was opened; 0 before.
    var lastAppliedMessage: Int64 { lastMessage.load(ordering: .acquiring) }

    /// Returns when everything that was committed before is in the database.
    func waitUntilApplied() throws(StoreError) {
        try progress.wait(untilApplied: progress.committed.sequence) { wake() }
    }

    // MARK: - The thread

    /// The thread's whole life: returns when the queue was closed and everything in it, and in the journal, is done.
    func run() {
        while var jobs = queue.takeAll() {
            if jobs.allSatisfy(\.canWait) {
                jobs += queue.takeAll(timeout: lastCount < Self.many ? Self.pause : Self.longPause) ?? []
            }
            isTold.store(false, ordering: .releasing)
            process(jobs)
        }
        // Without success the journal has it, for the next owner.
        try? follow()
        progress.close()
        writer?.finishUp()
        checkpointer.close()
        writer = nil
    }

    private func process(_ jobs: [WriteJob]) {
        do throws(StoreError) {
            try follow()
        } catch {
            return jobs.forEach { $0.complete(.failure(error)) }
        }
        var rest = jobs.filter(\.isInTransaction)[...]
        while !rest.isEmpty {
            let group = rest.prefix(options.groupJobs)
            rest = rest.dropFirst(group.count)
            perform(group)
            checkpointer.committed()
        }
        for job in jobs {
            switch job {
            case .emptyLog:
                job.complete(checkpointer.emptyLog() ? .success(.done) : .failure(.busy("somebody reads from the log")))
            case .probe: job.complete(.success(.done))
            case .claim, .pack, .settle, .apply, .deliveries, .erase: break
            }
        }
    }

    /// Brings all that is committed to the database.
    private func follow() throws(StoreError) {
        guard let writer else { throw .closed }
        let end = progress.committed
        lastCount = end.sequence - writer.position.sequence
        while writer.position.sequence < end.sequence {
            do throws(StoreError) {
                let new = try apply(writer, through: end)
                lastMessage.store(writer.lastMessage, ordering: .releasing)
                progress.setApplied(writer.position.sequence)
                if !new.isEmpty { handler.withLock { $0 }?.call(new) }
            } catch {
                progress.setFailure(error)
                throw error
            }
            checkpointer.committed()
        }
    }

    private func apply(_ writer: StoreWriter, through end: JournalPosition) throws(StoreError) -> Set<String> {
        for _ in 0..<Self.roomTries {
            do throws(StoreError) {
                return try writer.apply(segments.inUse, end: end, limit: Self.records).new
            } catch {
                guard case .full = error else { throw error }
                // The log may hold what is in the database file already, or can be. Nothing is gained while the other
                // thread is at a checkpoint, which takes a moment.
                if !checkpointer.makeRoom() { usleep(20_000) }
            }
        }
        return try writer.apply(segments.inUse, end: end, limit: Self.records).new
    }

    private func perform(_ group: ArraySlice<WriteJob>) {
        guard let writer else { return group.forEach { $0.complete(.failure(.closed)) } }
        if let damage { return group.forEach { $0.complete(.failure(damage)) } }
        do throws(StoreError) {
            let answers = try writer.perform(group)
            let new = writer.signalled
            for (job, answer) in zip(group, answers) { job.complete(.success(answer)) }
            if !new.isEmpty { handler.withLock { $0 }?.call(new) }
        } catch {
            if case .corrupt = error {
                damage = error
                return group.forEach { $0.complete(.failure(error)) }
            }
            guard group.count > 1 else {
                group.first?.complete(.failure(error))
                return
            }
            // One of them may be at fault: alone, it can't fail the others.
            for index in group.indices { perform(group[index...index]) }
        }
        jobsDone.add(group.count, ordering: .relaxed)
    }
}

extension WriteJob {
    fileprivate var isInTransaction: Bool {
        switch self {
        case .apply, .emptyLog, .probe: false
        case .claim, .pack, .settle, .deliveries, .erase: true
        }
    }

    /// More may gather first.
    fileprivate var canWait: Bool {
        if case .apply(atOnce: false) = self { true } else { false }
    }
}
