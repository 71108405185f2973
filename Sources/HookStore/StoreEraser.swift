// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The only place where rows of messages, events and deliveries are deleted, each kind by one
// function. Runs inside of the writer's transactions and decides nothing about ages.
//
// Three things hold: nothing that is still to be delivered goes, unless somebody's data has to; no
// row number is used twice afterwards; what knows a message again goes last.

import HookModel

/// Used by the writer thread only.
final class StoreEraser {
    private let keys: KeyIndex
    private let connection: SQLiteConnection
    private let deleteFresh: SQLiteStatement
    private let deletePacked: SQLiteStatement
    private let deleteJournaled: SQLiteStatement
    private let isPending: SQLiteStatement
    private let hasDelivery: SQLiteStatement
    private let endDeliveries: SQLiteStatement
    private let blankMessage: SQLiteStatement
    private let emptyEvent: SQLiteStatement
    private let deleteDeliveriesOfEvent: SQLiteStatement
    private let deleteDelivery: SQLiteStatement
    private let findMessage: SQLiteStatement
    private let findEvent: SQLiteStatement
    private let deleteEvent: SQLiteStatement
    private let deleteMessage: SQLiteStatement
    private let deleteKey: SQLiteStatement
    private let raiseCounter: SQLiteStatement

    init(_ connection: SQLiteConnection, keys: KeyIndex) throws(StoreError) {
        self.connection = connection
        self.keys = keys
        deleteFresh = try connection.prepare("DELETE FROM fresh WHERE message = ?1")
        deletePacked = try connection.prepare("DELETE FROM packed WHERE message = ?1")
        // The segment is used again once none of its messages is needed.
        deleteJournaled = try connection.prepare("DELETE FROM journaled WHERE message = ?1")
        isPending = try connection.prepare(
            "SELECT 1 FROM deliveries INDEXED BY deliveries_event WHERE event = ?1 AND state < 2 LIMIT 1")
        hasDelivery = try connection.prepare(
            "SELECT 1 FROM deliveries INDEXED BY deliveries_event WHERE event = ?1 LIMIT 1")
        endDeliveries = try connection.prepare(
            "UPDATE deliveries INDEXED BY deliveries_event SET state = 3, reason = 'erased' WHERE event = ?1 AND state < 2")
        blankMessage = try connection.prepare(
            """
            UPDATE messages SET message_id = NULL, mail_from = NULL, recipients = '[]', peer = NULL, helo = NULL,
                verdicts = '[]'
            WHERE id = ?1
            """)
        emptyEvent = try connection.prepare("UPDATE events SET json = x'' WHERE sequence = ?1 AND length(json) > 0")
        // The highest number stays, so that the next one is higher.
        deleteDeliveriesOfEvent = try connection.prepare(
            """
            DELETE FROM deliveries INDEXED BY deliveries_event
            WHERE event = ?1 AND state >= 2 AND id < (SELECT max(id) FROM deliveries)
            """)
        deleteDelivery = try connection.prepare(
            "DELETE FROM deliveries WHERE id = ?1 AND state >= 2 AND id < (SELECT max(id) FROM deliveries)")
        findMessage = try connection.prepare(
            """
            SELECT digest, duplicate_of, message_id, first_event, new_events,
                EXISTS (SELECT 1 FROM fresh WHERE message = ?1) OR EXISTS (SELECT 1 FROM packed WHERE message = ?1)
                    OR EXISTS (SELECT 1 FROM journaled WHERE message = ?1)
            FROM messages WHERE id = ?1
            """)
        findEvent = try connection.prepare("SELECT id, length(json) FROM events WHERE sequence = ?1 AND message = ?2")
        deleteEvent = try connection.prepare("DELETE FROM events WHERE sequence = ?1")
        deleteMessage = try connection.prepare("DELETE FROM messages WHERE id = ?1")
        deleteKey = try connection.prepare("DELETE FROM keys WHERE key = ?1 AND row = ?2")
        raiseCounter = try connection.prepare(
            """
            INSERT INTO counters VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > value
            """)
    }

    /// - Parameter last: the highest row numbers given out so far.
    func perform(
        _ erasure: WriteJob.Erasure, last: (message: Int64, event: Int64)
    ) throws(StoreError) -> WriteJob.Erased {
        var erased = WriteJob.Erased()
        switch erasure {
        case .octets(let messages):
            for message in messages where try eraseOctets(ofMessage: message) { erased.count += 1 }
        case .events(let sequences, let before):
            for sequence in sequences { try eraseContent(ofEvent: sequence, &erased) }
            try raise("erased_events", to: before - 1)
        case .deliveries(let ids):
            for id in ids {
                deleteDelivery.bind(1, id)
                try deleteDelivery.run()
                erased.count += connection.changes
            }
        case .messages(let messages):
            // No number is used twice, although its row is gone.
            try raise("rows_messages", to: last.message)
            try raise("rows_events", to: last.event)
            for message in messages { try forget(message, &erased) }
        case .persons(let messages):
            // Freed pages are overwritten, too.
            try connection.execute("PRAGMA secure_delete = ON")
            defer { try? connection.execute("PRAGMA secure_delete = FAST") }
            for message in messages { try erasePersons(ofMessage: message, &erased) }
        }
        return erased
    }

