// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What becomes of the body of a POST, form by form, and that whatever the octets are there is
// one event of valid JSON.

import HookModel
import JSONLD
import Testing

@testable import HookExtraction

@Suite struct PostTests {
    static func post(
        _ type: String?, _ body: [UInt8], onNoData: HookPolicy.NoData = .accept, identity: String = "req_1"
    ) -> ReceivedPost {
        let hook = Hook(app: "a", eventName: "kustomer.app.a.b", type: .form, policy: HookPolicy(onNoData: onNoData))
        let envelope = Envelope(source: .http, mailFrom: nil, recipients: ["/v1/hooks/form/t"], peer: "192.0.2.1")
        return ReceivedPost(
            hook: AddressedHook(hook: hook, current: .init(token: "t", key: "k")),
            message: ReceivedMessage(
                envelope: envelope, bytes: ReceivedPost.entityHeader(contentType: type) + body,
                receivedAt: Timestamp(seconds: 1_800_000_000)), identity: identity, requestID: "req_1")
    }

    private func event(_ post: ReceivedPost) throws -> JSONValue {
        let verdict = PostProcessor(instance: "hooks.example").process(post)
        let event = try #require(verdict.hooks.first?.events.first)
        #expect(!event.json.contains(UInt8(ascii: "\n")))
        return try JSONDocument(event.json, limits: JSONLimits(depth: 1024)).root
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var type: String?
        var body: String
        var form: String
        var data: String
        var testDescription: String { "\(type ?? "-"): \(body.prefix(40))" }
    }

    static let multipart = "multipart/form-data; boundary=XX"
    static func parts(_ parts: String...) -> String { parts.map { "--XX\r\n\($0)\r\n" }.joined() + "--XX--\r\n" }

    /// What is stored, erased and traced of one post is no matter of others of the same content.
    @Test func postsOfTheSameContentAreTold() {
        func digest(_ body: String, _ identity: String) -> [UInt8] {
            PostProcessor(instance: "i").process(Self.post("text/plain", Array(body.utf8), identity: identity)).contentDigest
        }
        #expect(digest("a", "k") == digest("a", "k"))
        #expect(Set([digest("a", "k"), digest("a", "k2"), digest("b", "k")]).count == 3)
    }

