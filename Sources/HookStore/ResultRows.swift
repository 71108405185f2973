// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the beginning and the end of an attempt change in the tables. Depends on nothing but the result and the rows,
// so that a record of the journal that is read again leads to the same.

internal import HookModel

/// Used by the writer thread only.
final class ResultRows: @unchecked Sendable {
    private let finish: SQLiteStatement
    private let insertAttempt: SQLiteStatement
    private let trimAttempts: SQLiteStatement
    private let giveBack: SQLiteStatement
    private let lease: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StoreError) {
        finish = try connection.prepare(
            """
            UPDATE deliveries SET state = ?2, due = coalesce(?3, due), reason = ?4, changed_at = ?5
            WHERE id = ?1 AND state BETWEEN ?6 AND 1
            """)
        insertAttempt = try connection.prepare(
            """
            INSERT INTO attempts (delivery, number, ended_at, reason, detail)
            SELECT id, attempts, ?2, ?3, ?4 FROM deliveries WHERE id = ?1 AND state BETWEEN ?5 AND 1
            """)
        trimAttempts = try connection.prepare(
            """
            DELETE FROM attempts WHERE delivery = ?1 AND id <= (
                SELECT id FROM attempts WHERE delivery = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
            """)
        lease = try connection.prepare(
            """
            UPDATE deliveries SET state = 1, attempts = attempts + 1, due = ?2, changed_at = ?3
            WHERE id = ?1 AND state < 2
            """)
        giveBack = try connection.prepare(
            """
            UPDATE deliveries SET state = 0, attempts = max(0, attempts - 1), due = ?2, changed_at = ?3
            WHERE id = ?1 AND state = 1
            """)
    }

    /// An attempt begins.
    func lease(_ id: Int64, until end: Int64, now: Int64) throws(StoreError) {
        lease.bind(1, id)
        lease.bind(2, end)
        lease.bind(3, now)
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
        case .dead, .givenUp:
            finish.bind(2, Schema.DeliveryState.dead)
            finish.bindNull(3)
        case .untried: return
        }
        finish.bind(4, result.reason)
        finish.bind(5, now.microseconds)
        finish.bind(6, Self.leastState(for: result))
        try finish.run()
    }

    /// What was begun anew since it was handed out waits again: the result is that of the attempt before, and changes nothing.
    private static func leastState(for result: DeliveryResult) -> Int64 {
        result.state == .givenUp ? Schema.DeliveryState.waiting : Schema.DeliveryState.leased
    }

    /// Keeps a failed attempt. Of successes the delivery itself tells.
    private func keepAttempt(_ result: DeliveryResult, now: Timestamp) throws(StoreError) {
        insertAttempt.bind(1, result.id)
        insertAttempt.bind(2, now.microseconds)
        insertAttempt.bind(3, result.reason)
        insertAttempt.bind(4, result.detail)
        insertAttempt.bind(5, Self.leastState(for: result))
        try insertAttempt.run()
        trimAttempts.bind(1, result.id)
        trimAttempts.bind(2, StoredAttempt.limit)
        try trimAttempts.run()
    }

    private func giveBack(_ id: Int64, due: Timestamp, now: Timestamp) throws(StoreError) {
        giveBack.bind(1, id)
        giveBack.bind(2, due.microseconds)
        giveBack.bind(3, now.microseconds)
        try giveBack.run()
    }
}
