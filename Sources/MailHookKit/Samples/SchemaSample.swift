// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// An example value for a JSON Schema of an administrator, for people to look at. It follows what
// schemas say most often; whoever uses it checks it against the schema, which it may miss.

import JSONLD

struct SchemaSample {
    private let root: JSONValue

    /// Levels of the value; schemas that refer to themselves end there.
    private static let depthLimit = 12
    /// Subschemas looked at for one value.
    private static let facetLimit = 64
    private static let listLimit = 10

    init(schema: JSONValue) { root = schema }

    /// - Parameter name: of what the value is, for texts that the schema says nothing else about.
    func json(named name: String = "value") -> [UInt8] {
        var writer = JSONWriter()
        write(Facets(root, in: root), name, depth: 0, &writer)
        return writer.bytes
    }

    /// A schema with everything that holds beside it: what it refers to, all of `allOf`, the first of alternatives.
    private struct Facets {
        private(set) var schemas: [JSONValue] = []

        init(_ schema: JSONValue, in root: JSONValue) {
            var waiting = [schema]
            while let next = waiting.popLast(), schemas.count < SchemaSample.facetLimit {
                guard next.kind == .object else { continue }
                schemas.append(next)
                var more: [JSONValue] = []
                if let reference = next["$ref"]?.string, let target = Self.resolve(reference, in: root) { more.append(target) }
                more += next["allOf"]?.elements ?? []
                more += [next["anyOf"], next["oneOf"]].compactMap { $0?.elements.first }
                waiting += more.reversed()
            }
        }

        /// Only what stands in the same document: `#` and `#/...` (RFC 6901).
        private static func resolve(_ reference: String, in root: JSONValue) -> JSONValue? {
            guard reference.hasPrefix("#") else { return nil }
            var value = root
            for segment in reference.dropFirst().split(separator: "/") {
                let name = String(segment).replacing("~1", with: "/").replacing("~0", with: "~")
                guard let next = value[name] ?? Int(name).flatMap({ value.elements.dropFirst($0).first }) else {
                    return nil
                }
                value = next
            }
            return value
        }

        subscript(key: String) -> JSONValue? {
            for schema in schemas {
                if let value = schema[key] { return value }
            }
            return nil
        }

        /// What stands under `key` in all of them.
        func all(_ key: String) -> [JSONValue] { schemas.compactMap { $0[key] } }

        /// The value the schema itself names.
        var given: JSONValue? { self["const"] ?? self["enum"]?.elements.first ?? self["examples"]?.elements.first ?? self["example"] ?? self["default"] }

        var type: String {
            if let type = self["type"]?.string { return type }
            let types = self["type"]?.elements.compactMap(\.string) ?? []
            if let type = types.first(where: { $0 != "null" }) ?? types.first { return type }
            let hints: [(String, [String])] = [
                ("object", ["properties", "required", "additionalProperties"]), ("array", ["items", "prefixItems", "minItems"]),
                ("number", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
            ]
            return hints.first { $0.1.contains { self[$0] != nil } }?.0 ?? "string"
        }
    }

    private func write(_ facets: Facets, _ name: String, depth: Int, _ writer: inout JSONWriter) {
        if let given = facets.given { return writer.rawOnOneLine(given.text) }
        switch facets.type {
        case "object": object(facets, depth, &writer)
        case "array": array(facets, name, depth, &writer)
        case "integer": number(facets, isWhole: true, &writer)
        case "number": number(facets, isWhole: false, &writer)
        case "boolean": writer.boolean(true)
        case "null": writer.null()
        default: writer.string(Self.text(facets, name))
        }
    }

    private func object(_ facets: Facets, _ depth: Int, _ writer: inout JSONWriter) {
        let required = facets.all("required").flatMap(\.elements).compactMap(\.string)
        let properties = facets.all("properties").flatMap(\.members)
        writer.beginObject()
        var written: Set<String> = []
        for (name, schema, _) in properties where written.insert(name).inserted {
            // A property that may not be there is `false`.
            guard schema.kind != .false, depth < Self.depthLimit || required.contains(name) else { continue }
            guard depth < Self.depthLimit * 2 else { continue }
            writer.name(name)
            write(Facets(schema, in: root), name, depth: depth + 1, &writer)
        }
        for name in required where written.insert(name).inserted {
            writer.name(name)
            writer.string(name)
        }
        writer.endObject()
    }

    private func array(_ facets: Facets, _ name: String, _ depth: Int, _ writer: inout JSONWriter) {
        let items = facets["items"]
        let first = facets["prefixItems"]?.elements ?? (items?.kind == .array ? items?.elements ?? [] : [])
        let least = max(facets["minItems"]?.integerValue ?? 1, first.count)
        let count = min(least, facets["maxItems"]?.integerValue ?? least, Self.listLimit)
        writer.beginArray()
        if depth < Self.depthLimit {
            for index in 0..<max(0, count) {
                let schema = index < first.count ? first[index] : items
                guard let schema, schema.kind == .object else {
                    writer.string(count > 1 ? "\(name) \(index + 1)" : name)
                    continue
                }
                write(Facets(schema, in: root), count > 1 ? "\(name) \(index + 1)" : name, depth: depth + 1, &writer)
            }
        }
        writer.endArray()
    }

    private func number(_ facets: Facets, isWhole: Bool, _ writer: inout JSONWriter) {
        let step = facets["multipleOf"]?.doubleValue ?? 1
        var value = facets["minimum"]?.doubleValue ?? 1
        if let bound = facets["exclusiveMinimum"]?.doubleValue { value = max(value, bound + (isWhole ? 1 : step / 2)) }
        if let bound = facets["maximum"]?.doubleValue { value = min(value, bound) }
        if let bound = facets["exclusiveMaximum"]?.doubleValue, value >= bound { value = bound - (isWhole ? 1 : step / 2) }
        if facets["multipleOf"] != nil, step > 0 { value = (value / step).rounded(.up) * step }
        if isWhole { value = value.rounded(.up) }
        writer.raw((JCS.number(value) ?? "1").utf8)
    }

    /// What each format looks like (Validation 2020-12, section 7.3).
    private static let formats = [
        "date-time": "2026-03-02T09:00:01Z", "date": "2026-03-02", "time": "09:00:01Z", "duration": "P1D",
        "email": "ines@example.test", "idn-email": "ines@example.test", "hostname": "shop.example",
        "idn-hostname": "shop.example", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "uri": "https://shop.example/1",
        "uri-reference": "/1", "iri": "https://shop.example/1", "iri-reference": "/1",
        "uuid": "8f14e45f-ceea-467f-a0e6-5f1d6f1a2b3c", "json-pointer": "/a", "regex": "^a$",
        "uri-template": "https://shop.example/{id}", "relative-json-pointer": "0",
    ]

    private static func text(_ facets: Facets, _ name: String) -> String {
        if let format = facets["format"]?.string, let text = formats[format] { return text }
        var text = name
        if let least = facets["minLength"]?.integerValue, text.unicodeScalars.count < least, least <= 10_000 {
            text += String(repeating: "x", count: least - text.unicodeScalars.count)
        }
        if let most = facets["maxLength"]?.integerValue, text.unicodeScalars.count > most {
            text = String(String.UnicodeScalarView(text.unicodeScalars.prefix(max(0, most))))
        }
        return text
    }
}
