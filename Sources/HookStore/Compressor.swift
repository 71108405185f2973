// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Makes raw messages smaller when nothing else is to be done, and so takes them out of the journal,
// whose segments can then be used again. Reads and compresses on a thread of the lowest priority;
// the writer stores the result like any other job.
//
// A mail that cannot be read is looked at some more times, then set aside: its row and its segment stay as they are, so that
// nothing is lost that another program, or the disk another day, can still read; it is told of, and those behind it go their
// way. After a restart it is looked at again.

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
    /// Of the pauses when all is done.
    private static let longPause = 20

    private let path: String
    let writer: WriterLoop
    let journal: JournalLoop
    let segments: JournalSegments
    private let options: SQLiteStore.Options
    /// Whether the writer stored what it was given last.
    private let answers = StoreQueue<Bool>()
    let purges = PurgeRequests()
    let unreadable = UnreadableMail()

    init(
        path: String, writer: WriterLoop, journal: JournalLoop, segments: JournalSegments, options: SQLiteStore.Options
    ) {
        self.path = path
        self.writer = writer
        self.journal = journal
        self.segments = segments
        self.options = options
    }

    func close() { answers.close() }

    /// Leaves nothing in the journal but what comes from now on, and nothing in the write-ahead log.
    func purge(_ completion: @escaping PurgeRequests.Completion) {
        purges.add(completion)
        _ = answers.add(false)
    }

    /// The thread's whole life.
    func run() {
        defer { purges.close() }
        // Of this thread alone on Linux (setpriority(2), Notes).
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        // Without a connection messages stay as they are, which is no loss.
        guard let statements = try? Statements(path, segments.folder, unreadable) else { return }
        var pause = options.restingPause
        var activity = activity
        // The answer that told of a purge may have been taken for another one.
        while answers.takeAll(timeout: purges.isAsked ? 0 : pause) != nil {
            purges.serve { () throws(StoreError) in try purge(statements) }
            let begun = self.activity
            let isResting = begun - activity < Self.restingJobs
            var isDone = false
            if !isResting, !recycleWithoutRest(statements) { return }
            while !isDone, isCrowded(statements) || isResting && self.activity - begun < Self.restingJobs {
                guard let isMore = step(statements) else { return }
                isDone = !isMore
                if statements.isPastSegment || isDone, !recycle(statements) { return }
                if purges.isAsked { break }
            }
            pause = options.restingPause * (isDone ? Self.longPause : 1)
            activity = self.activity
        }
    }

    /// What nobody needs is found without rest as well: the journal would grow with every mail, whatever retention says. Not for
    /// a few segments, and once for each new one: it is a synced transaction, which mail waits for.
    private func recycleWithoutRest(_ statements: Statements) -> Bool {
        let limit = options.segmentsWithoutRest / 4 + statements.held
        guard segments.inUse.count > max(limit, statements.segmentsAtLastLook) else { return true }
        defer { statements.segmentsAtLastLook = segments.inUse.count }
        return recycle(statements)
    }

    private func isCrowded(_ statements: Statements) -> Bool {
        segments.inUse.count > options.segmentsWithoutRest + statements.held
    }

    /// Messages and other jobs. What this thread asks for itself is among them, and little.
    private var activity: Int { writer.activity + journal.activity }

    /// Segments that hold nothing any more become spare, after the database was synced. False when the store closes.
    private func recycle(_ statements: Statements) -> Bool {
        guard segments.inUse.count > 1 + statements.held else { return true }
        let found = Mutex<WriteJob.Settled?>(nil)
        let answers = answers
        writer.add(.settle(unreadable: statements.passed) { result in
            found.withLock { $0 = try? result.get() }
            _ = answers.add(true)
        })
        guard answers.takeAll() != nil else { return false }
        guard let settled = found.withLock({ $0 }) else { return true }
        statements.held = segments.inUse.count { settled.held.contains($0.number) }
        for segment in segments.removeFromUse(before: settled) {
            segments.recycle(segment, spareLimit: options.spareOctets)
        }
        return true
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

    final class Statements {
        /// How often a mail is looked at that cannot be read, with a pause of the store at rest in between.
        private static let looks = 3

        private let findFresh: SQLiteStatement
        private let findJournaled: SQLiteStatement
        private let folder: String
        private let unreadable: UnreadableMail
        /// Messages up to this one whose octets are still in the journal were set aside.
        private(set) var passed: Int64 = 0
        /// Segments that stay because of them.
        var held = 0
        /// In use when it was last looked for some that nobody needs, without rest.
        var segmentsAtLastLook = 0
        /// The message that could not be read at the last look, and how often.
        private var failed: (message: Int64, looks: Int) = (0, 0)
        private var segment: Int64 = 0
        /// The last batch began a segment.
        private(set) var isPastSegment = false

        init(_ path: String, _ folder: String, _ unreadable: UnreadableMail) throws(StoreError) {
            self.folder = folder
            self.unreadable = unreadable
            let connection = try SQLiteConnection(path, .readOnly)
            findFresh = try connection.prepare("SELECT message, octets FROM fresh ORDER BY message LIMIT ?1")
            findJournaled = try connection.prepare(
                "SELECT message, segment, offset FROM journaled WHERE message > ?1 ORDER BY message LIMIT ?2")
        }

        /// What was set aside is looked at again.
        func beginAnew() {
            passed = 0
            failed = (0, 0)
        }

        /// Empty where nothing is left, or nothing can be done for the moment.
        func nextBatch() throws(StoreError) -> [WriteJob.PackedMessage] {
            var batch: [WriteJob.PackedMessage] = []
            var octets = 0
            // Not longer than a batch: most of the time nothing is compressed.
            let zlib = ZlibCompressor()
            findFresh.bind(1, Compressor.batch)
            defer {
                findFresh.reset()
                findJournaled.reset()
            }
            while octets < Compressor.batchOctets, try findFresh.step() {
                batch.append(Self.packed(findFresh.integer(0), findFresh.octets(1), zlib, &octets))
            }
            isPastSegment = false
            findJournaled.bind(1, passed)
            findJournaled.bind(2, Compressor.batch)
            while octets < Compressor.batchOctets, try findJournaled.step() {
                let id = findJournaled.integer(0)
                if findJournaled.integer(1) != segment {
                    segment = findJournaled.integer(1)
                    isPastSegment = true
                }
                do throws(StoreError) {
                    let raw = try JournalReader.octets(
                        ofMessage: id, folder: folder, segment: segment, offset: Int(findJournaled.integer(2)))
                    batch.append(Self.packed(id, raw, zlib, &octets))
                } catch {
                    // The next batch begins with it: only then everything before it is out of the journal.
                    guard batch.isEmpty, isGivenUp(id) else { break }
                    passed = id
                    unreadable.add(id, in: segment, error)
                }
            }
            return batch
        }

        /// Too few descriptors, or a disk that was away, may be over at the next look.
        private func isGivenUp(_ message: Int64) -> Bool {
            failed = (message, failed.message == message ? failed.looks + 1 : 1)
            return failed.looks >= Self.looks
        }

        private static func packed(
            _ id: Int64, _ raw: [UInt8], _ zlib: borrowing ZlibCompressor, _ octets: inout Int
        ) -> WriteJob.PackedMessage {
            octets += raw.count
            let smaller = raw.count < Compressor.smallest ? nil : zlib.compressed(raw)
            return WriteJob.PackedMessage(id: id, isCompressed: smaller != nil, octets: smaller ?? raw)
        }
    }
}

/// Raw mail in the journal that cannot be read, and who wants to hear of it. Safe to share.
final class UnreadableMail: Sendable {
    typealias Handler = @Sendable (_ message: Int64, _ cause: StoreError) -> Void

    private struct State {
        var found: [Int64: (segment: Int64, cause: StoreError)] = [:]
        var handler: Handler?
    }

    private let state = Mutex(State())

    /// Told once of each.
    func add(_ message: Int64, in segment: Int64, _ cause: StoreError) {
        let handler = state.withLock { state in
            defer { state.found[message] = (segment, cause) }
            return state.found[message] == nil ? state.handler : nil
        }
        handler?(message, cause)
    }

    /// What was found before is told as well.
    func setHandler(_ handler: @escaping Handler) {
        let found = state.withLock { state in
            state.handler = handler
            return state.found
        }
        for (message, found) in found.sorted(by: { $0.key < $1.key }) { handler(message, found.cause) }
    }

    /// Why the first one of some segments cannot be read.
    func cause(in segments: [Int64]) -> StoreError? {
        state.withLock { state in
            state.found.filter { segments.contains($0.value.segment) }.min { $0.key < $1.key }?.value.cause
        }
    }
}
