// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Brings records from the journal to the database: rows for messages, events, deliveries and keys,
// and in the same transaction the place up to which this was done. What it does depends on nothing
// but the record, so that after a crash the same records lead to the same rows.

internal import Glibc
internal import HookModel

/// Used by the writer thread only.
final class JournalIndexer: @unchecked Sendable {
    /// Records between two offers of the processor to others. Event loops and the journal's thread, on which senders
    /// wait, may be queued behind this thread, and the kernel lets it go on until the next tick, 4 ms with HZ=250.
    private static let turn = 16
    /// With so many records to go, this thread gives way no more.
    private static let hurry: Int64 = 4096

    private let connection: SQLiteConnection
    private let keys: KeyIndex
    private let subscriptions: SubscriptionRows
    private let reader: JournalReader
    let recentHeads = RecentHeads()
    private let insertMessage: SQLiteStatement
    private let insertJournaled: SQLiteStatement
    private let insertEvent: SQLiteStatement
    private let newDeliveries: NewDeliveries
    private let results: ResultRows
    let claimsUnderWay = ClaimsUnderWay()
    private let setPosition: SQLiteStatement
    private let findKey: SQLiteStatement
    private let hasEvent: SQLiteStatement
    /// Subscriptions that got deliveries in the transaction under way.
    private(set) var signalled: Set<String> = []
    private(set) var lastMessage: Int64 = 0

    init(
        _ connection: SQLiteConnection, _ keys: KeyIndex, _ subscriptions: SubscriptionRows, _ results: ResultRows,
        folder: String
    ) throws(StoreError) {
        self.connection = connection
        self.keys = keys
        self.subscriptions = subscriptions
        self.results = results
        newDeliveries = try NewDeliveries(connection)
        reader = JournalReader(folder: folder, at: try Self.position(connection), recentHeads: recentHeads)
        insertMessage = try connection.prepare(
            """
            INSERT INTO messages (id, digest, duplicate_of, message_id, received_at, source, mail_from, recipients,
                peer, helo, answer, verdicts, first_event, new_events, size)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
            """)
        insertJournaled = try connection.prepare("INSERT INTO journaled VALUES (?1, ?2, ?3, ?4)")
        insertEvent = try connection.prepare(
            "INSERT INTO events (id, type, message, json, sequence) VALUES (?1, ?2, ?3, ?4, ?5)")
        findKey = try connection.prepare("SELECT row FROM keys WHERE key = ?1")
        hasEvent = try connection.prepare("SELECT 1 FROM events WHERE sequence = ?1 AND id = ?2")
        setPosition = try connection.prepare(
            "UPDATE journal SET sequence = ?1, segment = ?2, offset = ?3, chain = ?4")
    }

    /// Up to where records are in the database.
    static func position(_ connection: SQLiteConnection) throws(StoreError) -> JournalPosition {
        let row = try connection.prepare("SELECT sequence, segment, offset, chain FROM journal")
        guard try row.step() else { throw .failed("\(connection.path): the place in the journal is missing") }
        defer { row.reset() }
        return JournalPosition(
            segment: row.integer(1), offset: Int(row.integer(2)), sequence: row.integer(0),
            chain: UInt64(bitPattern: row.integer(3)))
    }

    var position: JournalPosition { reader.position }

    /// After a rollback.
    func move(to position: JournalPosition) {
        reader.move(to: position)
        subscriptions.forget()
        newDeliveries.forget()
    }

    /// Applies records in the transaction under way, at most `limit` of them.
    ///
    /// - Parameters:
    ///   - segments: those in use.
    ///   - end: behind the last record that is known to be whole. nil to go on up to the first that is not, for which
    ///     the octets of messages are read as well.
    /// - Returns: whether any record was applied.
    func apply(
        _ segments: [JournalSegments.Segment], end: JournalPosition?, limit: Int
    ) throws(StoreError) -> Bool {
        signalled.removeAll(keepingCapacity: true)
        reader.set(segments, end: end)
        var count = 0
        // Behind the last record: the reader may go on into a segment that has none yet, and may be given up.
        var place = reader.position
        while count < limit, reader.position.sequence < end?.sequence ?? .max {
            guard let (head, octets) = try reader.next(verifiesRaw: end == nil) else {
                if end == nil { break }
                // It was written and synced by this process.
                throw .failed("\(folder): record \(reader.position.sequence + 1) cannot be read")
            }
            try apply(head, octets)
            count += 1
            place = reader.position
            if let end, count % Self.turn == 0, end.sequence - reader.position.sequence < Self.hurry { sched_yield() }
        }
        try newDeliveries.insertAll()
        guard count > 0 else { return false }
        setPosition.bind(1, place.sequence)
        setPosition.bind(2, place.segment)
        setPosition.bind(3, place.offset)
        setPosition.bind(4, Int64(bitPattern: place.chain))
        try setPosition.run()
        return true
    }

