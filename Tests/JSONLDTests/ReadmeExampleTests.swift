// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The example of the library in README.md is this function, word for word.

import Foundation
import JSONLD
import TestSupport
import Testing

@Suite struct ReadmeExampleTests {
    // README: begin
    /// The order number of a schema.org order, whatever its context calls it.
    func orderNumber(of text: [UInt8]) throws -> String? {
        let processor = JSONLDProcessor()  // knows schema.org, fetches nothing
        let expanded = try processor.expand(.json(text))
        guard expanded.topTypes.contains("http://schema.org/Order") else { return nil }
        let order = expanded.root.elements.first
        return order?["http://schema.org/orderNumber"]?.elements.first?["@value"]?.string
    }
    // README: end

    @Test func exampleDoesWhatItSays() throws {
        let plain = #"{"@context":"https://schema.org","@type":"Order","orderNumber":"88-104"}"#
        let renamed = #"{"@context":{"nr":"http://schema.org/orderNumber"},"@type":"http://schema.org/Order","nr":"7"}"#
        #expect(try orderNumber(of: Array(plain.utf8)) == "88-104")
        #expect(try orderNumber(of: Array(renamed.utf8)) == "7")
        #expect(try orderNumber(of: Array(#"{"@context":"https://schema.org","@type":"Person"}"#.utf8)) == nil)
        #expect(throws: JSONLDError.self) { try orderNumber(of: Array(#"{"@context":"https://x.example/c"}"#.utf8)) }
    }

    @Test func readmeShowsThisFunction() throws {
        let source = try String(contentsOfFile: #filePath, encoding: .utf8)
        let lines = source.components(separatedBy: "\n")
        let begin = try #require(lines.firstIndex { $0.hasSuffix("// README: begin") })
        let end = try #require(lines.firstIndex { $0.hasSuffix("// README: end") })
        let function = lines[(begin + 1)..<end].map { String($0.dropFirst(4)) }.joined(separator: "\n")
        let readme = try String(contentsOf: Conformance.packageRoot.appendingPathComponent("README.md"), encoding: .utf8)
        #expect(readme.contains("```swift\nimport JSONLD\n\n\(function)\n```"))
    }
}
