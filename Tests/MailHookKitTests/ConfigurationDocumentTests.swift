// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A configuration is one document of YAML: what stands behind `---` would be left out without a word.

import Testing

@testable import MailHookKit

@Suite struct ConfigurationDocumentTests {
    @Test(arguments: ["a: 1\n", "---\na: 1\n", "a: 1\n...\n", "# nothing\n---\na: 1\n"])
    func one(text: String) throws {
        #expect(try YAMLReader.read(Array(text.utf8)) != nil)
    }

    @Test func two() {
        let error = #expect(throws: YAMLError.self) { try YAMLReader.read(Array("a: 1\n---\nb: 2\n".utf8)) }
        #expect(error?.position.line == 3 && error?.reason.contains("second document") == true)
    }
}

/// What a few lines can stand for, and how deep a text can be, is bounded before it is built.
@Suite struct ConfigurationSizeTests {
    private func error(_ text: String) -> YAMLError? {
        do throws(YAMLError) {
            _ = try YAMLReader.read(Array(text.utf8))
            return nil
        } catch { return error }
    }

    @Test func aliasesOfAliases() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 { text += "a\(level): &a\(level) [\((0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", "))]\n" }
        #expect(error(text) == YAMLError(position: .init(line: 6, column: 15), reason: "more than 250000 values, with what aliases stand for"))
    }

    @Test(arguments: [("[", 35), ("{a: ", 125), ("- ", 65), ("? ", 65)])
    func deepTexts(piece: String, column: Int) {
        let prefix = piece == "[" || piece == "{a: " ? "a: " : ""
        let found = error(prefix + String(repeating: piece, count: 1_000_000))
        #expect(found == YAMLError(position: .init(line: 1, column: column), reason: "nested too deeply"))
    }

    /// An alias is as deep as what it stands for.
    @Test func deepAliases() {
        let nested = "a: &a \(String(repeating: "[", count: 20))\(String(repeating: "]", count: 20))\n"
        #expect(error(nested + "b: [[[*a]]]") == nil)
        #expect(error(nested + "b: [[[[[[[[[[[[*a]]]]]]]]]]]]") == YAMLError(position: .init(line: 2, column: 16), reason: "nested too deeply"))
    }

    @Test func aliasesStandForWhatTheyName() throws {
        let root = try #require(try YAMLReader.read(Array("a: &x k\nb: &y {c: [*x, &z 1]}\n*x : *y\nd: *z".utf8)))
        guard case .mapping(let entries) = root.content else {
            Issue.record("\(root)")
            return
        }
        #expect(entries.map(\.key.text) == ["a", "b", "k", "d"])
        #expect(entries[2].value == entries[1].value && entries[3].value.text == "1")
    }

    @Test(arguments: [("a: &x [*x]", 1, 8), ("a: *x", 1, 4), ("a: &x 1\nb: &x 2", 2, 4), ("a: 1\na: 2", 2, 1), ("? [a]\n: b", 1, 3)])
    func whatCannotBe(text: String, line: Int, column: Int) {
        #expect(error(text)?.position == .init(line: line, column: column))
    }
}
