// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The cases of the W3C JSON-LD API suite that lead to RDF and back.

import JSONLD
import TestSupport
import Testing

/// Nil where both texts are the same dataset but for the names of blank nodes.
func datasetDifference(_ actual: [RDFQuad], _ expected: [UInt8]) throws -> String? {
    let expected = try NQuads.read(expected, isGeneralized: true)
    if try DatasetCanonicalization.areIsomorphic(actual, expected) { return nil }
    let lines = { (quads: [RDFQuad]) in
        Set(String(decoding: NQuads.write(quads), as: UTF8.self).split(separator: "\n").map(String.init))
    }
    let (got, want) = (lines(actual), lines(expected))
    return "\n      got  \(got.subtracting(want).sorted())\n      want \(want.subtracting(got).sorted())"
}

@Test(.conformance("json-ld-api")) func toRDFSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "toRdf-manifest.jsonld")
    let ran = manifest.run("toRdf") { test in
        let processor = JSONLDProcessor(options: try manifest.options(test), loader: manifest.loader(test))
        let input = JSONLDInput.iri(manifest.base + test.input)
        if test.isNegative { return expectError(test) { _ = try processor.toRDF(input) } }
        let dataset = try processor.toRDF(input)
        // What is written has to be what was meant.
        let written = try NQuads.read(dataset.nquads(), isGeneralized: true)
        guard Set(written) == Set(dataset.quads) else { return "written differently" }
        return test.isSyntaxOnly ? nil : try datasetDifference(dataset.quads, manifest.bytes(test.expect))
    }
    #expect(ran >= 456)
}

@Test(.conformance("json-ld-api")) func fromRDFSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "fromRdf-manifest.jsonld")
    let ran = manifest.run("fromRdf") { test in
        let processor = JSONLDProcessor(options: try manifest.options(test))
        let quads = try NQuads.read(manifest.bytes(test.input))
        if test.isNegative { return expectError(test) { _ = try processor.fromRDF(quads) } }
        return try LooseJSON.difference(processor.fromRDF(quads).json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 53)
}
