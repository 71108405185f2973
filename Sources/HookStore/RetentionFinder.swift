// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds rows that may go, a page at a time, on a connection that only reads. Rows are numbered in
// the order of their arrival, so looking begins at the oldest and ends where a whole page is too
// young; no index of times is needed.

internal import CSQLite
internal import HookModel

/// Used by one thread.
final class RetentionFinder {
    struct Row: Sendable {
        var id: Int64
        /// About how much erasing it means to write.
        var octets = 0
    }

    struct Page {
        /// What may go.
        var rows: [Row] = []
        /// The last row that was looked at.
        var last: Int64
        /// Of events only.
        var allErasedBefore: Int64 = 0
    }

    /// Where octets of messages are.
    enum Place { case packed, fresh, journaled }

    private let connection: SQLiteConnection
    private let fresh: SQLiteStatement
    private let packed: SQLiteStatement
    private let journaled: SQLiteStatement
    private let hookNames: SQLiteStatement
    private let events: SQLiteStatement
    private let deliveries: SQLiteStatement
    private let messages: SQLiteStatement

    /// Events before it are known to be erased.
    private var firstEvent: Int64 = 0
    /// Where the pass over events goes on; nil at its beginning.
    private var eventsAfter: Int64?

    init(_ path: String) throws(StoreError) {
        connection = try SQLiteConnection(path, .readOnly)
        fresh = try connection.prepare(
            """
            SELECT o.message, m.received_at, m.size, m.verdicts FROM fresh o LEFT JOIN messages m ON m.id = o.message
            WHERE o.message > ?1 ORDER BY o.message LIMIT ?2
            """)
        packed = try connection.prepare(
            """
            SELECT o.message, m.received_at, m.size, m.verdicts FROM packed o LEFT JOIN messages m ON m.id = o.message
            WHERE o.message > ?1 ORDER BY o.message LIMIT ?2
            """)
        journaled = try connection.prepare(
            """
            SELECT o.message, m.received_at, m.size, m.verdicts FROM journaled o LEFT JOIN messages m ON m.id = o.message
            WHERE o.message > ?1 ORDER BY o.message LIMIT ?2
            """)
        hookNames = try connection.prepare("SELECT value ->> 0 FROM json_each(?1)")
        events = try connection.prepare(
            """
            SELECT e.sequence, e.type, coalesce(m.received_at, 0), length(e.json)
            FROM events e LEFT JOIN messages m ON m.id = abs(e.message)
            WHERE e.sequence > ?1 ORDER BY e.sequence LIMIT ?2
            """)
        deliveries = try connection.prepare(
            "SELECT id, state, changed_at, created_at FROM deliveries WHERE id > ?1 ORDER BY id LIMIT ?2")
        messages = try connection.prepare("SELECT id, received_at FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2")
    }

    private func statement(_ place: Place) -> SQLiteStatement {
        switch place {
        case .packed: packed
        case .fresh: fresh
        case .journaled: journaled
        }
    }

    /// Octets of the database that are in use, and of messages in the journal; what was freed is used again before the
    /// files grow.
    func usedOctets() throws(StoreError) -> Int {
        let pages = try connection.integer("PRAGMA page_count") - connection.integer("PRAGMA freelist_count")
        let journaled = try connection.integer("SELECT coalesce(sum(octets), 0) FROM journaled")
        return Int(pages * (try connection.integer("PRAGMA page_size")) + journaled)
    }

    // MARK: - By age

    /// Raw messages that are over; nil behind the last of them.
    func messages(
        in place: Place, after last: Int64, _ policy: RetentionPolicy, now: Timestamp
    ) throws(StoreError) -> Page? {
        guard let shortest = policy.shortestMessages else { return nil }
        return try page(statement(place), after: last) { (row, page) throws(StoreError) in
            let age = Age(row.integer(1), now)
            if policy.isMessageOver(age.duration, hooks: policy.hooks.isEmpty ? [] : try names(row.text(3))) {
                page.rows.append(Row(id: row.integer(0), octets: Int(row.integer(2))))
            }
            return age.isNoEnd(of: shortest)
        }
    }

    /// Events that are over and have content, from where the last look ended; nil behind the last of them.
    func events(_ policy: RetentionPolicy, now: Timestamp) throws(StoreError) -> Page? {
        guard let shortest = policy.shortestEvents else { return nil }
        let begin = eventsAfter ?? firstEvent - 1
        var isGapless = eventsAfter == nil || begin == firstEvent - 1
        let found = try page(events, after: begin) { (row, page) throws(StoreError) in
            let age = Age(row.integer(2), now)
            let octets = Int(row.integer(3))
            if octets == 0 {
                if isGapless { firstEvent = row.integer(0) + 1 }
            } else {
                isGapless = false
                if policy.isEventOver(age.duration, hook: row.text(1)) {
                    page.rows.append(Row(id: row.integer(0), octets: octets))
                }
            }
            return age.isNoEnd(of: shortest)
        }
        eventsAfter = found?.last
        guard var found else { return nil }
        found.allErasedBefore = firstEvent
        return found
    }

