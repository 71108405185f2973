// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Decides what a commit will be before it is written: which message it repeats, which of its
// events are new, and their numbers. Knows what is in the database and what is only in the journal.

internal import HookModel

/// Used by the journal's thread only.
final class CommitPlanner: @unchecked Sendable {
    private let keys: KeyIndex
    private let findRow: SQLiteStatement
    private let hasDigest: SQLiteStatement
    private let findOwner: SQLiteStatement
    private let lastRow: SQLiteStatement
    private let lastDeliveryRow: SQLiteStatement

    /// The last numbers given out.
    private var lastMessage: Int64
    private var lastEvent: Int64
    private var lastDelivery: Int64
    /// What was planned and may not be in the database yet: the first message of a content, and the content an event was
    /// made of.
    private var messages: [Digest: Int64] = [:]
    private var events: [String: Digest] = [:]
    private var planned: [Planned] = []
    /// How many of `planned` are over; they are removed now and then.
    private var forgotten = 0
    private var groupStart = 0
    private var groupNumbers: (message: Int64, event: Int64, delivery: Int64) = (0, 0, 0)

    private struct Planned {
        /// The message's number, which rises with the records.
        var message: Int64
        /// nil of a duplicate.
        var digest: Digest?
        var events: [String]
    }

    /// The content digest of a message, hashed at once: an array is hashed octet by octet.
    private struct Digest: Hashable {
        /// Empty for a message that is gone.
        let octets: [UInt8]

        func hash(into hasher: inout Hasher) { octets.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }

    /// - Parameter connection: one of its own, to look into the tables.
    init(
        _ connection: SQLiteConnection, keys: KeyIndex, last: (message: Int64, event: Int64, delivery: Int64)
    ) throws(StoreError) {
        self.keys = keys
        (lastMessage, lastEvent, lastDelivery) = last
        lastRow = try connection.prepare("SELECT max(sequence) FROM events")
        lastDeliveryRow = try connection.prepare("SELECT max(id) FROM deliveries")
        findRow = try connection.prepare("SELECT row FROM keys WHERE key = ?1")
        hasDigest = try connection.prepare("SELECT 1 FROM messages WHERE id = ?1 AND digest = ?2")
        // Events that were added may belong to no message, or outlive it.
        findOwner = try connection.prepare(
            "SELECT m.digest FROM events e LEFT JOIN messages m ON m.id = e.message WHERE e.sequence = ?1 AND e.id = ?2")
    }

    // MARK: - Groups

    func beginGroup() {
        groupStart = planned.count
        groupNumbers = (lastMessage, lastEvent, lastDelivery)
    }

    /// The group was not written: its numbers are given out again.
    func rollBackGroup() {
        while planned.count > groupStart, let last = planned.popLast() { forget(last) }
        (lastMessage, lastEvent, lastDelivery) = groupNumbers
    }

    /// Message `number` and those before it can be found in the database from now on.
    func forget(through number: Int64) {
        while forgotten < planned.count, planned[forgotten].message <= number {
            forget(planned[forgotten])
            forgotten += 1
        }
        if forgotten > 1024, forgotten > planned.count / 2 {
            planned.removeFirst(forgotten)
            forgotten = 0
        }
    }

    private func forget(_ one: Planned) {
        if let digest = one.digest, messages[digest] == one.message { messages[digest] = nil }
        for id in one.events { events[id] = nil }
    }

    /// Somebody else made events and deliveries.
    func learnEvents() throws(StoreError) {
        guard try lastRow.step() else { return }
        lastEvent = max(lastEvent, lastRow.integer(0))
        lastRow.reset()
        guard try lastDeliveryRow.step() else { return }
        lastDelivery = max(lastDelivery, lastDeliveryRow.integer(0))
        lastDeliveryRow.reset()
    }

    // MARK: - One commit

    /// - Parameter tapped: is offered the new deliveries.
    func plan(_ entry: MessageEntry, _ tapped: inout TappedDeliveries) throws(StoreError) -> CommitNumbers {
        let digest = Digest(octets: entry.verdict.contentDigest)
        let first = try firstMessage(digest)
        var numbers = CommitNumbers(
            message: lastMessage + 1, duplicateOf: first ?? 0, firstEvent: lastEvent + 1, newEvents: [],
            firstDelivery: lastDelivery + 1)
        var ids: [String] = []
        var index = 0
        for hook in entry.verdict.hooks {
            for event in hook.events {
                if let owner = try owner(ofEvent: event.id) {
                    if owner != digest { numbers.hasForeignEvents = true }
                } else if !ids.contains(event.id) {
                    ids.append(event.id)
                    numbers.newEvents.append(index)
                    for subscription in entry.deliveries[event.id] ?? [] {
                        lastDelivery += 1
                        let lease = tapped.offer(
                            event, to: subscription, id: lastDelivery, createdAt: entry.message.receivedAt)
                        numbers.leases.append(lease?.microseconds ?? 0)
                    }
                }
                index += 1
            }
        }
        lastMessage += 1
        lastEvent += Int64(ids.count)
        for id in ids { events[id] = digest }
        if first == nil { messages[digest] = numbers.message }
        planned.append(Planned(message: numbers.message, digest: first == nil ? digest : nil, events: ids))
        return numbers
    }

    // First what is only in the journal, then the keys that wait in memory, then the table: what leaves one of these
    // is in the next before.

    private func firstMessage(_ digest: Digest) throws(StoreError) -> Int64? {
        if let first = messages[digest] { return first }
        for id in try rows(KeyIndex.key(digest: digest.octets)) {
            hasDigest.bind(1, id)
            hasDigest.bind(2, digest.octets)
            if try hasDigest.step() {
                hasDigest.reset()
                return id
            }
        }
        return nil
    }

    /// The content an event was made of; nil where there is no such event.
    private func owner(ofEvent id: String) throws(StoreError) -> Digest? {
        if let digest = events[id] { return digest }
        for sequence in try rows(KeyIndex.key(event: id)) {
            findOwner.bind(1, sequence)
            findOwner.bind(2, id)
            if try findOwner.step() {
                defer { findOwner.reset() }
                return Digest(octets: findOwner.octets(0))
            }
        }
        return nil
    }

    /// Rows that may have this key: the caller compares.
    private func rows(_ key: Int64) throws(StoreError) -> [Int64] {
        var rows = keys.rowsInMemory(key)
        guard keys.filter.mayContain(key) else { return rows }
        findRow.bind(1, key)
        while try findRow.step() {
            let row = findRow.integer(0)
            if !rows.contains(row) { rows.append(row) }
        }
        return rows
    }
}
