// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Example data for a hook, made from what is known of it: the schema its documents must satisfy,
// its trigger's sample, schema and template, or else what such hooks get most often.

import HookExtraction
import HookModel
import JSONLD

struct HookSample {
    /// A JSON object or array on one line.
    var data: [UInt8]
    var isJSONLD: Bool

    /// - Parameter number: something new each time, for data that says nothing else.
    init(of hook: Hook, number: String) {
        if let schema = hook.policy.schema, let document = try? JSONDocument(schema) {
            data = SchemaSample(schema: document.root).json()
        } else if let made = Self.fromTrigger(hook.trigger) {
            data = made
        } else {
            data = Self.usual(hook, number)
        }
        if let type = hook.policy.acceptTypes.first { data = Self.typed(data, type) }
        isJSONLD = (try? JSONDocument(data).root["@context"]) != nil
    }

    // MARK: - Triggers

    /// Data from which the template makes the sample output.
    private static func fromTrigger(_ trigger: HookTrigger?) -> [UInt8]? {
        guard let text = trigger?.outputTemplate, let template = try? JSONDocument(text) else { return nil }
        let sample: [UInt8]? = trigger?.sampleOutput ?? generated(trigger)
        let output: JSONValue? = sample.flatMap { text in (try? JSONDocument(text))?.root }
        var tree = Tree.object([])
        for reference in TriggerTemplate(template.root).references {
            let segments = reference.path.segments
            guard reference.path.root == .data, segments.last != "length" else { continue }
            var leaf = quoted(segments.last ?? reference.place.last ?? "value")
            if let output, let value = value(at: reference.place, of: output) { leaf = JSONDocument.onOneLine(value.text) }
            tree.set(leaf, at: segments[...])
        }
        var writer = JSONWriter()
        tree.write(to: &writer)
        return writer.bytes
    }

    private static func generated(_ trigger: HookTrigger?) -> [UInt8]? {
        guard let text = trigger?.outputSchema, let schema = try? JSONDocument(text) else { return nil }
        return SchemaSample(schema: schema.root).json()
    }

    private static func value(at place: [String], of root: JSONValue) -> JSONValue? {
        var value = root
        for segment in place {
            let next = value.kind == .object ? value[segment] : Int(segment).flatMap { value.elements.dropFirst($0).first }
            guard let next else { return nil }
            value = next
        }
        return value
    }

    private static func quoted(_ text: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.string(text)
        return writer.bytes
    }

    // MARK: - Without a trigger

    private static func usual(_ hook: Hook, _ number: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        switch hook.type {
        case .email:
            writer.member("@context", "https://schema.org")
            writer.member("@type", "Order")
            writer.member("orderNumber", number)
            writer.name("price")
            writer.raw("34.90".utf8)
            writer.member("priceCurrency", "EUR")
        case .form:
            writer.member("name", "Ines Example")
            writer.member("email", "ines@example.test")
            writer.member("message", "A test, number \(number)")
        case .web:
            writer.member("id", number)
            writer.member("status", "changed")
        }
        writer.endObject()
        return writer.bytes
    }

    /// The object with a type that the hook accepts.
    private static func typed(_ data: [UInt8], _ type: String) -> [UInt8] {
        guard let root = try? JSONDocument(data).root, root.kind == .object else { return data }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("@context", "https://schema.org")
        writer.member("@type", type)
        for member in root.members where member.name != "@context" && member.name != "@type" {
            writer.name(member.name)
            writer.raw(member.value.text)
        }
        writer.endObject()
        return writer.bytes
    }
}

/// A JSON value that is built from paths.
private indirect enum Tree {
    case leaf([UInt8])
    case object([(name: String, value: Tree)])
    case array([Tree])

    /// Positions of lists that a path may name; a list is filled up to there.
    private static let listLimit = 100

    /// A value that is there already stays where a longer path needs an object in its place.
    mutating func set(_ json: [UInt8], at path: ArraySlice<String>) {
        guard let first = path.first else {
            if case .object(let members) = self, members.isEmpty { self = .leaf(json) }
            return
        }
        if let index = Int(first), (0..<Self.listLimit).contains(index) {
            var elements: [Tree] = []
            if case .array(let known) = self { elements = known }
            while elements.count <= index { elements.append(.object([])) }
            elements[index].set(json, at: path.dropFirst())
            self = .array(elements)
            return
        }
        var members: [(name: String, value: Tree)] = []
        if case .object(let known) = self { members = known }
        if let index = members.firstIndex(where: { $0.name == first }) {
            members[index].value.set(json, at: path.dropFirst())
        } else {
            var value = Tree.object([])
            value.set(json, at: path.dropFirst())
            members.append((first, value))
        }
        self = .object(members)
    }

    func write(to writer: inout JSONWriter) {
        switch self {
        case .leaf(let json): writer.raw(json)
        case .object(let members):
            writer.beginObject()
            for member in members {
                writer.name(member.name)
                member.value.write(to: &writer)
            }
            writer.endObject()
        case .array(let elements):
            writer.beginArray()
            elements.forEach { $0.write(to: &writer) }
            writer.endArray()
        }
    }
}
