// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Inputs that once failed under the fuzzers, and inputs made to be awkward: each target must
// bear each of them.

import Foundation
import FuzzTargets
import TestSupport
import Testing

@Suite struct ReplayTests {
    private static let folder = Conformance.packageRoot.appendingPathComponent("Tests/Fuzz/FailCases")

    private func cases(_ target: String) throws -> [URL] {
        let folder = Self.folder.appendingPathComponent(target)
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { !$0.lastPathComponent.hasPrefix(".") }
    }

    @Test(arguments: FuzzTargets.all.map(\.name)) func failCases(name: String) throws {
        let target = try #require(FuzzTargets.all.first { $0.name == name })
        let files = try cases(name)
        for file in files { target.run([UInt8](try Data(contentsOf: file))) }
        print("fuzz target \(name): \(files.count) cases replayed")
    }

    @Test(arguments: FuzzTargets.all.map(\.name)) func awkwardInputs(name: String) throws {
        let target = try #require(FuzzTargets.all.first { $0.name == name })
        var inputs: [[UInt8]] = [[], [0], [0xFF], Array(repeating: 0x0A, count: 5000), Array(repeating: 0x5B, count: 20_000)]
        inputs += ["<", "\"", "\\u", "--", "=", "%", "&#x", "{\"@context\":", "<script", "\r", "'", "(", "=?a?b?"].map { text in
            Array(String(repeating: text, count: 2000).utf8)
        }
        for input in inputs { target.run(input) }
    }

    /// Every target has a folder of that name or none; a misspelt one would never be replayed.
    @Test func foldersAreTargets() throws {
        guard FileManager.default.fileExists(atPath: Self.folder.path) else { return }
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { !$0.hasPrefix(".") }
        #expect(Set(names).isSubset(of: Set(FuzzTargets.all.map(\.name))))
    }
}
