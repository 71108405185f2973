// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Who may post and who may look: API keys, and signatures made with a web hook's own key.

import Crypto
import HookDelivery
public import HookModel
public import HookWeb

public struct PostAuthorizer: WebAuthorizer {
    private let keys: APIKeyFile

    public init(keys: APIKeyFile) { self.keys = keys }

    public func holder(ofKey key: String) -> APIKeyHolder? { keys.holder(ofKey: key) }

    /// A Standard Webhooks signature decides where there is one; else the simpler header.
    public func isValid(_ signature: PostSignature, body: ArraySlice<UInt8>, keys: [String], now: Timestamp) -> Bool {
        if signature.signature != nil {
            let secrets = keys.compactMap { try? WebhookSecret(Self.signingSecret(ofKey: $0)) }
            do {
                try StandardWebhooksSigner(secrets: secrets).verify(
                    id: signature.id, timestamp: signature.timestamp, signature: signature.signature,
                    body: Array(body), now: now)
                return true
            } catch {
                return false
            }
        }
        guard let hub = signature.hub, hub.hasPrefix("sha256="), let code = Self.octets(hub.dropFirst(7)) else {
            return false
        }
        return keys.contains { key in
            // Takes the same time wherever the two differ.
            HMAC<SHA256>.isValidAuthenticationCode(
                code, authenticating: body, using: SymmetricKey(data: Array(key.utf8)))
        }
    }

    /// A hook's key in the form Standard Webhooks wants secrets in: the octets of the key itself, in base64.
    public static func signingSecret(ofKey key: String) -> String {
        "whsec_" + WebhookSecret.base64(Array(key.utf8))
    }

    private static func octets(_ text: Substring) -> [UInt8]? {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 64, text.utf8.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
