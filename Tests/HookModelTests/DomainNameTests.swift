// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Both spellings of a domain lead to the same hook.

import Testing

@testable import HookModel

@Suite struct DomainNameTests {
    /// Samples of RFC 3492 section 7.1 (B, L, P), and domains that are in use.
    @Test(arguments: [
        ("bücher", "bcher-kva"), ("münchen", "mnchen-3ya"), ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
        ("3年b組金八先生", "3b-ww4c5e180e575a65lsy2b"), ("maji"+"で"+"koi"+"する"+"5"+"秒前", "majikoi5-783gue6qz075azm5e"),
        ("ü", "tda"), ("ıß", "zca7n"),
    ])
    func punycode(label: String, encoded: String) { #expect(DomainName.ascii(label) == "xn--" + encoded) }

    @Test func bothSpellingsLeadToTheHook() throws {
        var policy = HookPolicy()
        policy.aliases = ["orders@bücher.example"]
        policy.senders = [try #require(SenderPattern("*.münchen.example")), try #require(SenderPattern("a@xn--tda.example"))]
        let hook = Hook(app: "a", eventName: "a.b", type: .email, policy: policy)
        let directory = HookDirectory(
            hooks: [AddressedHook(hook: hook, current: .init(token: "token", key: "key"))], domains: ["xn--mnchen-3ya.example"])
        for address in [
            "orders@BÜCHER.example", "orders+t@xn--bcher-kva.example", "token@münchen.example", "Token@XN--MNCHEN-3ya.example",
        ] {
            guard case .hook = directory.resolve(address, now: Timestamp(seconds: 0)) else {
                Issue.record("\(address) leads nowhere")
                continue
            }
        }
        #expect(directory.resolve("x@münchen.example", now: Timestamp(seconds: 0)) == .unknown)
        for sender in ["x@a.münchen.example", "x@a.xn--mnchen-3ya.example", "a@ü.example"] {
            #expect(policy.refusal(of: MailOffer(sender: sender)) == nil, "\(sender)")
        }
        #expect(policy.refusal(of: MailOffer(sender: "x@münchen.example")) == .senderNotAccepted)
    }

    @Test func domains() {
        #expect(DomainName.ascii("BÜCHER.Example") == "xn--bcher-kva.example")
        #expect(DomainName.ascii("Hooks.EXAMPLE") == "hooks.example")
        #expect(DomainName.ascii("XN--bcher-kva.例え") == "xn--bcher-kva.xn--r8jz45g")
        #expect(DomainName.ascii(String(repeating: "ü", count: 70) + ".example") == nil)
        #expect(DomainName.lowercased(address: "Größe@Bücher.example") == "größe@xn--bcher-kva.example")
        #expect(DomainName.lowercased(address: "a\"@\"b@ü") == "a\"@\"b@xn--tda")
        #expect(DomainName.lowercased(address: "POSTMASTER") == "postmaster")
    }
}
