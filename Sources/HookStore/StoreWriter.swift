// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The one connection that writes, and what each job does in SQL. Decides nothing about when
// and with whom: that is the work of WriterLoop.swift.

internal import HookModel

/// Safe to hand from the thread that opens the store to the writer thread, which then has it alone.
final class StoreWriter: @unchecked Sendable {
    let connection: SQLiteConnection

    private let keys: KeyIndex
    private let eraser: StoreEraser
    private let hasDigest: SQLiteStatement
    private let hasEvent: SQLiteStatement
    private let insertMessage: SQLiteStatement
    private let insertFresh: SQLiteStatement
    private let insertEvent: SQLiteStatement
    private let insertSubscription: SQLiteStatement
    private let findSubscription: SQLiteStatement
    private let insertDelivery: SQLiteStatement
    private let findDue: SQLiteStatement
    private let lease: SQLiteStatement
    private let finish: SQLiteStatement
    private let insertPacked: SQLiteStatement
    private let deleteFresh: SQLiteStatement
    let deliveryStatements: DeliveryStatements
    private let begin: SQLiteStatement
    private let commit: SQLiteStatement
    private let rollback: SQLiteStatement

    /// Row ids of subscriptions by name. They are as many as the configuration ever named.
    private var subscriptionIDs: [String: Int64] = [:]
    /// The last row numbers given out.
    private(set) var lastMessage: Int64
    private var lastEvent: Int64
    /// Subscriptions that got deliveries in the transaction under way.
    var signalled: Set<String> = []
    /// Subscriptions that were ever claimed from in order.
    var orderedSubscriptions: Set<String> = []

    init(_ connection: SQLiteConnection, options: SQLiteStore.Options) throws(StoreError) {
        self.connection = connection
        keys = try KeyIndex(connection, waitingLimit: options.waitingKeys)
        eraser = try StoreEraser(connection, keys: keys)
        hasDigest = try connection.prepare("SELECT 1 FROM messages WHERE id = ?1 AND digest = ?2")
        hasEvent = try connection.prepare("SELECT 1 FROM events WHERE sequence = ?1 AND id = ?2")
        insertMessage = try connection.prepare(
            """
            INSERT INTO messages (id, digest, duplicate_of, message_id, received_at, source, mail_from, recipients,
                peer, helo, answer, verdicts, first_event, new_events, size)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
            """)
        insertFresh = try connection.prepare("INSERT INTO fresh VALUES (?1, ?2)")
        insertEvent = try connection.prepare(
            "INSERT INTO events (id, type, message, json, sequence) VALUES (?1, ?2, ?3, ?4, ?5)")
        insertSubscription = try connection.prepare("INSERT INTO subscriptions (name) VALUES (?1)")
        findSubscription = try connection.prepare("SELECT id FROM subscriptions WHERE name = ?1")
        insertDelivery = try connection.prepare(
            """
            INSERT INTO deliveries (event, subscription, state, attempts, due, created_at, changed_at, reason, ordered)
            VALUES (?1, ?2, 0, 0, ?3, ?3, ?3, '', ?4)
            """)
        findDue = try connection.prepare(
            """
            SELECT deliveries.id, attempts, created_at, events.id, type, json
            FROM deliveries INDEXED BY deliveries_due JOIN events ON events.sequence = event
            WHERE subscription = ?1 AND state < 2 AND due <= ?2 ORDER BY due, deliveries.id LIMIT ?3
            """)
        lease = try connection.prepare(
            "UPDATE deliveries SET state = 1, attempts = attempts + 1, due = ?2, changed_at = ?3 WHERE id = ?1")
        finish = try connection.prepare(
            """
            UPDATE deliveries SET state = ?2, due = coalesce(?3, due), reason = ?4, changed_at = ?5
            WHERE id = ?1 AND state < 2
            """)
        insertPacked = try connection.prepare("INSERT INTO packed VALUES (?1, ?2, ?3)")
        deleteFresh = try connection.prepare("DELETE FROM fresh WHERE message = ?1")
        deliveryStatements = try DeliveryStatements(connection)
        begin = try connection.prepare("BEGIN IMMEDIATE")
        commit = try connection.prepare("COMMIT")
        rollback = try connection.prepare("ROLLBACK")
        // Whoever deletes rows keeps their highest number in a counter, so that none is used twice.
        lastMessage = max(
            try connection.integer("SELECT max(id) FROM messages"),
            try connection.integer("SELECT value FROM counters WHERE name = 'rows_messages'"))
        lastEvent = max(
            try connection.integer("SELECT max(sequence) FROM events"),
            try connection.integer("SELECT value FROM counters WHERE name = 'rows_events'"))
    }

    /// Leases of a predecessor that was killed hold nobody back: due at once, and before what came later. Their
    /// attempts count.
    func voidLeases() throws(StoreError) {
        try connection.execute(
            "UPDATE deliveries INDEXED BY deliveries_due SET state = 0, due = created_at WHERE state = 1 AND state < 2")
    }

