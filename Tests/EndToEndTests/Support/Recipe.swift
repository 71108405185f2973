// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Recipes out of docs/mail-servers.md, so that what the document says is what a test runs.

import Foundation
import TestSupport
import Testing

struct Recipe {
    /// Blocks of the section in their order, with the line of text before each.
    let blocks: [(lead: String, text: String)]

    /// - Parameter heading: of the section, without its signs.
    init(_ heading: String) throws {
        let document = try String(
            contentsOf: Conformance.packageRoot.appendingPathComponent("docs/mail-servers.md"), encoding: .utf8)
        let lines = document.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let start = try #require(
            lines.firstIndex { $0.hasPrefix("#") && $0.drop { "# ".contains($0) } == heading }, "no section '\(heading)'")
        var blocks: [(lead: String, text: String)] = []
        var block: [String]?
        var lead = ""
        for line in lines[(start + 1)...] {
            if line.hasPrefix("```") {
                if let lines = block { blocks.append((lead, lines.joined(separator: "\n") + "\n")) }
                block = block == nil ? [] : nil
            } else if block != nil {
                block?.append(line)
            } else if line.hasPrefix("#") {
                break
            } else if !line.isEmpty {
                lead = line
            }
        }
        self.blocks = blocks
    }

    /// The block whose lead names `word`, with paths and names of the document replaced. Each must occur.
    func block(_ word: String, replacing replacements: [String: String] = [:]) throws -> String {
        var text = try #require(blocks.first { $0.lead.contains(word) }?.text, "no block for \(word)")
        for (old, new) in replacements.sorted(by: { $0.key.count > $1.key.count }) {
            #expect(text.contains(old), "the recipe says nothing about \(old)")
            text = text.replacingOccurrences(of: old, with: new)
        }
        return text
    }
}
