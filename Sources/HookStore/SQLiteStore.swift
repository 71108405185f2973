// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The embedded store: a journal, an SQLite file that follows it, and their threads. This file opens,
// closes and hands requests to those threads.

internal import Glibc
public import HookModel

/// Messages, events and deliveries in an SQLite database, behind a journal of messages and attempts.
///
/// `commit` answers after the message's record in the journal was synced; the database follows within milliseconds, and
/// whoever reads waits for it. Claims and results of deliveries go the same way; everything else is answered after a synced
/// transaction. Memory: each entry that waits is
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
        /// Messages of one group of the journal, and jobs of one transaction. More bring no more speed, and the first of
        /// them waits longer.
        public var groupJobs = 512
        /// Octets of one group.
        public var groupOctets = 8 << 20
        /// About how long a segment of the journal gets.
        public var segmentOctets = 64 << 20
        /// With more segments than this, messages are compressed also while mail comes.
        public var segmentsWithoutRest = 32
        /// Segments that were written before are kept for the next time up to this size.
        public var spareOctets = 256 << 20
        /// What the journal leaves free on the disk, for the database to follow.
        public var reservedOctets = 1 << 20
        /// About how large the write-ahead log gets; it is used again and again.
        public var logOctets = 64 << 20
        /// Keys of new messages and events (three a message) that wait in memory before they go to their table sorted:
        /// some 40 octets each, twice. The more, the less is written.
        public var waitingKeys = 16_000
        /// Whether raw messages are compressed in the background.
        public var compresses = true
        /// Octets of a group that are laid out before the first of them are written.
        package var journalBufferOctets = 384 << 10
        /// Milliseconds between two looks of the background whether the store is at rest.
        package var restingPause = 500

        public init() {}
    }

    /// Runs what answers all messages of one group, on the thread that wrote them: what need not come before the answers
    /// can wait until they are out. It has to call `answer`, once.
    public typealias Answering = @Sendable (_ answer: () -> Void) -> Void

    /// nil for readers.
    private let owner: Owner?
    let reads: ReadLoop
    private let lifetime: StoreLifetime

    var writer: WriterLoop? { owner?.writer }
    var journal: JournalLoop? { owner?.journal }
    var claimsUnderWay: ClaimsUnderWay? { owner?.claimsUnderWay }
    var compressor: Compressor? { owner?.compressor }

    /// What only the owner of a store has.
    private struct Owner {
        var journal: JournalLoop
        var writer: WriterLoop
        var syncs: SyncHistory
        var claimsUnderWay: ClaimsUnderWay
        var checkpointer: Checkpointer
        var filter: KeyFilter
        var keeper: SegmentKeeper
        var compressor: Compressor?
        var sweeper: RetentionSweeper
    }

    private init(owner: Owner?, reads: ReadLoop, lifetime: StoreLifetime) {
        self.owner = owner
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
        _ path: String, as role: Role, options: Options = Options(), answering: @escaping Answering = { $0() }
    ) throws(StoreError) -> SQLiteStore {
        try open(path, as: role, options: options, files: SystemFiles(), answering: answering)
    }

    /// - Parameter files: how the journal changes its files.
    package static func open(
        _ path: String, as role: Role, options: Options, files: any StoreFiles,
        answering: @escaping Answering = { $0() }
    ) throws(StoreError) -> SQLiteStore {
        let lifetime = StoreLifetime()
        switch role {
        case .reader:
            let catchUp = JournalCatchUp(path: path, files: files)
            let reads = ReadLoop(path: path) { reader throws(StoreError) in try catchUp.run(reader.connection) }
            // Says at once what is wrong with a file that is there.
            try reads.openNow()
            try lifetime.start { reads.run() }
            return SQLiteStore(owner: nil, reads: reads, lifetime: lifetime)
        case .owner:
            // It is part of what is locked. Never beside a database that is there: a journal that is missing has to be
            // told from an empty one. Where it cannot be made, the first commit tells.
            if StoreFile.size(path) == nil { _ = files.makeFolder(StorePlace.journal(of: path)) }
            try lifetime.lock(ownerOf: path)
            let restored = StoreUpkeep.restored(path)
            guard StoreFile.size(restored) == nil else {
                throw .failed(
                    "\(restored): a restore was ended before it was done. Run `mailhookd store restore` again; to go on with what is "
                        + "there without it, remove that file")
            }
            let (owner, reads) = try makeOwner(path, options, files, answering)
            let store = SQLiteStore(owner: owner, reads: reads, lifetime: lifetime)
            try startThreads(of: store, owner)
            return store
        }
    }

    private static func makeOwner(
        _ path: String, _ options: Options, _ files: any StoreFiles, _ answering: @escaping Answering
    ) throws(StoreError) -> (Owner, ReadLoop) {
        let connection = try openForWriting(path, files)
        let segments = try JournalSegments(folder: StorePlace.journal(of: path), files: files)
        let writer = try StoreWriter(connection, journal: segments.folder, options: options)
        try JournalRecovery.run(writer, segments)
        try writer.voidLeases()
        let last = try writer.lastNumbers()
        let planner = try CommitPlanner(
            try SQLiteConnection(path, .readOnly), keys: writer.keys, last: last)
        let journal = try JournalWriter(
            segments,
            options: .init(
                segmentOctets: options.segmentOctets, reservedOctets: options.reservedOctets,
                bufferOctets: options.journalBufferOctets),
            at: writer.position, recentHeads: writer.recentHeads)
        let progress = JournalProgress(at: writer.position)
        let checkpointer = try Checkpointer(writer: connection, logOctets: options.logOctets)
        let loop = WriterLoop(writer, checkpointer, segments, progress, options: options)
        let keeper = SegmentKeeper(segments, segmentOctets: options.segmentOctets)
        let journalLoop = JournalLoop(planner, journal, progress, loop, keeper, options: options, answering: answering)
        let reads = ReadLoop(path: path) { _ throws(StoreError) in try loop.waitUntilApplied() }
        try reads.openNow()
        let compressor = !options.compresses ? nil
            : Compressor(
                path: path, writer: loop, journal: journalLoop, segments: segments, options: options)
        return (
            Owner(
                journal: journalLoop, writer: loop, syncs: connection.syncs, claimsUnderWay: writer.claimsUnderWay, checkpointer: checkpointer, filter: writer.keys.filter,
                keeper: keeper, compressor: compressor, sweeper: RetentionSweeper(path: path, writer: loop)), reads
        )
    }

    private static func startThreads(of store: SQLiteStore, _ owner: Owner) throws(StoreError) {
        let lifetime = store.lifetime
        do throws(StoreError) {
            try lifetime.start { owner.writer.run() }
            try lifetime.start { owner.journal.run() }
            let reads = store.reads
            try lifetime.start { reads.run() }
            try lifetime.start { owner.checkpointer.run() }
            try lifetime.start { owner.filter.fill(from: reads.path) }
            try lifetime.start { owner.keeper.run() }
            if let compressor = owner.compressor { try lifetime.start { compressor.run() } }
        } catch {
            store.beginToClose()
            throw error
        }
    }

    /// Opens, checks and migrates. Every setting that durability rests on is read back.
    static func openForWriting(_ path: String, _ files: any StoreFiles) throws(StoreError) -> SQLiteConnection {
        try createFile(path)
        let connection = try SQLiteConnection(path, .readWrite)
        try StoreFile.lookOver(connection)
        try connection.execute(Schema.newFile)
        let mode = try connection.text("PRAGMA journal_mode = WAL")
        guard mode == "wal" else { throw .failed("\(path): no write-ahead log possible (journal_mode \(mode))") }
        // To switch to the log, SQLite made a rollback journal and removed it. If a power cut brought that back, it would
        // undo the switch, and with it everything in the log.
        let synced = files.synchronizeFolder(StorePlace.folder(of: path))
        guard synced == 0 else { throw StoreError(opening: StorePlace.folder(of: path), errno: synced) }
        try connection.execute("PRAGMA synchronous = FULL")
        guard try connection.integer("PRAGMA synchronous") == 2 else {
            throw .failed("\(path): synchronous = FULL was not taken")
        }
        // Rows that move from page to page leave no copy behind in a page that is written anyway.
        try connection.execute("PRAGMA secure_delete = FAST")
        // It fills up whatever its size is; 2 and 4 MiB took no less CPU a message.
        try connection.execute("PRAGMA cache_size = -1024")
        try connection.execute("PRAGMA temp_store = MEMORY")
        try Schema.migrate(connection)
        return connection
    }

    /// SQLite would let everybody read what is in the mails. Its other files get the mode of this one.
    private static func createFile(_ path: String) throws(StoreError) {
        let descriptor = StorePlace.openOrMake(path, mode: 0o640)
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
        guard let owner else {
            return reads.add { _ in completion(.failure(Self.readOnly)) }
        }
        owner.journal.add(entry, completion)
    }

    public func commitHere(
        _ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void
    ) {
        guard let owner, owner.journal.commitHere(entry, completion) else { return commit(entry, completion: completion) }
    }

    public func claimDue(
        subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> [ClaimedDelivery] {
        guard let owner else { throw Self.readOnly }
        let claim = WriteJob.Claim(
            subscription: subscription, now: now, lease: lease, limit: limit, excluded: excluded)
        let result: Result<[ClaimedDelivery], StoreError> = await withCheckedContinuation { continuation in
            owner.writer.add(.claim(claim) { [journal = owner.journal, underWay = owner.claimsUnderWay] result in
                guard case .success(let deliveries) = result, !deliveries.isEmpty else {
                    return continuation.resume(returning: result)
                }
                let ids = deliveries.map(\.id)
                // The attempt is stored before anybody has the delivery.
                journal.add(ids, claim) { stored in
                    if case .failure = stored { underWay.remove(ids) }
                    continuation.resume(returning: stored.map { deliveries })
                }
            })
        }
        return try result.get()
    }

    public func finish(_ results: [DeliveryResult], now: Timestamp) async throws(StoreError) {
        try await withCheckedContinuation { continuation in
            finish(results, now: now) { continuation.resume(returning: $0) }
        }.get()
    }

    public func finish(
        _ results: [DeliveryResult], now: Timestamp, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        guard let journal = owner?.journal else { return reads.add { _ in completion(.failure(Self.readOnly)) } }
        journal.add(results, now: now, completion)
    }

    /// The journal's thread hands it on to the one behind it.
    public func probe() async {
        guard let journal = owner?.journal else { return }
        await withCheckedContinuation { continuation in journal.probe { continuation.resume() } }
    }

    /// Messages, and claims and results of deliveries, that were stored since the store was opened.
    public var recordsStored: Int { owner?.journal.activity ?? 0 }

    public func setTap(_ tap: (any DeliveryTap)?, of subscription: String) {
        owner?.journal.setTap(tap, of: subscription)
    }

    public func nextDue(subscription: String, excluding excluded: Set<Int64>) async throws(StoreError) -> Timestamp? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in
            try reader.nextDue(subscription: subscription, excluding: excluded)
        }
    }

    public func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in
            try reader.events(after: sequence, limit: limit)
        }
    }

    /// `handler` is called on the writer thread; the last one set is in force.
    public func onNewDeliveries(_ handler: @escaping @Sendable (Set<String>) -> Void) {
        owner?.writer.setHandler(handler)
    }

    /// `handler` is called once for each raw mail in the journal that cannot be read, with its number and the cause: its
    /// file stays, and grows with nothing. On a thread of the store's; what was found before is told at once.
    public func onUnreadable(_ handler: @escaping @Sendable (_ message: Int64, _ cause: StoreError) -> Void) {
        compressor?.unreadable.setHandler(handler)
    }

    /// Segments of the journal in which records are, or may be written next.
    var segmentsInUse: Int { owner?.keeper.segmentsInUse ?? 0 }

    /// Gives back to the disk what is kept for later use: spare segments of the journal, and the room of the log. Returns at once.
    public func makeRoom() {
        owner?.keeper.giveUpSparesSoon()
        owner?.writer.add(.emptyLog { _ in })
    }

    /// - Parameter handler: called once a sync of the database or its log failed: from then on no segment of the journal is
    ///   used again until the store is opened anew. On a thread of the store's; it must not block.
    public func onFailedSync(_ handler: @escaping @Sendable () -> Void) { owner?.syncs.onFailure(handler) }

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
    ///   - steady: a clock that nobody sets and that does not stop while the system sleeps. With it a leap of `now` is not
    ///     believed for a day, and nothing is erased for its age meanwhile; nil believes all of them.
    ///   - report: called after each pass that did something, on a thread of the store's. It must not block.
    public func keep(
        _ policy: RetentionPolicy, now: @escaping @Sendable () -> Timestamp, steady: (@Sendable () -> Duration)? = nil,
        report: @escaping @Sendable (RetentionReport) -> Void
    ) throws(StoreError) {
        let task = RetentionSweeper.Task(policy: policy, now: now, steady: steady, report: report)
        guard let sweeper = owner?.sweeper, sweeper.set(task) else { return }
        try lifetime.start { sweeper.run() }
    }

    public func close() async {
        beginToClose()
        await lifetime.ended()
    }

    private func beginToClose() {
        owner?.filter.cancel()
        owner?.compressor?.close()
        owner?.keeper.close()
        owner?.sweeper.close()
        reads.close()
        // Closes the writer behind it.
        owner?.journal.close()
    }
}
