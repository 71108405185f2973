// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How a webhook shows that a request is ours, and secrets that can change while the daemon runs.

internal import Crypto
internal import Synchronization

/// What a request is signed with.
public enum WebhookSigning: Sendable, Hashable {
    /// Standard Webhooks 1.0.0 over a CloudEvents body.
    case standardWebhooks(SecretList)
    /// As an app definition's `outboundWebhooks` are: `X-Kustomer-Webhook-Event` and `X-Kustomer-Webhook-Signature`
    /// (HMAC-SHA256 of the body in lower-case hexadecimal digits) around the event envelope. The key is used as it is.
    case kustomer(WebhookToken)

    var isEmpty: Bool {
        switch self {
        case .standardWebhooks(let list): list.current().isEmpty
        case .kustomer(let token): token.isEmpty
        }
    }
}

/// The secrets of one endpoint. All of them sign, so that a receiver can change over without a gap.
public final class SecretList: Sendable, Hashable {
    private let secrets: Mutex<[WebhookSecret]>
    /// Returns the secrets if they have changed since the last call; nil if not, or if they cannot be read.
    private let changed: (@Sendable () -> [WebhookSecret]?)?

    public init(_ secrets: [WebhookSecret], changed: (@Sendable () -> [WebhookSecret]?)? = nil) {
        self.secrets = Mutex(secrets)
        self.changed = changed
    }

    public static func == (a: SecretList, b: SecretList) -> Bool { a.current() == b.current() }
    public func hash(into hasher: inout Hasher) { hasher.combine(current()) }

    func current() -> [WebhookSecret] { secrets.withLock { $0 } }

    /// Looks whether there are others. Secrets that are gone or wrong are no reason to send unsigned: the last good
    /// ones stay. True if there were new ones.
    func refresh() -> Bool {
        guard let new = changed?(), !new.isEmpty else { return false }
        secrets.withLock { $0 = new }
        return true
    }
}

/// The signing key of an outbound webhook; it cannot be printed by accident.
public struct WebhookToken: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let keyed: HMAC<SHA256>
    let isEmpty: Bool
    /// Tells one key from another.
    private let digest: [UInt8]

    public init(_ text: String) {
        keyed = HMAC(key: SymmetricKey(data: Array(text.utf8)))
        isEmpty = text.isEmpty
        digest = Array(SHA256.hash(data: Array(text.utf8)))
    }

    /// 64 hexadecimal digits.
    public func signature(of body: [UInt8]) -> String {
        var hash = keyed
        hash.update(data: body)
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    public static func == (a: WebhookToken, b: WebhookToken) -> Bool { a.digest == b.digest }
    public func hash(into hasher: inout Hasher) { hasher.combine(digest) }

    public var description: String { "WebhookToken(hidden)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
