// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Deliveries, attempts and what belongs to a message, read for people. Statements are prepared when they are needed:
// the daily work does without them.

internal import HookModel

extension StoreReader {
    /// Of one event; there is one a subscription.
    private static let deliveriesOfEvent = 500

    func deliveries(matching filter: DeliveryFilter, after id: Int64, limit: Int) throws(StoreError) -> [StoredDelivery] {
        let rows = try DeliveryRows(connection)
        var found: [StoredDelivery] = []
        var next: Int64? = id
        while found.count < limit, let start = next {
            let (more, end) = try rows.step(filter, after: start, limit: limit - found.count)
            found += more
            next = end
        }
        return found
    }

    func deliveries(ofEvent id: String) throws(StoreError) -> [StoredDelivery] {
        guard let event = try event(id: id) else { return [] }
        let rows = try connection.prepare(
            """
            SELECT d.id, s.name, e.id, e.type, d.state, d.attempts, d.due, d.created_at, d.changed_at, d.reason
            FROM deliveries d JOIN subscriptions s ON s.id = d.subscription JOIN events e ON e.sequence = d.event
            WHERE d.event = ?1 ORDER BY d.id LIMIT ?2
            """)
        rows.bind(1, event.sequence)
        rows.bind(2, Self.deliveriesOfEvent)
        var found: [StoredDelivery] = []
        while try rows.step() {
            if let delivery = DeliveryRows.delivery(rows) { found.append(delivery) }
        }
        return found
    }

    func attempts(ofDelivery id: Int64) throws(StoreError) -> [StoredAttempt] {
        let rows = try connection.prepare(
            "SELECT number, ended_at, reason, detail FROM attempts WHERE delivery = ?1 ORDER BY id")
        rows.bind(1, id)
        var attempts: [StoredAttempt] = []
        while try rows.step() {
            attempts.append(
                StoredAttempt(
                    number: Int(rows.integer(0)), at: Timestamp(microseconds: rows.integer(1)), reason: rows.text(2),
                    detail: rows.text(3)))
        }
        return attempts
    }

    func events(ofMessage id: Int64) throws(StoreError) -> [StoredEvent] {
        let rows = try connection.prepare(
            """
            SELECT e.sequence, e.id, e.type, e.json FROM messages m JOIN events e
                ON e.sequence >= m.first_event AND e.sequence < m.first_event + m.new_events
            WHERE m.id = ?1 AND length(e.json) > 0
            UNION
            SELECT e.sequence, e.id, e.type, e.json FROM later_events l JOIN events e ON e.sequence = l.event
            WHERE l.message = ?1 AND length(e.json) > 0
            ORDER BY 1
            """)
        rows.bind(1, id)
        var events: [StoredEvent] = []
        while try rows.step() { events.append(Self.event(rows)) }
        return events
    }

    func messages(digestPrefix: [UInt8], limit: Int) throws(StoreError) -> [StoredMessage] {
        guard digestPrefix.count >= 8 else { return [] }
        let rows = try connection.prepare(
            """
            SELECT id FROM messages WHERE substr(digest, 1, length(?2)) = ?2 AND id IN (SELECT row FROM keys WHERE key = ?1)
            UNION
            SELECT id FROM messages WHERE substr(digest, 1, length(?2)) = ?2 AND id > (SELECT max(value) FROM (
                SELECT value FROM counters WHERE name = 'keys_messages' UNION ALL SELECT 0))
            ORDER BY 1 LIMIT ?3
            """)
        rows.bind(1, KeyIndex.key(digest: digestPrefix))
        rows.bind(2, digestPrefix)
        rows.bind(3, max(0, limit))
        var ids: [Int64] = []
        while try rows.step() { ids.append(rows.integer(0)) }
        return try messages(ids)
    }

    /// Ids rise with time, but for senders that were slow and clocks that were set: some room is left for both.
    func firstMessage(since time: Timestamp) throws(StoreError) -> Int64? {
        let row = try connection.prepare("SELECT id, received_at FROM messages WHERE id >= ?1 ORDER BY id LIMIT 1")
        let last = try connection.integer("SELECT max(id) FROM messages")
        guard last > 0 else { return nil }
        let searched = time.advanced(by: .seconds(-900)).microseconds
        var (low, high): (Int64, Int64) = (1, last + 1)
        while low < high {
            let middle = low + (high - low) / 2
            row.bind(1, middle)
            guard try row.step() else {
                high = middle
                continue
            }
            let (id, received) = (row.integer(0), row.integer(1))
            row.reset()
            if received < searched { low = id + 1 } else { high = middle }
        }
        return low > last ? nil : low
    }

