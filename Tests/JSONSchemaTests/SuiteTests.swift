// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The JSON Schema test suite, drafts 7 and 2020-12: every required case, every format, and what
// else is optional. Remote documents come from the suite's folder, given by URI.

import Foundation
import JSONLD
import JSONSchema
import TestSupport
import Testing

@Suite("JSON Schema suite", .conformance("json-schema"))
struct SuiteTests {
    static let suite = "json-schema"

    /// A part of the suite: how many cases there are by its README.
    struct Part: Sendable, CustomTestStringConvertible {
        var draft: SchemaDraft
        var folder: String
        /// Below the draft's folder; "" is its own files.
        var path: String
        var cases: Int
        var assertsFormats = false

        var testDescription: String { "\(folder)/\(path)" }
    }

    static let parts = [
        Part(draft: .draft2020, folder: "draft2020-12", path: "", cases: 1299),
        Part(draft: .draft2020, folder: "draft2020-12", path: "optional/format", cases: 764, assertsFormats: true),
        Part(draft: .draft2020, folder: "draft2020-12", path: "optional", cases: 162),
        Part(draft: .draft7, folder: "draft7", path: "", cases: 927),
        Part(draft: .draft7, folder: "draft7", path: "optional/format", cases: 676, assertsFormats: true),
        Part(draft: .draft7, folder: "draft7", path: "optional", cases: 118),
    ]

    /// Cases that are not expected to pass: file and group, and why.
    static let leftOut: [String: String] = [
        "draft2020-12/optional/cross-draft.json: refs to historic drafts are processed as historic drafts":
            "draft 2019-09 is not supported, and a schema that names it is refused",
        "draft7/optional/cross-draft.json: refs to future drafts are processed as future drafts":
            "draft 2019-09 is not supported, and a schema that names it is refused",
        "draft7/optional/content.json: validation of string-encoded content based on media type":
            "contents are annotations, as in 2020-12 (Validation section 8.1); draft 7 section 8 leaves the choice",
        "draft7/optional/content.json: validation of binary string-encoding":
            "contents are annotations, as in 2020-12 (Validation section 8.1); draft 7 section 8 leaves the choice",
        "draft7/optional/content.json: validation of binary-encoded media type documents":
            "contents are annotations, as in 2020-12 (Validation section 8.1); draft 7 section 8 leaves the choice",
    ]

    /// What stands under http://localhost:1234/ in the suite.
    static func remotes() throws -> [String: JSONDocument] {
        var result: [String: JSONDocument] = [:]
        for file in Conformance.files(suite, "remotes", extensions: ["json"]) {
            result["http://localhost:1234/" + file] = try JSONDocument(Conformance.bytes(suite, "remotes/" + file))
        }
        return result
    }

    /// Nil where the answer is the expected one.
    private func check(_ schema: CompiledSchema, _ test: JSONValue) throws -> String? {
        let data = try #require(test["data"])
        let isValid: Bool = try #require(test["valid"]?.booleanValue as Bool?)
        let result = schema.validate(data)
        let quiet = schema.validate(data, limits: SchemaLimits(violations: 0))
        guard quiet.outcome == result.outcome else { return "\(result.outcome), but \(quiet.outcome) without report" }
        guard result.outcome == (isValid ? .valid : .invalid) else { return "\(result.outcome)" }
        return isValid == result.violations.isEmpty ? nil : "\(result.violations.count) violations"
    }

    @Test(arguments: parts)
    func everyCase(_ part: Part) throws {
        let remotes = try Self.remotes()
        let files = Conformance.files(Self.suite, "tests/\(part.folder)/\(part.path)", extensions: ["json"])
            .filter { !$0.contains("/") }
        var ran = 0
        var skipped = 0
        var failures: [String] = []
        for file in files {
            let path = [part.folder, part.path, file].filter { !$0.isEmpty }.joined(separator: "/")
            let groups = try JSONDocument(Conformance.bytes(Self.suite, "tests/" + path)).root.elements
            for group in groups {
                let name = "\(path): \(group["description"]?.string ?? "")"
                let tests = try #require(group["tests"]).elements
                ran += tests.count
                if Self.leftOut[name] != nil {
                    skipped += tests.count
                    continue
                }
                do {
                    let text = Array(try #require(group["schema"]).text)
                    let options = SchemaOptions(draft: part.draft, assertsFormats: part.assertsFormats)
                    let schema = try SchemaCompiler.compile(JSONDocument(text), documents: remotes, options: options)
                    for test in tests {
                        guard let problem = try check(schema, test) else { continue }
                        failures.append("\(name): \(test["description"]?.string ?? ""): \(problem)")
                    }
                } catch {
                    failures.append("\(name): \(error)")
                }
            }
        }
        print(
            "json-schema \(part.testDescription): ran \(ran - skipped), passed \(ran - skipped - failures.count), "
                + "failed \(failures.count), left out \(skipped)")
        #expect(ran >= part.cases)
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
}
