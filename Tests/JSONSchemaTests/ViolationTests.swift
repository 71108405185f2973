// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is reported about a value, and how much of it.

import JSONLD
import JSONSchema
import Testing

@Suite("Violations")
struct ViolationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var schema: String
        var value: String
        /// "instance pointer keyword location: message" of each violation.
        var expected: [String]
        var assertsFormats = false

        var testDescription: String { "\(schema) \(value)" }
    }

    static let cases: [Case] = [
        Case(schema: #"{"type":"object"}"#, value: "[]", expected: [" #/type: not of type object"]),
        Case(
            schema: #"{"required":["a","b","c"],"properties":{"b":{"type":["integer","null"]}}}"#, value: #"{"b":1.5}"#,
            expected: [
                #" #/required: lacks "a", "c""#, "/b #/properties/b/type: not of type null or integer",
            ]),
        Case(
            schema: #"{"properties":{"a/b":{"items":{"maximum":1}}}}"#, value: #"{"a/b":[1,2,0,3]}"#,
            expected: [
                "/a~1b/1 #/properties/a~1b/items/maximum: too large", "/a~1b/3 #/properties/a~1b/items/maximum: too large",
            ]),
        Case(
            schema: #"{"additionalProperties":false,"properties":{"a":true}}"#, value: #"{"a":1,"secret":2}"#,
            expected: ["/secret #/additionalProperties: not allowed here"]),
        Case(
            schema: #"{"propertyNames":{"maxLength":3}}"#, value: #"{"abc":1,"abcd":2}"#,
            expected: ["/abcd #/propertyNames/maxLength: longer than 3 characters"]),
        Case(
            schema: ##"{"$defs":{"p":{"minimum":0}},"items":{"$ref":"#/$defs/p"}}"##, value: "[-1]",
            expected: ["/0 #/$defs/p/minimum: too small"]),
        Case(
            schema: #"{"anyOf":[{"type":"string"},{"minimum":5}]}"#, value: "3",
            expected: [" #/anyOf: matches none of the alternatives"]),
        Case(
            schema: #"{"oneOf":[true,true]}"#, value: "3",
            expected: [" #/oneOf: does not match exactly one of the alternatives"]),
        Case(schema: #"{"not":{"type":"number"}}"#, value: "3", expected: [" #/not: matches what is excluded"]),
        Case(
            schema: #"{"if":{"type":"number"},"then":{"minimum":5},"else":false}"#, value: "3",
            expected: [" #/then/minimum: too small"]),
        Case(
            schema: #"{"contains":{"const":1},"maxContains":1}"#, value: "[1,1.0]",
            expected: [" #/contains: wrong number of elements that match"]),
        Case(
            schema: #"{"properties":{"a":true},"unevaluatedProperties":false}"#, value: #"{"a":1,"b":2}"#,
            expected: ["/b #/unevaluatedProperties: not allowed here"]),
        // What failed has evaluated nothing that could be relied on, so it is reported alone.
        Case(
            schema: #"{"allOf":[{"properties":{"a":{"type":"string"}}}],"unevaluatedProperties":false}"#, value: #"{"a":1}"#,
            expected: ["/a #/allOf/0/properties/a/type: not of type string"]),
        Case(
            schema: #"{"format":"email"}"#, value: #""a@@b""#, expected: [" #/format: not in the format email"],
            assertsFormats: true),
        Case(schema: #"{"format":"email"}"#, value: #""a@@b""#, expected: []),
        Case(schema: #"{"format":"x-own"}"#, value: #""a""#, expected: [], assertsFormats: true),
        Case(
            schema: #"{"$id":"https://example.org/s","$ref":"https://example.org/t"}"#, value: "1",
            expected: ["https://example.org/t#/not: matches what is excluded"].map { " " + $0 }),
        Case(schema: "false", value: "1", expected: [" #: not allowed here"]),
        // Numbers are their decimal digits, not doubles.
        Case(schema: #"{"const":0.1}"#, value: "1.00e-1", expected: []),
        Case(schema: #"{"multipleOf":0.01}"#, value: "4.35", expected: []),
        Case(
            schema: #"{"multipleOf":0.01}"#, value: "4.350000000000000000000001",
            expected: [" #/multipleOf: not a multiple of the divisor"]),
        Case(schema: #"{"maximum":9007199254740993}"#, value: "9007199254740994", expected: [" #/maximum: too large"]),
        Case(schema: #"{"multipleOf":7}"#, value: "7e1000000000000000000000", expected: []),
        Case(
            schema: #"{"uniqueItems":true}"#, value: #"[{"a":1,"b":[2]},{"b":[2.0],"a":1e0}]"#,
            expected: [" #/uniqueItems: has equal elements"]),
        Case(schema: #"{"uniqueItems":true}"#, value: #"["\ud800","\udc00","\ufffd",1,true,"1",[1]]"#, expected: []),
        Case(schema: #"{"maxLength":1}"#, value: #""\ud83d\ude00""#, expected: []),
        Case(schema: #"{"properties":{"\u0061":false}}"#, value: #"{"\u0061":1}"#, expected: ["/a #/properties/a: not allowed here"]),
    ]

    private static let other = #"{"not":{"type":"integer"}}"#

    private func check(_ test: Case, limits: SchemaLimits = SchemaLimits()) throws -> SchemaResult {
        let schema = try SchemaCompiler.compile(
            JSONDocument(Array(test.schema.utf8)),
            documents: ["https://example.org/t": JSONDocument(Array(Self.other.utf8))],
            options: SchemaOptions(assertsFormats: test.assertsFormats))
        return schema.validate(try JSONDocument(Array(test.value.utf8)).root, limits: limits)
    }

    @Test(arguments: cases)
    func reported(_ test: Case) throws {
        let result = try check(test)
        #expect(result.violations.map { "\($0.instancePointer) \($0.keywordLocation): \($0.message)" } == test.expected)
        #expect(result.outcome == (test.expected.isEmpty ? .valid : .invalid))
        #expect(!result.isTruncated)
    }

    @Test func countIsLimited() throws {
        let test = Case(schema: #"{"items":{"type":"string"}}"#, value: "[1,2,3,4,5]", expected: [])
        for limit in 0...6 {
            let result = try check(test, limits: SchemaLimits(violations: limit))
            #expect(result.outcome == .invalid)
            #expect(result.violations.count == min(limit, 5))
            #expect(result.isTruncated == (limit > 0 && limit <= 5))
        }
    }

    @Test func longNamesAreCut() throws {
        let name = String(repeating: "x", count: 100_000)
        let result = try check(Case(schema: #"{"items":false}"#, value: "[1]", expected: []))
        #expect(result.violations.first?.instancePointer == "/0")
        let long = try check(
            Case(schema: #"{"additionalProperties":{"additionalProperties":false}}"#, value: #"{"\#(name)":{"b":1}}"#, expected: []))
        let pointer = try #require(long.violations.first?.instancePointer)
        #expect(pointer.utf8.count < 1100 && pointer.hasSuffix("…"))
    }

    /// Part of a larger document.
    @Test func partOfADocument() throws {
        let document = try JSONDocument(Array(#"{"a":{"b\n":["x"]},"c":1}"#.utf8))
        let schema = try SchemaCompiler.compile(
            JSONDocument(Array(#"{"properties":{"b\n":{"items":{"type":"number"}}}}"#.utf8)))
        let value = try #require(document.root["a"])
        #expect(schema.validate(value).violations.map(\.instancePointer) == ["/b\n/0"])
    }
}
