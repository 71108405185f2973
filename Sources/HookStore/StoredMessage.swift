// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What can be looked up beyond the daily work, for `events show`, `trace` and replay.

public import HookModel

/// How much there is of what.
public struct StoreCounts: Sendable, Hashable {
    /// Duplicates included.
    public var messages = 0
    public var duplicates = 0
    public var events = 0
    public var deliveriesWaiting = 0
    public var deliveriesLeased = 0
    public var deliveriesDelivered = 0
    public var deliveriesDead = 0
    public var deliveriesCancelled = 0

    public init() {}
}

/// A store that can be asked about what is in it, and closed.
public protocol InspectableStore: EventStore {
    func event(id: String) async throws(StoreError) -> StoredEvent?
    /// The position of the newest event; 0 where there is none.
    func lastSequence() async throws(StoreError) -> Int64
    func message(_ id: Int64) async throws(StoreError) -> StoredMessage?
    /// The message that led to an event.
    func message(ofEvent id: String) async throws(StoreError) -> StoredMessage?
    /// Messages with this Message-ID (without angle brackets), oldest first, at most `limit`.
    func messages(messageID: String, limit: Int) async throws(StoreError) -> [StoredMessage]
    /// Reads everything: for people, not for loops.
    func counts() async throws(StoreError) -> StoreCounts
    /// Takes nothing new, finishes what waits, and returns when all files are at rest. A second call waits as well.
    func close() async
}
