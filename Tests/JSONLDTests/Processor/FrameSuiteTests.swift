// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The W3C JSON-LD Framing suite.

import JSONLD
import TestSupport
import Testing

@Test(.conformance("json-ld-framing")) func frameSuite() throws {
    let manifest = try SuiteManifest("json-ld-framing", "frame-manifest.jsonld")
    let ran = manifest.run("frame") { test in
        let processor = JSONLDProcessor(options: try manifest.options(test), loader: manifest.loader(test))
        let input = JSONLDInput.iri(manifest.base + test.input)
        let frame = JSONLDInput.iri(manifest.base + (test.frame ?? ""))
        if test.isNegative { return expectError(test) { _ = try processor.frame(input, frame: frame) } }
        return try LooseJSON.difference(processor.frame(input, frame: frame).json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 91)
}
