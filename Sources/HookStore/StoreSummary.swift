// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How much of what a store holds, how large it is and how old its oldest rows are. Reads every
// table, in one transaction: for people, not for loops.

public import HookModel

public struct StoreSummary: Sendable, Hashable {
    public var schema = 0
    /// Octets of the database file.
    public var fileOctets = 0
    /// Octets of the write-ahead log.
    public var logOctets = 0
    /// Octets of the journal's segments, spare ones included.
    public var journalOctets = 0
    /// Octets of the file that are in use; the rest is used again before the file grows.
    public var usedOctets = 0
    public var messages = 0
    /// Messages whose octets are kept, duplicates left out.
    public var rawMessages = 0
    /// What the raw messages take as they are kept.
    public var rawOctets = 0
    public var duplicates = 0
    public var events = 0
    /// Events whose content was erased and whose id is still known.
    public var erasedEvents = 0
    public var deliveriesWaiting = 0
    public var deliveriesLeased = 0
    public var deliveriesDelivered = 0
    public var deliveriesDead = 0
    public var deliveriesCancelled = 0
    /// Arrival of the oldest of each; nil where there is none.
    public var oldestMessage: Timestamp?
    public var oldestRawMessage: Timestamp?
    public var oldestEvent: Timestamp?
    /// When the oldest delivery that is still to be done was made.
    public var oldestWaiting: Timestamp?

    public init() {}

    /// Reads the store at `path`, beside an owner or without one; empty where it has no tables yet.
    public static func read(_ path: String) throws(StoreError) -> StoreSummary {
        let connection = try StoreFile.openForReading(path)
        var summary = StoreSummary()
        summary.fileOctets = StoreFile.size(path) ?? 0
        summary.journalOctets = try JournalSegments.octets(StorePlace.journal(of: path))
        summary.logOctets = StoreFile.size(path + "-wal") ?? 0
        guard try StoreFile.isCurrent(connection) else { return summary }
        try JournalCatchUp(path: path).run(connection)
        try connection.execute("BEGIN")
        summary.schema = try Schema.version(of: connection)
        let pages = try connection.integer("PRAGMA page_count") - connection.integer("PRAGMA freelist_count")
        summary.usedOctets = Int(pages * (try connection.integer("PRAGMA page_size")))
        try summary.readMessages(connection)
        try summary.readEvents(connection)
        try connection.execute("COMMIT")
        return summary
    }

    private mutating func readMessages(_ connection: SQLiteConnection) throws(StoreError) {
        messages = Int(try connection.integer("SELECT count(*) FROM messages"))
        duplicates = Int(try connection.integer("SELECT count(*) FROM messages WHERE duplicate_of IS NOT NULL"))
        let raw = try connection.prepare(
            """
            SELECT count(*), coalesce(sum(octets), 0), min(message) FROM (
                SELECT message, length(octets) AS octets FROM fresh
                UNION ALL SELECT message, length(octets) FROM packed
                UNION ALL SELECT message, octets FROM journaled)
            """)
        if try raw.step() {
            rawMessages = Int(raw.integer(0))
            rawOctets = Int(raw.integer(1))
            raw.reset()
        }
        oldestMessage = try moment(connection, "SELECT min(received_at) FROM messages")
        oldestRawMessage = try moment(
            connection,
            """
            SELECT received_at FROM messages
            WHERE id = (SELECT min(message) FROM (SELECT message FROM fresh UNION ALL SELECT message FROM packed
                UNION ALL SELECT message FROM journaled))
            """)
    }

    private mutating func readEvents(_ connection: SQLiteConnection) throws(StoreError) {
        erasedEvents = Int(try connection.integer("SELECT count(*) FROM events WHERE length(json) = 0"))
        events = Int(try connection.integer("SELECT count(*) FROM events")) - erasedEvents
        oldestEvent = try moment(
            connection,
            """
            SELECT received_at FROM messages
            WHERE id = (SELECT message FROM events WHERE length(json) > 0 ORDER BY sequence LIMIT 1)
            """)
        let states = try connection.prepare("SELECT state, count(*) FROM deliveries GROUP BY state")
        while try states.step() {
            let count = Int(states.integer(1))
            switch states.integer(0) {
            case Schema.DeliveryState.waiting: deliveriesWaiting = count
            case Schema.DeliveryState.leased: deliveriesLeased = count
            case Schema.DeliveryState.delivered: deliveriesDelivered = count
            case Schema.DeliveryState.dead: deliveriesDead = count
            case Schema.DeliveryState.cancelled: deliveriesCancelled = count
            // `check` names states that are none.
            default: break
            }
        }
        oldestWaiting = try moment(connection, "SELECT min(created_at) FROM deliveries WHERE state < 2")
    }

    private func moment(_ connection: SQLiteConnection, _ sql: StaticString) throws(StoreError) -> Timestamp? {
        let statement = try connection.prepare(sql)
        guard try statement.step(), !statement.isNull(0) else { return nil }
        return Timestamp(microseconds: statement.integer(0))
    }
}
