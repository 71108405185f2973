// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The expansion cases of the W3C JSON-LD API suite.

import JSONLD
import TestSupport
import Testing

@Test(.conformance("json-ld-api")) func expandSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "expand-manifest.jsonld")
    let ran = manifest.run("expand") { test in
        let processor = JSONLDProcessor(options: try manifest.options(test), loader: manifest.loader(test))
        let input = JSONLDInput.iri(manifest.base + test.input)
        if test.isNegative { return expectError(test) { _ = try processor.expand(input) } }
        return try LooseJSON.difference(processor.expand(input).json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 376)
}
