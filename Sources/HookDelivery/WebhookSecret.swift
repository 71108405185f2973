// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The secrets of Standard Webhooks 1.0.0 as values that cannot be printed by accident.

internal import Crypto

/// A signing secret: `whsec_` (HMAC-SHA256, signature scheme `v1`) or `whsk_` (Ed25519, scheme `v1a`).
public struct WebhookSecret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    enum Key: Sendable {
        /// The keyed, not yet fed hash: copying it saves hashing the key for every signature.
        case symmetric(HMAC<SHA256>)
        case asymmetric(Curve25519.Signing.PrivateKey)
    }

    let key: Key
    /// Tells one secret from another.
    private let digest: [UInt8]

    /// Standard Webhooks, "Signature scheme": symmetric secrets have 24 to 64 octets.
    private static let symmetricLength = 24...64

    /// Takes `whsec_` followed by base64, or `whsk_` followed by the base64 of an Ed25519 seed (32 octets), as some
    /// tools write it with the public key behind it (64). White space around it is ignored: secrets come from files.
    public init(_ text: String) throws(WebhookSecretError) {
        let trimmed = Self.trimmed(text)
        digest = Array(SHA256.hash(data: Array(trimmed.utf8)))
        if trimmed.hasPrefix("whsec_") {
            guard let bytes = Base64.decode(trimmed.dropFirst(6)) else { throw .notBase64 }
            guard Self.symmetricLength.contains(bytes.count) else { throw .lengthWrong(octets: bytes.count) }
            key = .symmetric(HMAC(key: SymmetricKey(data: bytes)))
        } else if trimmed.hasPrefix("whsk_") {
            guard let bytes = Base64.decode(trimmed.dropFirst(5)) else { throw .notBase64 }
            guard bytes.count == 32 || bytes.count == 64 else { throw .lengthWrong(octets: bytes.count) }
            guard let privateKey = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes.prefix(32)),
                bytes.count == 32 || Array(privateKey.publicKey.rawRepresentation) == Array(bytes.suffix(32))
            else { throw .keyInvalid }
            key = .asymmetric(privateKey)
        } else {
            throw .prefixMissing
        }
    }

    private static func trimmed(_ text: String) -> Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\n" || $0 == "\t" || $0 == "\r" || $0 == "\r\n" }
        var result = text[...].drop(while: isSpace)
        while let last = result.last, isSpace(last) { result.removeLast() }
        return result
    }

    public static func == (a: WebhookSecret, b: WebhookSecret) -> Bool { a.digest == b.digest }
    public func hash(into hasher: inout Hasher) { hasher.combine(digest) }

    public var description: String { "WebhookSecret(hidden)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

/// Why a text is no secret. The text itself is never part of it.
public enum WebhookSecretError: Error, Sendable, Hashable, CustomStringConvertible {
    case prefixMissing
    case notBase64
    case lengthWrong(octets: Int)
    case keyInvalid

    public var description: String {
        switch self {
        case .prefixMissing: "a webhook secret begins with whsec_ (or whsk_ for Ed25519)"
        case .notBase64: "what follows the prefix is not base64"
        case .lengthWrong(let octets):
            "the secret has \(octets) octets; whsec_ secrets have 24 to 64, whsk_ secrets 32 or 64"
        case .keyInvalid: "the whsk_ secret is no Ed25519 key, or its halves do not belong together"
        }
    }
}

extension WebhookSecret {
    /// What follows `whsec_` in the secret of these octets.
    public static func base64(_ octets: [UInt8]) -> String { Base64.encode(octets) }
}
