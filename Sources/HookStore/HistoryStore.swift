// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A store that can also be walked through by time and from a message to its events, for `trace` and replay.

public import HookModel

public protocol HistoryStore: InspectableStore, DeliveryStore {
    /// The number of the message that an event was made of, also where the event's content is erased: then its id is still
    /// known. nil for an id that is not known, and for an event of no message.
    func messageNumber(ofEvent id: String) async throws(StoreError) -> Int64?
    /// Events that were made of a message, in their order.
    func events(ofMessage id: Int64) async throws(StoreError) -> [StoredEvent]
    /// A message and the events that were made of it, in one look.
    func messageAndEvents(_ id: Int64) async throws(StoreError) -> (message: StoredMessage, events: [StoredEvent])?
    /// Messages whose digest begins with these octets (at least 8), oldest first, at most `limit`.
    func messages(digestPrefix: [UInt8], limit: Int) async throws(StoreError) -> [StoredMessage]
    /// About the first message that was received at `time` or later; some behind it may have been received before.
    func firstMessage(since time: Timestamp) async throws(StoreError) -> Int64?
    /// Numbers of messages from `number` on that were received at `time` or later, in their order, at most `limit`. Without
    /// duplicates, unless they made events.
    func messageNumbers(from number: Int64, since time: Timestamp, limit: Int) async throws(StoreError) -> [Int64]
    /// Whether a message came for the hook of this event name, an event of this type was made of one, or one has deliveries. Goes through what
    /// is known of each message where there is none: for people, not for loops.
    func hasHook(named eventName: String) async throws(StoreError) -> Bool
}
