// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Output templates, their schemas, and what the events say: by mail and by post.

import HookModel
import JSONLD
import Testing

@testable import HookExtraction

@Suite struct TriggerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var template: String
        var data: String
        var output: String
        var testDescription: String { "\(template) of \(data)" }
    }

    private static func fill(_ template: String, _ data: String) throws -> TriggerTemplate.Result {
        let compiled = TriggerTemplate(try JSONDocument(Array(template.utf8)).root)
        let root = try JSONDocument(Array(data.utf8)).root
        return compiled.fill(from: .init(data: root, id: "evt_1", name: "e.a", createdAt: "2026-03-02T09:00:01Z"))
    }

    @Test(arguments: [
        Case(template: #"{"t":"/#data.no"}"#, data: #"{"no":"FL-1"}"#, output: #"{"t":"FL-1"}"#),
        Case(template: #"{"t":"/#attributes.data.no"}"#, data: #"{"no":"FL-1"}"#, output: #"{"t":"FL-1"}"#),
        Case(template: #"{"t":"/#data.a.b.c"}"#, data: #"{"a":{"b":{"c":[1,  2]}}}"#, output: #"{"t":[1,  2]}"#),
        // Digits, order and line ends of what was sent.
        Case(template: #"{"t":"/#data"}"#, data: "{\"z\":1.10,\n\"a\":1e400}", output: #"{"t":{"z":1.10, "a":1e400}}"#),
        Case(
            template: #"{"a":"/#data.l.0.s","b":"/#data.l[1].s","c":"/#data.l.length","d":"/#data.l[1][0]"}"#,
            data: #"{"l":[{"s":true},{"s":null}]}"#, output: #"{"a":true,"b":null,"c":2}"#),
        Case(template: #"{"a":"/#data.0.x","n":"/#data.length"}"#, data: #"[{"x":7}]"#, output: #"{"a":7,"n":1}"#),
        // What is not there is left out; an element keeps its place.
        Case(
            template: #"{"a":"/#data.x","b":{"c":"/#data.x"},"l":["/#data.x","/#data.y",1]}"#, data: #"{"y":2}"#,
            output: #"{"b":{},"l":[null,2,1]}"#),
        Case(template: #"{"a":"/#data.x.y","b":"/#data.l.-1","c":"/#data.l.9"}"#, data: #"{"x":"s","l":[1]}"#, output: "{}"),
        // Names with dots, at-signs and dashes.
        Case(
            template: #"{"a":"/#data.@type","b":"/#data.mail.address","c":"/#data.x-y.a.b.c"}"#,
            data: #"{"@type":"Order","mail.address":"i@x.test","x-y":{"a.b":{"c":3}}}"#,
            output: #"{"a":"Order","b":"i@x.test","c":3}"#),
        Case(template: #"{"a":"/#data.m.a"}"#, data: #"{"m.a":1,"m":{"a":2}}"#, output: #"{"a":2}"#),
        Case(
            template: #"{"i":"/#id","n":"/#name","t":"/#createdAt","u":"/#attributes.createdAt"}"#, data: "{}",
            output: #"{"i":"evt_1","n":"e.a","t":"2026-03-02T09:00:01Z","u":"2026-03-02T09:00:01Z"}"#),
        // Texts that only hold a path, and everything else, are themselves.
        Case(
            template: #"{"a":"see /#data.x","b":1.50,"c":null,"d":[true,{"e":"f"}],"g":"{{{data.x}}}"}"#, data: #"{"x":1}"#,
            output: #"{"a":"see /#data.x","b":1.50,"c":null,"d":[true,{"e":"f"}],"g":"{{{data.x}}}"}"#),
        Case(template: #"{"a":"/#fn:parseInt,data.x","b":"/#steps.1.x","c":"/#data..x","d":["/#"]}"#, data: #"{"x":1}"#, output: #"{"d":[null]}"#),
        Case(template: #"{"\u0061":"/#data.\u0061"}"#, data: #"{"a":"\u00e9\n"}"#, output: #"{"a":"\u00e9\n"}"#),
    ])
    func templatesAreFilled(_ test: Case) throws {
        guard case .output(let bytes) = try Self.fill(test.template, test.data) else {
            Issue.record("too costly")
            return
        }
        #expect(String(decoding: bytes, as: UTF8.self) == test.output)
        _ = try JSONDocument(bytes)
    }

    @Test func problemsAreToldWithTheirPlace() throws {
        let text = #"{"a":"/#fn:x,y","b":{"c":["/#stepz"]},"d":"/#data."}"#
        let problems = TriggerTemplate(try JSONDocument(Array(text.utf8)).root).problems
        #expect(problems.map(\.path) == [".a", ".b.c[0]", ".d"])
        #expect(problems.map(\.reason) == [.function, .unknownRoot("stepz"), .emptySegment])
    }

    @Test func placesOfReferences() throws {
        let text = #"{"a":{"b":["x","/#data.p",{"c":"/#data.q"}]},"d":"/#id"}"#
        let found = TriggerTemplate(try JSONDocument(Array(text.utf8)).root).references
        #expect(found.map(\.place) == [["a", "b", "1"], ["a", "b", "2", "c"], ["d"]])
        #expect(found.map(\.path.root) == [.data, .data, .id])
    }

    /// One document, referred to many times, must not fill the memory; nor may many names take all the time.
    @Test func costIsBounded() throws {
        let large = "{\"x\":\"\(String(repeating: "y", count: 100_000))\"}"
        let many = "{\(Array(repeating: "\"a\":\"/#data\"", count: 100).joined(separator: ","))}"
        #expect(try Self.fill(many, large) == .tooCostly)
        let wide = "{\((0..<20_000).map { "\"k\($0)\":0" }.joined(separator: ","))}"
        let paths = "{\((0..<100).map { "\"a\($0)\":\"/#data.zz.y\"" }.joined(separator: ","))}"
        #expect(try Self.fill(paths, wide) == .tooCostly)
    }

    private static let schema = #"{"type":"object","properties":{"tracking":{"type":"string"}},"required":["tracking"],"additionalProperties":false}"#

    private static func hook(_ template: String, _ schema: String?, type: HookType, policy: HookPolicy = HookPolicy()) -> Hook {
        Hook(
            app: "a", eventName: "kustomer.app.a.b", type: type, policy: policy,
            trigger: HookTrigger(outputTemplate: Array(template.utf8), outputSchema: schema.map { Array($0.utf8) }))
    }

    private func mail(_ hook: Hook, _ documents: String...) -> HookVerdict {
        let directory = HookDirectory(
            hooks: [AddressedHook(hook: hook, current: .init(token: "t", key: "k"))], domains: ["h.example"])
        let parts = documents.map { "--b\r\nContent-Type: application/json\r\n\r\n\($0)\r\n" }.joined()
        let mail = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\(parts)--b--\r\n"
        let envelope = Envelope(source: .smtp, mailFrom: "", recipients: ["t@h.example"])
        let message = ReceivedMessage(envelope: envelope, bytes: Array(mail.utf8), receivedAt: Timestamp(seconds: 1_800_000_000))
        return MessageProcessor(directory: directory, instance: "i").process(message).verdict.hooks[0]
    }

    @Test func outputTravelsWithTheEvent() throws {
        let verdict = mail(Self.hook(#"{"tracking":"/#data.no"}"#, Self.schema, type: .email), #"{"no": "FL-1", "p": 1.10}"#)
        #expect(verdict.outcome == .accepted && verdict.failures.isEmpty)
        let event = try JSONDocument(try #require(verdict.events.first).json).root
        // An attribute of an event is a text.
        #expect(event["output"]?.string == #"{"tracking":"FL-1"}"#)
        #expect(event["outputfailure"] == nil)
        #expect(event["data"].map { String(decoding: $0.text, as: UTF8.self) } == #"{"no": "FL-1", "p": 1.10}"#)
    }

    @Test func aViolationCostsTheOutputAndNotTheEvent() throws {
        let hook = Self.hook(#"{"tracking":"/#data.no"}"#, Self.schema, type: .email)
        let verdict = mail(hook, #"{"no":"FL-1"}"#, #"{"no":7}"#, #"{}"#)
        #expect(verdict.outcome == .outputInvalid && verdict.answer == .accepted)
        #expect(verdict.events.count == 3)
        #expect(verdict.failures.map(\.eventID) == verdict.events.dropFirst().map(\.id))
        #expect(verdict.failures.allSatisfy { $0.code == .outputInvalid })
        #expect(verdict.failures[0].reason.contains("/tracking"))
        let event = try JSONDocument(verdict.events[1].json).root
        #expect(event["output"] == nil)
        #expect(event["outputfailure"]?.string?.hasPrefix("output_invalid: /tracking") == true)
    }

    @Test func whatCostsTooMuchIsNotTriedAgain() {
        let references = Array(repeating: "\"a\":\"/#data\"", count: 100).joined(separator: ",")
        let large = "[\"\(String(repeating: "y", count: 100_000))\"]"
        let verdict = mail(Self.hook("{\(references)}", nil, type: .email), large, "{}")
        #expect(verdict.failures.map(\.code) == [.outputTooCostly, .outputTooCostly])
        #expect(verdict.failures.count == 2 && verdict.failures[1].reason.contains("earlier document"))
        #expect(verdict.events.count == 2 && verdict.outcome == .outputInvalid)
    }

    /// The data an event has is the data a path leads into.
    @Test func formsAreShapedFirst() throws {
        let hook = Self.hook(#"{"v":"/#data.0.http://x.test/a.0.@value"}"#, nil, type: .email, policy: HookPolicy(form: .expanded))
        let verdict = mail(hook, #"{"@context":{"@vocab":"http://x.test/"},"a":"b"}"#)
        let event = try JSONDocument(try #require(verdict.events.first).json).root
        #expect(event["output"]?.string == #"{"v":"b"}"#)
    }

    @Test(arguments: [
        ("application/json", #"{"no":"7"}"#, #"{"tracking":"7"}"#), ("application/x-www-form-urlencoded", "no=7", #"{"tracking":"7"}"#),
        ("application/json", #"{"no":7}"#, nil), ("text/plain", "hello", nil),
    ])
    func postsAreShaped(type: String, body: String, output: String?) throws {
        var post = PostTests.post(type, Array(body.utf8))
        let hook = Self.hook(#"{"tracking":"/#attributes.data.no"}"#, Self.schema, type: .form)
        post.hook = AddressedHook(hook: hook, current: post.hook.current)
        let verdict = PostProcessor(instance: "i", hooks: [hook]).process(post).hooks[0]
        #expect(verdict.answer == .accepted && verdict.outcome == (output == nil ? .outputInvalid : .accepted))
        let event = try JSONDocument(try #require(verdict.events.first).json).root
        #expect(event["output"]?.string == output)
        #expect((event["outputfailure"] == nil) == (output != nil))
    }

    @Test(arguments: [
        // Each draft where it is named; without a name what compiles.
        (#"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"t":{"items":[{"type":"string"}]}}}"#, true),
        (#"{"properties":{"t":{"items":[{"type":"string"}]}}}"#, true),
        (#"{"properties":{"t":{"prefixItems":[{"type":"string"}]}}}"#, true),
        (#"{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"t":{"items":[{"type":"string"}]}}}"#, false),
    ])
    func draftsOfSchemas(schema: String, compiles: Bool) {
        #expect(((try? TriggerShaper.compile(Array(schema.utf8))) != nil) == compiles)
        let verdict = mail(Self.hook(#"{"t":"/#data"}"#, schema, type: .email), "[1]")
        #expect(verdict.failures.count == 1)
        #expect(verdict.failures.first?.reason.contains("cannot be compiled") == !compiles)
    }

    @Test(arguments: [(HookState.active, Outcome.accepted), (.paused, .hookPaused), (.disabled, .hookDisabled)])
    func statesDecideFirst(state: HookState, outcome: Outcome) {
        let hook = Hook(app: "a", eventName: "kustomer.app.a.b", type: .email, policy: HookPolicy(state: state))
        let verdict = mail(hook, "{}")
        #expect(verdict.outcome == outcome && verdict.answer == outcome && verdict.events.count == (outcome == .accepted ? 1 : 0))
        var post = PostTests.post("application/json", Array("{}".utf8))
        var form = post.hook.hook
        form.policy.state = state
        post.hook = AddressedHook(hook: form, current: post.hook.current)
        let posted = PostProcessor(instance: "i").process(post)
        #expect(posted.answer == outcome && posted.hooks[0].events.count == (outcome == .accepted ? 1 : 0))
    }
}
