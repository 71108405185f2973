// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whose mail a hook takes, and how much of it.

import HookModel
import Testing

@Suite struct MailOfferTests {
    @Test(arguments: [
        ("orders@shop.example", ["orders@shop.example", "Orders@SHOP.example"],
            ["shop.example", "", "x@shop.example", "orders@shop.example.net", "orders@sub.shop.example", "a orders@shop.example"]),
        ("Shop.Example", ["a@shop.example", "\"a@b\"@Shop.example"],
            ["a@sub.shop.example", "a@shop.example.net", "a@notshop.example", "shop.example", "shop.example@b.example", ""]),
        ("*.shop.example", ["a@mail.shop.example", "a@x.y.SHOP.example"],
            ["a@shop.example", "a@xshop.example", "a@.shop.example", "a@mail.shop.example.net", ""]),
        ("<>", [""], ["a@shop.example", "<>", "@"]),
    ])
    func patterns(text: String, its: [String], others: [String]) throws {
        let pattern = try #require(SenderPattern(text))
        for sender in its { #expect(pattern.matches(sender), "\(sender)") }
        for sender in others { #expect(!pattern.matches(sender), "\(sender)") }
        #expect(pattern.matches(pattern.example))
        #expect(pattern.description == text.lowercased())
    }

    @Test(arguments: ["", "@", "a@", "@b.example", "*", "*.", "*@b.example.", "a b.example", ".b.example", "a@*.b.example", "<a@b.example>"])
    func noPattern(text: String) { #expect(SenderPattern(text) == nil) }

    @Test func whatAHookRefuses() throws {
        let shop = try #require(SenderPattern("shop.example"))
        var policy = HookPolicy(senders: [shop], messageSize: 1000)
        #expect(policy.refusal(of: MailOffer(sender: "a@shop.example")) == nil)
        #expect(policy.refusal(of: MailOffer(sender: "a@shop.example", size: 1000)) == nil)
        #expect(policy.refusal(of: MailOffer(sender: "a@shop.example", size: 1001)) == .hookLimitExceeded)
        #expect(policy.refusal(of: MailOffer(sender: "a@other.example", size: 1001)) == .senderNotAccepted)
        #expect(policy.refusal(of: MailOffer(sender: "")) == .senderNotAccepted)
        #expect(policy.refusal(of: MailOffer(sender: nil)) == .senderNotAccepted)
        policy.senders = []
        #expect(policy.refusal(of: MailOffer(sender: nil)) == nil && policy.refusal(of: MailOffer(sender: "")) == nil)
        policy.state = .paused
        #expect(policy.refusal(of: MailOffer(sender: "a@shop.example")) == .hookPaused)
    }
}
