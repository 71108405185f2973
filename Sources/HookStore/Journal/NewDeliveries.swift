// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Rows of new deliveries on their way into the table. They wait for the end of the transaction, as most
// of what is delivered at once has ended by then: such a row is written once, as ended, and never
// enters the index of those that are due.

internal import HookModel

/// Used by the writer thread only, within one transaction.
final class NewDeliveries {
    struct Row {
        /// nil for the next number.
        var id: Int64?
        var event: Int64
        var subscription: Int64
        var createdAt: Int64
        /// 0 if it is to be claimed.
        var leaseEnds: Int64
        var isOrdered: Bool
        /// nil until it has been delivered.
        var endedAt: Int64?
    }

    private let insert: SQLiteStatement
    private var rows: [Row] = []
    private var places: [Int64: Int] = [:]

    init(_ connection: SQLiteConnection) throws(StoreError) {
        insert = try connection.prepare(
            """
            INSERT INTO deliveries (id, event, subscription, state, attempts, due, created_at, changed_at, reason, ordered)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9)
            """)
    }

    func add(_ row: Row) throws(StoreError) {
        // The number of the next one is that behind the last row.
        guard let id = row.id else {
            try insertAll()
            return try write(row)
        }
        places[id] = rows.count
        rows.append(row)
    }

    /// Notes that one of them was delivered. False for other results and other deliveries.
    func finish(_ result: DeliveryResult, now: Timestamp) -> Bool {
        guard result.state == .delivered, result.reason.isEmpty, let place = places[result.id] else { return false }
        if rows[place].endedAt == nil { rows[place].endedAt = now.microseconds }
        return true
    }

    func insertAll() throws(StoreError) {
        guard !rows.isEmpty else { return }
        for row in rows { try write(row) }
        forget()
    }

    /// They were not inserted, or all of them were.
    func forget() {
        rows.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
    }

    private func write(_ row: Row) throws(StoreError) {
        let isLeased = row.leaseEnds > 0
        insert.bind(1, row.id)
        insert.bind(2, row.event)
        insert.bind(3, row.subscription)
        if row.endedAt != nil {
            insert.bind(4, Schema.DeliveryState.delivered)
        } else {
            insert.bind(4, isLeased ? Schema.DeliveryState.leased : Schema.DeliveryState.waiting)
        }
        insert.bind(5, isLeased ? 1 : 0)
        insert.bind(6, isLeased ? row.leaseEnds : row.createdAt)
        insert.bind(7, row.createdAt)
        insert.bind(8, row.endedAt ?? row.createdAt)
        insert.bind(9, row.isOrdered ? 1 : 0)
        try insert.run()
    }
}
