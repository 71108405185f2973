// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// docs/outcomes.md explains every name a user can meet, and its replies are those of the table.

import Foundation
import HookModel
import MIMEParser
import TestSupport
import Testing

@testable import HookExtraction

@Suite struct OutcomeDocumentTests {
    /// The rows of the table below a heading, split at the bars.
    private func rows(_ heading: String) throws -> [[String]] {
        let file = Conformance.packageRoot.appendingPathComponent("docs/outcomes.md")
        let sections = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n## ")
        let section = try #require(sections.first { $0.hasPrefix(heading + "\n") })
        return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    private func codes(_ heading: String) throws -> [String] {
        try rows(heading).map { ($0.first ?? "").trimmingCharacters(in: CharacterSet(charactersIn: "`")) }
    }

    @Test func everyNameHasAnEntry() throws {
        #expect(try codes("Outcomes of a message") == Outcome.allCases.map(\.rawValue))
        #expect(try codes("Decisions about a candidate") == CandidateDecision.allCases.map(\.rawValue))
        #expect(try codes("Failures of a candidate") == DocumentFailure.Code.allCases.map(\.rawValue))
        #expect(try codes("Repairs") == JSONRepair.allCases.map(\.rawValue))
        #expect(Set(try codes("Problems of a message")) == Set(MIMEProblem.Code.allCases.map(\.rawValue)))
    }

    @Test func repliesAreThoseOfTheTable() throws {
        for (row, outcome) in zip(try rows("Outcomes of a message"), Outcome.allCases) {
            let reply = outcome.smtpReply
            #expect(row[1] == "\(reply.code) \(reply.enhancedStatus ?? "")", "\(outcome.rawValue)")
            #expect(row[2] == String(outcome.exitStatus) && row[3] == String(outcome.httpStatus), "\(outcome.rawValue)")
        }
    }
}