    func messageNumbers(from number: Int64, since time: Timestamp, limit: Int) throws(StoreError) -> [Int64] {
        let rows = try connection.prepare(
            """
            SELECT id FROM messages
            WHERE id >= ?1 AND received_at >= ?2 AND (duplicate_of IS NULL OR new_events > 0) ORDER BY id LIMIT ?3
            """)
        rows.bind(1, number)
        rows.bind(2, time.microseconds)
        rows.bind(3, max(0, limit))
        var numbers: [Int64] = []
        while try rows.step() { numbers.append(rows.integer(0)) }
        return numbers
    }

    /// Verdicts name the hooks of each message in rows that are small. To look for the type in the table of events would
    /// read the data of each. Of events that were made later the verdicts say nothing; those are few. Of what
    /// was erased the deliveries are left.
    func hasHook(named eventName: String) throws(StoreError) -> Bool {
        let row = try connection.prepare(
            """
            SELECT EXISTS (SELECT 1 FROM messages, json_each(messages.verdicts) WHERE value ->> 0 = ?1)
                OR EXISTS (SELECT 1 FROM later_events l JOIN events e ON e.sequence = l.event WHERE e.type = ?1)
                OR EXISTS (SELECT 1 FROM deliveries d JOIN events e ON e.sequence = d.event WHERE e.type = ?1)
            """)
        row.bind(1, eventName)
        return try row.step() && row.integer(0) != 0
    }

    private func messages(_ ids: [Int64]) throws(StoreError) -> [StoredMessage] {
        var messages: [StoredMessage] = []
        for id in ids {
            if let message = try message(id) { messages.append(message) }
        }
        return messages
    }

    func subscriptions() throws(StoreError) -> [StoredSubscription] {
        let rows = try connection.prepare("SELECT name, status, reason, changed_at FROM subscription_states ORDER BY name")
        var found: [StoredSubscription] = []
        while try rows.step() {
            guard let status = SubscriptionStatus(rawValue: rows.text(1)) else { continue }
            found.append(
                StoredSubscription(
                    name: rows.text(0), status: status, reason: rows.text(2),
                    changedAt: Timestamp(microseconds: rows.integer(3))))
        }
        return found
    }

    // MARK: - Order

    /// Deliveries of a subscription that asks for order, and that are still to be done.
    static let inOrder: StaticString = """
        SELECT d.id, d.state, d.due, e.type FROM deliveries d INDEXED BY deliveries_ordered
            JOIN events e ON e.sequence = d.event
        WHERE d.subscription = ?1 AND d.ordered = 1 AND d.state < 2 ORDER BY d.id LIMIT ?2
        """

    /// Rows that are looked at: behind so many events of types that have to wait, others wait as well.
    private static let orderedWindow = 5000

    /// The oldest delivery of each event type that is due, and when the next of them will be. Of a type of which one is
    /// excluded there is none: it is being tried, and an older one may have been begun anew since.
    static func heads(
        _ rows: SQLiteStatement, _ subscription: Int64, dueBy now: Timestamp, limit: Int, excluding excluded: Set<Int64>
    ) throws(StoreError) -> (ids: [Int64], nextDue: Timestamp?) {
        rows.bind(1, subscription)
        rows.bind(2, orderedWindow)
        var seen = try types(rows, of: excluded)
        var ids: [Int64] = []
        var nextDue: Int64?
        while try rows.step() {
            guard seen.insert(rows.text(3)).inserted else { continue }
            let due = rows.integer(2)
            nextDue = min(nextDue ?? due, due)
            // A lease that has run out is due, too.
            guard due <= now.microseconds else { continue }
            ids.append(rows.integer(0))
            if ids.count >= limit {
                rows.reset()
                break
            }
        }
        return (ids, nextDue.map { Timestamp(microseconds: $0) })
    }

    /// The event types of some of the rows.
    private static func types(_ rows: SQLiteStatement, of ids: Set<Int64>) throws(StoreError) -> Set<String> {
        var types: Set<String> = []
        var left = ids.count
        while left > 0, try rows.step() {
            guard ids.contains(rows.integer(0)) else { continue }
            types.insert(rows.text(3))
            left -= 1
        }
        rows.reset()
        return types
    }

    func nextDueInOrder(subscription: String, excluding excluded: Set<Int64>) throws(StoreError) -> Timestamp? {
        let find = try connection.prepare("SELECT id FROM subscriptions WHERE name = ?1")
        find.bind(1, subscription)
        guard try find.step() else { return nil }
        let id = find.integer(0)
        find.reset()
        return try Self.heads(
            try connection.prepare(Self.inOrder), id, dueBy: Timestamp(microseconds: .min), limit: 1, excluding: excluded
        ).nextDue
    }
}
