// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The one connection that writes, and what each job does in SQL. Decides nothing about when
// and with whom: that is the work of WriterLoop.swift.

internal import HookModel

/// Safe to hand from the thread that opens the store to the writer thread, which then has it alone.
final class StoreWriter: @unchecked Sendable {
    let connection: SQLiteConnection
    let keys: KeyIndex

    let indexer: JournalIndexer
    let subscriptions: SubscriptionRows
    private let eraser: StoreEraser
    private let findDue: SQLiteStatement
    private let results: ResultRows
    private let insertPacked: SQLiteStatement
    private let deleteFresh: SQLiteStatement
    private let deleteJournaled: SQLiteStatement
    private let firstJournaled: SQLiteStatement
    private let heldSegments: SQLiteStatement
    private let countSettled: SQLiteStatement
    private let findPlace: SQLiteStatement
    let deliveryStatements: DeliveryStatements
    private let begin: SQLiteStatement
    private let commit: SQLiteStatement
    private let rollback: SQLiteStatement

    /// Whether COMMIT syncs at present.
    private var syncs = true
    /// Subscriptions that got something new to do in the transaction of jobs under way.
    var signalled: Set<String> = []

    /// - Parameter journal: the folder of its segments.
    init(_ connection: SQLiteConnection, journal: String, options: SQLiteStore.Options) throws(StoreError) {
        self.connection = connection
        keys = try KeyIndex(connection, waitingLimit: options.waitingKeys)
        subscriptions = try SubscriptionRows(connection)
        results = try ResultRows(connection)
        indexer = try JournalIndexer(connection, keys, subscriptions, results, folder: journal)
        eraser = try StoreEraser(connection, keys: keys)
        findDue = try connection.prepare(
            """
            SELECT deliveries.id, attempts, created_at, events.id, type, json
            FROM deliveries INDEXED BY deliveries_due JOIN events ON events.sequence = event
            WHERE subscription = ?1 AND state < 2 AND due <= ?2 ORDER BY due, deliveries.id LIMIT ?3
            """)
        insertPacked = try connection.prepare("INSERT INTO packed VALUES (?1, ?2, ?3)")
        deleteFresh = try connection.prepare("DELETE FROM fresh WHERE message = ?1")
        deleteJournaled = try connection.prepare("DELETE FROM journaled WHERE message = ?1")
        firstJournaled = try connection.prepare(
            "SELECT segment FROM journaled WHERE message > ?1 ORDER BY message LIMIT 1")
        heldSegments = try connection.prepare("SELECT DISTINCT segment FROM journaled WHERE message <= ?1")
        countSettled = try connection.prepare("UPDATE journal SET settled = settled + 1")
        findPlace = try connection.prepare("SELECT segment FROM journal")
        deliveryStatements = try DeliveryStatements(connection)
        begin = try connection.prepare("BEGIN IMMEDIATE")
        commit = try connection.prepare("COMMIT")
        rollback = try connection.prepare("ROLLBACK")
    }

    /// The highest numbers that messages and events have, or ever had.
    func lastNumbers() throws(StoreError) -> (message: Int64, event: Int64, delivery: Int64) {
        // Whoever deletes rows keeps their highest number in a counter, so that none is used twice.
        (
            max(
                try connection.integer("SELECT max(id) FROM messages"),
                try connection.integer("SELECT value FROM counters WHERE name = 'rows_messages'")),
            max(
                try connection.integer("SELECT max(sequence) FROM events"),
                try connection.integer("SELECT value FROM counters WHERE name = 'rows_events'")),
            // The last row is never deleted.
            try connection.integer("SELECT max(id) FROM deliveries")
        )
    }

    /// Leases of a predecessor that was killed hold nobody back: due at once, and before what came later. Their
    /// attempts count.
    func voidLeases() throws(StoreError) {
        try connection.execute(
            "UPDATE deliveries INDEXED BY deliveries_due SET state = 0, due = created_at WHERE state = 1 AND state < 2")
    }

    /// Leaves the next start little to read back.
    func finishUp() {
        // Failing is no loss, it is only slower.
        try? keys.moveAll { body throws(StoreError) in try connection.transaction(body) }
    }

    // MARK: - Transactions

    var claimsUnderWay: ClaimsUnderWay { indexer.claimsUnderWay }
    var recentHeads: RecentHeads { indexer.recentHeads }
    /// Up to where the journal is in the database.
    var position: JournalPosition { indexer.position }
    /// The last message that came from the journal since the store was opened; 0 before.
    var lastMessage: Int64 { indexer.lastMessage }

    /// Brings records to the database in one transaction. Not synced: what a power cut takes is in the journal.
    ///
    /// - Parameters:
    ///   - segments: those in use.
    ///   - end: behind the last record that is known to be whole; nil to find the end, which takes more reading.
    /// - Returns: whether there were any, and the subscriptions that have new deliveries.
    func apply(
        _ segments: [JournalSegments.Segment], end: JournalPosition?, limit: Int
    ) throws(StoreError) -> (any: Bool, new: Set<String>) {
        let place = indexer.position
        try setSyncing(false)
        var isAny = false
        do throws(StoreError) {
            try transaction { () throws(StoreError) in
                isAny = try indexer.apply(segments, end: end, limit: limit)
                return isAny
            }
        } catch {
            indexer.move(to: place)
            throw error
        }
        return (isAny, indexer.signalled)
    }

