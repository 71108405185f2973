// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds messages by digest or Message-ID and events by id.
//
// Such keys come in random order. Kept in ordinary indexes, each of them would change a page
// somewhere in a tree of many thousand pages, and each changed page is written twice, synced, and
// read again later: with a million events that is most of the work of a commit. So new keys wait in
// memory (they can be read again from the rows they belong to), and go to the table `keys` sorted,
// a slice with each transaction, so that neighbours share a page and nobody waits for all of it.

internal import HookModel
internal import Synchronization

/// Used by the writer thread only, but for `rowsInMemory` and `filter`.
final class KeyIndex: @unchecked Sendable {
    /// At the end so few keys are left to the next start, which reads them from their rows.
    private static let leftToNextStart = 256

    /// Keys that wait before they begin to go to the table.
    private let waitingLimit: Int

    struct Entry: Comparable {
        var key: Int64
        /// The row of `messages` or `events`.
        var row: Int64

        static func < (a: Entry, b: Entry) -> Bool { (a.key, a.row) < (b.key, b.row) }
    }

    /// Keys in memory. Nearly always there is one row a key.
    private struct Keys {
        private(set) var entries: [Entry] = []
        private var first: [Int64: Int64] = [:]
        private var others: [Int64: [Int64]] = [:]

        mutating func add(_ entry: Entry) {
            entries.append(entry)
            if first[entry.key] == nil {
                first[entry.key] = entry.row
            } else {
                others[entry.key, default: []].append(entry.row)
            }
        }

        /// Takes the last entries back.
        mutating func removeLast(_ count: Int) {
            for entry in entries.suffix(count).reversed() {
                guard others[entry.key]?.popLast() == nil else { continue }
                first[entry.key] = nil
            }
            entries.removeLast(count)
        }

        /// Hands out the entries, to be sorted where they are; rows are found without them.
        mutating func takeEntries() -> [Entry] {
            defer { entries = [] }
            return entries
        }

        func rows(_ key: Int64) -> [Int64] {
            guard let row = first[key] else { return [] }
            return [row] + (others[key] ?? [])
        }
    }

    /// Rows up to these have all their keys in the table.
    private struct Mark {
        var message: Int64
        var event: Int64
    }

    private let insert: SQLiteStatement
    private let setCounter: SQLiteStatement

    /// Of what is in the table; keys of Message-IDs, which the writer never looks for, left out.
    let filter: KeyFilter

    /// What may not be in the table yet: what waits, and what is on its way there.
    private struct Memory {
        var waiting = Keys()
        var moving = Keys()
    }

    private let memory = Mutex(Memory())
    private var waitingMark: Mark
    /// What is on its way, sorted; the first `moved` are in the table.
    private var sorted: [Entry] = []
    private var moved = 0
    private var movingMark: Mark
    /// Of what is in the table wholly.
    private var tableMark: Mark
    /// Keys that go to the table with each transaction, besides those that follow from what came.
    private var slice = KeyIndex.usualSlice
    /// Moving begins although few wait.
    private var isMovingWanted = false

    private static let usualSlice = 16
    private static let largeSlice = 512

    /// Of the transaction under way.
    private var added = 0
    private var movedBefore = 0
    private var waitingMarkBefore: Mark

    init(_ connection: SQLiteConnection, waitingLimit: Int) throws(StoreError) {
        self.waitingLimit = waitingLimit
        insert = try connection.prepare("INSERT INTO keys VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        setCounter = try connection.prepare(
            "INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        let mark = Mark(
            message: try connection.integer("SELECT value FROM counters WHERE name = 'keys_messages'"),
            event: try connection.integer("SELECT value FROM counters WHERE name = 'keys_events'"))
        // Rows are numbered on, and most messages have two such keys.
        filter = KeyFilter(keys: Int(mark.message + mark.event))
        waitingMark = mark
        waitingMarkBefore = mark
        movingMark = mark
        tableMark = mark
        try readBack(connection, after: mark)
    }

    /// Keys of rows whose writer ended before it moved them.
    private func readBack(_ connection: SQLiteConnection, after mark: Mark) throws(StoreError) {
        let messages = try connection.prepare(
            "SELECT id, digest, message_id, duplicate_of FROM messages WHERE id > ?1 ORDER BY id")
        messages.bind(1, mark.message)
        while try messages.step() {
            let id = messages.integer(0)
            addMessage(
                id, digest: messages.isNull(3) ? Self.key(digest: messages.octets(1)) : nil,
                messageID: messages.textOrNil(2).map { Self.key(messageID: $0) })
        }
        let events = try connection.prepare("SELECT sequence, id FROM events WHERE sequence > ?1 ORDER BY sequence")
        events.bind(1, mark.event)
        while try events.step() { addEvent(events.integer(0), key: Self.key(event: events.text(1))) }
        added = 0
    }

    // MARK: - Keys

