// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The journal's thread: commits whatever waits in one group with one sync, and tells everybody
// afterwards. While one group is being synced the next one gathers, so that many senders share one
// sync and a single one waits for nobody.

internal import HookModel
internal import Synchronization

/// Safe to share: `queue` and the counters synchronize themselves, the rest is constant or, as `open` and `corruption`,
/// used by whoever has `turn`.
final class JournalLoop: @unchecked Sendable {
    typealias Completion = @Sendable (Result<CommitReceipt, StoreError>) -> Void

    private enum Content: Sendable {
        case message(MessageEntry)
        case results([DeliveryResult], now: Timestamp)
        case claims([Int64], WriteJob.Claim)
    }

    /// A class, because one goes through several lists on its way.
    private final class Commit: Sendable {
        let content: Content
        let octets: Int
        let completion: Completion

        init(_ content: Content, octets: Int, _ completion: @escaping Completion) {
            self.content = content
            self.octets = octets
            self.completion = completion
        }
    }

    private enum Work: Sendable {
        case commit(Commit)
        case operation(DeliveryOperation, OperationCompletion)
        case renew(@Sendable (Result<Int64, StoreError>) -> Void)
        case probe(@Sendable () -> Void)
    }

    typealias OperationCompletion = @Sendable (Result<DeliveryOperation.Answer, StoreError>) -> Void

    /// One group is answered before the database gets further behind than this.
    private static let recordsBehind: Int64 = 16_384
    /// SQLite's limit for a row is 10^9 octets.
    private static let largestEntry = 900_000_000

    private let queue = StoreQueue<Work>()
    /// Who writes: the journal's thread, or one that commits a message of its own.
    private let turn = Mutex(())
    /// nil after the end.
    private var open: (planner: CommitPlanner, journal: JournalWriter)?
    private let progress: JournalProgress
    private let writer: WriterLoop
    private let keeper: SegmentKeeper
    private let options: SQLiteStore.Options
    private let answering: SQLiteStore.Answering
    private let octetsWaiting = Atomic<Int>(0)
    private let recordsDone = Atomic<Int>(0)
    /// The database's thread was asked to, and has not answered yet.
    private let isEmptyingLog = Atomic<Bool>(false)
    /// By subscription.
    private let taps = Mutex<[String: any DeliveryTap]>([:])
    /// The database was found to be damaged.
    private var corruption: StoreError?

    init(
        _ planner: CommitPlanner, _ journal: JournalWriter, _ progress: JournalProgress, _ writer: WriterLoop,
        _ keeper: SegmentKeeper, options: SQLiteStore.Options, answering: @escaping SQLiteStore.Answering
    ) {
        open = (planner, journal)
        self.progress = progress
        self.writer = writer
        self.keeper = keeper
        self.options = options
        self.answering = answering
    }

    /// Messages, claims and results so far, for whoever wants to know whether the store is at rest.
    var activity: Int { recordsDone.load(ordering: .relaxed) }

    /// Queues an entry, or answers it with `busy` or `closed` on the calling thread.
    func add(_ entry: MessageEntry, _ completion: @escaping Completion) {
        add(.message(entry), octets: Self.octets(of: entry), completion)
    }

    /// Commits an entry on the calling thread; false where others are at it, and nothing was done.
    func commitHere(_ entry: MessageEntry, _ completion: @escaping Completion) -> Bool {
        let commit = Commit(.message(entry), octets: Self.octets(of: entry), completion)
        return turn.withLockIfAvailable { _ in store([commit]) } != nil
    }

    /// Queues the ends of attempts, or answers them with `busy` or `closed`.
    func add(
        _ results: [DeliveryResult], now: Timestamp, _ completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        let octets = results.reduce(64) { $0 + 64 + $1.detail.utf8.count }
        add(.results(results, now: now), octets: octets) { completion($0.map { _ in }) }
    }

    /// Queues deliveries that are handed out.
    func add(
        _ ids: [Int64], _ claim: WriteJob.Claim, _ completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        add(.claims(ids, claim), octets: 64 + 8 * ids.count) { completion($0.map { _ in }) }
    }

    func setTap(_ tap: (any DeliveryTap)?, of subscription: String) { taps.withLock { $0[subscription] = tap } }

    private func add(_ content: Content, octets: Int, _ completion: @escaping Completion) {
        let waiting = octetsWaiting.add(octets, ordering: .relaxed).oldValue
        // One message always fits, however large; messages have a limit of their own. What is refused is answered here and
        // now: in the queue it would take the memory that there is none of.
        guard waiting == 0 || waiting + octets <= options.queueOctets else {
            octetsWaiting.subtract(octets, ordering: .relaxed)
            return completion(.failure(.busy("too much waits to be stored")))
        }
        guard queue.add(.commit(Commit(content, octets: octets, completion))) else {
            octetsWaiting.subtract(octets, ordering: .relaxed)
            return completion(.failure(.closed))
        }
    }

    /// Performs an operation that makes events of its own. They are numbered like those of messages, so the journal waits
    /// meanwhile: nobody who reads in order meets a number after a higher one.
    func perform(_ operation: DeliveryOperation, _ completion: @escaping OperationCompletion) {
        guard queue.add(.operation(operation, completion)) else { return completion(.failure(.closed)) }
    }

    /// Goes on in another segment, and answers with its number.
    func renew(_ completion: @escaping @Sendable (Result<Int64, StoreError>) -> Void) {
        guard queue.add(.renew(completion)) else { return completion(.failure(.closed)) }
    }

    /// Answers once this thread and the writer's have taken it up, or have ended.
    func probe(_ completion: @escaping @Sendable () -> Void) {
        if !queue.add(.probe(completion)) { completion() }
    }

