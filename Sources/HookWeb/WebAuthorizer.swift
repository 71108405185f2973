// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Who may do what. Where keys are kept and how signatures are checked is the work of others.

public import HookModel

/// What an API key allows. The raw values are the model's names of roles.
public enum APIRole: String, Sendable, Hashable, CaseIterable {
    /// To post to web hooks.
    case hooks = "org.hooks"
    /// To read hooks and their addresses.
    case readHooks = "org.permission.hook.read"
    /// The older name of the same.
    case readHooksLegacy = "org.admin.hook.read"
    /// To read events.
    case readEvents = "org.permission.event.read"
    /// To make hooks.
    case createHooks = "org.permission.hook.create"
    /// To change hooks: titles, states, addresses.
    case updateHooks = "org.permission.hook.update"
    /// To remove hooks that were made here.
    case deleteHooks = "org.permission.hook.delete"
    /// The older name of all three.
    case writeHooksLegacy = "org.admin.hook.write"
    /// To read messages as they came.
    case readMessages = "org.permission.message.read"
}

/// An API key that was shown, without its secret.
public struct APIKeyHolder: Sendable, Hashable {
    public var id: String
    public var roles: Set<APIRole>

    public init(id: String, roles: Set<APIRole>) {
        self.id = id
        self.roles = roles
    }
}

/// The header fields by which a sender can sign instead of showing a key. All as they came.
public struct PostSignature: Sendable, Hashable {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature` (Standard Webhooks 1.0.0).
    public var id: String?
    public var timestamp: String?
    public var signature: String?
    /// `x-hub-signature-256`: `sha256=` and the HMAC-SHA256 of the body in hexadecimal.
    public var hub: String?

    public init(id: String?, timestamp: String?, signature: String?, hub: String?) {
        self.id = id
        self.timestamp = timestamp
        self.signature = signature
        self.hub = hub
    }
}

public protocol WebAuthorizer: Sendable {
    /// The holder of an API key; nil for one that does not exist or was revoked.
    func holder(ofKey key: String) -> APIKeyHolder?

    /// Whether `signature` was made over exactly `body` with one of the hook's keys that are right at `now`.
    func isValid(_ signature: PostSignature, body: ArraySlice<UInt8>, keys: [String], now: Timestamp) -> Bool
}
