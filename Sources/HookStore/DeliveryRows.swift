// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds deliveries by what people ask for, a bounded piece of the table at a time, so that neither thread of the
// store is busy with it for long.

internal import HookModel

/// Used by the thread that has the connection.
struct DeliveryRows {
    /// Rows that are looked at in one step.
    static let window: Int64 = 20_000

    private let find: SQLiteStatement
    private let nextFailed: SQLiteStatement
    private let last: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StoreError) {
        find = try connection.prepare(
            """
            SELECT d.id, s.name, e.id, e.type, d.state, d.attempts, d.due, d.created_at, d.changed_at, d.reason
            FROM deliveries d CROSS JOIN subscriptions s ON s.id = d.subscription
                CROSS JOIN events e ON e.sequence = d.event
            WHERE d.id > ?1 AND d.id <= ?2 AND ((1 << d.state) & ?3) <> 0 AND d.created_at >= ?4 AND d.created_at < ?5
                AND d.due <= ?6 AND (?7 IS NULL OR s.name = ?7) AND (?8 IS NULL OR d.reason = ?8)
                AND (?9 IS NULL OR e.type = ?9)
            ORDER BY d.id LIMIT ?10
            """)
        nextFailed = try connection.prepare(
            "SELECT min(id) FROM deliveries INDEXED BY deliveries_failed WHERE id > ?1 AND state > 2")
        last = try connection.prepare("SELECT max(id) FROM deliveries")
    }

    /// Matching deliveries behind `id`, at most `limit`, from one piece of the table. `end` is the last id that was
    /// looked at; nil when there is nothing behind it.
    func step(
        _ filter: DeliveryFilter, after id: Int64, limit: Int
    ) throws(StoreError) -> (found: [StoredDelivery], end: Int64?) {
        if !filter.ids.isEmpty { return try named(filter, after: id, limit: limit) }
        var start = id
        if !filter.states.isEmpty, filter.states.isSubset(of: [.dead, .cancelled]) {
            nextFailed.bind(1, id)
            defer { nextFailed.reset() }
            guard try nextFailed.step(), !nextFailed.isNull(0) else { return ([], nil) }
            start = nextFailed.integer(0) - 1
        }
        guard try last.step(), last.integer(0) > start else {
            last.reset()
            return ([], nil)
        }
        let highest = last.integer(0)
        last.reset()
        let end = min(highest, start + Self.window)
        let found = try rows(filter, start, end, limit)
        if found.count >= limit, let reached = found.last?.id { return (found, reached) }
        return (found, end < highest ? end : nil)
    }

    private func named(
        _ filter: DeliveryFilter, after id: Int64, limit: Int
    ) throws(StoreError) -> (found: [StoredDelivery], end: Int64?) {
        var found: [StoredDelivery] = []
        for wanted in Set(filter.ids).sorted() where wanted > id {
            if found.count >= limit { return (found, found.last?.id) }
            found += try rows(filter, wanted - 1, wanted, 1)
        }
        return (found, nil)
    }

    private func rows(
        _ filter: DeliveryFilter, _ after: Int64, _ through: Int64, _ limit: Int
    ) throws(StoreError) -> [StoredDelivery] {
        let states = filter.states.isEmpty ? Set(DeliveryState.allCases) : filter.states
        find.bind(1, after)
        find.bind(2, through)
        find.bind(3, states.reduce(0) { $0 | 1 << $1.stored })
        find.bind(4, filter.since?.microseconds ?? .min)
        find.bind(5, filter.before?.microseconds ?? .max)
        find.bind(6, filter.dueBy?.microseconds ?? .max)
        find.bind(7, filter.subscription)
        find.bind(8, filter.reason)
        find.bind(9, filter.eventType)
        find.bind(10, max(0, limit))
        var found: [StoredDelivery] = []
        while try find.step() {
            guard let delivery = Self.delivery(find) else { continue }
            found.append(delivery)
        }
        return found
    }

    /// nil for a state that only a newer program knows.
    static func delivery(_ row: SQLiteStatement) -> StoredDelivery? {
        guard let state = DeliveryState(stored: row.integer(4)) else { return nil }
        return StoredDelivery(
            id: row.integer(0), subscription: row.text(1), eventID: row.text(2), eventType: row.text(3), state: state,
            attempts: Int(row.integer(5)), due: Timestamp(microseconds: row.integer(6)),
            createdAt: Timestamp(microseconds: row.integer(7)), changedAt: Timestamp(microseconds: row.integer(8)),
            reason: row.text(9))
    }
}