    /// The octets of a message as received, wherever they are. False if there were none.
    func eraseOctets(ofMessage message: Int64) throws(StoreError) -> Bool {
        var count = 0
        for statement in [deleteFresh, deletePacked, deleteJournaled] {
            statement.bind(1, message)
            try statement.run()
            count += connection.changes
        }
        return count > 0
    }

    /// An event without content keeps its row, by which it is known again. Not while a delivery waits.
    private func eraseContent(ofEvent sequence: Int64, _ erased: inout WriteJob.Erased) throws(StoreError) {
        isPending.bind(1, sequence)
        if try isPending.step() { return isPending.reset() }
        emptyEvent.bind(1, sequence)
        try emptyEvent.run()
        guard connection.changes > 0 else { return }
        erased.count += 1
        erased.deliveries += try deleteDeliveries(ofEvent: sequence)
    }

    private func deleteDeliveries(ofEvent sequence: Int64) throws(StoreError) -> Int {
        deleteDeliveriesOfEvent.bind(1, sequence)
        try deleteDeliveriesOfEvent.run()
        return connection.changes
    }

    private struct MessageRow {
        var digest: [UInt8]
        var isDuplicate: Bool
        var messageID: String?
        var events: ClosedRange<Int64>?
        var hasOctets: Bool
    }

    private func row(_ message: Int64) throws(StoreError) -> MessageRow? {
        findMessage.bind(1, message)
        guard try findMessage.step() else { return nil }
        defer { findMessage.reset() }
        let first = findMessage.integer(3)
        let count = findMessage.integer(4)
        return MessageRow(
            digest: findMessage.octets(0), isDuplicate: !findMessage.isNull(1), messageID: findMessage.textOrNil(2),
            // A damaged row must not make this long.
            events: first > 0 && count > 0 ? first...(first + min(count, 100_000) - 1) : nil,
            hasOctets: findMessage.integer(5) != 0)
    }

    /// Removes what is left of a message, its events included.
    private func forget(_ message: Int64, _ erased: inout WriteJob.Erased) throws(StoreError) {
        guard let row = try row(message), !row.hasOctets else { return }
        var events: [(sequence: Int64, id: String)] = []
        for sequence in row.events.map(Array.init) ?? [] {
            findEvent.bind(1, sequence)
            findEvent.bind(2, message)
            guard try findEvent.step() else { continue }
            defer { findEvent.reset() }
            // Its content is still wanted.
            guard findEvent.integer(1) == 0 else { return }
            events.append((sequence, findEvent.text(0)))
        }
        for event in events {
            erased.deliveries += try deleteDeliveries(ofEvent: event.sequence)
            // The one with the highest number stays, and its event with it, until there is a higher one.
            hasDelivery.bind(1, event.sequence)
            if try hasDelivery.step() { return hasDelivery.reset() }
        }
        // A key that is still in memory would go to the table later, and stay there for ever.
        guard keys.settle(message: message, event: events.last?.sequence ?? 0) else {
            erased.isUnsettled = true
            return
        }
        for event in events {
            deleteEvent.bind(1, event.sequence)
            try deleteEvent.run()
            try delete(KeyIndex.key(event: event.id), row: event.sequence)
        }
        if !row.isDuplicate { try delete(KeyIndex.key(digest: row.digest), row: message) }
        if let id = row.messageID { try delete(KeyIndex.key(messageID: id), row: message) }
        deleteMessage.bind(1, message)
        try deleteMessage.run()
        try raise("erased_messages", to: message)
        erased.count += 1
    }

    private func erasePersons(ofMessage message: Int64, _ erased: inout WriteJob.Erased) throws(StoreError) {
        guard let row = try row(message) else { return }
        if let id = row.messageID {
            guard keys.settle(message: message, event: 0) else {
                erased.isUnsettled = true
                return
            }
            try delete(KeyIndex.key(messageID: id), row: message)
        }
        _ = try eraseOctets(ofMessage: message)
        for sequence in row.events.map(Array.init) ?? [] {
            endDeliveries.bind(1, sequence)
            try endDeliveries.run()
            let before = erased.count
            try eraseContent(ofEvent: sequence, &erased)
            erased.events += erased.count - before
            erased.count = before
        }
        blankMessage.bind(1, message)
        try blankMessage.run()
        erased.count += 1
    }

    private func delete(_ key: Int64, row: Int64) throws(StoreError) {
        deleteKey.bind(1, key)
        deleteKey.bind(2, row)
        try deleteKey.run()
    }

    private func raise(_ counter: String, to value: Int64) throws(StoreError) {
        raiseCounter.bind(1, counter)
        raiseCounter.bind(2, value)
        try raiseCounter.run()
    }
}
