// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A store that can also be walked through by time and from a message to its events, for `trace` and replay.

public import HookModel

public protocol HistoryStore: InspectableStore, DeliveryStore {
    /// Events that were made of a message, in their order.
    func events(ofMessage id: Int64) async throws(StoreError) -> [StoredEvent]
    /// Messages whose digest begins with these octets (at least 8), oldest first, at most `limit`.
    func messages(digestPrefix: [UInt8], limit: Int) async throws(StoreError) -> [StoredMessage]
    /// About the first message that was received at `time` or later; some behind it may have been received before.
    func firstMessage(since time: Timestamp) async throws(StoreError) -> Int64?
    /// Messages with ids from `id` on, oldest first, at most `limit`, without those that are duplicates.
    func messages(from id: Int64, limit: Int) async throws(StoreError) -> [StoredMessage]
}