    /// Runs jobs in one transaction: all of them or none. When it returns, they would survive a power cut, unless they
    /// move octets from one place to another, where the first place holds them until that is so.
    ///
    /// - Returns: an answer for each job.
    func perform(_ jobs: ArraySlice<WriteJob>) throws(StoreError) -> [WriteJob.Answer] {
        var answers: [WriteJob.Answer] = []
        answers.reserveCapacity(jobs.count)
        signalled.removeAll(keepingCapacity: true)
        try setSyncing(jobs.contains { $0.needsSync })
        do throws(StoreError) {
            try transaction { () throws(StoreError) in
                for job in jobs { answers.append(try perform(job)) }
                return true
            }
        } catch {
            subscriptions.forget()
            // Nobody is handed what they chose.
            for case .claimed(let deliveries) in answers { claimsUnderWay.remove(deliveries.map(\.id)) }
            throw error
        }
        subscriptions.committed()
        return answers
    }

    /// - Parameter body: returns whether anything was changed.
    private func transaction(_ body: () throws(StoreError) -> Bool) throws(StoreError) {
        keys.begin()
        do throws(StoreError) {
            try begin.run()
            guard try body() else {
                try rollback.run()
                keys.rolledBack()
                return
            }
            try keys.moveSlice()
            try commit.run()
        } catch {
            // SQLite may have rolled back by itself.
            if connection.isInTransaction { try? rollback.run() }
            keys.rolledBack()
            throw error
        }
        keys.committed()
    }

    /// In WAL mode a commit that syncs makes those before it durable as well, because the log is one file.
    private func setSyncing(_ isWanted: Bool) throws(StoreError) {
        guard isWanted != syncs else { return }
        if isWanted {
            try connection.execute("PRAGMA synchronous = FULL")
        } else {
            try connection.execute("PRAGMA synchronous = NORMAL")
        }
        syncs = isWanted
    }

    private func perform(_ job: WriteJob) throws(StoreError) -> WriteJob.Answer {
        switch job {
        case .claim(let claim, _): return .claimed(try self.claim(claim))
        case .pack(let messages, _):
            for message in messages { try store(message) }
        case .settle(let unreadable, _): return .settled(try settle(unreadable: unreadable))
        case .apply, .emptyLog, .probe: break
        case .deliveries(let operation, _): return .deliveries(try perform(operation))
        case .erase(let erasure, _):
            let last = try lastNumbers()
            return .erased(try eraser.perform(erasure, last: (last.message, last.event)))
        }
        return .done
    }

    private func store(_ packed: WriteJob.PackedMessage) throws(StoreError) {
        deleteFresh.bind(1, packed.id)
        try deleteFresh.run()
        var isThere = connection.changes > 0
        deleteJournaled.bind(1, packed.id)
        try deleteJournaled.run()
        isThere = isThere || connection.changes > 0
        // Gone meanwhile.
        guard isThere else { return }
        insertPacked.bind(1, packed.id)
        insertPacked.bind(2, packed.isCompressed ? Schema.Encoding.zlib : Schema.Encoding.asReceived)
        try insertPacked.run(borrowing: packed.octets, as: 3)
    }

    /// The count has no use but to change a page: a transaction that changes none is not synced. The place is that of the
    /// row, which the next owner begins at, and not the reader's own, which may be in a later segment already.
    private func settle(unreadable: Int64) throws(StoreError) -> WriteJob.Settled {
        guard !connection.syncs.hasFailure else {
            throw .failed("\(connection.path): a sync failed; the journal keeps everything until the store is opened again")
        }
        var settled = WriteJob.Settled(firstSegment: nil, segment: 0)
        try countSettled.run()
        while try findPlace.step() { settled.segment = findPlace.integer(0) }
        firstJournaled.bind(1, unreadable)
        if try firstJournaled.step() {
            settled.firstSegment = firstJournaled.integer(0)
            firstJournaled.reset()
        }
        heldSegments.bind(1, unreadable)
        while try heldSegments.step() { settled.held.insert(heldSegments.integer(0)) }
        return settled
    }
}

// MARK: - Deliveries

extension StoreWriter {
    /// Chooses deliveries that are due, not excluded, and that no other claim has chosen. Changes nothing.
    private func claim(_ claim: WriteJob.Claim) throws(StoreError) -> [ClaimedDelivery] {
        guard claim.limit > 0, let subscription = try subscriptions.find(claim.subscription) else { return [] }
        let underWay = indexer.claimsUnderWay
        var claimed: [ClaimedDelivery] = []
        findDue.bind(1, subscription)
        findDue.bind(2, claim.now.microseconds)
        findDue.bind(3, claim.limit + underWay.count + claim.excluded.count)
        while claimed.count < claim.limit, try findDue.step() {
            let id = findDue.integer(0)
            if underWay.contains(id) || claim.excluded.contains(id) { continue }
            claimed.append(
                ClaimedDelivery(
                    id: id, subscription: claim.subscription,
                    event: Event(id: findDue.text(3), type: findDue.text(4), json: findDue.octets(5)),
                    attempt: Int(findDue.integer(1)) + 1,
                    createdAt: Timestamp(microseconds: findDue.integer(2))))
        }
        findDue.reset()
        underWay.add(claimed.map(\.id))
        return claimed
    }

    func leaseDelivery(_ id: Int64, _ claim: WriteJob.Claim) throws(StoreError) {
        try results.lease(id, until: claim.now.advanced(by: claim.lease).microseconds, now: claim.now.microseconds)
    }

    func store(_ result: DeliveryResult, now: Timestamp) throws(StoreError) {
        try results.store(result, now: now)
    }
}
