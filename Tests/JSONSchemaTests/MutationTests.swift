// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Damaged schemas and values, with a fixed seed: whatever comes in, there is an error with a
// place, or an answer, and it is the same answer with and without a report.

import Foundation
import JSONLD
import JSONSchema
import TestSupport
import Testing

@Suite("Mutations", .conformance("json-schema"))
struct MutationTests {
    private struct Material {
        var schemas: [[UInt8]] = []
        var values: [[UInt8]] = []
    }

    private func material() throws -> Material {
        var result = Material()
        for folder in ["draft2020-12", "draft7"] {
            for file in Conformance.files(SuiteTests.suite, "tests/\(folder)", extensions: ["json"]) {
                for group in try JSONDocument(Conformance.bytes(SuiteTests.suite, "tests/\(folder)/\(file)")).root.elements {
                    if let schema = group["schema"] { result.schemas.append(Array(schema.text)) }
                    for test in group["tests"]?.elements ?? [] {
                        if let data = test["data"] { result.values.append(Array(data.text)) }
                    }
                }
            }
        }
        return result
    }

    /// Exchanges, inserts or removes octets, or puts a piece of another text in.
    private func mutated(_ text: [UInt8], _ others: [[UInt8]], _ generator: inout SplitMix64) -> [UInt8] {
        var text = text
        for _ in 0..<Int.random(in: 1...3, using: &generator) where !text.isEmpty {
            let position = Int.random(in: 0..<text.count, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: text[position] = Array(#"0123456789aeE+-.{}[]",:\/#$*(){}?^"#.utf8).randomElement(using: &generator) ?? 0x20
            case 1: text.remove(at: position)
            case 2: text.insert(UInt8.random(in: 0x20...0x7E, using: &generator), at: position)
            default:
                // A whole value in the place of another, which most often leaves JSON.
                guard let document = try? JSONDocument(text), let other = others.randomElement(using: &generator) else { continue }
                let places = values(below: document.root)
                guard let place = places.randomElement(using: &generator) else { continue }
                text.replaceSubrange(place, with: other)
            }
        }
        return text
    }

    private func values(below root: JSONValue) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var pending = [root]
        while let value = pending.popLast() {
            result.append(value.range)
            pending += value.elements
            pending += value.members.map(\.value)
        }
        return result
    }

    @Test func damagedSchemasAndValues() throws {
        let material = try material()
        #expect(material.schemas.count > 500)
        let remotes = try SuiteTests.remotes()
        var generator = SplitMix64(state: 7)
        var compiled = 0
        var refused = 0
        var checked = 0
        let limits = SchemaLimits(violations: 5, work: 50_000, depth: 500)
        for round in 0..<1500 {
            let schema = try #require(material.schemas.randomElement(using: &generator))
            let text = round % 3 == 0 ? schema : mutated(schema, material.schemas, &generator)
            guard let document = try? JSONDocument(text) else { continue }
            let options = SchemaOptions(draft: round % 2 == 0 ? .draft7 : .draft2020, assertsFormats: round % 5 != 0)
            do throws(SchemaError) {
                let schema = try SchemaCompiler.compile(document, documents: remotes, options: options)
                compiled += 1
                for _ in 0..<4 {
                    guard let value = material.values.randomElement(using: &generator),
                        let document = try? JSONDocument(mutated(value, material.values, &generator))
                    else { continue }
                    let result = schema.validate(document.root, limits: limits)
                    var quietLimits = limits
                    quietLimits.violations = 0
                    let quiet = schema.validate(document.root, limits: quietLimits)
                    #expect(result.violations.count <= 5)
                    if result.outcome == .valid || quiet.outcome == .valid { #expect(result.outcome == quiet.outcome) }
                    if result.outcome == .valid { #expect(result.violations.isEmpty) }
                    checked += 1
                }
            } catch {
                refused += 1
                #expect(error.pointer.isEmpty || error.pointer.hasPrefix("/"))
            }
        }
        print("json-schema mutations: compiled \(compiled), refused \(refused), checked \(checked)")
        #expect(compiled > 300 && refused > 50 && checked > 1000)
    }
}