    private var folder: String { reader.folder }

    private func apply(_ head: RecordHead, _ octets: UnsafeRawBufferPointer) throws(StoreError) {
        switch head.kind {
        case JournalFormat.Kind.message, JournalFormat.Kind.oldMessage:
            guard let message = JournaledMessage(octets, kind: head.kind) else {
                throw .failed("\(folder): record \(head.sequence) is not a message")
            }
            try apply(message)
        case JournalFormat.Kind.results:
            guard var ended = JournaledResults(octets) else {
                throw .failed("\(folder): record \(head.sequence) has no results")
            }
            for _ in 0..<ended.count {
                guard let result = ended.next() else { throw .failed("\(folder): record \(head.sequence) lacks a result") }
                if newDeliveries.finish(result, now: ended.now) { continue }
                try newDeliveries.insertAll()
                try results.store(result, now: ended.now)
            }
        case JournalFormat.Kind.claims:
            guard var claims = JournaledClaims(octets) else {
                throw .failed("\(folder): record \(head.sequence) has no claims")
            }
            try newDeliveries.insertAll()
            var ids: [Int64] = []
            for _ in 0..<claims.count {
                guard let id = claims.next() else { throw .failed("\(folder): record \(head.sequence) lacks a claim") }
                ids.append(id)
                // What was begun anew since it was chosen waits for the next claim.
                if claimsUnderWay.isRenewed(id) { continue }
                try results.lease(id, until: claims.leaseEnds, now: claims.now)
            }
            claimsUnderWay.remove(ids)
        case JournalFormat.Kind.opened: break
        // To leave one out could lose what was acknowledged.
        default: throw .failed("\(folder): record \(head.sequence) is of a kind that this version does not know")
        }
    }

    private func apply(_ given: JournaledMessage) throws(StoreError) {
        var message = given
        try insert(message)
        if message.duplicateOf == nil {
            insertJournaled.bind(1, message.id)
            insertJournaled.bind(2, reader.position.segment)
            insertJournaled.bind(3, reader.recordOffset)
            insertJournaled.bind(4, message.size)
            try insertJournaled.run()
        }
        keys.addMessage(
            message.id, digest: message.duplicateOf == nil ? KeyIndex.key(digest: message.digest) : nil,
            messageID: message.messageID.map { KeyIndex.key(messageID: $0) })
        var delivery = message.firstDelivery
        for offset in 0..<message.newEvents {
            guard let event = message.nextEvent() else {
                throw .failed("\(folder): message \(message.id) lacks an event")
            }
            try insert(event, sequence: message.firstEvent + Int64(offset), of: message, &delivery)
        }
        lastMessage = message.id
    }

    private func insert(_ message: JournaledMessage) throws(StoreError) {
        let statement = insertMessage
        statement.bind(1, message.id)
        statement.bind(2, borrowing: message.digest)
        statement.bind(3, message.duplicateOf)
        statement.bind(4, borrowingText: message.messageID)
        statement.bind(5, message.receivedAt)
        statement.bind(6, borrowingText: message.source)
        statement.bind(7, borrowingText: message.mailFrom)
        statement.bind(8, borrowingText: message.recipients)
        statement.bind(9, borrowingText: message.peer)
        statement.bind(10, borrowingText: message.helo)
        statement.bind(11, borrowingText: message.answer)
        statement.bind(12, borrowingText: message.verdicts)
        statement.bind(13, message.newEvents > 0 ? message.firstEvent : nil)
        statement.bind(14, message.newEvents)
        statement.bind(15, message.size)
        try statement.run()
    }

