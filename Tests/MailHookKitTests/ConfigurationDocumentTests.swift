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
