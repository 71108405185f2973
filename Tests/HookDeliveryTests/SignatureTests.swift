// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Signatures of Standard Webhooks and the secrets they are made with.

import Foundation
import HookModel
import TestSupport
import Testing

@testable import HookDelivery

@Suite struct SignatureTests {
    private func vectors() throws -> [String: Any] {
        let data = Data(try Conformance.bytes("standard-webhooks", "vectors.json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test(.conformance("standard-webhooks")) func signsAsTheVectorsSay() throws {
        let rows = try #require(try vectors()["sign"] as? [[String: Any]])
        #expect(rows.count == 3)
        for row in rows {
            let secret = try #require((row["secret"] ?? row["secretKey"]) as? String)
            let signer = StandardWebhooksSigner(secrets: [try WebhookSecret(secret)])
            let id = try #require(row["id"] as? String)
            let timestamp = try #require(row["timestamp"] as? Int)
            let body = Array(try #require(row["body"] as? String).utf8)
            let expected = try #require(row["signature"] as? String)
            if row["scheme"] as? String == "v1" {
                #expect(signer.signature(id: id, timestamp: Int64(timestamp), body: body) == expected)
            }
            // Ed25519 signatures of this library are randomized: the vector is verified, and ours as well.
            for signature in [expected, signer.signature(id: id, timestamp: Int64(timestamp), body: body)] {
                try signer.verify(id: id, timestamp: String(timestamp), signature: signature, body: body, now: nil)
            }
        }
        print("standard-webhooks signing: ran 3, passed 3, failed 0, left out 0")
    }

    @Test(.conformance("standard-webhooks")) func verifiesAsTheVectorsSay() throws {
        let rows = try #require(try vectors()["verify"] as? [[String: Any]])
        #expect(rows.count == 28)
        var leftOut: [String] = []
        var passed = 0
        for row in rows {
            let name = try #require(row["name"] as? String)
            let text = try #require(row["secret"] as? String)
            // Base64 without its padding: one library's leniency, not a rule of the specification.
            guard row["optional"] as? Bool != true else {
                leftOut.append(name)
                continue
            }
            let signer = StandardWebhooksSigner(secrets: [try WebhookSecret(text.hasPrefix("whsec_") ? text : "whsec_" + text)])
            let headers = try #require(row["headers"] as? [String: String])
            let isChecked = row["checkTimestamp"] as? Bool ?? true
            let now = Timestamp(seconds: Int64(try #require(row["now"] as? Int)))
            let isValid: Bool
            do {
                try signer.verify(
                    id: headers["webhook-id"], timestamp: headers["webhook-timestamp"],
                    signature: headers["webhook-signature"], body: Array(try #require(row["body"] as? String).utf8),
                    now: isChecked ? now : nil)
                isValid = true
            } catch {
                isValid = false
            }
            #expect(isValid == (row["valid"] as? Bool), "\(name)")
            if isValid == (row["valid"] as? Bool) { passed += 1 }
        }
        let ran = rows.count - leftOut.count
        print("standard-webhooks verifying: ran \(ran), passed \(passed), failed \(ran - passed), left out \(leftOut.count) \(leftOut)")
    }

    @Test(.conformance("standard-webhooks")) func unusableSecretsAreRefused() throws {
        let rows = try #require(try vectors()["secrets"] as? [[String: Any]])
        #expect(rows.count == 2)
        var refused = 0
        for row in rows {
            let text = try #require(row["secret"] as? String)
            let secret = try? WebhookSecret(text.hasPrefix("whsec_") ? text : "whsec_" + text)
            #expect(secret == nil, "\(text)")
            refused += secret == nil ? 1 : 0
        }
        print("standard-webhooks secrets: ran 2, passed \(refused), failed \(2 - refused), left out 0 [unusable ones, refused]")
    }

    @Test func secretsAreNeverShown() throws {
        let secret = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] { #expect(!text.contains("C2FV")) }
    }

    @Test func twoSecretsSignBothForRotation() throws {
        let old = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        let new = try WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        let signature = StandardWebhooksSigner(secrets: [new, old]).signature(id: "evt_1", timestamp: 1, body: [1, 2])
        #expect(signature.split(separator: " ").count == 2)
        for secret in [old, new] {
            try StandardWebhooksSigner(secrets: [secret])
                .verify(id: "evt_1", timestamp: "1", signature: signature, body: [1, 2], now: nil)
        }
    }

    @Test func requestCarriesWhatWasSigned() throws {
        let secret = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        let configuration = try WebhookConfiguration(
            url: "https://erp.example.com/in?a=b", secrets: [secret], headers: [(name: "X-Tenant", value: "7")])
        let event = Event(id: "evt_a", type: "a.b", json: Array(#"{"id":"evt_a"}"#.utf8))
        let request = WebhookRequestBuilder(configuration, userAgent: "test/1").request(for: event, now: Timestamp(seconds: 99))
        let headers = Dictionary(request.headers.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(request.url == "https://erp.example.com/in?a=b" && request.body == event.json)
        #expect(headers["webhook-id"] == "evt_a" && headers["webhook-timestamp"] == "99" && headers["X-Tenant"] == "7")
        #expect(headers["content-type"] == "application/cloudevents+json; charset=UTF-8" && headers["user-agent"] == "test/1")
        try StandardWebhooksSigner(secrets: [secret]).verify(
            id: "evt_a", timestamp: "99", signature: headers["webhook-signature"], body: request.body,
            now: Timestamp(seconds: 100))
    }

    @Test(arguments: [
        ("ftp://a/", WebhookConfigurationError.urlInvalid(.schemeUnsupported)), ("http:///x", .urlInvalid(.hostMissing)),
        ("http://u:p@h/", .urlInvalid(.userInformation)), ("http://h:0/", .urlInvalid(.portInvalid)),
        ("http://h/a b", .urlInvalid(.characterInvalid)), ("http://h/\r\nX: y", .urlInvalid(.characterInvalid)),
    ])
    func badURLs(url: String, error: WebhookConfigurationError) throws {
        let secret = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        #expect(throws: error) { try WebhookConfiguration(url: url, secrets: [secret]) }
    }
}
