// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From a message to verdict and events.

import HookModel
import JSONLD
import MIMEParser
import Testing

@testable import HookExtraction

@Suite struct ProcessorTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func directory(_ policy: HookPolicy = HookPolicy()) -> HookDirectory {
        HookDirectory(
            hooks: [
                AddressedHook(
                    hook: Hook(app: "shop", eventName: "kustomer.app.shop.order", type: .email, policy: policy),
                    current: .init(token: "tok", key: "k_right")),
                AddressedHook(
                    hook: Hook(app: "shop", eventName: "kustomer.app.shop.all", type: .email),
                    current: .init(token: "other", key: "k_other")),
            ], domains: ["hooks.example"])
    }

    private func process(_ mail: [UInt8], policy: HookPolicy = HookPolicy(), to recipients: [String] = ["tok@hooks.example"]) -> ProcessedMessage {
        MessageProcessor(directory: directory(policy), instance: "mx.example").process(
            ReceivedMessage(
                envelope: Envelope(source: .smtp, mailFrom: "a@b.example", recipients: recipients), bytes: mail, receivedAt: now))
    }

    /// Of several hooks in one mail each has its own answer; where one takes it, the mail is accepted.
    @Test func sendersAndSizesOfAHook() throws {
        let mail = html(#"<script type="application/ld+json">{}</script>"#)
        let stranger = HookPolicy(senders: [try #require(SenderPattern("other.example"))])
        let both = ["tok@hooks.example", "other@hooks.example"]
        for (policy, outcome) in [
            (stranger, Outcome.senderNotAccepted), (HookPolicy(messageSize: mail.count - 1), .hookLimitExceeded),
            (HookPolicy(senders: [try #require(SenderPattern("b.example"))], messageSize: mail.count), .accepted),
        ] {
            let alone = process(mail, policy: policy).verdict
            #expect(alone.answer == outcome && alone.hooks.map(\.outcome) == [outcome])
            #expect(alone.hooks.flatMap(\.events).count == (outcome == .accepted ? 1 : 0))
            let two = process(mail, policy: policy, to: both)
            #expect(two.verdict.answer == .accepted && two.recipients == [outcome, .accepted])
        }
    }

    private func html(_ scripts: String) -> [UInt8] { Array("Subject: s\r\nContent-Type: text/html\r\n\r\n\(scripts)".utf8) }

    @Test func eventSaysWhereItsDataStood() throws {
        let mail = Array("""
            From: shop@x.example
            Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
            Message-ID: <1@x.example>
            Content-Type: application/ld+json

            {"@id":"urn:o:1",
             "price": 34.90, "x": 12345678901234567890123}
            """.replacing("\n", with: "\r\n").utf8)
        let processed = process(mail, to: ["tok+blue@hooks.example"])
        let event = try #require(processed.verdict.hooks.first?.events.first)
        let root = try JSONDocument(event.json).root
        let expected = [
            "specversion": "1.0", "id": event.id, "source": "mailhookd://mx.example/shop", "type": "kustomer.app.shop.order",
            "subject": "urn:o:1", "time": now.rfc3339, "datacontenttype": "application/ld+json", "hooktype": "email",
            "intake": "smtp", "messageid": "1@x.example", "mailfrom": "a@b.example", "mailsubject": "Grüße", "partpath": "1",
            "partorigin": "part", "recipienttag": "blue", "trust": "none",
        ]
        for (name, value) in expected { #expect(root[name]?.string == value, "\(name)") }
        #expect(Set(root.members.map(\.name)) == Set(expected.keys).union(["data"]))
        // As it was sent, but on one line.
        #expect(String(decoding: try #require(root["data"]).text, as: UTF8.self)
            == "{\"@id\":\"urn:o:1\",   \"price\": 34.90, \"x\": 12345678901234567890123}")
        #expect(!event.json.contains(0x0A) && !event.json.contains(0x0D))
        #expect(root.members.allSatisfy { $0.name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) } })
    }

    @Test func sameContentSameIDByEveryRoad() throws {
        let mail = "Subject: s\nContent-Type: application/json\n\n[1,\n2]\n"
        let lineFeeds = process(Array(mail.utf8))
        let id = try #require(lineFeeds.verdict.hooks.first?.events.first?.id)
        #expect(id.hasPrefix("evt_") && !id.contains("."))
        let variants = [
            mail.replacing("\n", with: "\r\n"), "Return-Path: <x@y>\nReceived: from a\n\tby b\n" + mail,
            "From me Mon Jan 1\n" + mail, mail + "\n\n", mail.replacing("Subject: s", with: "SUBJECT:   s "),
        ]
        for variant in variants { #expect(process(Array(variant.utf8)).verdict.hooks.first?.events.first?.id == id) }
        for other in [mail.replacing("2", with: "3"), mail.replacing("Subject: s", with: "Subject: t")] {
            #expect(process(Array(other.utf8)).verdict.hooks.first?.events.first?.id != id)
        }
        // Another hook makes another event of it.
        #expect(process(Array(mail.utf8), to: ["other@hooks.example"]).verdict.hooks.first?.events.first?.id != id)
    }

    @Test func recipientsOfSeveralHooks() {
        let mail = html("<script type=application/json>1</script>")
        let processed = process(
            mail, to: ["nobody@hooks.example", "tok@hooks.example", "TOK+x@hooks.example", "other@hooks.example", "a@elsewhere.example"])
        #expect(processed.recipients == [.recipientUnknown, .accepted, .accepted, .accepted, .relayDenied])
        #expect(processed.verdict.hooks.map(\.eventName) == ["kustomer.app.shop.order", "kustomer.app.shop.all"])
        #expect(processed.verdict.answer == .accepted)
        #expect(process(mail, to: ["nobody@hooks.example"]).verdict.answer == .recipientUnknown)
    }

    private static let right = "<script type=application/ld+json data-kustomer-key=k_right>1</script>"
    private static let wrong = "<script type=application/ld+json data-hook-key=k_wrong>1</script>"
    private static let plain = "<script type=application/ld+json>1</script>"
    private static let broken = "<script type=application/ld+json>{</script>"

    @Test(arguments: [
        (right, HookPolicy(), Outcome.accepted, Outcome.accepted), (plain, HookPolicy(), .accepted, .accepted),
        (wrong, HookPolicy(), .keyWrong, .keyWrong), (wrong + plain, HookPolicy(), .accepted, .accepted),
        (right, HookPolicy(key: .required), .accepted, .accepted), (plain, HookPolicy(key: .required), .keyMissing, .keyMissing),
        (wrong, HookPolicy(key: .required), .keyWrong, .keyWrong),
        (broken, HookPolicy(), .jsonInvalid, .accepted), (broken, HookPolicy(onNoData: .reject), .jsonInvalid, .jsonInvalid),
        (broken + plain, HookPolicy(onNoData: .reject), .accepted, .accepted),
        ("<p>", HookPolicy(), .noStructuredData, .accepted), ("<p>", HookPolicy(onNoData: .reject), .noStructuredData, .noStructuredData),
        (plain, HookPolicy(sources: [.parts], onNoData: .reject), .sourceNotAccepted, .sourceNotAccepted),
    ])
    func outcomes(scripts: String, policy: HookPolicy, outcome: Outcome, answer: Outcome) {
        let verdict = process(html(scripts), policy: policy).verdict.hooks.first
        #expect(verdict?.outcome == outcome)
        #expect(verdict?.answer == answer)
        #expect(verdict?.events.isEmpty == (outcome != .accepted))
    }

    @Test func onlyTheRightKeyIsTrust() throws {
        let events = process(html(Self.right + Self.plain)).verdict.hooks.first?.events ?? []
        let trust = try events.map { try JSONDocument($0.json).root["trust"]?.string }
        #expect(trust == ["key", "none"])
        // The key itself goes nowhere.
        #expect(events.allSatisfy { !String(decoding: $0.json, as: UTF8.self).contains("k_right") })
    }

    @Test func previousKeyCountsUntilItsTime() {
        let addressed = AddressedHook(
            hook: Hook(app: "a", eventName: "e", type: .email), current: .init(token: "new", key: "k_new"),
            previous: (.init(token: "old", key: "k_old"), until: now.advanced(by: .seconds(10))))
        let directory = HookDirectory(hooks: [addressed], domains: ["h.example"])
        let processor = MessageProcessor(directory: directory, instance: "i")
        func outcome(_ time: Timestamp) -> Outcome? {
            let mail = html("<script type=application/ld+json data-hook-key=k_old>1</script>")
            let envelope = Envelope(source: .smtp, mailFrom: nil, recipients: ["new@h.example"])
            return processor.process(ReceivedMessage(envelope: envelope, bytes: mail, receivedAt: time)).verdict.hooks.first?.outcome
        }
        #expect(outcome(now) == .accepted)
        #expect(outcome(now.advanced(by: .seconds(10))) == .keyWrong)
    }

    private static let order = #"{"@context":"https://schema.org","@type":"Order","orderNumber":"7"}"#
    private static let unknown = #"{"@context":"https://contexts.example/x","@type":"Order"}"#
    private static let brokenLD = #"{"@context":"https://schema.org","@id":7}"#

    @Test(arguments: [
        (order, HookPolicy(acceptTypes: ["Order"]), Outcome.accepted, order),
        (order, HookPolicy(acceptTypes: ["https://schema.org/Order"]), .accepted, order),
        (order, HookPolicy(acceptTypes: ["ParcelDelivery"]), .typeNotAccepted, ""),
        ("{\"a\":1}", HookPolicy(acceptTypes: ["Order"]), .typeNotAccepted, ""),
        (order, HookPolicy(form: .expanded), .accepted,
            #"[{"@type":["http://schema.org/Order"],"http://schema.org/orderNumber":[{"@value":"7"}]}]"#),
        (order, HookPolicy(form: .compacted(context: Array(#"{"@vocab":"http://schema.org/"}"#.utf8))), .accepted,
            #"{"@context":{"@vocab":"http://schema.org/"},"@type":"Order","orderNumber":"7"}"#),
        ("{\"a\":1}", HookPolicy(form: .expanded), .accepted, "{\"a\":1}"),
        (unknown, HookPolicy(), .accepted, unknown),
        (unknown, HookPolicy(form: .expanded), .contextUnknown, ""),
        (unknown, HookPolicy(form: .expanded, onUnprocessable: .asSent), .accepted, unknown),
        ("{\"n\":1}", HookPolicy(schema: Array(#"{"required":["n"]}"#.utf8)), .accepted, "{\"n\":1}"),
        ("{\"m\":1}", HookPolicy(schema: Array(#"{"required":["n"]}"#.utf8)), .schemaInvalid, ""),
        (order, HookPolicy(acceptTypes: ["Order"], schema: Array(#"{"properties":{"orderNumber":{"type":"number"}}}"#.utf8)),
            .schemaInvalid, ""),
        (brokenLD, HookPolicy(acceptTypes: ["Order"]), .jsonldInvalid, ""),
    ])
    func jsonLDPolicy(document: String, policy: HookPolicy, outcome: Outcome, data: String) throws {
        let type = document.contains("@context") ? "application/ld+json" : "application/json"
        let verdict = try #require(process(html("<script type=\(type)>\(document)</script>"), policy: policy).verdict.hooks.first)
        #expect(verdict.outcome == outcome)
        let event = try verdict.events.first.map { try JSONDocument($0.json).root["data"]?.text }
        #expect(event.map { String(decoding: $0 ?? [], as: UTF8.self) } ?? "" == data)
    }

    /// A hundred documents that each ask for as much work as possible cost no more than one.
    @Test func costlyDocumentsAreNotMultiplied() throws {
        let imports = Array(repeating: #"{"@import":"https://schema.org"}"#, count: 50).joined(separator: ",")
        let values = Array(repeating: #"{"p":1}"#, count: 5000).joined(separator: ",")
        let document = #"{"@context":{"@version":1.1,"p":{"@id":"http://e/p","@context":[\#(imports)]}},"#
            + #""@type":"https://schema.org/Order","p":[\#(values)]}"#
        let scripts = String(repeating: "<script type=application/ld+json>\(document)</script>", count: 99)
        let start = ContinuousClock.now
        let processed = process(html(scripts), policy: HookPolicy(form: .expanded))
        #expect(processed.verdict.hooks.first?.outcome == .jsonldInvalid)
        let reasons = processed.decisions.first?.reasons ?? [:]
        #expect(reasons.count == 99 && Set(reasons.values).count == 2)
        // Each alone takes seconds in a debug build.
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test func repairIsTheHooksChoice() throws {
        let broken = html("<script type=application/ld+json>{\"a\":1,}</script>")
        #expect(process(broken).verdict.hooks.first?.events.isEmpty == true)
        let event = try #require(process(broken, policy: HookPolicy(repair: true)).verdict.hooks.first?.events.first)
        #expect(try JSONDocument(event.json).root["repairs"]?.string == "trailing_commas")
    }

    @Test func hostileAttributesStayInBounds() throws {
        let subject = String(repeating: "é", count: 50_000)
        let mail = Array("Subject: \(subject)\r\nContent-Type: application/json\r\n\r\n{\"@id\":\"\(subject)\"}".utf8)
        let event = try #require(process(mail).verdict.hooks.first?.events.first)
        let root = try JSONDocument(event.json).root
        for name in ["mailsubject", "subject"] {
            #expect(try #require(root[name]?.string).utf8.count <= 2048)
        }
    }

    /// Whatever a mail is cut to, something comes of it and nothing breaks.
    @Test func everyTruncation() {
        let mail = Array("""
            Subject: x
            Content-Type: multipart/mixed; boundary="b"

            --b
            Content-Type: text/html; charset=utf-8
            Content-Transfer-Encoding: quoted-printable

            <script type=3D"application/ld+json" data-kustomer-key=3D"k_right">{"a":"=C3=A9"}</script>
            --b
            Content-Type: application/json
            Content-Transfer-Encoding: base64

            eyJhIjoxfQ==
            --b--
            """.replacing("\n", with: "\r\n").utf8)
        for count in 0...mail.count {
            let processed = process(Array(mail[..<count]))
            #expect(processed.verdict.hooks.count == 1)
        }
        #expect(process(mail).verdict.hooks.first?.events.count == 2)
    }
}
