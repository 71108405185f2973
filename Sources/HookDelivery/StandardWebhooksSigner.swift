// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Signatures of Standard Webhooks 1.0.0: made for what we send, checked for what a receiver got.
// Pure: the time comes in as a parameter.

internal import Crypto
public import HookModel

/// Signs with all of its secrets, verifies with any of them.
public struct StandardWebhooksSigner: Sendable {
    private let secrets: [WebhookSecret]

    public init(secrets: [WebhookSecret]) { self.secrets = secrets }

    /// The value of `webhook-signature`: for each secret `v1,` or `v1a,` and base64, separated by spaces.
    ///
    /// Signed is `id.timestamp.body`, so `id` must hold no full stop. `timestamp` is in seconds since 1970.
    public func signature(id: String, timestamp: Int64, body: [UInt8]) -> String {
        let prefix = Array("\(id).\(timestamp).".utf8)
        return secrets.map { Self.sign(prefix, body, with: $0) }.joined(separator: " ")
    }

    static func sign(_ prefix: [UInt8], _ body: [UInt8], with secret: WebhookSecret) -> String {
        switch secret.key {
        case .symmetric(let keyed):
            return "v1," + Base64.encode(code(prefix, body, keyed: keyed))
        case .asymmetric(let privateKey):
            // Ed25519 signing of a valid key does not fail; an empty signature would be refused by any receiver.
            return "v1a," + ((try? privateKey.signature(for: prefix + body)).map { Base64.encode($0) } ?? "")
        }
    }

    private static func code(_ prefix: [UInt8], _ body: [UInt8], keyed: HMAC<SHA256>) -> HMAC<SHA256>.MAC {
        var hash = keyed
        hash.update(data: prefix)
        hash.update(data: body)
        return hash.finalize()
    }

    /// Checks a received request: the three header fields as they came (nil if absent) and the exact body.
    ///
    /// `now` nil leaves the age of the request unchecked. Digests are compared in constant time.
    public func verify(
        id: String?, timestamp: String?, signature: String?, body: [UInt8],
        now: Timestamp?, tolerance: Duration = .seconds(300)
    ) throws(WebhookVerificationError) {
        guard let id, !id.isEmpty, let timestamp, let signature else { throw .headerMissing }
        guard !timestamp.isEmpty, timestamp.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let seconds = Int64(timestamp), seconds <= Self.latestSecond
        else { throw .timestampInvalid }
        if let now {
            let age = Duration.seconds(now.seconds - seconds)
            if age > tolerance { throw .tooOld }
            if age < .zero - tolerance { throw .tooNew }
        }
        let prefix = Array("\(id).\(timestamp).".utf8)
        for candidate in signature.split(separator: " ", maxSplits: Self.signatureLimit).prefix(Self.signatureLimit)
        where secrets.contains(where: { isValid(candidate, prefix, body, by: $0) }) {
            return
        }
        throw .signatureWrong
    }

    /// Year 9999. Keeps sums with a hostile timestamp from overflowing.
    private static let latestSecond: Int64 = 253_402_300_799
    /// Signatures looked at in one header: each costs a hash of the body, and a sender chooses how many there are.
    private static let signatureLimit = 16

    private func isValid(_ candidate: Substring, _ prefix: [UInt8], _ body: [UInt8], by secret: WebhookSecret) -> Bool {
        guard let comma = candidate.firstIndex(of: ","),
            let bytes = Base64.decode(candidate[candidate.index(after: comma)...])
        else { return false }
        switch (candidate[..<comma], secret.key) {
        case ("v1", .symmetric(let keyed)):
            // Comparing an authentication code with other bytes takes the same time wherever they differ.
            return Self.code(prefix, body, keyed: keyed) == bytes
        case ("v1a", .asymmetric(let privateKey)):
            return privateKey.publicKey.isValidSignature(bytes, for: prefix + body)
        default:
            return false
        }
    }
}

/// Why a received request is not to be trusted.
public enum WebhookVerificationError: String, Error, Sendable, Hashable {
    case headerMissing = "header_missing"
    case timestampInvalid = "timestamp_invalid"
    case tooOld = "too_old"
    case tooNew = "too_new"
    case signatureWrong = "signature_wrong"
}
