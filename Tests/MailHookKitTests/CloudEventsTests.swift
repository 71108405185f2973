// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The public CloudEvents suite, wholly: its schema judges every event that is made here, and its examples, sample events
// and scenarios say how an event looks in each mode of HTTP.

import Foundation
import HookModel
import JSONLD
import JSONSchema
import TestSupport
import Testing

@testable import HookDelivery
@testable import HookExtraction
@testable import MailHookKit

@Suite(.conformance("cloudevents")) struct CloudEventsTests {
    private static let suite = "cloudevents"
    private let now = Timestamp(seconds: 1_800_000_000)

    // MARK: - The schema

    private func schema() throws -> CompiledSchema {
        let document = try JSONDocument(try Conformance.bytes(Self.suite, "cloudevents.schema.json"))
        return try SchemaCompiler.compile(document, options: SchemaOptions(assertsFormats: true))
    }

    private func isValid(_ json: [UInt8], _ schema: CompiledSchema) throws -> Bool {
        schema.validate(try JSONDocument(json, limits: JSONLimits(depth: 1024)).root).outcome == .valid
    }

    /// Events of every mail there is, of posts of every form, with triggers and without, and the daemon's own.
    private func emitted() throws -> [Event] {
        let trigger = HookTrigger(
            outputTemplate: Array(##"{"all":"/#data","type":"/#data.@type"}"##.utf8),
            outputSchema: Array(#"{"properties":{"type":{"type":"string"}},"required":["type"]}"#.utf8))
        let plain = Hook(app: "a", eventName: "kustomer.app.a.plain", type: .email)
        var shaped = Hook(app: "a", eventName: "kustomer.app.a.shaped", type: .email)
        shaped.trigger = trigger
        let directory = HookDirectory(
            hooks: [plain, shaped].map { AddressedHook(hook: $0, current: .init(token: String($0.eventName.suffix(5)), key: "k")) },
            domains: ["hooks.example"])
        let processor = MessageProcessor(directory: directory, instance: "mx.example")
        var events: [Event] = []
        for file in Conformance.files("mail-corpus", "eml") {
            let envelope = Envelope(
                source: .smtp, mailFrom: "\"é\"@b.example", recipients: ["plain+tag@hooks.example", "haped@hooks.example"])
            let message = ReceivedMessage(
                envelope: envelope, bytes: try Conformance.bytes("mail-corpus", "eml/\(file)"), receivedAt: now)
            events += processor.process(message).verdict.hooks.flatMap(\.events)
        }
        events += posts().flatMap { PostProcessor(instance: "hooks.example").process($0).hooks.flatMap(\.events) }
        events += OwnEvents.names.map {
            OwnEvents.event($0, identity: "1", instance: "mx.example", at: now, data: [("reason", "http_410"), ("event", nil)])
        }
        return events
    }

    private func posts() -> [ReceivedPost] {
        let bodies = [
            ("application/json", #"{"a":1.10}"#), ("application/ld+json", #"{"@id":"x:1"}"#), ("application/json", "{oops"),
            ("application/x-www-form-urlencoded", "a=%00&b"), ("text/xml", "<a b='c'>d</a>"), ("text/plain", ""),
        ]
        return bodies.map { type, body in
            let hook = Hook(app: "a", eventName: "kustomer.app.a.form", type: .form)
            let envelope = Envelope(source: .http, mailFrom: nil, recipients: ["/v1/hooks/form/t"], peer: "192.0.2.1")
            return ReceivedPost(
                hook: AddressedHook(hook: hook, current: .init(token: "t", key: "k")),
                message: ReceivedMessage(
                    envelope: envelope, bytes: ReceivedPost.entityHeader(contentType: type) + Array(body.utf8), receivedAt: now),
                identity: "req_1", requestID: "req_1")
        }
    }

    @Test(.conformance("mail-corpus")) func everyEventIsValid() throws {
        let schema = try schema()
        var (ran, passed) = (0, 0)
        var withOutput = 0, withFailure = 0
        for event in try emitted() {
            let root = try JSONDocument(event.json, limits: JSONLimits(depth: 1024)).root
            withOutput += root["output"] == nil ? 0 : 1
            withFailure += root["outputfailure"] == nil ? 0 : 1
            for payload in EventPayload.allCases {
                let event = payload.shaped(event)
                ran += 1
                let isGood = try isValid(event.json, schema) && isOneInEachMode(event, schema)
                #expect(isGood, "\(event.type) \(event.id)")
                passed += isGood ? 1 : 0
            }
        }
        #expect(withOutput > 100 && withFailure > 10 && ran > 1000, "\(withOutput) \(withFailure) \(ran)")
        print("cloudevents emitted events: ran \(ran), passed \(passed), failed \(ran - passed), left out 0 [valid by the schema and the same in each mode of HTTP]")
    }

    /// What the other modes say is what the structured one says: attribute for attribute, data octet for octet.
    private func isOneInEachMode(_ event: Event, _ schema: CompiledSchema) throws -> Bool {
        let root = try JSONDocument(event.json, limits: JSONLimits(depth: 1024)).root
        let binary = try request(.binary, event.json)
        var attributes: [String: String] = [:]
        for (name, value) in binary.headers where name.hasPrefix("ce-") {
            attributes[String(name.dropFirst(3))] = Self.unescaped(value)
        }
        let contentType = binary.headers.first { $0.name == "content-type" }?.value
        attributes["datacontenttype"] = contentType
        for member in root.members where member.name != "data" {
            guard attributes.removeValue(forKey: member.name) == member.value.string else { return false }
        }
        let batch = try request(.batch, event.json).body
        let structured = try request(.structured, event.json).body
        return attributes.isEmpty && binary.body == (root["data"].map { Array($0.text) } ?? [])
            && structured == event.json && batch == Array("[".utf8) + event.json + Array("]".utf8)
    }

    /// The schema must refuse something, or the test above says nothing.
    @Test(arguments: [
        #"{"specversion":"1.0","type":"a","source":"/"}"#, #"{"specversion":"1.0","type":"a","source":"/","id":""}"#,
        #"{"specversion":"1.0","type":"a","source":"a b","id":"1"}"#,
        #"{"specversion":"1.0","type":"a","source":"/","id":"1","time":"yesterday"}"#,
        #"{"specversion":"1.0","type":"a","source":"/","id":"1","subject":""}"#, "[]",
    ])
    func theSchemaRefuses(_ text: String) throws { #expect(try !isValid(Array(text.utf8), try schema())) }

    // MARK: - Modes of HTTP

    private func request(_ mode: WebhookConfiguration.Mode, _ json: [UInt8]) throws -> WebhookRequest {
        var configuration = try WebhookConfiguration(
            url: "https://h.example/", secrets: [try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")])
        configuration.mode = mode
        return WebhookRequestBuilder(configuration, userAgent: "u")
            .request(for: Event(id: "evt_1", type: "a.b", json: json), now: now)
    }

    /// HTTP binding section 3.1.3.2, from the receiver's side.
    private static func unescaped(_ value: String) -> String? {
        var octets: [UInt8] = []
        var rest = Array(value.utf8)[...]
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "%") else {
                octets.append(octet)
                continue
            }
            guard let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
            octets.append(code)
            rest = rest.dropFirst(2)
        }
        return String(validating: octets, as: UTF8.self)
    }

    private func headers(_ request: WebhookRequest) -> [String: String] {
        let ours = ["user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"]
        return Dictionary(request.headers.map { ($0.name, $0.value) }) { first, _ in first }.filter { !ours.contains($0.key) }
    }

    private func same(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        if left == right { return true }
        guard let left = try? JSONDocument(left), let right = try? JSONDocument(right) else { return false }
        return (try? JCS.canonicalize(left.root)) == (try? JCS.canonicalize(right.root))
    }

    @Test func examplesOfTheFormat() throws {
        let schema = try schema()
        let root = try JSONDocument(try Conformance.bytes(Self.suite, "json-format-examples.json")).root
        let examples = try #require(root["examples"]).elements
        #expect(examples.count == 8)
        var passed = 0, leftOut: [String] = []
        for (index, example) in examples.enumerated() {
            // Words stand where Base64 would.
            if example["placeholder"]?.booleanValue == true {
                leftOut.append("\(index)")
                continue
            }
            var isGood = true
            for event in [example["structured"]].compactMap({ $0 }) + (example["batch"]?.elements ?? []) {
                isGood = try isGood && isValid(Array(event.text), schema)
            }
            if let structured = example["structured"], let binary = example["binary"] {
                let request = try request(.binary, Array(structured.text))
                var wanted: [String: String] = [:]
                for member in binary["headers"]?.members ?? [] { wanted[member.name] = member.value.string }
                isGood = isGood && headers(request) == wanted && same(request.body, Array((binary["body"]?.string ?? "").utf8))
            }
            #expect(isGood, "example \(index)")
            passed += isGood ? 1 : 0
        }
        let ran = examples.count - leftOut.count
        print("cloudevents format examples: ran \(ran), passed \(passed), failed \(ran - passed), left out \(leftOut.count) [words in place of Base64: \(leftOut.joined(separator: " "))]")
        #expect(ran == 6)
    }

    @Test func sampleEvents() throws {
        let schema = try schema()
        var (ran, passed) = (0, 0)
        for file in Conformance.files(Self.suite, "conformance/yaml", extensions: ["yaml"]) {
            let text = String(decoding: try Conformance.bytes(Self.suite, "conformance/yaml/\(file)"), as: UTF8.self)
            for part in text.split(separator: "---\n") {
                let node = try #require(try YAMLReader.read(Array(part.utf8)))
                let sample = try Sample(node)
                for mode in sample.modes {
                    ran += 1
                    let request = try request(mode, sample.json)
                    var isGood = try isValid(sample.json, schema)
                    if mode == .structured {
                        isGood = isGood && request.body == sample.json
                            && headers(request) == ["content-type": "application/cloudevents+json; charset=UTF-8"]
                    } else {
                        let seen = headers(request).mapValues { Self.unescaped($0) }
                        isGood = isGood && seen == sample.headers && request.body == Array(sample.data.utf8)
                    }
                    #expect(isGood, "\(file) \(mode)")
                    passed += isGood ? 1 : 0
                }
            }
        }
        print("cloudevents sample events: ran \(ran), passed \(passed), failed \(ran - passed), left out 0 [8 events, those that name no mode in both]")
        #expect(ran == 14)
    }

    /// One document of the suite's sample events.
    private struct Sample {
        var attributes: [(name: String, value: String)] = []
        var data = ""
        var modes: [WebhookConfiguration.Mode] = [.structured, .binary]

        init(_ node: YAMLNode) throws {
            for entry in Self.entries(node) {
                switch entry.key.text {
                case "Mode": modes = [try #require(entry.value.text.flatMap { WebhookConfiguration.Mode(rawValue: $0) })]
                case "Data": data = entry.value.text ?? ""
                case "ContextAttributes": read(entry.value)
                default: continue
                }
            }
            if isJSON { while data.hasSuffix("\n") { data.removeLast() } }
        }

        private mutating func read(_ node: YAMLNode) {
            for entry in Self.entries(node) {
                guard let value = entry.value.text else {
                    read(entry.value)
                    continue
                }
                attributes.append((entry.key.text ?? "", value))
            }
        }

        private static func entries(_ node: YAMLNode) -> [YAMLNode.Entry] {
            if case .mapping(let entries) = node.content { return entries }
            return []
        }

        var mediaType: String? { attributes.first { $0.name == "datacontenttype" }?.value }
        var isJSON: Bool { mediaType?.hasPrefix("application/json") ?? true }

        var json: [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            for (name, value) in attributes { writer.member(name, value) }
            writer.name("data")
            if isJSON { writer.raw(data.utf8) } else { writer.string(data) }
            writer.endObject()
            return writer.bytes
        }

        /// As the binary mode has them.
        var headers: [String: String?] {
            var headers: [String: String?] = ["content-type": mediaType ?? "application/json"]
            for (name, value) in attributes where name != "datacontenttype" { headers["ce-" + name] = value }
            return headers
        }
    }

    @Test func scenariosOfTheBinding() throws {
        let text = String(
            decoding: try Conformance.bytes(Self.suite, "conformance/features/http-protocol-binding.feature"), as: UTF8.self)
        let outlines = text.components(separatedBy: "Scenario Outline:").dropFirst()
        #expect(outlines.count == 2)
        var (ran, passed) = (0, 0)
        for outline in outlines {
            let isBinary = outline.hasPrefix(" Binary")
            let tables = outline.components(separatedBy: "Examples:")
            let rows = Self.rows(tables[0]).dropFirst()
            let types = Self.rows(tables[1]).dropFirst().compactMap(\.first)
            for type in types {
                ran += 1
                var attributes = Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
                if isBinary { attributes["datacontenttype"] = type }
                let json = Self.event(attributes)
                let request = try request(isBinary ? .binary : .structured, json)
                let seen = headers(request)
                let isGood: Bool
                if isBinary {
                    var wanted = ["content-type": type]
                    for (name, value) in attributes where name != "datacontenttype" { wanted["ce-\(name)"] = value }
                    isGood = seen == wanted && String(decoding: request.body, as: UTF8.self) == #"{"message": "Hello World!"}"#
                } else {
                    // With or without its parameter, it is the type that is sent.
                    isGood = request.body == json
                        && seen["content-type"]?.lowercased().hasPrefix(type.lowercased()) == true && seen.count == 1
                }
                #expect(isGood, "\(type)")
                passed += isGood ? 1 : 0
            }
        }
        print("cloudevents scenarios: ran \(ran), passed \(passed), failed \(ran - passed), left out 0")
        #expect(ran == 4)
    }

    private static func rows(_ text: String) -> [[String]] {
        text.split(separator: "\n").filter { $0.contains("|") }.map { line in
            line.split(separator: "|").map(\.trimmed).filter { !$0.isEmpty }
        }
    }

    private static func event(_ attributes: [String: String]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) { writer.member(name, value) }
        writer.name("data")
        writer.raw(#"{"message": "Hello World!"}"#.utf8)
        writer.endObject()
        return writer.bytes
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
