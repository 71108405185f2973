// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The tables, as numbered migrations in plain SQL. A migration that was released is never
// edited: what has to change comes as the next one.

internal import HookModel

enum Schema {
    /// Migration n leads from `user_version` n - 1 to n.
    static let migrations: [StaticString] = [version1, version2, deliveryHistory, version4, version5]

    /// What this program writes and reads.
    static var known: Int { migrations.count }

    /// `page_size` has to be set while the file is empty; see `docs/performance.md` for the choice.
    static let newFile: StaticString = "PRAGMA page_size = 16384"

    /// States of a delivery. The order is part of the file format: below 2 it is still to be done.
    enum DeliveryState {
        static let waiting: Int64 = 0
        /// Being tried; `due` is when the lease ends.
        static let leased: Int64 = 1
        static let delivered: Int64 = 2
        static let dead: Int64 = 3
        static let cancelled: Int64 = 4
    }

    /// How octets of the table `packed` are kept.
    enum Encoding {
        static let asReceived: Int64 = 1
        /// zlib format (RFC 1950) over the message.
        static let zlib: Int64 = 2
    }

    private static let version1: StaticString = """
        -- Moments are microseconds since 1970-01-01T00:00:00Z. Lists are JSON arrays.
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY,
            digest BLOB NOT NULL,          -- of the content, 32 octets
            duplicate_of INTEGER,          -- the first message of the same digest
            message_id TEXT,               -- without angle brackets
            received_at INTEGER NOT NULL,
            source TEXT NOT NULL,          -- the road it came by
            mail_from TEXT,
            recipients TEXT NOT NULL,      -- ["address", ...]
            peer TEXT,
            helo TEXT,
            answer TEXT NOT NULL,          -- what the sender was told
            verdicts TEXT NOT NULL,        -- [["event name", "recipient", "outcome", "answer", events], ...]
            first_event INTEGER,           -- events.sequence; its new events follow one another
            new_events INTEGER NOT NULL,
            size INTEGER NOT NULL          -- octets as received
        ) STRICT;

        -- A message's octets are in one of these by its id; in none if it is a duplicate or its retention is over.
        -- They arrive in fresh and move on to packed in the background, which frees whole pages for those that follow.
        CREATE TABLE fresh (
            message INTEGER PRIMARY KEY,
            octets BLOB NOT NULL
        ) STRICT;
        CREATE TABLE packed (
            message INTEGER PRIMARY KEY,
            encoding INTEGER NOT NULL,     -- 1 as received, 2 zlib
            octets BLOB NOT NULL
        ) STRICT;

        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY,  -- never used twice, see the counter rows_events
            id TEXT NOT NULL,              -- unique, see keys
            type TEXT NOT NULL,
            message INTEGER NOT NULL,
            json BLOB NOT NULL             -- CloudEvents 1.0, UTF-8
        ) STRICT;

        -- Where to look for a message of a digest (key & 3 = 0) or Message-ID (2), or an event of an id (1). Keys of
        -- rows behind the counters keys_messages and keys_events may be missing.
        CREATE TABLE keys (
            key INTEGER NOT NULL,
            row INTEGER NOT NULL,
            PRIMARY KEY (key, row)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE subscriptions (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE
        ) STRICT;

        CREATE TABLE deliveries (
            id INTEGER PRIMARY KEY,
            event INTEGER NOT NULL,        -- events.sequence
            subscription INTEGER NOT NULL,
            state INTEGER NOT NULL,        -- 0 waiting, 1 leased, 2 delivered, 3 dead
            attempts INTEGER NOT NULL,
            due INTEGER NOT NULL,          -- next attempt; while leased the end of the lease
            created_at INTEGER NOT NULL,
            changed_at INTEGER NOT NULL,   -- last attempt, or its end
            reason TEXT NOT NULL           -- of the last failure
        ) STRICT;
        -- Only what is still to be done; state is there so that leases are found without reading rows.
        CREATE INDEX deliveries_due ON deliveries (subscription, due, id, state) WHERE state < 2;

        CREATE TABLE counters (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        PRAGMA user_version = 1;
        """

    /// An event's deliveries are looked for before it is erased. An event whose json is empty has been erased: its id is
    /// still known. Counters: rows_messages and rows_events, the highest numbers given out when rows were deleted last;
    /// erased_messages, the highest message that is gone wholly; erased_events, up to which every event was erased.
    private static let version2: StaticString = """
        CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);

        PRAGMA user_version = 2;
        """

    /// The journal in front of the database. Messages that came before it stay in the table fresh until they are packed.
    private static let version4: StaticString = """
        -- Where the octets of a message begin that are still in the journal: another place beside fresh and packed.
        CREATE TABLE journaled (
            message INTEGER PRIMARY KEY,
            segment INTEGER NOT NULL,      -- number of the file
            offset INTEGER NOT NULL,       -- of its record in the file
            octets INTEGER NOT NULL        -- how many there are
        ) STRICT;

        -- Up to where the journal's records are in these tables. One row.
        CREATE TABLE journal (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            sequence INTEGER NOT NULL,     -- of the last record
            segment INTEGER NOT NULL,      -- 0 before there is one
            offset INTEGER NOT NULL,       -- behind the last record
            chain INTEGER NOT NULL,        -- checksum of the last record
            settled INTEGER NOT NULL       -- how often everything so far was made durable
        ) STRICT;
        INSERT INTO journal VALUES (1, 0, 0, 0, 0, 0);

        PRAGMA user_version = 4;
        """

    /// No table changes; but the journal has records that an older program would pass over.
    private static let version5: StaticString = "PRAGMA user_version = 5;"

    /// Brings a database to the version this program knows, in one step: whoever reads meanwhile never meets a version
    /// between.
    static func migrate(_ connection: SQLiteConnection) throws(StoreError) {
        let found = try version(of: connection)
        guard found < known else { return }
        try connection.transaction { () throws(StoreError) in
            // `found` is at least 0, see version(of:).
            for migration in migrations[found...] { try connection.execute(migration) }
        }
    }

    /// - Throws: `fromTheFuture` for a version this program does not know.
    static func version(of connection: SQLiteConnection) throws(StoreError) -> Int {
        let found = Int(try connection.integer("PRAGMA user_version"))
        guard found >= 0 else { throw .corrupt("\(connection.path): not a store of mailhookd") }
        guard found <= known else { throw .fromTheFuture(found: found, known: known) }
        return found
    }
}
