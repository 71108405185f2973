// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The embedded store: one SQLite file, one thread that writes, one that reads. This file opens,
// closes and hands requests to those threads.

internal import Glibc
public import HookModel

/// Messages, events and deliveries in an SQLite database with a write-ahead log.
///
/// `commit` answers after the transaction's log was synced (`synchronous = FULL`). Memory: each entry that waits is
/// held until it is answered; `Options.queueOctets` bounds their sum, and what passes it is answered with `busy`.
public final class SQLiteStore: InspectableStore {
    public enum Role: Sendable, Hashable {
        /// The daemon, or a command that stores while no daemon runs: there is one at a time.
        case owner
        /// Commands that look at the store, beside an owner or without one. The file need not exist yet.
        case reader
    }

    public struct Options: Sendable, Hashable {
        /// Octets of messages and events that may wait for the writer.
        public var queueOctets = 256 << 20
        /// Jobs of one transaction. More bring no more speed, and the first of them waits longer.
        public var groupJobs = 512
        /// Octets of one transaction.
        public var groupOctets = 8 << 20
        /// About how large the write-ahead log gets; it is used again and again.
        public var logOctets = 64 << 20
        /// Keys of new messages and events (three a message) that wait in memory before they go to their table sorted:
        /// some 40 octets each, twice. The more, the less is written.
        public var waitingKeys = 48_000
        /// Whether raw messages are compressed in the background.
        public var compresses = true

        public init() {}
    }

    /// nil for readers.
    let writer: WriterLoop?
    private let compressor: Compressor?
    private let filter: KeyFilter?
    private let sweeper: RetentionSweeper?
    let reads: ReadLoop
    private let lifetime: StoreLifetime

    private init(
        writer: WriterLoop?, compressor: Compressor?, filter: KeyFilter?, reads: ReadLoop, lifetime: StoreLifetime
    ) {
        sweeper = writer.map { RetentionSweeper(path: reads.path, writer: $0) }
        self.writer = writer
        self.compressor = compressor
        self.filter = filter
        self.reads = reads
        self.lifetime = lifetime
    }

    deinit { beginToClose() }

    /// Opens the database file at `path`; an owner creates it where it is absent (its folder has to exist).
    ///
    /// - Throws: `busy` if another process owns the store; `fromTheFuture` if a newer program wrote it; `full`;
    ///   `notWritable`; `corrupt` where the file is no store or a damaged one, as far as a short look shows it;
    ///   `failed`; each with a text that names the file.
    public static func open(
        _ path: String, as role: Role, options: Options = Options()
    ) throws(StoreError) -> SQLiteStore {
        let lifetime = StoreLifetime()
        switch role {
        case .reader:
            let reads = ReadLoop(path: path)
            // Says at once what is wrong with a file that is there.
            try reads.openNow()
            try lifetime.start { reads.run() }
            return SQLiteStore(writer: nil, compressor: nil, filter: nil, reads: reads, lifetime: lifetime)
        case .owner:
            try lifetime.lock(ownerOf: path)
            let connection = try openForWriting(path)
            let writer = try StoreWriter(connection, options: options)
            try writer.voidLeases()
            let checkpointer = try Checkpointer(writer: connection, logOctets: options.logOctets)
            let loop = WriterLoop(writer, checkpointer, options: options)
            let reads = ReadLoop(path: path)
            try reads.openNow()
            let compressor = options.compresses ? Compressor(path: path, writer: loop) : nil
            let store = SQLiteStore(
                writer: loop, compressor: compressor, filter: writer.filter, reads: reads, lifetime: lifetime)
            try startThreads(of: store, loop, checkpointer)
            return store
        }
    }

    private static func startThreads(
        of store: SQLiteStore, _ loop: WriterLoop, _ checkpointer: Checkpointer
    ) throws(StoreError) {
        let lifetime = store.lifetime
        do throws(StoreError) {
            try lifetime.start { loop.run() }
            let reads = store.reads
            try lifetime.start { reads.run() }
            try lifetime.start { checkpointer.run() }
            if let filter = store.filter {
                let path = store.reads.path
                try lifetime.start { filter.fill(from: path) }
            }
            if let compressor = store.compressor { try lifetime.start { compressor.run() } }
        } catch {
            store.beginToClose()
            throw error
        }
    }

