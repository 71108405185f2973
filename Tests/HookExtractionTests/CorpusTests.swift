// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whole mails of the public suites: the documents that must come out, and no others.

import Foundation
import JSONLD
import MIMEParser
import TestSupport
import Testing

@testable import HookExtraction

@Suite struct CorpusTests {
    private func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] { bytes.split(separator: 0x0A) }

    /// What is wrong with the candidates of a mail, against one row of expected.jsonl; nil if nothing.
    private func difference(_ candidates: [Candidate], _ row: JSONValue, _ key: String) throws -> String? {
        guard let expected = row[key], expected.kind == .array else { return nil }
        let found = candidates.filter { $0.document != nil }
        guard found.count == expected.elements.count else {
            return "\(found.count) documents instead of \(expected.elements.count)"
        }
        for (candidate, want) in zip(found, expected.elements) {
            guard let document = candidate.document, let text = want["canonical"]?.string else { return "no canonical form" }
            let canonical = try JSONDocument(Array(text.utf8), limits: JSONLimits(depth: 1000))
            if !isSameValue(document.root, canonical.root) { return "another value at \(candidate.path)" }
            let facts = [candidate.path, candidate.kind.rawValue, candidate.origin.rawValue, "\(candidate.index)", candidate.fileName ?? ""]
            let wanted = ["path", "kind", "origin", "index", "filename"].map { name in
                want[name].map { $0.string ?? String(decoding: $0.text, as: UTF8.self) } ?? ""
            }
            if facts != wanted { return "\(facts) instead of \(wanted)" }
        }
        let errors = candidates.compactMap { candidate in
            candidate.failure.map { "\(candidate.path) \($0.code.rawValue)" }
        }
        let wantedErrors = (row["errors"]?.elements ?? []).map { "\($0["path"]?.string ?? "") \($0["code"]?.string ?? "")" }
        return errors == wantedErrors ? nil : "errors \(errors) instead of \(wantedErrors)"
    }

    @Test(.conformance("mail-corpus")) func mailCorpus() throws {
        let finder = DocumentFinder()
        var counts: [String: (passed: Int, all: Int)] = [:]
        for line in lines(try Conformance.bytes("mail-corpus", "expected.jsonl")) {
            let row = try JSONDocument(Array(line), limits: JSONLimits(depth: 1000)).root
            let file = try #require(row["file"]?.string)
            let level = try #require(row["level"]?.string)
            let mail = try Conformance.bytes("mail-corpus", "eml/\(file)")
            let candidates = finder.candidates(in: MIMEMessage(mail))
            var difference = try difference(candidates, row, "documents")
            if difference != nil, level == "either" { difference = try self.difference(candidates, row, "alt_documents") }
            counts[level, default: (0, 0)].all += 1
            if difference == nil { counts[level, default: (0, 0)].passed += 1 }
            #expect(difference == nil, "\(file) (\(level)): \(difference ?? "")")
        }
        let text = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.passed) of \($0.value.all)" }
        let (ran, passed) = counts.values.reduce((0, 0)) { ($0.0 + $1.all, $0.1 + $1.passed) }
        print("mail-corpus: ran \(ran), passed \(passed), failed \(ran - passed), left out 0 (\(text.joined(separator: ", ")))")
        #expect(ran == 276)
    }

    @Test(.conformance("structured-email")) func structuredEmail() throws {
        try checkPublishedMails(of: "structured-email", atLeast: 13)
    }

    @Test(.conformance("kitinerary")) func kitineraryMails() throws {
        try checkPublishedMails(of: "kitinerary", atLeast: 1)
    }

    /// For the two suites whose `email-extraction.json` has one form.
    private func checkPublishedMails(of suite: String, atLeast: Int) throws {
        let root = try JSONDocument(Conformance.bytes(suite, "email-extraction.json")).root
        let files = try #require(root["files"]).members
        #expect(files.count >= atLeast)
        var passed = 0
        for (name, expected, _) in files {
            let found = DocumentFinder().candidates(in: MIMEMessage(try Conformance.bytes(suite, name)))
                .filter { $0.document != nil }
            let wanted = try #require(expected["extracted"]).elements
            let isRight =
                found.count == wanted.count
                && zip(found, wanted).allSatisfy { candidate, want in
                    guard let document = candidate.document, let value = want["json"] else { return false }
                    return candidate.path == want["part"]?.string && candidate.origin.rawValue == want["via"]?.string
                        && isSameValue(document.root, value)
                }
            #expect(isRight, "\(suite) \(name)")
            if isRight { passed += 1 }
        }
        print("\(suite) mails: ran \(files.count), passed \(passed), failed \(files.count - passed), left out 0")
    }
}