    private static func octets(of entry: MessageEntry) -> Int {
        entry.verdict.hooks.reduce(entry.message.bytes.count + 512) { sum, hook in
            hook.events.reduce(sum) { $0 + $1.json.count + 256 }
        }
    }

    func close() { queue.close() }

    /// The thread's whole life: returns when the queue was closed and everything in it is done.
    func run() {
        StoreThread.giveWay()
        while let works = queue.takeAll() { turn.withLock { _ in perform(works) } }
        turn.withLock { _ in open = nil }
        // Everything is in the journal; what is left is to bring it to the database.
        writer.close()
    }

    private func perform(_ works: [Work]) {
        var commits: [Commit] = []
        for work in works {
            switch work {
            case .commit(let commit): commits.append(commit)
            case .operation(let operation, let completion):
                processAll(commits)
                commits = []
                run(operation, completion)
            case .renew(let completion):
                processAll(commits)
                commits = []
                completion(renew())
            case .probe(let completion):
                processAll(commits)
                commits = []
                writer.add(.probe(completion))
            }
        }
        processAll(commits)
    }

    private func processAll(_ commits: [Commit]) {
        var rest = commits[...]
        while !rest.isEmpty {
            let group = rest.prefix(groupLength(rest))
            rest = rest.dropFirst(group.count)
            store(group)
            octetsWaiting.subtract(group.reduce(0) { $0 + $1.octets }, ordering: .relaxed)
        }
    }

    private func renew() -> Result<Int64, StoreError> {
        guard let (_, journal) = open else { return .failure(.closed) }
        do throws(StoreError) {
            try journal.renew()
            progress.setCommitted(journal.position)
            writer.noteJournaled()
            return .success(journal.position.segment)
        } catch {
            journal.rollBack()
            return .failure(error)
        }
    }

    private func run(_ operation: DeliveryOperation, _ completion: @escaping OperationCompletion) {
        let done = StoreQueue<Bool>()
        // The writer brings everything that is committed to the database before it.
        writer.add(.deliveries(operation) { result in
            completion(result)
            _ = done.add((try? result.get()) != nil)
        })
        _ = done.takeAll()
        do throws(StoreError) {
            try open?.planner.learnEvents()
        } catch {
            // Numbers that are not known could be given out twice.
            corruption = error
        }
    }

    /// How many of the first commits make one group: one at least.
    private func groupLength(_ commits: ArraySlice<Commit>) -> Int {
        var octets = 0
        var length = 0
        for commit in commits {
            octets += commit.octets
            guard length == 0 || (length < options.groupJobs && octets <= options.groupOctets) else { break }
            length += 1
        }
        return length
    }

    private func store(_ group: ArraySlice<Commit>) {
        do throws(StoreError) {
            let receipts = try write(group)
            answering {
                for (commit, receipt) in zip(group, receipts) { commit.completion(.success(receipt)) }
            }
        } catch {
            // What a damaged database does not know of a message, it may have known.
            if case .corrupt = error { corruption = error }
            if case .full = error { makeRoom() }
            guard group.count > 1, corruption == nil else {
                return group.forEach { $0.completion(.failure(error)) }
            }
            // One of them may be at fault, or a smaller one find room: alone, it can't fail the others.
            for index in group.indices { store(group[index...index]) }
        }
    }

    /// What the store keeps for later use is no reason to refuse mail: spare segments, and a log that was brought to the
    /// database already.
    private func makeRoom() {
        keeper.giveUpSpares()
        guard !isEmptyingLog.exchange(true, ordering: .relaxed) else { return }
        writer.add(.emptyLog { [weak self] _ in self?.isEmptyingLog.store(false, ordering: .relaxed) })
    }

    private func write(_ group: ArraySlice<Commit>) throws(StoreError) -> [CommitReceipt] {
        guard let (planner, journal) = open else { throw .closed }
        if let corruption { throw corruption }
        // If the database could not follow the last time, it has to show that it can again.
        let behind = progress.hasFailed ? 0 : Self.recordsBehind
        try progress.wait(untilApplied: progress.committed.sequence - behind) { writer.wake() }
        planner.forget(through: writer.lastAppliedMessage)
        planner.beginGroup()
        var tapped = TappedDeliveries(taps.withLock { $0 })
        do throws(StoreError) {
            let octets = group.reduce(0) { $0 + $1.octets }
            try journal.begin(octets: octets)
            var receipts: [CommitReceipt] = []
            receipts.reserveCapacity(group.count)
            for index in group.indices {
                let commit = group[index]
                guard commit.octets < Self.largestEntry else { throw .failed("a message of \(commit.octets) octets") }
                let isLast = index == group.endIndex - 1
                switch commit.content {
                case .message(let entry):
                    let numbers = try planner.plan(entry, &tapped)
                    try journal.append(entry, numbers, isLastOfGroup: isLast)
                    receipts.append(
                        CommitReceipt(
                            isDuplicate: numbers.duplicateOf != 0, newEvents: numbers.newEvents.count,
                            hasForeignEvents: numbers.hasForeignEvents))
                case .results(let results, let now):
                    try journal.append(results, now: now, isLastOfGroup: isLast)
                    receipts.append(CommitReceipt(isDuplicate: false, newEvents: 0))
                case .claims(let ids, let claim):
                    try journal.append(ids, claim, isLastOfGroup: isLast)
                    receipts.append(CommitReceipt(isDuplicate: false, newEvents: 0))
                }
            }
            try journal.commit()
            progress.setCommitted(journal.position)
            recordsDone.add(group.count, ordering: .relaxed)
            keeper.noteWritten(octets)
            writer.noteJournaled()
            tapped.handOver()
            return receipts
        } catch {
            planner.rollBackGroup()
            journal.rollBack()
            tapped.giveBack()
            throw error
        }
    }
}
