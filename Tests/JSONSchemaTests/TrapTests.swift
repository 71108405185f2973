// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Values, patterns and schemas made to cost much: each is either cheap, or stopped by name.

import JSONLD
import JSONSchema
import Testing

@Suite("Traps")
struct TrapTests {
    /// Far above what any of these needs when time is linear, far below what they take when it is not.
    private static let patience = Duration.seconds(20)

    private func check(
        _ schema: String, _ value: String, _ expected: SchemaResult.Outcome, limits: SchemaLimits = SchemaLimits(),
        depth: Int = 128, assertsFormats: Bool = false
    ) throws {
        let compiled = try SchemaCompiler.compile(
            JSONDocument(Array(schema.utf8)), options: SchemaOptions(assertsFormats: assertsFormats))
        let document = try JSONDocument(Array(value.utf8), limits: JSONLimits(depth: depth))
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(compiled.validate(document.root, limits: limits).outcome == expected)
        }
        #expect(time < Self.patience)
    }

    @Test(arguments: ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(.*a){8}$", #"^(\w+\s?)*$"#, "^(?=(a+)+$)a*b$", #"\b(a+)+$"#])
    func backtracking(_ pattern: String) throws {
        let escaped = pattern.replacing("\\", with: "\\\\")
        let value = "\"" + String(repeating: "a", count: 20_000) + "!\""
        try check(#"{"pattern":"\#(escaped)"}"#, value, .invalid)
    }

    @Test func slowPatternIsStopped() throws {
        // No automaton (word boundary), thousands of branches alive at each character.
        let value = "\"" + String(repeating: "a", count: 200_000) + "\""
        try check(#"{"pattern":"(a?){2000}b\\b"}"#, value, .workLimitReached, limits: SchemaLimits(work: 1_000_000))
    }

    @Test func uniqueItems() throws {
        let numbers = (0..<100_000).map { String($0) }.joined(separator: ",")
        try check(#"{"uniqueItems":true}"#, "[\(numbers)]", .valid)
        try check(#"{"uniqueItems":true}"#, "[\(numbers),1e0]", .invalid)
        let objects = (0..<20_000).map { #"{"a":[\#($0)],"b":{}}"# }.joined(separator: ",")
        try check(#"{"uniqueItems":true}"#, "[\(objects)]", .valid)
    }

    @Test func nestedUniqueItems() throws {
        // Every level compares all that is below it.
        let depth = 1000
        let value = String(repeating: "[1,", count: depth) + "2" + String(repeating: "]", count: depth)
        try check(##"{"uniqueItems":true,"items":{"$ref":"#"}}"##, value, .valid, depth: depth)
    }

    @Test func exponentialBranching() throws {
        var definitions: [String] = []
        for level in 0..<40 {
            definitions.append(##""l\##(level)":{"anyOf":[{"$ref":"#/$defs/l\##(level + 1)"},{"$ref":"#/$defs/l\##(level + 1)"}]}"##)
        }
        definitions.append(#""l40":{"type":"string"}"#)
        try check(##"{"$ref":"#/$defs/l0","$defs":{\##(definitions.joined(separator: ","))}}"##, "1", .workLimitReached,
            limits: SchemaLimits(work: 300_000))
    }

    @Test func deepValues() throws {
        let depth = 30_000
        let arrays = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let recursive = ##"{"type":"array","items":{"$ref":"#"}}"##
        try check(recursive, arrays, .depthLimitReached, depth: depth)
        try check(recursive, arrays, .valid, limits: SchemaLimits(depth: 100_000), depth: depth)
        try check(#"{"const":[[1]]}"#, arrays, .invalid, depth: depth)
        let objects = String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
        let strict = ##"{"anyOf":[{"type":"number"},{"properties":{"a":{"$ref":"#"}},"unevaluatedProperties":false}]}"##
        try check(strict, objects, .valid, limits: SchemaLimits(depth: 1_000_000), depth: depth)
    }

    @Test func dynamicReferenceToItself() throws {
        try check(##"{"$dynamicAnchor":"a","$dynamicRef":"#a"}"##, "1", .depthLimitReached)
    }

    @Test func manyMembers() throws {
        let members = (0..<100_000).map { #""m\#($0)":\#($0)"# }.joined(separator: ",")
        try check(#"{"patternProperties":{"^m[0-9]+$":{"type":"integer"}},"additionalProperties":false}"#, "{\(members)}", .valid)
        try check(#"{"allOf":[{"patternProperties":{"^m":true}}],"unevaluatedProperties":false}"#, "{\(members)}", .valid)
        let required = (0..<1000).map { #""m\#($0 * 100)""# }.joined(separator: ",")
        try check(#"{"required":[\#(required)]}"#, "{\(members)}", .valid)
        let dependencies = (0..<1000).map { #""m\#($0 * 100)":{"required":["m\#($0)"]}"# }.joined(separator: ",")
        try check(#"{"dependentSchemas":{\#(dependencies)}}"#, "{\(members)}", .valid)
    }

    @Test func longNumbers() throws {
        let digits = String(repeating: "7", count: 1_000_000)
        try check(#"{"multipleOf":7}"#, digits, .valid)
        try check(#"{"multipleOf":7}"#, digits + "e99999999999999999999999", .valid)
        try check(#"{"maximum":1}"#, "0." + digits, .valid)
        try check(#"{"type":"integer"}"#, digits + "." + String(repeating: "0", count: 1_000_000), .valid)
        try check(#"{"minimum":-1e-9999999999}"#, "-1e-99999999999999", .valid)
    }

    @Test(arguments: [
        "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "iri", "uri-template", "date-time", "duration",
        "json-pointer", "relative-json-pointer", "regex", "uuid",
    ])
    func longFormats(_ format: String) throws {
        let schema = try SchemaCompiler.compile(
            JSONDocument(Array(#"{"format":"\#(format)"}"#.utf8)), options: SchemaOptions(assertsFormats: true))
        let clock = ContinuousClock()
        for text in ["a", ".", ":", "{", "%41", "(", "[", "1", "a.", "@", "é", "P1", "/~0", "xn--a.", "\u{200C}"] {
            let value = try JSONDocument(Array(("\"" + String(repeating: text, count: 50_000) + "\"").utf8))
            let time = clock.measure {
                let outcome = schema.validate(value.root).outcome
                #expect(outcome == .valid || outcome == .invalid)
            }
            #expect(time < Self.patience)
        }
    }

    @Test func manyViolations() throws {
        let members = (0..<50_000).map { #""m\#($0)":\#($0)"# }.joined(separator: ",")
        try check(#"{"additionalProperties":{"type":"string"}}"#, "{\(members)}", .invalid, limits: SchemaLimits(violations: 1000))
    }
}
