// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Makes raw messages smaller when nothing else is to be done. Reads and compresses on a thread of
// the lowest priority; the writer stores the result like any other job.

internal import Glibc
internal import HookModel
internal import Synchronization

/// Safe to share: the connection is opened and used by the thread only.
final class Compressor: @unchecked Sendable {
    /// Messages and octets of one step: small, so that commits hardly wait for it.
    private static let batch = 32
    private static let batchOctets = 1 << 20
    /// A message smaller than this is not worth it.
    private static let smallest = 512
    /// Jobs of the writer in one pause that still count as rest.
    private static let restingJobs = 50
    /// Milliseconds: between two looks while there is something to do, and when all is done.
    private static let pause = 500
    private static let longPause = 10_000

    private let path: String
    private let writer: WriterLoop
    /// Whether the writer stored what it was given last.
    private let answers = StoreQueue<Bool>()

    init(path: String, writer: WriterLoop) {
        self.path = path
        self.writer = writer
    }

    func close() { answers.close() }

    /// The thread's whole life.
    func run() {
        // Of this thread alone on Linux (setpriority(2), Notes).
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        // Without a connection messages stay as they are, which is no loss.
        guard let statements = try? Statements(path) else { return }
        var pause = Self.pause
        var activity = writer.activity
        while answers.takeAll(timeout: pause) != nil {
            let begun = writer.activity
            let isResting = begun - activity < Self.restingJobs
            var isDone = false
            while isResting, !isDone, writer.activity - begun < Self.restingJobs {
                guard let isMore = step(statements) else { return }
                isDone = !isMore
            }
            pause = isDone ? Self.longPause : Self.pause
            activity = writer.activity
        }
    }

    /// Compresses one batch. False when nothing is left or the store does not work; nil when it closes.
    private func step(_ statements: Statements) -> Bool? {
        guard let batch = try? statements.nextBatch(), !batch.isEmpty else { return false }
        writer.add(.pack(batch) { [answers] result in
            // Nobody waits for the answer if the queue is closed.
            _ = answers.add((try? result.get()) != nil)
        })
        return answers.takeAll()?.contains(true)
    }

    private final class Statements {
        private let find: SQLiteStatement

        init(_ path: String) throws(StoreError) {
            let connection = try SQLiteConnection(path, .readOnly)
            find = try connection.prepare("SELECT message, octets FROM fresh ORDER BY message LIMIT ?1")
        }

        func nextBatch() throws(StoreError) -> [WriteJob.PackedMessage] {
            var batch: [WriteJob.PackedMessage] = []
            var octets = 0
            find.bind(1, Compressor.batch)
            defer { find.reset() }
            while octets < Compressor.batchOctets, try find.step() {
                let raw = find.octets(1)
                octets += raw.count
                let smaller = raw.count < Compressor.smallest ? nil : Zlib.compressed(raw)
                batch.append(
                    WriteJob.PackedMessage(id: find.integer(0), isCompressed: smaller != nil, octets: smaller ?? raw))
            }
            return batch
        }
    }
}
