// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The W3C test suite of RDFC-1.0, whole.

import Foundation
import JSONLD
import TestSupport
import Testing

@Suite("RDFC-1.0 suite", .conformance("rdf-canon"))
struct DatasetCanonicalizationSuiteTests {
    private static let suite = "rdf-canon"
    private static let cases = 86
    /// The hardest of the cases that have a canonical form needs less than half of this; the one that has none is
    /// refused sooner than by default.
    private static let limits = CanonicalizationLimits(operations: 20_000)

    /// An entry of the manifest.
    private struct Entry {
        var id: String
        var type: String
        var action: [UInt8]
        var result: [UInt8]
        var hash: HashAlgorithm
    }

    private func entries() throws -> [Entry] {
        let manifest = try JSONDocument(Conformance.bytes(Self.suite, "tests/manifest.jsonld"))
        return try #require(manifest.root["entries"]).elements.map { entry in
            let text = { (name: String) in try #require(entry[name]?.string) }
            let file = { (name: String) in try Conformance.bytes(Self.suite, "tests/" + text(name)) }
            return try Entry(
                id: text("id"), type: text("type"), action: file("action"),
                result: entry["result"] == nil ? [] : file("result"),
                hash: entry["hashAlgorithm"]?.string == "SHA384" ? .sha384 : .sha256)
        }
    }

    /// Nil where the case passes, else what is wrong.
    private func check(_ entry: Entry) throws -> String? {
        let quads = try NQuads.read(entry.action)
        if entry.type == "rdfc:RDFC10NegativeEvalTest" {
            do {
                _ = try DatasetCanonicalization.canonize(quads, hash: entry.hash, limits: Self.limits)
                return "accepted"
            } catch CanonicalizationError.tooComplex {
                return nil
            }
        }
        let dataset = try DatasetCanonicalization.canonize(quads, hash: entry.hash, limits: Self.limits)
        if entry.type == "rdfc:RDFC10MapTest" {
            let expected = try JSONDocument(entry.result).root.members.map { ($0.name, $0.value.string ?? "") }
            return dataset.identifiers == Dictionary(uniqueKeysWithValues: expected) ? nil : "\(dataset.identifiers)"
        }
        return dataset.nquads == entry.result ? nil : String(decoding: dataset.nquads, as: UTF8.self)
    }

    @Test func everyCase() throws {
        let entries = try entries()
        var failures: [String] = []
        for entry in entries {
            do {
                if let difference = try check(entry) { failures.append("\(entry.id): \(difference)") }
            } catch {
                failures.append("\(entry.id): \(error)")
            }
        }
        print("rdf-canon: ran \(entries.count), passed \(entries.count - failures.count), failed \(failures.count), left out 0")
        #expect(entries.count >= Self.cases)
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
}
