// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Erasing what somebody asks to be erased, at once and whatever its retention: a message with its
// duplicates, their envelopes and their events. What was delivered is elsewhere and not reached.

public import HookModel

/// What is to be erased.
public enum ErasureSubject: Sendable, Hashable {
    /// All messages with this Message-ID, without angle brackets.
    case messageID(String)
    /// The message that led to the event with this id.
    case event(String)
}

/// What was erased.
public struct ErasureReceipt: Sendable, Hashable {
    /// Messages, duplicates included. 0 if nothing was found.
    public var messages = 0
    public var events = 0
}

extension SQLiteStore {
    /// Erases messages with their duplicates and events. Deliveries of them that are still to be done end as dead, with
    /// the reason `erased`. Their content is known again by its digest, which tells nothing about it.
    ///
    /// The octets are overwritten in the database file; the log still has them until it begins again, which closing the
    /// store makes sure of.
    public func erase(_ subject: ErasureSubject) async throws(StoreError) -> ErasureReceipt {
        let messages = try await reads.read(ifAbsent: []) { reader throws(StoreError) in try reader.messages(of: subject) }
        var receipt = ErasureReceipt()
        var rest = messages[...]
        while !rest.isEmpty {
            // A message at a time: one may have many megabytes to overwrite.
            let erased = try await perform(.persons([rest[rest.startIndex]]))
            receipt.messages += erased.count
            receipt.events += erased.events
            if !erased.isUnsettled { rest = rest.dropFirst() }
        }
        return receipt
    }

    /// Leaves nothing in journal and log of what was erased before, while the store goes on: messages are compressed out
    /// of the journal's segments, which are overwritten and removed.
    ///
    /// - Throws: `busy` where somebody reads from the log for so long that it could not be emptied; `failed` in a store
    ///   that does not compress.
    public func emptyJournal() async throws(StoreError) {
        guard let compressor else { throw .failed("this store does not compress") }
        try await withCheckedContinuation { continuation in
            compressor.purge { continuation.resume(returning: $0) }
        }.get()
    }

    private func perform(_ erasure: WriteJob.Erasure) async throws(StoreError) -> WriteJob.Erased {
        guard let writer else { throw Self.readOnly }
        return try await withCheckedContinuation { continuation in
            writer.add(.erase(erasure) { continuation.resume(returning: $0) })
        }.get()
    }
}

extension StoreReader {
    /// Messages that hold the subject's data: with the same content as one that is named, each once.
    fileprivate func messages(of subject: ErasureSubject) throws(StoreError) -> [Int64] {
        let statement: SQLiteStatement
        switch subject {
        case .messageID(let id):
            statement = try connection.prepare(
                """
                WITH named AS (
                    SELECT id, duplicate_of FROM messages WHERE message_id = ?2
                        AND (id IN (SELECT row FROM keys WHERE key = ?1)
                            OR id > (SELECT coalesce(max(value), 0) FROM counters WHERE name = 'keys_messages')))
                SELECT id FROM messages
                WHERE coalesce(duplicate_of, id) IN (SELECT coalesce(duplicate_of, id) FROM named) ORDER BY id
                """)
            statement.bind(1, KeyIndex.key(messageID: id))
            statement.bind(2, id)
        case .event(let id):
            // Also of an event whose content is gone already.
            statement = try connection.prepare(
                """
                WITH named AS (
                    SELECT id, duplicate_of FROM messages WHERE id IN (
                        SELECT message FROM events WHERE id = ?2 AND (sequence IN (SELECT row FROM keys WHERE key = ?1)
                            OR sequence > (SELECT coalesce(max(value), 0) FROM counters WHERE name = 'keys_events'))))
                SELECT id FROM messages
                WHERE coalesce(duplicate_of, id) IN (SELECT coalesce(duplicate_of, id) FROM named) ORDER BY id
                """)
            statement.bind(1, KeyIndex.key(event: id))
            statement.bind(2, id)
        }
        var ids: [Int64] = []
        while try statement.step() { ids.append(statement.integer(0)) }
        return ids
    }
}
