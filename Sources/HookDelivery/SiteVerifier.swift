// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Asks whether the answer to a form's challenge is right, in the way that hCaptcha, Turnstile and
// reCAPTCHA have in common: a form POST of secret and answer, and JSON with `success` back.

public import HookModel
internal import JSONLD
internal import Synchronization

/// Keeps connections to each verifier it was asked about.
public final class SiteVerifier: ChallengeVerifier {
    private let clients = Mutex<[String: EndpointClient]>([:])

    /// Codes that say that we asked wrongly, not that the sender answered wrongly.
    private static let ownFaults: Set<String> = [
        "missing-input-secret", "invalid-input-secret", "bad-request", "internal-error", "sitekey-secret-mismatch",
    ]

    public init() {}

    deinit { clients.withLock { $0.values.forEach { $0.shutdown() } } }

    public func verify(_ answer: String, for challenge: HookChallenge) async -> ChallengeResult {
        let fields = "secret=\(Self.encoded(challenge.secret))&response=\(Self.encoded(answer))"
        let request = EndpointClient.Request(
            headers: [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")],
            body: Array(fields.utf8))
        do {
            let answer = try await client(challenge.url).post(request, within: challenge.timeout)
            return Self.result(status: answer.status, body: answer.excerpt)
        } catch let error as EndpointFailure {
            return .unavailable(reason: error.reason)
        } catch {
            return .unavailable(reason: "\(error)")
        }
    }

    /// What an answer means. Anything that is not clearly yes or no is neither.
    static func result(status: Int, body: [UInt8]) -> ChallengeResult {
        guard status == 200 else { return .unavailable(reason: "http_\(status)") }
        guard let root = try? JSONDocument(body).root, let success = root["success"]?.booleanValue else {
            return .unavailable(reason: "bad_response")
        }
        if success { return .passed }
        let codes = root["error-codes"]?.elements.compactMap(\.string) ?? []
        // Named from our own list, so that nothing of the answer gets into the log.
        if let fault = codes.first(where: { ownFaults.contains($0) }) { return .unavailable(reason: fault) }
        return .failed
    }

    private func client(_ text: String) throws -> EndpointClient {
        let url = try WebhookURL(text)
        let tls = url.isSecure ? try TLSSettings() : nil
        return clients.withLock { clients in
            if let known = clients[text] { return known }
            // The URL is the administrator's, and may be on this machine.
            let client = EndpointClient(url: url, tls: tls) { _ in true }
            clients[text] = client
            return client
        }
    }

    /// Percent-encoded but for what RFC 3986 section 2.3 calls unreserved.
    static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var octets: [UInt8] = []
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                octets.append(octet)
            default: octets += [UInt8(ascii: "%"), digits[Int(octet >> 4)], digits[Int(octet & 15)]]
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