    /// A digest is as good as random already.
    static func key(digest: [UInt8]) -> Int64 { digest.withUnsafeBytes { key(digest: $0) } }

    static func key(digest: UnsafeRawBufferPointer) -> Int64 {
        var key: UInt64 = 0
        for byte in digest.prefix(8) { key = key << 8 | UInt64(byte) }
        return Int64(bitPattern: key & ~3)
    }

    static func key(event id: String) -> Int64 { Int64(bitPattern: hash(id.utf8) & ~3 | 1) }
    static func key(event id: UnsafeRawBufferPointer) -> Int64 { Int64(bitPattern: hash(id) & ~3 | 1) }
    static func key(messageID: String) -> Int64 { Int64(bitPattern: hash(messageID.utf8) & ~3 | 2) }
    static func key(messageID: UnsafeRawBufferPointer) -> Int64 { Int64(bitPattern: hash(messageID) & ~3 | 2) }

    /// FNV-1a, 64 bits. Texts that collide by accident or on purpose are told apart by the rows they lead to.
    private static func hash(_ text: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }

    /// Rows that may have this key, of those whose keys may not be in the table yet. Of any thread: once a row that
    /// was here is not here any more, its key is in the table and in the filter.
    func rowsInMemory(_ key: Int64) -> [Int64] {
        memory.withLock { $0.waiting.rows(key) + $0.moving.rows(key) }
    }

    /// - Parameters:
    ///   - digest: its key; nil of a duplicate.
    ///   - messageID: its key.
    func addMessage(_ id: Int64, digest: Int64?, messageID: Int64?) {
        if let digest { add(Entry(key: digest, row: id)) }
        if let messageID { add(Entry(key: messageID, row: id)) }
        waitingMark.message = id
    }

    func addEvent(_ sequence: Int64, key: Int64) {
        add(Entry(key: key, row: sequence))
        waitingMark.event = sequence
    }

    private func add(_ entry: Entry) {
        memory.withLock { $0.waiting.add(entry) }
        added += 1
    }

    // MARK: - Transactions

    func begin() {
        added = 0
        movedBefore = moved
        waitingMarkBefore = waitingMark
    }

    /// Moves a slice into the table: twice as much as came, so that one set is done before the next is full.
    func moveSlice() throws(StoreError) {
        try move(min(sorted.count, moved + 2 * added + slice))
    }

    private func move(_ end: Int) throws(StoreError) {
        guard moved < sorted.count else { return }
        for entry in sorted[moved..<end] {
            if entry.key & 3 < 2 { filter.insert(entry.key) }
            insert.bind(1, entry.key)
            insert.bind(2, entry.row)
            try insert.run()
        }
        moved = end
        guard moved == sorted.count else { return }
        for (name, value) in [("keys_messages", movingMark.message), ("keys_events", movingMark.event)] {
            setCounter.bind(1, name)
            setCounter.bind(2, value)
            try setCounter.run()
        }
    }

    func committed() {
        added = 0
        guard moved == sorted.count else { return }
        tableMark = movingMark
        if !sorted.isEmpty {
            memory.withLock { $0.moving = Keys() }
            sorted = []
            moved = 0
            slice = Self.usualSlice
        }
        if waitingCount >= waitingLimit || isMovingWanted { startMoving() }
    }

    /// Whether all keys of rows up to these are in the table. Where not, this and the next transactions move more of
    /// them than usual: in a store with little mail they would wait for months.
    func settle(message: Int64, event: Int64) -> Bool {
        if message <= tableMark.message, event <= tableMark.event { return true }
        slice = Self.largeSlice
        isMovingWanted = sorted.isEmpty
        return false
    }

    func rolledBack() {
        memory.withLock { $0.waiting.removeLast(added) }
        // Left too high, and written by the end of the store before another row came, it would hide this one's keys from
        // the next owner.
        waitingMark = waitingMarkBefore
        added = 0
        moved = movedBefore
    }

    private func startMoving() {
        isMovingWanted = false
        sorted = memory.withLock { memory in
            memory.moving = memory.waiting
            memory.waiting = Keys()
            return memory.moving.takeEntries()
        }
        sorted.sort()
        movingMark = waitingMark
        moved = 0
    }

    private var waitingCount: Int { memory.withLock { $0.waiting.entries.count } }

    /// Moves everything, in the transaction of the caller's `body`, a part at a time.
    func moveAll(in transaction: (() throws(StoreError) -> Void) throws(StoreError) -> Void) throws(StoreError) {
        guard waitingCount + sorted.count - moved > Self.leftToNextStart else { return }
        if sorted.isEmpty { startMoving() }
        while !sorted.isEmpty {
            begin()
            do throws(StoreError) {
                try transaction { () throws(StoreError) in try move(min(sorted.count, moved + 4096)) }
            } catch {
                rolledBack()
                throw error
            }
            committed()
            if sorted.isEmpty, waitingCount > 0 { startMoving() }
        }
    }
}
