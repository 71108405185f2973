// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Everything that only reads, in SQL, on a connection of its own.

internal import HookModel

/// Safe to hand to the thread that reads, which then has it alone.
final class StoreReader: @unchecked Sendable {
    /// How often a message is looked for that moves meanwhile. It moves once.
    private static let looks = 3

    private var folder: String { StorePlace.journal(of: connection.path) }
    let connection: SQLiteConnection
    private let nextDue: SQLiteStatement
    private let eventsAfter: SQLiteStatement
    private let eventByID: SQLiteStatement
    private let messageByID: SQLiteStatement
    private let messagesByMessageID: SQLiteStatement
    private let verdicts: SQLiteStatement
    private let list: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StoreError) {
        self.connection = connection
        nextDue = try connection.prepare(
            """
            SELECT id, due FROM deliveries INDEXED BY deliveries_due
            WHERE subscription = (SELECT id FROM subscriptions WHERE name = ?1) AND state < 2
            ORDER BY due LIMIT ?2
            """)
        // Erased events are passed over; the counter spares to look at those that were erased long ago.
        eventsAfter = try connection.prepare(
            """
            SELECT sequence, id, type, json FROM events
            WHERE sequence > max(?1, (SELECT coalesce(max(value), 0) FROM counters WHERE name = 'erased_events'))
                AND length(json) > 0
            ORDER BY sequence LIMIT ?2
            """)
        // Erased or not. Rows behind the counter may have no keys yet; they are few and read one by one.
        eventByID = try connection.prepare(
            """
            SELECT sequence, id, type, json, message, length(json) > 0 FROM events
            WHERE id = ?2 AND sequence IN (SELECT row FROM keys WHERE key = ?1)
            UNION ALL
            SELECT sequence, id, type, json, message, length(json) > 0 FROM events
            WHERE id = ?2 AND sequence > (SELECT max(value) FROM (
                SELECT value FROM counters WHERE name = 'keys_events' UNION ALL SELECT 0))
            LIMIT 1
            """)
        messageByID = try connection.prepare(
            """
            SELECT m.id, m.digest, m.duplicate_of, m.message_id, m.received_at, m.source, m.mail_from, m.recipients,
                m.peer, m.helo, m.answer, m.verdicts, m.size, f.size, coalesce(p.encoding, 1),
                coalesce(n.octets, p.octets), f.id, j.segment, j.offset
            FROM messages m LEFT JOIN messages f ON f.id = coalesce(m.duplicate_of, m.id)
                LEFT JOIN fresh n ON n.message = f.id LEFT JOIN packed p ON p.message = f.id
                LEFT JOIN journaled j ON j.message = f.id
            WHERE m.id = ?1
            """)
        messagesByMessageID = try connection.prepare(
            """
            SELECT id FROM messages WHERE message_id = ?2 AND id IN (SELECT row FROM keys WHERE key = ?1)
            UNION
            SELECT id FROM messages WHERE message_id = ?2 AND id > (SELECT max(value) FROM (
                SELECT value FROM counters WHERE name = 'keys_messages' UNION ALL SELECT 0))
            ORDER BY id LIMIT ?3
            """)
        verdicts = try connection.prepare(
            """
            SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) ORDER BY key
            """)
        list = try connection.prepare("SELECT value FROM json_each(?1) ORDER BY key")
    }

    func nextDue(subscription: String, excluding excluded: Set<Int64>) throws(StoreError) -> Timestamp? {
        nextDue.bind(1, subscription)
        nextDue.bind(2, 1 + excluded.count)
        while try nextDue.step() {
            if excluded.contains(nextDue.integer(0)) { continue }
            defer { nextDue.reset() }
            return Timestamp(microseconds: nextDue.integer(1))
        }
        return nil
    }

    func events(after sequence: Int64, limit: Int) throws(StoreError) -> [StoredEvent] {
        eventsAfter.bind(1, sequence)
        eventsAfter.bind(2, max(0, limit))  // a negative LIMIT is none to SQLite
        var events: [StoredEvent] = []
        while try eventsAfter.step() { events.append(Self.event(eventsAfter)) }
        return events
    }

    func lastSequence() throws(StoreError) -> Int64 {
        max(
            try connection.integer("SELECT max(sequence) FROM events"),
            // Of rows that are gone.
            try connection.integer("SELECT value FROM counters WHERE name = 'rows_events'"))
    }

    func event(id: String) throws(StoreError) -> StoredEvent? {
        guard try findEvent(id) else { return nil }
        defer { eventByID.reset() }
        return hasContent ? Self.event(eventByID) : nil
    }

    func message(ofEvent id: String) throws(StoreError) -> StoredMessage? {
        guard try findEvent(id) else { return nil }
        let message = hasContent ? eventByID.integer(4) : nil
        eventByID.reset()
        return try message.flatMap { number throws(StoreError) in try self.message(number) }
    }

    func messageNumber(ofEvent id: String) throws(StoreError) -> Int64? {
        guard try findEvent(id) else { return nil }
        defer { eventByID.reset() }
        let number = eventByID.integer(4)
        return number > 0 ? number : nil
    }

    /// An erased event is found as well: see `hasContent`.
    private func findEvent(_ id: String) throws(StoreError) -> Bool {
        eventByID.bind(1, KeyIndex.key(event: id))
        eventByID.bind(2, id)
        return try eventByID.step()
    }

    /// Whether the event that was found is not erased.
    private var hasContent: Bool { eventByID.integer(5) != 0 }

    func messages(messageID: String, limit: Int) throws(StoreError) -> [StoredMessage] {
        messagesByMessageID.bind(1, KeyIndex.key(messageID: messageID))
        messagesByMessageID.bind(2, messageID)
        messagesByMessageID.bind(3, max(0, limit))
        var ids: [Int64] = []
        while try messagesByMessageID.step() { ids.append(messagesByMessageID.integer(0)) }
        var messages: [StoredMessage] = []
        for id in ids {
            if let message = try message(id) { messages.append(message) }
        }
        return messages
    }

    func message(_ id: Int64) throws(StoreError) -> StoredMessage? {
        let row = messageByID
        var failure: StoreError?
        for _ in 0..<Self.looks {
            row.bind(1, id)
            guard try row.step() else { return nil }
            defer { row.reset() }
            if row.isNull(17) { return try message(row, octets: nil) }
            do throws(StoreError) {
                let octets = try JournalReader.octets(
                    ofMessage: row.integer(16), folder: folder, segment: row.integer(17), offset: Int(row.integer(18)))
                return try message(row, octets: octets)
            } catch {
                // Packed since the row was read, and its segment used again: the row says so now.
                failure = error
            }
        }
        throw failure ?? unreadable("message \(id) in the journal")
    }

    /// - Parameter octets: those of a message that is in the journal.
    private func message(_ row: SQLiteStatement, octets: [UInt8]?) throws(StoreError) -> StoredMessage {
        let source = row.text(5)
        guard let road = IntakeSource(rawValue: source) else { throw unreadable(source) }
        // A duplicate has the same content, and not always the same octets.
        let keptSize = Int(row.integer(13))
        var bytes = octets
        if bytes == nil, !row.isNull(15) {
            bytes = try self.bytes(row.octets(15), encoding: row.integer(14), size: keptSize)
        }
        return StoredMessage(
            id: row.integer(0),
            envelope: Envelope(
                source: road, mailFrom: row.textOrNil(6), recipients: try strings(row.text(7)), peer: row.textOrNil(8),
                helo: row.textOrNil(9)),
            receivedAt: Timestamp(microseconds: row.integer(4)),
            bytes: bytes,
            size: Int(row.integer(12)), contentDigest: row.octets(1), messageID: row.textOrNil(3),
            duplicateOf: row.isNull(2) ? nil : row.integer(2), answer: try outcome(row.text(10)),
            verdicts: try verdicts(row.text(11)))
    }

    func counts() throws(StoreError) -> StoreCounts {
        var counts = StoreCounts()
        counts.messages = Int(try connection.integer("SELECT count(*) FROM messages"))
        counts.duplicates = Int(
            try connection.integer("SELECT count(*) FROM messages WHERE duplicate_of IS NOT NULL"))
        counts.events = Int(try connection.integer("SELECT count(*) FROM events"))
        let states = try connection.prepare("SELECT state, count(*) FROM deliveries GROUP BY state")
        while try states.step() {
            let count = Int(states.integer(1))
            switch states.integer(0) {
            case Schema.DeliveryState.waiting: counts.deliveriesWaiting = count
            case Schema.DeliveryState.leased: counts.deliveriesLeased = count
            case Schema.DeliveryState.delivered: counts.deliveriesDelivered = count
            case Schema.DeliveryState.cancelled: counts.deliveriesCancelled = count
            default: counts.deliveriesDead = count
            }
        }
        return counts
    }

    // MARK: - Columns to values

    static func event(_ row: SQLiteStatement) -> StoredEvent {
        StoredEvent(sequence: row.integer(0), event: Event(id: row.text(1), type: row.text(2), json: row.octets(3)))
    }

    private func bytes(_ raw: [UInt8], encoding: Int64, size: Int) throws(StoreError) -> [UInt8] {
        switch encoding {
        case Schema.Encoding.asReceived: return raw
        case Schema.Encoding.zlib:
            guard let bytes = Zlib.decompressed(raw, size: size) else { throw unreadable("compressed message") }
            return bytes
        default: throw unreadable("encoding \(encoding)")
        }
    }

    private func strings(_ json: String) throws(StoreError) -> [String] {
        list.bind(1, json)
        var strings: [String] = []
        while try list.step() { strings.append(list.text(0)) }
        return strings
    }

    private func verdicts(_ json: String) throws(StoreError) -> [StoredVerdict] {
        verdicts.bind(1, json)
        var found: [StoredVerdict] = []
        while try verdicts.step() {
            found.append(
                StoredVerdict(
                    eventName: verdicts.text(0), recipient: verdicts.text(1), outcome: try outcome(verdicts.text(2)),
                    answer: try outcome(verdicts.text(3)), events: Int(verdicts.integer(4))))
        }
        return found
    }

    private func outcome(_ text: String) throws(StoreError) -> Outcome {
        guard let outcome = Outcome(rawValue: text) else { throw unreadable(text) }
        return outcome
    }

    private func unreadable(_ what: String) -> StoreError { .failed("\(connection.path): cannot read \(what)") }
}