    private func insert(
        _ event: JournaledMessage.NewEvent, sequence: Int64, of message: JournaledMessage, _ delivery: inout Int64?
    ) throws(StoreError) {
        insertEvent.bind(1, borrowingText: event.id)
        insertEvent.bind(2, borrowingText: event.type)
        insertEvent.bind(3, message.id)
        insertEvent.bind(4, borrowing: event.json)
        insertEvent.bind(5, sequence)
        try insertEvent.run()
        keys.addEvent(sequence, key: KeyIndex.key(event: event.id))
        for new in event.deliveries {
            try add(delivery, event: sequence, to: new.subscription, at: message.receivedAt, leaseEnds: new.leaseEnds)
            if new.leaseEnds == 0 { signalled.insert(new.subscription) }
            delivery? += 1
        }
    }

    /// - Parameter id: nil for the next number.
    private func add(
        _ id: Int64?, event: Int64, to subscription: String, at time: Int64, leaseEnds: Int64
    ) throws(StoreError) {
        try newDeliveries.add(
            NewDeliveries.Row(
                id: id, event: event, subscription: try subscriptions.make(subscription), createdAt: time,
                leaseEnds: leaseEnds, isOrdered: subscriptions.ordered.contains(subscription)))
    }

    /// Outside of `apply`.
    func insertDelivery(event: Int64, to subscription: String, at time: Int64) throws(StoreError) {
        try add(nil, event: event, to: subscription, at: time, leaseEnds: 0)
        try newDeliveries.insertAll()
    }

    // MARK: - Events that no message brings now

    func sequence(ofEvent id: String) throws(StoreError) -> Int64? {
        let key = KeyIndex.key(event: id)
        var rows = keys.rowsInMemory(key)
        if keys.filter.mayContain(key) {
            findKey.bind(1, key)
            while try findKey.step() { rows.append(findKey.integer(0)) }
        }
        for sequence in rows {
            hasEvent.bind(1, sequence)
            hasEvent.bind(2, id)
            if try hasEvent.step() {
                hasEvent.reset()
                return sequence
            }
        }
        return nil
    }

    /// Inserts an event whose id is not there yet; `sequence` is the next number. The journal is at rest meanwhile, see
    /// `JournalLoop.perform`.
    func insertNew(_ event: Event, message: Int64, sequence: Int64) throws(StoreError) -> Int64 {
        insertEvent.bind(1, event.id)
        insertEvent.bind(2, event.type)
        insertEvent.bind(3, message)
        insertEvent.bind(5, sequence)
        try insertEvent.run(borrowing: event.json, as: 4)
        keys.addEvent(sequence, key: KeyIndex.key(event: event.id))
        return sequence
    }
}

/// Row numbers of subscriptions by name. They are as many as the configuration ever named.
///
/// Used by the writer thread only.
final class SubscriptionRows {
    private let connection: SQLiteConnection
    private let insert: SQLiteStatement
    private let find: SQLiteStatement
    private var known: [String: Int64] = [:]
    /// Those that were ever claimed from in order.
    private(set) var ordered: Set<String> = []
    /// Which of them became so in the transaction under way.
    private var newlyOrdered: Set<String> = []

    init(_ connection: SQLiteConnection) throws(StoreError) {
        self.connection = connection
        insert = try connection.prepare("INSERT INTO subscriptions (name) VALUES (?1)")
        find = try connection.prepare("SELECT id FROM subscriptions WHERE name = ?1")
    }

    /// From now on deliveries of it are marked as they are made. False if that is so already, and so are those from before.
    func beginOrder(_ name: String) -> Bool {
        guard ordered.insert(name).inserted else { return false }
        newlyOrdered.insert(name)
        return true
    }

    /// The transaction under way holds.
    func committed() { newlyOrdered.removeAll() }

    /// The transaction under way was rolled back: subscriptions that it made have no rows, and the deliveries of those that
    /// it began to claim from in order are not marked.
    func forget() {
        known = [:]
        ordered.subtract(newlyOrdered)
        newlyOrdered.removeAll()
    }

    func find(_ name: String) throws(StoreError) -> Int64? {
        if let id = known[name] { return id }
        find.bind(1, name)
        guard try find.step() else { return nil }
        let id = find.integer(0)
        find.reset()
        known[name] = id
        return id
    }

    func make(_ name: String) throws(StoreError) -> Int64 {
        if let id = try find(name) { return id }
        insert.bind(1, name)
        try insert.run()
        let id = connection.lastInsertRowID
        known[name] = id
        return id
    }
}