    /// Runs jobs in one transaction: all of them or none. When it returns, they would survive a power cut.
    ///
    /// - Returns: an answer for each job, and the subscriptions that have new deliveries.
    func perform(_ jobs: ArraySlice<WriteJob>) throws(StoreError) -> (answers: [WriteJob.Answer], new: Set<String>) {
        signalled.removeAll(keepingCapacity: true)
        var answers: [WriteJob.Answer] = []
        answers.reserveCapacity(jobs.count)
        let (message, event) = (lastMessage, lastEvent)
        keys.begin()
        do throws(StoreError) {
            try begin.run()
            for job in jobs { answers.append(try perform(job)) }
            try keys.moveSlice()
            try commit.run()
        } catch {
            // SQLite may have rolled back by itself.
            if connection.isInTransaction { try? rollback.run() }
            // Some of them may have been made in this transaction.
            subscriptionIDs = [:]
            (lastMessage, lastEvent) = (message, event)
            keys.rolledBack()
            throw error
        }
        keys.committed()
        return (answers, signalled)
    }

    /// To be filled by another thread.
    var filter: KeyFilter { keys.filter }

    /// Leaves the next start little to read back.
    func finishUp() {
        // Failing is no loss, it is only slower.
        try? keys.moveAll { body throws(StoreError) in try connection.transaction(body) }
    }

    private func perform(_ job: WriteJob) throws(StoreError) -> WriteJob.Answer {
        switch job {
        case .commit(let entry, _): return .receipt(try store(entry))
        case .claim(let claim, _): return .claimed(try self.claim(claim))
        case .finish(let results, let now, _):
            for result in results { try store(result, now: now) }
        case .pack(let messages, _):
            for message in messages { try store(message) }
        case .deliveries(let operation, _): return .deliveries(try perform(operation))
        case .refused: break
        case .erase(let erasure, _):
            return .erased(try eraser.perform(erasure, last: (lastMessage, lastEvent)))
        }
        return .done
    }
}

// MARK: - Messages

extension StoreWriter {
    private func store(_ entry: MessageEntry) throws(StoreError) -> CommitReceipt {
        let first = try firstMessage(digest: entry.verdict.contentDigest)
        lastMessage += 1
        let firstEvent = lastEvent + 1
        for hook in entry.verdict.hooks {
            for event in hook.events {
                guard let sequence = try insert(event, message: lastMessage) else { continue }
                for subscription in entry.deliveries[event.id] ?? [] {
                    try insertDelivery(event: sequence, to: subscription, at: entry.message.receivedAt)
                }
            }
        }
        let newEvents = Int(lastEvent + 1 - firstEvent)
        try insertMessage(entry, duplicateOf: first, firstEvent: firstEvent, newEvents: newEvents)
        return CommitReceipt(isDuplicate: first != nil, newEvents: newEvents)
    }

    private func firstMessage(digest: [UInt8]) throws(StoreError) -> Int64? {
        for id in try keys.rows(KeyIndex.key(digest: digest)) {
            hasDigest.bind(1, id)
            hasDigest.bind(2, digest)
            if try hasDigest.step() {
                hasDigest.reset()
                return id
            }
        }
        return nil
    }

    /// As the row `lastMessage`.
    private func insertMessage(
        _ entry: MessageEntry, duplicateOf first: Int64?, firstEvent: Int64, newEvents: Int
    ) throws(StoreError) {
        let envelope = entry.message.envelope
        let statement = insertMessage
        statement.bind(1, lastMessage)
        statement.bind(2, entry.verdict.contentDigest)
        statement.bind(3, first)
        statement.bind(4, entry.verdict.messageID)
        statement.bind(5, entry.message.receivedAt.microseconds)
        statement.bind(6, envelope.source.rawValue)
        statement.bind(7, envelope.mailFrom)
        statement.bind(8, JSONList.text(envelope.recipients))
        statement.bind(9, envelope.peer)
        statement.bind(10, envelope.helo)
        statement.bind(11, entry.verdict.answer.rawValue)
        statement.bind(12, Self.text(of: entry.verdict.hooks))
        statement.bind(13, newEvents > 0 ? firstEvent : nil)
        statement.bind(14, newEvents)
        statement.bind(15, entry.message.bytes.count)
        try statement.run()
        if first == nil {
            insertFresh.bind(1, lastMessage)
            try insertFresh.run(borrowing: entry.message.bytes, as: 2)
        }
        keys.addMessage(
            lastMessage, digest: first == nil ? entry.verdict.contentDigest : nil, messageID: entry.verdict.messageID)
    }