    /// Deliveries that ended long enough ago; nil behind the last of them.
    func deliveries(after last: Int64, _ policy: RetentionPolicy, now: Timestamp) throws(StoreError) -> Page? {
        let limits = [policy.delivered, policy.dead].compactMap(\.self)
        guard let shortest = limits.min() else { return nil }
        return try page(deliveries, after: last) { (row, page) throws(StoreError) in
            let limit: Duration?
            switch row.integer(1) {
            case Schema.DeliveryState.waiting, Schema.DeliveryState.leased: limit = nil
            case Schema.DeliveryState.delivered: limit = policy.delivered
            default: limit = policy.dead
            }
            if let limit, Age(row.integer(2), now).isOver(limit) { page.rows.append(Row(id: row.integer(0))) }
            return Age(row.integer(3), now).isNoEnd(of: shortest)
        }
    }

    /// Messages that need not be known any longer; nil behind the last of them.
    func forgettable(after last: Int64, _ policy: RetentionPolicy, now: Timestamp) throws(StoreError) -> Page? {
        guard let limit = policy.duplicates else { return nil }
        return try page(messages, after: last) { (row, page) throws(StoreError) in
            let age = Age(row.integer(1), now)
            if age.isOver(limit) { page.rows.append(Row(id: row.integer(0))) }
            return age.isNoEnd(of: limit)
        }
    }

    // MARK: - By size

    /// The oldest raw messages, whatever their age, until `octets` are reached; nil behind the last one.
    func oldest(in place: Place, after last: Int64, _ octets: Int) throws(StoreError) -> Page? {
        let found = try page(statement(place), after: last, limit: 64) { (row, page) throws(StoreError) in
            page.rows.append(Row(id: row.integer(0), octets: Int(row.integer(2))))
            return true
        }
        return found.map { Self.cut($0, octets) }
    }

    func oldestEvents(after last: Int64, _ octets: Int) throws(StoreError) -> Page? {
        let found = try page(events, after: last) { (row, page) throws(StoreError) in
            let octets = Int(row.integer(3))
            if octets > 0 { page.rows.append(Row(id: row.integer(0), octets: octets)) }
            return true
        }
        return found.map { Self.cut($0, octets) }
    }

    /// Without the rows that are more than enough.
    private static func cut(_ page: Page, _ octets: Int) -> Page {
        var sum = 0
        let rows = page.rows.prefix { row in
            defer { sum += row.octets }
            return sum < octets
        }
        guard rows.count < page.rows.count, let last = rows.last else { return page }
        return Page(rows: Array(rows), last: last.id)
    }

    /// Octets from which on a message lies in a long chain of pages.
    private static let largeMessage = 256 << 10

    /// Reads large messages once. To free their pages the writer has to read each of them, and from a cold disk that
    /// would take as long as everybody waits behind it.
    func warm(_ rows: ArraySlice<Row>, in place: Place) throws(StoreError) {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        for row in rows where row.octets >= Self.largeMessage {
            var blob: OpaquePointer?
            let table = place == .fresh ? "fresh" : "packed"
            // Gone meanwhile, or moved on to the other table: nothing to read.
            guard sqlite3_blob_open(connection.handle, "main", table, "octets", row.id, 0, &blob) == SQLITE_OK else {
                continue
            }
            defer { sqlite3_blob_close(blob) }
            let end = sqlite3_blob_bytes(blob)
            var offset: Int32 = 0
            while offset < end {
                let count = min(Int32(chunk.count), end - offset)
                let status = sqlite3_blob_read(blob, &chunk, count, offset)
                guard status == SQLITE_OK else { throw connection.failure(status) }
                offset += count
            }
        }
    }

    // MARK: - Looking

    private struct Age {
        var duration: Duration

        init(_ moment: Int64, _ now: Timestamp) {
            duration = now.duration(since: Timestamp(microseconds: moment))
        }

        func isOver(_ limit: Duration) -> Bool { duration > limit }

        /// Whether older rows may follow: after one that is over, and after one that a wrong clock put into the future.
        func isNoEnd(of limit: Duration) -> Bool { isOver(limit) || duration < .seconds(-86_400) }
    }

    /// Looks at the rows behind `last`. `visit` says whether a row is old enough for looking on: where none of a whole
    /// page is, no later one will be. Clocks are set now and then, so a single young row means nothing.
    private func page(
        _ statement: SQLiteStatement, after last: Int64, limit: Int = RetentionSweeper.pageRows,
        _ visit: (SQLiteStatement, inout Page) throws(StoreError) -> Bool
    ) throws(StoreError) -> Page? {
        statement.bind(1, last)
        statement.bind(2, limit)
        defer { statement.reset() }
        var page = Page(last: last)
        var isAnyOld = false
        while try statement.step() {
            page.last = statement.integer(0)
            if try visit(statement, &page) { isAnyOld = true }
        }
        return isAnyOld ? page : nil
    }

    private func names(_ verdicts: String) throws(StoreError) -> [String] {
        hookNames.bind(1, verdicts)
        var names: [String] = []
        while try hookNames.step() { names.append(hookNames.text(0)) }
        return names
    }
}
