// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The writer thread: commits whatever waits in one transaction, and tells everybody afterwards.
// While one group is being synced the next one gathers, so that many senders share one sync and a
// single one waits for nobody.

internal import HookModel
internal import Synchronization

/// Safe to share: `queue`, the counters and the handler synchronize themselves, the rest is constant or, as `writer`,
/// used by the writer thread only.
final class WriterLoop: @unchecked Sendable {
    struct Queued: Sendable {
        var job: WriteJob
        var octets: Int
    }

    private let queue = StoreQueue<Queued>()
    /// nil after the end.
    private var writer: StoreWriter?
    /// The database was found to be damaged: whatever were written to it now might not be there later.
    private var damage: StoreError?
    private let checkpointer: Checkpointer
    private let options: SQLiteStore.Options
    private let octetsWaiting = Atomic<Int>(0)
    /// Jobs done, for whoever wants to know whether the store is at rest.
    private let jobsDone = Atomic<Int>(0)
    private let handler = Mutex<(@Sendable (Set<String>) -> Void)?>(nil)

    init(_ writer: StoreWriter, _ checkpointer: Checkpointer, options: SQLiteStore.Options) {
        self.writer = writer
        self.checkpointer = checkpointer
        self.options = options
    }

    var activity: Int { jobsDone.load(ordering: .relaxed) }

    func setHandler(_ handler: @escaping @Sendable (Set<String>) -> Void) {
        self.handler.withLock { $0 = handler }
    }

    /// Queues a job, or answers it with `closed`.
    func add(_ job: WriteJob) {
        var queued = Queued(job: job, octets: job.octets)
        if case .commit(_, let completion) = job {
            let waiting = octetsWaiting.load(ordering: .relaxed)
            // One message always fits, however large; messages have a limit of their own.
            if waiting > 0, waiting + queued.octets > options.queueOctets {
                queued = Queued(job: .refused(.busy("too much waits to be stored"), completion), octets: 0)
            }
        }
        octetsWaiting.add(queued.octets, ordering: .relaxed)
        guard queue.add(queued) else {
            octetsWaiting.subtract(queued.octets, ordering: .relaxed)
            return job.complete(.failure(.closed))
        }
    }

    func close() { queue.close() }

    /// The thread's whole life: returns when the queue was closed and everything in it is done.
    func run() {
        while let jobs = queue.takeAll() {
            var rest = jobs[...]
            while !rest.isEmpty {
                let group = rest.prefix(groupLength(rest))
                rest = rest.dropFirst(group.count)
                process(group.map(\.job)[...])
                octetsWaiting.subtract(group.reduce(0) { $0 + $1.octets }, ordering: .relaxed)
                checkpointer.committed()
            }
        }
        writer?.finishUp()
        checkpointer.close()
        writer = nil
    }

    /// How many of the first jobs make one transaction: one at least.
    private func groupLength(_ jobs: ArraySlice<Queued>) -> Int {
        var octets = 0
        var length = 0
        for queued in jobs {
            octets += queued.octets
            guard length == 0 || (length < options.groupJobs && octets <= options.groupOctets) else { break }
            length += 1
        }
        return length
    }

    private func process(_ group: ArraySlice<WriteJob>) {
        guard let writer else { return group.forEach { $0.complete(.failure(.closed)) } }
        if let damage { return group.forEach { $0.complete(.failure(damage)) } }
        do throws(StoreError) {
            let (answers, new) = try writer.perform(group)
            for (job, answer) in zip(group, answers) { job.complete(.success(answer)) }
            if !new.isEmpty { handler.withLock { $0 }?(new) }
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
            for index in group.indices { process(group[index...index]) }
        }
        jobsDone.add(group.count, ordering: .relaxed)
    }
}
