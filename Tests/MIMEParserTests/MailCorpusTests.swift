// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Headers and texts of mail-corpus. What documents have to come out is a matter of the extraction.

import Foundation
import TestSupport
import Testing

@testable import MIMEParser

struct MailCorpusTests {
    static let suite = "mail-corpus"

    static func rows() throws -> [[String: Any]] {
        try Conformance.bytes(suite, "expected.jsonl").split(separator: 0x0A).map {
            try #require(try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any])
        }
    }

    static func seconds(_ text: String) -> Int? {
        ISO8601DateFormatter().date(from: text).map { Int($0.timeIntervalSince1970) }
    }

    static func headerDifferences(_ message: MIMEMessage, _ expected: [String: Any]) -> [String] {
        var found: [String] = []
        if let subject = expected["subject"] as? String, message.header.text("subject") != subject {
            found.append("subject \(message.header.text("subject") ?? "nil"), not \(subject)")
        }
        for name in ["from", "to"] {
            guard let list = expected[name] as? [[String]] else { continue }
            let ours = message.header.addresses(name).map { [$0.name ?? "", $0.address] }
            if ours != list { found.append("\(name) \(ours), not \(list)") }
        }
        if let identifier = expected["message_id"] as? String, message.messageID != identifier {
            found.append("message-id \(message.messageID ?? "nil"), not \(identifier)")
        }
        if let date = expected["date"] as? String, message.header.date?.secondsSince1970 != seconds(date) {
            found.append("date \(String(describing: message.header.date)), not \(date)")
        }
        return found
    }

    @Test(.conformance(suite)) func headersAndTexts() throws {
        var report = SuiteReport("mail-corpus headers and texts")
        for row in try Self.rows() {
            let file = try #require(row["file"] as? String)
            let message = MIMEMessage(try Conformance.bytes(Self.suite, "eml/\(file)"))
            var differences = message.violations + Self.headerDifferences(message, row["headers"] as? [String: Any] ?? [:])
            for item in row["texts"] as? [[String: String]] ?? [] {
                let part = message.parts.first { $0.path == item["path"] && $0.kind == .leaf }
                let ours = part.map { text(lf(message.unwrappedText(of: $0))) } ?? "no such part"
                if Self.withoutTrailing(ours) != item["text"] {
                    differences.append(
                        "text \(item["path"] ?? ""): \(ours.prefix(60)), not \(item["text"]?.prefix(60) ?? "")")
                }
            }
            // Where a document was found there is a leaf.
            for document in row["documents"] as? [[String: Any]] ?? [] {
                let path = document["path"] as? String ?? ""
                let part = message.parts.first { $0.path == path && $0.kind == .leaf }
                if part == nil { differences.append("no leaf at \(path)") }
                if let name = document["filename"] as? String, part?.fileName != name {
                    differences.append("\(path) is named \(part?.fileName ?? "nil"), not \(name)")
                }
            }
            report.count(file, differences)
        }
        report.finish(atLeast: 276)
    }

    static func withoutTrailing(_ text: String) -> String {
        var text = text
        while text.last == "\n" { text.removeLast() }
        return text
    }
}
