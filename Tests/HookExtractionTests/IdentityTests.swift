// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Ids must never change: consumers tell by them what they have seen already, also across versions of this program. The
// expected ones were made with another program (Python's hashlib and base64) from the octets that are named here.

import Testing

@testable import HookExtraction

@Suite struct IdentityTests {
    /// SHA-256 of `subject:x LF LF body`.
    private let digest = ContentDigest.of(Array("Subject:\t x \r\n\r\nbody\r\n".utf8))

    @Test func messages() {
        #expect(MessageIdentity.id(contentDigest: digest) == "msg_vixjb5uidbo2j733umo7pfj7ky")
    }

    /// SHA-256 of `mailhookd-event-1 NUL app.store.order NUL 1.2 NUL 3 NUL` and the digest.
    @Test func eventsOfMails() {
        let id = EventIdentity.id(eventName: "app.store.order", contentDigest: digest, path: "1.2", index: 3)
        #expect(id == "evt_vfogdibrkdj2wcqqco3ydy45jb4v3426")
    }

    /// SHA-256 of `mailhookd-post-event-1 NUL app.store.order NUL schlüssel NUL`.
    @Test func eventsOfPosts() {
        let id = EventIdentity.id(eventName: "app.store.order", postIdentity: "schlüssel")
        #expect(id == "evt_wtglmubinkcbikdr2p27wgazq7553mrr")
    }
}
