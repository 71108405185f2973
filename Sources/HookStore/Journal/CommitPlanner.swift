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
    private let hasEvent: SQLiteStatement
    private let lastRow: SQLiteStatement
    private let lastDeliveryRow: SQLiteStatement

    /// The last numbers given out.
    private var lastMessage: Int64
    private var lastEvent: Int64
    private var lastDelivery: Int64
    /// What was planned and may not be in the database yet.
    private var messages: [Digest: First] = [:]
    private var events: [String: Int64] = [:]
    private var planned: [Planned] = []
    /// How many of `planned` are over; they are removed now and then.
    private var forgotten = 0
    private var groupStart = 0
    private var groupNumbers: (message: Int64, event: Int64, delivery: Int64) = (0, 0, 0)

    /// The first message of a content.
    private struct First {
        var message: Int64
        var madeEvents: Bool
    }

    private struct Planned {
        /// The message's number, which rises with the records.
        var message: Int64
        /// nil of a duplicate.
        var digest: Digest?
        var events: [String]
    }

    /// The content digest of a message, hashed at once: an array is hashed octet by octet.
    private struct Digest: Hashable {
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
        hasDigest = try connection.prepare("SELECT new_events FROM messages WHERE id = ?1 AND digest = ?2")
        hasEvent = try connection.prepare("SELECT 1 FROM events WHERE sequence = ?1 AND id = ?2")
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
        if let digest = one.digest, messages[digest]?.message == one.message { messages[digest] = nil }
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
            message: lastMessage + 1, duplicateOf: first?.message ?? 0, firstMadeEvents: first?.madeEvents ?? false,
            firstEvent: lastEvent + 1, newEvents: [], firstDelivery: lastDelivery + 1)
        var ids: [String] = []
        var index = 0
        for hook in entry.verdict.hooks {
            for event in hook.events {
                if try !exists(event.id), !ids.contains(event.id) {
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
        for (offset, id) in ids.enumerated() { events[id] = numbers.firstEvent + Int64(offset) }
        if first == nil { messages[digest] = First(message: numbers.message, madeEvents: !ids.isEmpty) }
        planned.append(Planned(message: numbers.message, digest: first == nil ? digest : nil, events: ids))
        return numbers
    }

    // First what is only in the journal, then the keys that wait in memory, then the table: what leaves one of these
    // is in the next before.

    private func firstMessage(_ digest: Digest) throws(StoreError) -> First? {
        if let first = messages[digest] { return first }
        for id in try rows(KeyIndex.key(digest: digest.octets)) {
            hasDigest.bind(1, id)
            hasDigest.bind(2, digest.octets)
            if try hasDigest.step() {
                defer { hasDigest.reset() }
                return First(message: id, madeEvents: hasDigest.integer(0) > 0)
            }
        }
        return nil
    }

    private func exists(_ id: String) throws(StoreError) -> Bool {
        if events[id] != nil { return true }
        for sequence in try rows(KeyIndex.key(event: id)) {
            hasEvent.bind(1, sequence)
            hasEvent.bind(2, id)
            if try hasEvent.step() {
                hasEvent.reset()
                return true
            }
        }
        return false
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
