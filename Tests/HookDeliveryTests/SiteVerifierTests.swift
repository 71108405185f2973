// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the answers of a verifier of challenges mean. Questions are asked in EndToEndTests.

import HookModel
import Testing

@testable import HookDelivery

@Suite struct SiteVerifierTests {
    @Test(arguments: [
        (200, #"{"success":true,"hostname":"x"}"#, ChallengeResult.passed), (200, #"{"success":false}"#, .failed),
        (200, #"{"success":false,"error-codes":["invalid-input-response"]}"#, .failed),
        (200, #"{"success":false,"error-codes":["timeout-or-duplicate"]}"#, .failed),
        (200, #"{"success":false,"error-codes":["invalid-input-secret"]}"#, .unavailable(reason: "invalid-input-secret")),
        (200, #"{"success":"true"}"#, .unavailable(reason: "bad_response")), (200, "[]", .unavailable(reason: "bad_response")),
        (200, "<html>", .unavailable(reason: "bad_response")), (200, "", .unavailable(reason: "bad_response")),
        (200, #"{"success":true"#, .unavailable(reason: "bad_response")),
        (302, #"{"success":true}"#, .unavailable(reason: "http_302")), (500, "", .unavailable(reason: "http_500")),
    ])
    func answers(status: Int, body: String, result: ChallengeResult) {
        #expect(SiteVerifier.result(status: status, body: Array(body.utf8)) == result)
    }

    @Test func encoding() {
        #expect(SiteVerifier.encoded("aZ9-._~ &=+%é\r\n") == "aZ9-._~%20%26%3D%2B%25%C3%A9%0D%0A")
    }
}
