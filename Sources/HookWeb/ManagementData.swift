// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the management side can be asked about, and asked to do. MailHookKit answers from
// directory and store.

public import HookModel

/// A hook as it is shown to whoever manages the daemon.
public struct ManagedHook: Sendable, Hashable {
    /// Stays the same as long as app and event name do; no secret.
    public var id: String
    public var addressed: AddressedHook
    /// The address of an email hook, or the URL of another.
    public var address: String
    /// The address before, while it is still taken.
    public var previousAddress: String?
    /// Whether it was made here: then it can be removed here.
    public var isOwn: Bool
    /// When somebody wanted to see what comes, and until when; nil for nobody.
    public var debugSince: Timestamp?
    public var debugUntil: Timestamp?
    public var createdAt: Timestamp?
    public var modifiedAt: Timestamp?

    public init(
        id: String, addressed: AddressedHook, address: String, previousAddress: String? = nil, isOwn: Bool = false,
        debugSince: Timestamp? = nil, debugUntil: Timestamp? = nil, createdAt: Timestamp? = nil, modifiedAt: Timestamp? = nil
    ) {
        self.id = id
        self.addressed = addressed
        self.address = address
        self.previousAddress = previousAddress
        self.isOwn = isOwn
        self.debugSince = debugSince
        self.debugUntil = debugUntil
        self.createdAt = createdAt
        self.modifiedAt = modifiedAt
    }
}

/// A hook to be made.
public struct HookDraft: Sendable, Hashable {
    public var type: HookType
    public var title: String
    public var description: String?
    /// nil: a name that follows from the id.
    public var eventName: String?
    /// JSON objects.
    public var outputTemplate: [UInt8]?
    public var outputSchema: [UInt8]?

    public init(
        type: HookType, title: String, description: String? = nil, eventName: String? = nil,
        outputTemplate: [UInt8]? = nil, outputSchema: [UInt8]? = nil
    ) {
        self.type = type
        self.title = title
        self.description = description
        self.eventName = eventName
        self.outputTemplate = outputTemplate
        self.outputSchema = outputSchema
    }
}

/// What is to be different about a hook; nil leaves a thing as it is.
public struct HookChange: Sendable, Hashable {
    public var title: String?
    public var description: String?
    public var isWatched: Bool?
    public var state: HookState?
    /// A new address and key; the old ones are taken for this long.
    public var rotation: Duration?

    public init(
        title: String? = nil, description: String? = nil, isWatched: Bool? = nil, state: HookState? = nil,
        rotation: Duration? = nil
    ) {
        self.title = title
        self.description = description
        self.isWatched = isWatched
        self.state = state
        self.rotation = rotation
    }
}

/// Why a change was not made.
public enum ManagementError: Error, Sendable, Hashable {
    case notFound
    /// It cannot stand beside what is there. `code` is short and for programs.
    case conflict(code: String, String)
    /// Nothing can be changed now, through nobody's fault who asked.
    case unavailable(String)
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
    func message(_ id: Int64) async throws(StoreError) -> StoredMessage?
    /// The message that led to an event.
    func message(ofEvent id: String) async throws(StoreError) -> StoredMessage?

    /// All deliveries of an event, in the order in which they were made.
    func deliveries(ofEvent id: String) async throws(StoreError) -> [StoredDelivery]

    /// Makes a hook. When it returns, the hook is on disk and takes what comes.
    func create(_ draft: HookDraft, now: Timestamp) async throws(ManagementError) -> ManagedHook
    /// Changes a hook named by its event name, in the same way.
    func change(_ eventName: String, _ change: HookChange, now: Timestamp) async throws(ManagementError) -> ManagedHook
    /// Removes a hook that was made here.
    func remove(_ eventName: String) async throws(ManagementError)
}
