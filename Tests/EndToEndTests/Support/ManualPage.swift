// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A page below `man`, as far as tests have to understand mdoc(7): subsections, and the entries of their lists.

import Foundation
import TestSupport

struct ManualPage {
    let name: String
    /// Lines with their escapes undone, by the subsection (`.Ss`) or, where that has none, the section (`.Sh`) they stand in.
    private(set) var blocks: [String: [String]] = [:]
    /// Subsections in their order.
    private(set) var subsections: [String] = []

    init(_ name: String) throws {
        self.name = name
        let file = Conformance.packageRoot.appendingPathComponent("man/\(name)")
        var heading = ""
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map({ Self.plain(String($0)) }) {
            if line.hasPrefix(".Sh ") || line.hasPrefix(".Ss ") {
                heading = String(line.dropFirst(4))
                if line.hasPrefix(".Ss ") { subsections.append(heading) }
                blocks[heading] = []
            } else {
                blocks[heading, default: []].append(line)
            }
        }
    }

    /// mandoc_char(7): what these pages use of it.
    private static func plain(_ line: String) -> String {
        [("\\-", "-"), ("\\(dq", "\""), ("\\(aq", "'"), ("\\&", ""), ("\\e", "\\")]
            .reduce(line) { $0.replacingOccurrences(of: $1.0, with: $1.1) }
    }

    /// Options that entries of a subsection are about, long ones without their hyphens, each with the whole entry's line.
    func options(_ subsection: String) -> [(name: String, line: String)] {
        (blocks[subsection] ?? []).filter { $0.hasPrefix(".It Fl ") }.flatMap { line in
            line.matches(of: /Fl (?:Fl )?([a-z][a-z-]*)/).map { (String($0.1), line) }
        }
    }

    /// Keys that entries of a subsection are about.
    func keys(_ subsection: String) -> [String] {
        (blocks[subsection] ?? []).compactMap { $0.firstMatch(of: /^\.It Ic ([A-Za-z]+)/).map { String($0.1) } }
    }

    /// What is said of a key, on one line; empty where nothing is.
    func entry(_ subsection: String, _ key: String) -> String {
        (blocks[subsection] ?? []).drop { $0 != ".It Ic \(key)" && !$0.hasPrefix(".It Ic \(key) ") }
            .prefix { !$0.hasPrefix(".It ") || $0 == ".It Ic \(key)" || $0.hasPrefix(".It Ic \(key) ") }
            .joined(separator: " ")
    }

    /// The first display of a section.
    func display(_ section: String) -> String {
        let lines = (blocks[section] ?? []).drop { !$0.hasPrefix(".Bd ") }.dropFirst().prefix { $0 != ".Ed" }
        return lines.map { $0 + "\n" }.joined()
    }
}