    private static func text(of hooks: [HookVerdict]) -> String {
        var out: [UInt8] = [UInt8(ascii: "[")]
        for (index, hook) in hooks.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out.append(UInt8(ascii: "["))
            for text in [hook.eventName, hook.recipient, hook.outcome.rawValue, hook.answer.rawValue] {
                JSONList.append(text, to: &out)
                out.append(UInt8(ascii: ","))
            }
            out += Array(String(hook.events.count).utf8)
            out.append(UInt8(ascii: "]"))
        }
        out.append(UInt8(ascii: "]"))
        return String(decoding: out, as: UTF8.self)
    }

    /// The event's sequence; nil if one of the same id exists.
    private func insert(_ event: Event, message: Int64) throws(StoreError) -> Int64? {
        try sequence(ofEvent: event.id) == nil ? insertNew(event, message: message) : nil
    }

    func sequence(ofEvent id: String) throws(StoreError) -> Int64? {
        for sequence in try keys.rows(KeyIndex.key(event: id)) {
            hasEvent.bind(1, sequence)
            hasEvent.bind(2, id)
            if try hasEvent.step() {
                hasEvent.reset()
                return sequence
            }
        }
        return nil
    }

    /// The sequence of an event whose id is not there yet.
    func insertNew(_ event: Event, message: Int64) throws(StoreError) -> Int64 {
        lastEvent += 1
        insertEvent.bind(1, event.id)
        insertEvent.bind(2, event.type)
        insertEvent.bind(3, message)
        insertEvent.bind(5, lastEvent)
        try insertEvent.run(borrowing: event.json, as: 4)
        keys.addEvent(lastEvent, id: event.id)
        return lastEvent
    }

    func insertDelivery(event: Int64, to subscription: String, at time: Timestamp) throws(StoreError) {
        insertDelivery.bind(1, event)
        insertDelivery.bind(2, try id(ofSubscription: subscription))
        insertDelivery.bind(3, time.microseconds)
        insertDelivery.bind(4, orderedSubscriptions.contains(subscription) ? 1 : 0)
        try insertDelivery.run()
        signalled.insert(subscription)
    }

    func id(ofSubscription name: String) throws(StoreError) -> Int64 {
        if let id = try findID(ofSubscription: name) { return id }
        insertSubscription.bind(1, name)
        try insertSubscription.run()
        let id = connection.lastInsertRowID
        subscriptionIDs[name] = id
        return id
    }

    private func findID(ofSubscription name: String) throws(StoreError) -> Int64? {
        if let id = subscriptionIDs[name] { return id }
        findSubscription.bind(1, name)
        guard try findSubscription.step() else { return nil }
        let id = findSubscription.integer(0)
        findSubscription.reset()
        subscriptionIDs[name] = id
        return id
    }

    private func store(_ packed: WriteJob.PackedMessage) throws(StoreError) {
        deleteFresh.bind(1, packed.id)
        try deleteFresh.run()
        // Gone meanwhile.
        guard connection.changes > 0 else { return }
        insertPacked.bind(1, packed.id)
        insertPacked.bind(2, packed.isCompressed ? Schema.Encoding.zlib : Schema.Encoding.asReceived)
        try insertPacked.run(borrowing: packed.octets, as: 3)
    }
}

// MARK: - Deliveries

extension StoreWriter {
    private func claim(_ claim: WriteJob.Claim) throws(StoreError) -> [ClaimedDelivery] {
        guard claim.limit > 0, let subscription = try findID(ofSubscription: claim.subscription) else { return [] }
        var claimed: [ClaimedDelivery] = []
        findDue.bind(1, subscription)
        findDue.bind(2, claim.now.microseconds)
        findDue.bind(3, claim.limit)
        while try findDue.step() {
            claimed.append(
                ClaimedDelivery(
                    id: findDue.integer(0), subscription: claim.subscription,
                    event: Event(id: findDue.text(3), type: findDue.text(4), json: findDue.octets(5)),
                    attempt: Int(findDue.integer(1)) + 1,
                    createdAt: Timestamp(microseconds: findDue.integer(2))))
        }
        for delivery in claimed { try leaseDelivery(delivery.id, claim) }
        return claimed
    }

    func leaseDelivery(_ id: Int64, _ claim: WriteJob.Claim) throws(StoreError) {
        lease.bind(1, id)
        lease.bind(2, claim.now.advanced(by: claim.lease).microseconds)
        lease.bind(3, claim.now.microseconds)
        try lease.run()
    }

    func store(_ result: DeliveryResult, now: Timestamp) throws(StoreError) {
        if case .untried(let due) = result.state { return try giveBack(result.id, due: due, now: now) }
        if result.state != .delivered { try keepAttempt(result, now: now) }
        finish.bind(1, result.id)
        switch result.state {
        case .delivered:
            finish.bind(2, Schema.DeliveryState.delivered)
            finish.bindNull(3)
        case .retry(let due):
            finish.bind(2, Schema.DeliveryState.waiting)
            finish.bind(3, due.microseconds)
        case .dead:
            finish.bind(2, Schema.DeliveryState.dead)
            finish.bindNull(3)
        case .untried: return
        }
        finish.bind(4, result.reason)
        finish.bind(5, now.microseconds)
        try finish.run()
    }
}
