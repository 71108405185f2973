// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The compaction and flattening cases of the W3C JSON-LD API suite.

import JSONLD
import TestSupport
import Testing

@Test(.conformance("json-ld-api")) func compactSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "compact-manifest.jsonld")
    let ran = manifest.run("compact") { test in
        let processor = JSONLDProcessor(options: try manifest.options(test), loader: manifest.loader(test))
        let input = JSONLDInput.iri(manifest.base + test.input)
        let context = try manifest.bytes(test.context ?? "")
        if test.isNegative { return expectError(test) { _ = try processor.compact(input, context: context) } }
        return try LooseJSON.difference(processor.compact(input, context: context).json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 244)
}

@Test(.conformance("json-ld-api")) func flattenSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "flatten-manifest.jsonld")
    let ran = manifest.run("flatten") { test in
        let processor = JSONLDProcessor(options: try manifest.options(test), loader: manifest.loader(test))
        let input = JSONLDInput.iri(manifest.base + test.input)
        let context = try test.context.map { try manifest.bytes($0) }
        if test.isNegative { return expectError(test) { _ = try processor.flatten(input, context: context) } }
        return try LooseJSON.difference(processor.flatten(input, context: context).json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 55)
}
