// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the management side can be asked about. MailHookKit answers from directory and store.

public import HookModel

/// A hook as it is shown to whoever manages the daemon.
public struct ManagedHook: Sendable, Hashable {
    /// Stays the same as long as app and event name do; no secret.
    public var id: String
    public var addressed: AddressedHook
    /// The address of an email hook, or the URL of another.
    public var address: String

    public init(id: String, addressed: AddressedHook, address: String) {
        self.id = id
        self.addressed = addressed
        self.address = address
    }
}

public protocol ManagementData: Sendable {
    /// Which organization the hooks belong to.
    var organization: String { get }
    func hooks() -> [ManagedHook]
    /// Events after `sequence` in their order, at most `limit`.
    func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent]
    /// The position of the newest event; 0 where there is none.
    func lastSequence() async throws(StoreError) -> Int64
    func event(id: String) async throws(StoreError) -> StoredEvent?
}
