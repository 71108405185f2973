// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What schemas are refused for, and where the error points.

import JSONLD
import JSONSchema
import Testing

@Suite("Schemas that are refused")
struct CompileErrorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var schema: String
        var code: SchemaError.Code
        var pointer: String
        var document = ""
        var draft = SchemaDraft.draft2020
        var documents: [String: String] = [:]

        var testDescription: String { schema }
    }

    static let cases: [Case] = [
        Case(schema: #"3"#, code: .invalidSchema, pointer: ""),
        Case(schema: #"{"properties":{"a":[]}}"#, code: .invalidSchema, pointer: "/properties/a"),
        Case(schema: #"{"$defs":{"a~/b":{"items":null}}}"#, code: .invalidSchema, pointer: "/$defs/a~0~1b/items"),
        Case(schema: #"{"type":"text"}"#, code: .invalidKeyword, pointer: "/type"),
        Case(schema: #"{"type":["string",1]}"#, code: .invalidKeyword, pointer: "/type"),
        Case(schema: #"{"allOf":[true,{"minLength":-1}]}"#, code: .invalidKeyword, pointer: "/allOf/1/minLength"),
        Case(schema: #"{"maxItems":1.5}"#, code: .invalidKeyword, pointer: "/maxItems"),
        Case(schema: #"{"required":"a"}"#, code: .invalidKeyword, pointer: "/required"),
        Case(schema: #"{"required":["a",1]}"#, code: .invalidKeyword, pointer: "/required/1"),
        Case(schema: #"{"multipleOf":0}"#, code: .invalidKeyword, pointer: "/multipleOf"),
        Case(schema: #"{"multipleOf":12345678901234567891}"#, code: .unsupportedNumber, pointer: "/multipleOf"),
        Case(schema: #"{"enum":{}}"#, code: .invalidKeyword, pointer: "/enum"),
        Case(schema: #"{"items":[true]}"#, code: .invalidSchema, pointer: "/items"),
        Case(schema: #"{"anyOf":{}}"#, code: .invalidKeyword, pointer: "/anyOf"),
        Case(schema: #"{"uniqueItems":1}"#, code: .invalidKeyword, pointer: "/uniqueItems"),
        Case(schema: #"{"$ref":1}"#, code: .invalidKeyword, pointer: "/$ref"),
        Case(schema: #"{"$schema":"https://example.org/other"}"#, code: .unknownDialect, pointer: "/$schema"),
        Case(
            schema: #"{"$schema":"x:m"}"#, code: .unknownVocabulary, pointer: "/$schema",
            documents: ["x:m": #"{"$vocabulary":{"x:v":true}}"#]),
        Case(schema: ##"{"$id":"#a"}"##, code: .invalidIdentifier, pointer: "/$id"),
        Case(schema: #"{"$defs":{"x":{"$anchor":"9"}}}"#, code: .invalidIdentifier, pointer: "/$defs/x/$anchor"),
        Case(
            schema: #"{"$defs":{"x":{"$id":"x:y"},"z":{"$id":"x:y"}}}"#, code: .duplicateIdentifier, pointer: "/$defs/x/$id"),
        Case(schema: #"{"items":{"$ref":"https://example.org/a"}}"#, code: .unknownDocument, pointer: "/items/$ref"),
        Case(schema: ##"{"items":{"$ref":"#a"}}"##, code: .unknownAnchor, pointer: "/items/$ref"),
        Case(schema: ##"{"not":{"$ref":"#/$defs/a"}}"##, code: .unresolvedPointer, pointer: "/not/$ref"),
        Case(schema: ##"{"$ref":"#"}"##, code: .endlessReference, pointer: ""),
        Case(
            schema: ##"{"$defs":{"a":{"anyOf":[true,{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}"##,
            code: .endlessReference, pointer: "*"),
        Case(schema: #"{"pattern":"(a"}"#, code: .invalidPattern, pointer: "/pattern"),
        Case(schema: #"{"pattern":"(a)\\1"}"#, code: .unsupportedPattern, pointer: "/pattern"),
        Case(schema: #"{"pattern":"((a{1000}){1000}){1000}"}"#, code: .unsupportedPattern, pointer: "/pattern"),
        Case(schema: #"{"patternProperties":{"[z-a]":true}}"#, code: .invalidPattern, pointer: "/patternProperties/[z-a]"),
        Case(
            schema: #"{"$ref":"x:other"}"#, code: .invalidKeyword, pointer: "/minimum", document: "x:other",
            documents: ["x:other": #"{"minimum":"1"}"#]),
        Case(
            schema: #"{"items":[{"type":"x"}]}"#, code: .invalidKeyword, pointer: "/items/0/type", draft: .draft7),
        Case(schema: ##"{"dependencies":{"a":["b",2]}}"##, code: .invalidKeyword, pointer: "/dependencies/a/1", draft: .draft7),
    ]

    @Test(arguments: cases)
    func refused(_ expected: Case) throws {
        let documents = try expected.documents.mapValues { try JSONDocument(Array($0.utf8)) }
        let error = #expect(throws: SchemaError.self) {
            try SchemaCompiler.compile(
                JSONDocument(Array(expected.schema.utf8)), documents: documents,
                options: SchemaOptions(draft: expected.draft))
        }
        #expect(error?.code == expected.code)
        #expect(error?.document == expected.document)
        if expected.pointer != "*" { #expect(error?.pointer == expected.pointer) }
    }

    @Test func subschemaLimit() throws {
        let schema = try JSONDocument(Array(#"{"allOf":[{},{},{},{}]}"#.utf8))
        #expect(throws: Never.self) { try SchemaCompiler.compile(schema, options: SchemaOptions(subschemaLimit: 5)) }
        let error = #expect(throws: SchemaError.self) {
            try SchemaCompiler.compile(schema, options: SchemaOptions(subschemaLimit: 4))
        }
        #expect(error?.code == .tooLarge)
    }

    /// The meta-schemas that are built in accept themselves and each other's schemas.
    @Test(arguments: SchemaDraft.allCases)
    func metaschemas(_ draft: SchemaDraft) throws {
        let reference = try JSONDocument(Array(#"{"$ref":"\#(draft.rawValue)"}"#.utf8))
        let metaschema = try SchemaCompiler.compile(reference, options: SchemaOptions(draft: draft))
        let good = #"{"type":["string","null"],"properties":{"a":{"minLength":2}},"items":{"enum":[1]}}"#
        #expect(metaschema.validate(try JSONDocument(Array(good.utf8)).root).isValid)
        let bad = #"{"properties":{"a":{"minLength":-2}},"items":{"type":"text"},"required":"a"}"#
        let result = metaschema.validate(try JSONDocument(Array(bad.utf8)).root)
        #expect(result.outcome == .invalid)
        #expect(Set(result.violations.map(\.instancePointer)).isSuperset(of: ["/properties/a/minLength", "/required"]))
    }
}