    /// Opens, checks and migrates. Every setting that durability rests on is read back.
    private static func openForWriting(_ path: String) throws(StoreError) -> SQLiteConnection {
        try createFile(path)
        let connection = try SQLiteConnection(path, .readWrite)
        try StoreFile.lookOver(connection)
        try connection.execute(Schema.newFile)
        let mode = try connection.text("PRAGMA journal_mode = WAL")
        guard mode == "wal" else { throw .failed("\(path): no write-ahead log possible (journal_mode \(mode))") }
        try connection.execute("PRAGMA synchronous = FULL")
        guard try connection.integer("PRAGMA synchronous") == 2 else {
            throw .failed("\(path): synchronous = FULL was not taken")
        }
        try connection.execute("PRAGMA cache_size = -4096")
        try connection.execute("PRAGMA temp_store = MEMORY")
        try Schema.migrate(connection)
        return connection
    }

    /// SQLite would let everybody read what is in the mails. Its other files get the mode of this one.
    private static func createFile(_ path: String) throws(StoreError) {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        if descriptor >= 0 {
            // No lock is held yet that closing the file would drop (fcntl(2)).
            Glibc.close(descriptor)
        } else {
            throw StoreError(opening: path, errno: errno)
        }
    }

    // MARK: - EventStore

    public func commit(
        _ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void
    ) {
        guard let writer else {
            return reads.add { _ in completion(.failure(Self.readOnly)) }
        }
        writer.add(.commit(entry, completion))
    }

    public func claimDue(
        subscription: String, now: Timestamp, lease: Duration, limit: Int
    ) async throws(StoreError) -> [ClaimedDelivery] {
        guard let writer else { throw Self.readOnly }
        let claim = WriteJob.Claim(subscription: subscription, now: now, lease: lease, limit: limit)
        return try await withCheckedContinuation { continuation in
            writer.add(.claim(claim) { continuation.resume(returning: $0) })
        }.get()
    }

    public func finish(_ results: [DeliveryResult], now: Timestamp) async throws(StoreError) {
        guard let writer else { throw Self.readOnly }
        try await withCheckedContinuation { continuation in
            writer.add(.finish(results, now: now) { continuation.resume(returning: $0) })
        }.get()
    }

    /// A delivery that is being tried counts with the end of its lease.
    public func nextDue(subscription: String) async throws(StoreError) -> Timestamp? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in
            try reader.nextDue(subscription: subscription)
        }
    }

    public func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in
            try reader.events(after: sequence, limit: limit)
        }
    }

    /// `handler` is called on the writer thread; the last one set is in force.
    public func onNewDeliveries(_ handler: @escaping @Sendable (Set<String>) -> Void) { writer?.setHandler(handler) }

    static let readOnly = StoreError.failed("the store was opened for reading")

    // MARK: - InspectableStore

    public func event(id: String) async throws(StoreError) -> StoredEvent? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in try reader.event(id: id) }
    }

    public func lastSequence() async throws(StoreError) -> Int64 {
        try await reads.read(ifAbsent: 0) { reader throws(StoreError) in try reader.lastSequence() }
    }

    public func message(_ id: Int64) async throws(StoreError) -> StoredMessage? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in try reader.message(id) }
    }

    public func message(ofEvent id: String) async throws(StoreError) -> StoredMessage? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in try reader.message(ofEvent: id) }
    }

    public func messages(messageID: String, limit: Int) async throws(StoreError) -> [StoredMessage] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in
            try reader.messages(messageID: messageID, limit: limit)
        }
    }

    public func counts() async throws(StoreError) -> StoreCounts {
        try await reads.read(ifAbsent: StoreCounts()) { reader throws(StoreError) in try reader.counts() }
    }

    /// From now on keeps what it holds no longer than `policy` says; replaces the policy that was set before. Without
    /// one everything is kept. Nothing happens in a store that was opened for reading.
    ///
    /// - Parameters:
    ///   - now: the clock, compared with the times messages were received and deliveries ended at.
    ///   - report: called after each pass that did something, on a thread of the store's. It must not block.
    public func keep(
        _ policy: RetentionPolicy, now: @escaping @Sendable () -> Timestamp,
        report: @escaping @Sendable (RetentionReport) -> Void
    ) throws(StoreError) {
        guard let sweeper, sweeper.set(.init(policy: policy, now: now, report: report)) else { return }
        try lifetime.start { sweeper.run() }
    }

    public func close() async {
        beginToClose()
        await lifetime.ended()
    }

    private func beginToClose() {
        filter?.cancel()
        sweeper?.close()
        compressor?.close()
        reads.close()
        writer?.close()
    }
}
