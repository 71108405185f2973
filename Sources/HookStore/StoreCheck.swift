// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether a store is whole: what SQLite can tell about its pages, and what must hold between rows.
// Reads everything, in one transaction beside a running daemon, and changes nothing.

public import HookModel

public struct StoreCheck: Sendable, Hashable {
    /// What is wrong, a line each; empty for a store that is whole. No content of a message is in it.
    public private(set) var faults: [String] = []
    /// Faults beyond those.
    public private(set) var furtherFaults = 0
    public private(set) var messages = 0
    public private(set) var events = 0
    public private(set) var deliveries = 0

    /// Of one kind. A store that is broken is broken in many rows.
    private static let linesPerKind = 20

    /// - Parameters:
    ///   - isDeep: also unpacks every raw message, which tells a changed octet in it (RFC 1950 section 2.2, ADLER32).
    /// - Throws: where the store can't be opened or read at all; `corrupt` is told as a fault instead.
    public static func run(_ path: String, isDeep: Bool = false) throws(StoreError) -> StoreCheck {
        var check = StoreCheck()
        do throws(StoreError) {
            let connection = try StoreFile.openForReading(path)
            guard try StoreFile.isCurrent(connection) else { return check }
            try JournalCatchUp(path: path).run(connection)
            try connection.execute("BEGIN")
            try check.pages(connection)
            // Rows of broken pages would only tell the same again, or what is not so.
            guard check.faults.isEmpty else { return check }
            try check.rows(connection)
            try check.keys(connection)
            if isDeep { try check.octets(connection) }
            try connection.execute("COMMIT")
        } catch .corrupt(let text) {
            check.add(text)
        } catch {
            throw error
        }
        return check
    }

    private mutating func add(_ fault: String) { faults.append(fault) }

    // MARK: - Pages

    private mutating func pages(_ connection: SQLiteConnection) throws(StoreError) {
        let statement = try connection.prepare("PRAGMA integrity_check(20)")
        while try statement.step() {
            let text = statement.text(0)
            if text != "ok" { add("pages: \(text.replacing("\n", with: " "))") }
        }
    }

    // MARK: - Rows

    private mutating func rows(_ connection: SQLiteConnection) throws(StoreError) {
        messages = Int(try connection.integer("SELECT count(*) FROM messages"))
        events = Int(try connection.integer("SELECT count(*) FROM events"))
        deliveries = Int(try connection.integer("SELECT count(*) FROM deliveries"))
        // Rows up to the counter may be gone.
        try each(
            connection, "event without its message",
            """
            SELECT sequence FROM events WHERE message NOT IN (SELECT id FROM messages)
                AND message > (SELECT coalesce(max(value), 0) FROM counters WHERE name = 'erased_messages')
            """)
        try each(
            connection, "erased event with a delivery that waits",
            """
            SELECT sequence FROM events WHERE length(json) = 0
                AND EXISTS (SELECT 1 FROM deliveries WHERE event = sequence AND state < 2)
            """)
        try each(
            connection, "delivery without its event",
            "SELECT id FROM deliveries WHERE event NOT IN (SELECT sequence FROM events)")
        try each(
            connection, "delivery without its subscription",
            "SELECT id FROM deliveries WHERE subscription NOT IN (SELECT id FROM subscriptions)")
        try each(
            connection, "delivery in no known state",
            "SELECT id FROM deliveries WHERE state NOT BETWEEN 0 AND 4 OR attempts < 0")
        try each(
            connection, "octets without their message",
            """
            SELECT message FROM (SELECT message FROM fresh UNION ALL SELECT message FROM packed
                UNION ALL SELECT message FROM journaled)
            WHERE message NOT IN (SELECT id FROM messages)
            """)
        try each(
            connection, "octets kept twice",
            """
            SELECT message FROM (SELECT message FROM fresh UNION ALL SELECT message FROM packed
                UNION ALL SELECT message FROM journaled)
            GROUP BY message HAVING count(*) > 1
            """)
        try each(
            connection, "duplicate of a message that is not like it",
            """
            SELECT d.id FROM messages d JOIN messages f ON f.id = d.duplicate_of
            WHERE f.digest <> d.digest OR f.id >= d.id
            """)
        try each(
            connection, "message that is no duplicate of an older one it is like",
            """
            SELECT id FROM messages WHERE duplicate_of IS NULL AND digest IN (
                SELECT digest FROM messages WHERE duplicate_of IS NULL GROUP BY digest HAVING count(*) > 1)
            """)
        try each(
            connection, "event whose id another one has",
            "SELECT sequence FROM events WHERE id IN (SELECT id FROM events GROUP BY id HAVING count(*) > 1)")
        try counters(connection)
    }

