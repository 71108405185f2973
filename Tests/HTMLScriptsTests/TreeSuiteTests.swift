// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// html5lib's tree construction cases: the script elements of every expected tree, in order, with attributes and text,
// and none where the tree has none.

import Foundation
import HTMLScripts
import TestSupport
import Testing

@Suite(.conformance("html5lib")) struct TreeSuiteTests {
    struct Script: Equatable, CustomStringConvertible {
        var isForeign: Bool
        var attributes: [String: String]
        var text: String

        var description: String { "\(isForeign ? "foreign " : "")script \(attributes) \(text.debugDescription)" }
    }

    struct Case {
        var title: String
        var data: [UInt8]
        var isFragment = false
        var needsScripting = false
        var expected: [Script] = []
    }

    /// Cases answered otherwise, with the reason. A key is "file: input".
    static let exceptions: [String: String] = [:]

    /// The README says 1,796 cases; 4 of them are in `scripted/`, which needs a script engine. 213 of the rest have a
    /// script element.
    static let least = 1_792
    static let leastWithScripts = 213

    @Test func scriptElements() throws {
        var (ran, passed, withScripts, fragments, scripting, excepted) = (0, 0, 0, 0, 0, 0)
        var failures: [String] = []
        for file in Conformance.files("html5lib", "tree-construction", extensions: ["dat"])
        where !file.hasPrefix("scripted/") {
            for test in try Self.cases(file) {
                if test.isFragment {
                    fragments += 1  // There are no fragments in mail: a part is a document.
                    continue
                }
                if test.needsScripting {
                    scripting += 1  // #script-on: noscript is raw text. Nothing runs scripts here.
                    continue
                }
                if Self.exceptions[test.title] != nil {
                    excepted += 1
                    continue
                }
                ran += 1
                if !test.expected.isEmpty { withScripts += 1 }
                let got = ScriptScanner.scan(test.data).elements.map { element in
                    let values = element.attributes.map { ($0.name, $0.value) }
                    return Script(
                        isForeign: element.namespace != .html, attributes: Dictionary(uniqueKeysWithValues: values),
                        text: String(decoding: ScriptScanner.text(of: element, in: test.data), as: UTF8.self))
                }
                if got == test.expected {
                    passed += 1
                } else {
                    failures.append("\(test.title) expected \(test.expected), got \(got)")
                }
            }
        }
        print(
            "html5lib tree construction: ran \(ran) (\(withScripts) with scripts), passed \(passed), failed \(failures.count),"
                + " left out: \(fragments) fragments, \(scripting) with scripting, \(excepted) exceptions")
        #expect(failures.isEmpty, "\(failures.prefix(30).joined(separator: "\n"))")
        #expect(ran + fragments + scripting + excepted >= Self.least)
        #expect(withScripts + excepted >= Self.leastWithScripts)
    }

    private static func cases(_ file: String) throws -> [Case] {
        var cases: [Case] = []
        var section = ""
        var data: [[UInt8]] = []
        var tree: [[UInt8]] = []
        var current = Case(title: "", data: [])
        func finish() {
            guard section == "document" else { return }
            current.data = Array(data.joined(separator: [0x0A]))
            current.title = "\(file): \(String(decoding: current.data, as: UTF8.self))"
            current.expected = scripts(tree)
            cases.append(current)
        }
        let names = ["data", "errors", "new-errors", "document-fragment", "script-on", "script-off", "document"]
        for line in try Conformance.bytes("html5lib", "tree-construction/" + file).split(
            separator: 0x0A, omittingEmptySubsequences: false)
        {
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix("#"), names.contains(String(text.dropFirst())), text != "#data" || section != "data" {
                if text == "#data" {
                    finish()
                    (data, tree, current) = ([], [], Case(title: "", data: []))
                }
                section = String(text.dropFirst())
                if section == "document-fragment" { current.isFragment = true }
                if section == "script-on" { current.needsScripting = true }
            } else if section == "data" {
                data.append(Array(line))
            } else if section == "document" {
                tree.append(Array(line))
            }
        }
        finish()
        return cases
    }

    /// Reads the tree's lines: `| `, two spaces a level, then an element, an attribute or text; text can go on in
    /// further lines.
    private static func scripts(_ lines: [[UInt8]]) -> [Script] {
        var nodes: [(depth: Int, text: String)] = []
        for line in lines {
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix("| ") {
                let body = text.dropFirst(2).drop { $0 == " " }
                nodes.append((text.count - 2 - body.count, String(body)))
            } else if !nodes.isEmpty {
                nodes[nodes.count - 1].text += "\n" + text
            }
        }
        // Two tests are separated by an empty line, which became part of the last node.
        if let last = nodes.last, last.text.hasSuffix("\n") { nodes[nodes.count - 1].text.removeLast() }
        var scripts: [Script] = []
        for (index, node) in nodes.enumerated() where ["<script>", "<svg script>", "<math script>"].contains(node.text)
        {
            var script = Script(isForeign: node.text != "<script>", attributes: [:], text: "")
            for child in nodes[(index + 1)...].prefix(while: { $0.depth > node.depth }) {
                if child.text.hasPrefix("\"") {
                    script.text += child.text.dropFirst().dropLast()
                } else if child.depth == node.depth + 2, let equals = child.text.range(of: "=\""),
                    !child.text.hasPrefix("<")
                {
                    script.attributes[String(child.text[..<equals.lowerBound])] = String(
                        child.text[equals.upperBound...].dropLast())
                }
            }
            scripts.append(script)
        }
        return scripts
    }
}
