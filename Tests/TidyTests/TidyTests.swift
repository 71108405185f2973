// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The rules of the house that a reader can see and a compiler cannot: what a file begins with,
// how long it may be, what never stands in it, what may be imported where, and that links lead somewhere.

import Foundation
import TestSupport
import Testing

@Suite struct TidyTests {
    struct SourceFile: Sendable, CustomTestStringConvertible {
        var path: String
        var text: String
        var testDescription: String { path }

        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        /// Tables made by a script, marked in the first lines.
        var isGenerated: Bool { lines.prefix(8).contains { $0.lowercased().contains("generated") } }
    }

    /// Files below `folder`, build products and links of other packages left out.
    private static func files(_ folder: String, _ suffix: String) -> [SourceFile] {
        let root = Conformance.packageRoot
        let keys: [URLResourceKey] = [.isRegularFileKey, .isSymbolicLinkKey]
        let found = FileManager.default.enumerator(
            at: root.appendingPathComponent(folder), includingPropertiesForKeys: keys, options: [.skipsHiddenFiles])
        var files: [SourceFile] = []
        for case let url as URL in found ?? FileManager.DirectoryEnumerator() where url.path.hasSuffix(suffix) {
            guard let values = try? url.resourceValues(forKeys: Set(keys)), values.isRegularFile == true,
                values.isSymbolicLink != true, let text = try? String(contentsOf: url, encoding: .utf8)
            else { continue }
            files.append(SourceFile(path: String(url.path.dropFirst(root.path.count + 1)), text: text))
        }
        return files.sorted { $0.path < $1.path }
    }

    static let sources = files("Sources", ".swift")
    static let tests = files("Tests", ".swift").filter { !$0.path.hasSuffix("/Package.swift") }

    private func complain(_ complaints: [String]) {
        #expect(complaints.isEmpty, "\(complaints.count):\n\(complaints.joined(separator: "\n"))")
    }

    @Test func thereIsSomethingToLookAt() {
        #expect(Self.sources.count > 200)
        #expect(Self.tests.count > 80)
    }

    @Test func filesSayWhatTheyAre() {
        complain((Self.sources + Self.tests).compactMap { file in
            let lines = file.lines
            guard lines.count > 3, lines[0] == "// Part of mailhookd. SPDX-License-Identifier: Apache-2.0" else {
                return "\(file.path) begins otherwise"
            }
            // What the name of a short file leaves open can be seen at a glance.
            let isExplained = lines[1] == "//" && lines[2].hasPrefix("// ") && lines[2].count > 12
            return isExplained || lines.count < 60 ? nil : "\(file.path) does not say what it is"
        })
    }

    @Test func filesStopAtSixHundredLines() {
        complain((Self.sources + Self.tests).filter { !$0.isGenerated && $0.lines.count > 601 }.map { "\($0.path): \($0.lines.count)" })
    }

    /// From the line that begins a function to the brace that closes it, at the same indentation.
    @Test func functionsFitAScreen() {
        complain(Self.sources.filter { !$0.isGenerated }.flatMap { file in
            let lines = file.lines
            return lines.indices.compactMap { start -> String? in
                let line = lines[start]
                let indentation = line.prefix { $0 == " " }
                guard line.contains("func ") || line.dropFirst(indentation.count).hasPrefix("init("),
                    !line.dropFirst(indentation.count).hasPrefix("//"), !line.hasSuffix("}"),
                    let end = lines[start...].firstIndex(of: indentation + "}")
                else { return nil }
                // A requirement of a protocol has no body: what closes then is the protocol.
                guard lines[start...end].contains(where: { $0.hasSuffix("{") && $0.hasPrefix(indentation) }) else { return nil }
                return end - start > 62 ? "\(file.path):\(start + 1): \(end - start + 1) lines" : nil
            }
        })
    }

    static let forbidden = ["try!", "as!", "fatalError(", "TODO", "FIXME", "import Foundation\n", "NSRegularExpression"]

    @Test(arguments: forbidden) func neverInSources(word: String) {
        complain(Self.sources.filter { $0.text.contains(word) }.map(\.path))
    }

    /// It reads past the end of a buffer when it starts a program, and now and then ends the tests.
    @Test func programsAreNotStartedByFoundation() {
        complain(Self.tests.filter { $0.text.contains("= Process" + "()") }.map(\.path))
    }

    /// What leaves may import: the standard library's parts, the C library, intrinsics, and each other as declared.
    static let leaves: [(target: String, modules: Set<String>)] = [
        ("MIMEParser", []), ("HTMLScripts", []), ("JSONLD", ["_Builtin_intrinsics.intel"]), ("JSONSchema", ["HookModel", "JSONLD"]),
        ("SMTPProtocol", ["HookModel"]), ("HookModel", []),
    ]

    @Test(arguments: leaves) func leavesImportLittle(target: String, modules: Set<String>) {
        let allowed = modules.union(["Glibc", "Musl", "Darwin", "Synchronization"])
        let files = Self.sources.filter { $0.path.hasPrefix("Sources/\(target)/") }
        #expect(!files.isEmpty)
        complain(files.flatMap { file in
            file.lines.compactMap { line -> String? in
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), !line.hasPrefix("//"), index <= 1, words.count == index + 2 else { return nil }
                return allowed.contains(String(words[index + 1])) ? nil : "\(file.path): \(line)"
            }
        })
    }

    /// A link of a document to a file of the project leads to one.
    @Test func linksLeadSomewhere() throws {
        let root = Conformance.packageRoot
        let top = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].compactMap { name in
            (try? String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)).map { SourceFile(path: name, text: $0) }
        }
        #expect(top.count == 3)
        complain((top + Self.files("docs", ".md")).flatMap { file -> [String] in
            let folder = root.appendingPathComponent(file.path).deletingLastPathComponent()
            return file.text.matches(of: /\]\(([^)\s#]+)[^)]*\)/).compactMap { match in
                let target = String(match.1)
                guard !target.contains("://"), !target.hasPrefix("mailto:") else { return nil }
                let path = folder.appendingPathComponent(target).path
                return FileManager.default.fileExists(atPath: path) ? nil : "\(file.path): \(target)"
            }
        })
    }
}