    private mutating func counters(_ connection: SQLiteConnection) throws(StoreError) {
        let message = max(
            try connection.integer("SELECT max(id) FROM messages"),
            try connection.integer("SELECT value FROM counters WHERE name = 'rows_messages'"))
        let event = max(
            try connection.integer("SELECT max(sequence) FROM events"),
            try connection.integer("SELECT value FROM counters WHERE name = 'rows_events'"))
        let statement = try connection.prepare("SELECT name, value FROM counters")
        while try statement.step() {
            let limit: Int64
            switch statement.text(0) {
            case "keys_messages", "erased_messages", "rows_messages": limit = message
            case "keys_events", "erased_events", "rows_events": limit = event
            default: continue
            }
            if statement.integer(1) > limit {
                add("counter \(statement.text(0)) is \(statement.integer(1)), beyond the last row \(limit)")
            }
        }
    }

    private mutating func each(
        _ connection: SQLiteConnection, _ kind: String, _ sql: StaticString
    ) throws(StoreError) {
        let statement = try connection.prepare(sql)
        var count = 0
        while try statement.step() {
            count += 1
            note(kind, statement.integer(0), count)
        }
    }

    private mutating func note(_ kind: String, _ row: Int64, _ count: Int) {
        if count <= Self.linesPerKind { add("\(kind): \(row)") } else { furtherFaults += 1 }
    }

    // MARK: - Keys

    /// By them a message or an event is known again; those of the newest rows are not in the table yet.
    private mutating func keys(_ connection: SQLiteConnection) throws(StoreError) {
        let find = try connection.prepare("SELECT 1 FROM keys WHERE key = ?1 AND row = ?2")
        func isThere(_ key: Int64, _ row: Int64) throws(StoreError) -> Bool {
            find.bind(1, key)
            find.bind(2, row)
            guard try find.step() else { return false }
            find.reset()
            return true
        }
        var count = 0
        let messages = try connection.prepare(
            """
            SELECT id, digest, message_id, duplicate_of FROM messages
            WHERE id <= (SELECT value FROM counters WHERE name = 'keys_messages')
            """)
        while try messages.step() {
            let id = messages.integer(0)
            var isWhole = true
            if messages.isNull(3) { isWhole = try isThere(KeyIndex.key(digest: messages.octets(1)), id) }
            if let text = messages.textOrNil(2), isWhole { isWhole = try isThere(KeyIndex.key(messageID: text), id) }
            guard !isWhole else { continue }
            count += 1
            note("message whose key is missing", id, count)
        }
        count = 0
        let events = try connection.prepare(
            "SELECT sequence, id FROM events WHERE sequence <= (SELECT value FROM counters WHERE name = 'keys_events')")
        while try events.step() {
            if try isThere(KeyIndex.key(event: events.text(1)), events.integer(0)) { continue }
            count += 1
            note("event whose key is missing", events.integer(0), count)
        }
    }

    // MARK: - Octets

    private mutating func octets(_ connection: SQLiteConnection) throws(StoreError) {
        let statement = try connection.prepare(
            """
            SELECT p.message, p.encoding, p.octets, m.size FROM packed p JOIN messages m ON m.id = p.message
            UNION ALL SELECT f.message, 1, f.octets, m.size FROM fresh f JOIN messages m ON m.id = f.message
            """)
        var count = 0
        while try statement.step() {
            let size = Int(statement.integer(3))
            let isWhole: Bool
            switch statement.integer(1) {
            case Schema.Encoding.asReceived: isWhole = statement.octets(2).count == size
            // No mail is larger than what SQLite keeps in a row.
            case Schema.Encoding.zlib:
                isWhole = (0...1_000_000_000).contains(size)
                    && Zlib.decompressed(statement.octets(2), size: size) != nil
            default: isWhole = false
            }
            guard !isWhole else { continue }
            count += 1
            note("raw message that cannot be read", statement.integer(0), count)
        }
        let journaled = try connection.prepare("SELECT message, segment, offset FROM journaled")
        let folder = StorePlace.journal(of: connection.path)
        while try journaled.step() {
            let id = journaled.integer(0)
            let octets = try? JournalReader.octets(
                ofMessage: id, folder: folder, segment: journaled.integer(1), offset: Int(journaled.integer(2)))
            if octets != nil { continue }
            // It may have been packed, and its segment used again, since this transaction began.
            if try !Self.isJournaled(id, connection.path) { continue }
            count += 1
            note("raw message that cannot be read", id, count)
        }
    }

    private static func isJournaled(_ message: Int64, _ path: String) throws(StoreError) -> Bool {
        let find = try StoreFile.openForReading(path).prepare("SELECT 1 FROM journaled WHERE message = ?1")
        find.bind(1, message)
        return try find.step()
    }
}