    @Test(arguments: [
        Case(type: "application/json", body: #" {"a.b": 1.10, "z":null} "#, form: "json", data: #"{"a.b": 1.10, "z":null}"#),
        Case(type: nil, body: "[1,\n2]", form: "json", data: "[1, 2]"),
        Case(type: "text/plain", body: #"{"a":1}"#, form: "json", data: #"{"a":1}"#),
        // What curl -d says of everything.
        Case(type: "application/x-www-form-urlencoded", body: #"{"a":"b=c&d"}"#, form: "json", data: #"{"a":"b=c&d"}"#),
        Case(type: "application/ld+json", body: #"{"@id":"x:1"}"#, form: "json-ld", data: #"{"@id":"x:1"}"#),
        Case(type: "application/json", body: "\u{FEFF}{}", form: "json", data: "{}"),
        Case(type: "application/json", body: "42", form: "text", data: #"{"unstructured":"42"}"#),
        Case(type: "application/json", body: "{oops", form: "text", data: #"{"unstructured":"{oops"}"#),
        Case(type: "text/plain", body: "a \"b\"\u{1}", form: "text", data: #"{"unstructured":"a \"b\"\u0001"}"#),
        Case(type: "application/json", body: " \r\n", form: "empty", data: "{}"),
        Case(type: nil, body: "", form: "empty", data: "{}"),
        Case(
            type: "application/x-www-form-urlencoded; charset=UTF-8", body: "a+b=%C3%A9&c&&=x&a+b=%zz%4",
            form: "urlencoded", data: #"{"a b":["é","%zz%4"],"c":"","":"x"}"#),
        Case(type: "application/x-www-form-urlencoded", body: "n=J%F6rg", form: "urlencoded", data: #"{"n":"Jörg"}"#),
        Case(type: "application/x-www-form-urlencoded", body: "{x=1", form: "urlencoded", data: #"{"{x":"1"}"#),
        Case(type: "text/xml", body: "<a/>", form: "xml", data: #"{"xml":"<a/>"}"#),
        Case(type: "application/soap+xml; charset=utf-8", body: "[]", form: "xml", data: #"{"xml":"[]"}"#),
        Case(
            type: multipart,
            body: parts("Content-Disposition: form-data; name=\"a.b\"\r\n\r\n1", "Content-Disposition: form-data; name=\"a.b\"\r\n\r\n2"),
            form: "multipart", data: #"{"a.b":["1","2"]}"#),
        Case(
            type: multipart,
            body: parts(
                "Content-Disposition: form-data; name=\"f\"; filename=\"x %22y%22.eml\"\r\nContent-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nb"
            ), form: "multipart",
            data: #"{"f":{"filename":"x \"y\".eml","contentType":"message/rfc822","size":15,"content":"U3ViamVjdDogYQ0KDQpi"}}"#),
        Case(
            type: multipart,
            body: parts("Content-Disposition: form-data; name=\"f\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n"),
            form: "multipart", data: #"{"f":null}"#),
        Case(type: "multipart/form-data", body: "--XX--", form: "text", data: #"{"unstructured":"--XX--"}"#),
        Case(type: multipart, body: "nothing", form: "text", data: #"{"unstructured":"nothing"}"#),
    ])
    func bodiesBecomeData(_ test: Case) throws {
        let event = try event(Self.post(test.type, Array(test.body.utf8)))
        #expect(event["bodyform"]?.string == test.form)
        #expect(event["data"].map { String(decoding: $0.text, as: UTF8.self) } == test.data)
        let type = test.form == "json-ld" ? "application/ld+json" : "application/json"
        #expect(event["datacontenttype"]?.string == type)
    }

    @Test func octetsOfOtherCharsets() throws {
        let latin = try event(Self.post("text/plain; charset=iso-8859-1", [0x4A, 0xF6]))
        #expect(latin["data"]?["unstructured"]?.string == "Jö")
        let json = try event(Self.post("application/json; charset=iso-8859-1", Array(#"{"a":""#.utf8) + [0xF6] + Array("\"}".utf8)))
        #expect(json["data"]?["a"]?.string == "ö")
        let wide = try event(Self.post("application/json; charset=utf-16le", Array("{}".utf16.flatMap { [UInt8($0), 0] })))
        #expect(wide["bodyform"]?.string == "json")
        let none = try event(Self.post("application/octet-stream", [0xFF, 0x41]))
        #expect(none["data"]?["unstructured"]?.string == "\u{FFFD}A")
    }

    @Test(arguments: [
        ("application/json", "{oops", Outcome.jsonInvalid), ("text/plain", "hello", .noStructuredData),
        ("application/json", "", .noStructuredData), ("application/json", "nope", .jsonInvalid),
        ("application/json", String(repeating: "[", count: 600), .limitExceeded),
        ("application/x-www-form-urlencoded", String(repeating: "a&", count: 1001), .limitExceeded),
        ("application/json", "{}", .accepted), ("text/xml", "<", .accepted), ("application/x-www-form-urlencoded", "a", .accepted),
    ])
    func hooksThatWantDataRefuseOthers(type: String, body: String, outcome: Outcome) {
        let strict = PostProcessor(instance: "i").process(Self.post(type, Array(body.utf8), onNoData: .reject))
        #expect(strict.answer == outcome)
        #expect(strict.hooks[0].events.count == (outcome == .accepted ? 1 : 0))
        let lenient = PostProcessor(instance: "i").process(Self.post(type, Array(body.utf8)))
        #expect(lenient.answer == .accepted && lenient.hooks[0].events.count == 1)
    }

    @Test(arguments: [
        ("application/json", #"{"n":1}"#, Outcome.accepted), ("application/json", #"{"n":"1"}"#, .schemaInvalid),
        ("application/x-www-form-urlencoded", "n=1", .schemaInvalid), ("text/plain", "hello", .schemaInvalid),
    ])
    func schemasHoldForPosts(type: String, body: String, outcome: Outcome) {
        var post = Self.post(type, Array(body.utf8))
        var hook = post.hook.hook
        hook.policy.schema = Array(#"{"properties":{"n":{"type":"integer"}},"required":["n"]}"#.utf8)
        post.hook = AddressedHook(hook: hook, current: post.hook.current)
        let verdict = PostProcessor(instance: "i", hooks: [hook]).process(post)
        #expect(verdict.answer == outcome && verdict.hooks[0].events.count == (outcome == .accepted ? 1 : 0))
    }

    /// Of the body alone, whatever the header says.
    @Test(arguments: [(9, Outcome.hookLimitExceeded), (10, .accepted)])
    func theSizeOfAHookHoldsForPosts(limit: Int, outcome: Outcome) {
        var post = Self.post("application/json; charset=utf-8", Array(#"{"a":1234}"#.utf8))
        var hook = post.hook.hook
        hook.policy.messageSize = limit
        post.hook = AddressedHook(hook: hook, current: post.hook.current)
        let verdict = PostProcessor(instance: "i", hooks: [hook]).process(post)
        #expect(verdict.answer == outcome && verdict.hooks[0].events.count == (outcome == .accepted ? 1 : 0))
    }

    @Test func formsHoldForPosts() throws {
        var post = Self.post("application/json", Array(#"{"@context":{"a":"x:a"},"a":1}"#.utf8))
        var hook = post.hook.hook
        hook.policy.form = .expanded
        post.hook = AddressedHook(hook: hook, current: post.hook.current)
        let verdict = PostProcessor(instance: "i", hooks: [hook]).process(post)
        let event = try JSONDocument(try #require(verdict.hooks.first?.events.first).json).root
        #expect(event["data"].map { String(decoding: $0.text, as: UTF8.self) } == #"[{"x:a":[{"@value":1}]}]"#)
        #expect(event["form"]?.string == "expanded" && event["datacontenttype"]?.string == "application/ld+json")
    }

    @Test func idsFollowFromIdentity() throws {
        func id(_ identity: String, _ body: String) throws -> String? {
            try event(Self.post(nil, Array(body.utf8), identity: identity))["id"]?.string
        }
        #expect(try id("k", "a") == id("k", "b"))
        #expect(try id("k", "a") != id("l", "a"))
        #expect(PostProcessor(instance: "i").process(Self.post(nil, [1], identity: "k")).messageID == "k")
    }

    @Test func theHeaderOfTheEntityCannotBeBrokenOutOf() throws {
        let header = ReceivedPost.entityHeader(contentType: "text/xml\r\nX: y\r\n\r\n{}")
        #expect(String(decoding: header, as: UTF8.self) == "Content-Type: text/xml  X: y    {}\r\n\r\n")
        #expect(try event(Self.post("", Array("\r\n{}".utf8)))["bodyform"]?.string == "json")
    }

    /// Uploaded mails cannot use up the room of the fields behind them.
    @Test func nestedPartsDoNotCount() throws {
        let inner = String(repeating: "--I\r\n\r\nx\r\n", count: 3000)
        let body = Self.parts(
            "Content-Disposition: form-data; name=\"m\"; filename=\"m\"\r\nContent-Type: multipart/mixed; boundary=I\r\n\r\n\(inner)--I--",
            "Content-Disposition: form-data; name=\"last\"\r\n\r\nyes")
        let event = try event(Self.post(Self.multipart, Array(body.utf8)))
        #expect(event["data"]?["last"]?.string == "yes")
        #expect(event["data"]?["m"]?["size"]?.integerValue == inner.utf8.count + 5)
    }

    /// Every prefix of good bodies, and random changes: always one event, always JSON.
    @Test func hostileBodies() throws {
        let good: [(String, String)] = [
            (Self.multipart, Self.parts("Content-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nc")),
            ("application/x-www-form-urlencoded", "a=%41&b=%C3%A9"), ("application/json", #"{"a":["\u00e9",1e5]}"#),
            ("text/xml; charset=utf-7", "+AGE-"),
        ]
        var state: UInt64 = 7
        for (type, body) in good {
            let bytes = Array(body.utf8)
            for count in 0...bytes.count { _ = try event(Self.post(type, Array(bytes[..<count]))) }
            for _ in 0..<200 {
                var changed = bytes
                for _ in 0..<3 {
                    state = state &* 6_364_136_223_846_793_005 &+ 1
                    changed[Int(state >> 33) % changed.count] = UInt8(truncatingIfNeeded: state >> 20)
                }
                _ = try event(Self.post(type, changed))
            }
        }
    }

    @Test func manyRepeatedNamesAreLinear() throws {
        let body = Array(repeating: "a=1", count: 1000).joined(separator: "&")
        #expect(try event(Self.post("application/x-www-form-urlencoded", Array(body.utf8)))["data"]?["a"]?.elements.count == 1000)
    }
}
