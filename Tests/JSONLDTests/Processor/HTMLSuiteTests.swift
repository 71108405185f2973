// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The cases of the W3C JSON-LD API suite about HTML, and about what a transport says of a
// document.

import HTMLScripts
import JSONLD
import TestSupport
import Testing

/// Scripts by the tokenizer of `HTMLScripts`.
struct ScannedScripts: HTMLScriptReader {
    func read(_ html: [UInt8]) -> HTMLDocumentScripts {
        let scripts = ScriptScanner.scan(html).elements.map { element in
            HTMLDocumentScripts.Script(
                type: element.type ?? "", id: element.attribute("id"), text: ScriptScanner.text(of: element, in: html))
        }
        return HTMLDocumentScripts(base: Self.base(String(decoding: html, as: UTF8.self)), scripts: scripts)
    }

    /// Enough for the documents of the suite, which write the element in one way.
    private static func base(_ html: String) -> String? {
        html.firstMatch(of: /<base\s+href="([^"]*)"/).map { String($0.1) }
    }
}

@Test(.conformance("json-ld-api")) func htmlSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "html-manifest.jsonld")
    let ran = manifest.run("html") { test in
        let processor = JSONLDProcessor(
            options: try manifest.options(test), loader: manifest.loader(test), htmlReader: ScannedScripts())
        let input = JSONLDInput.iri(manifest.base + test.input)
        let context = try test.context.map { try manifest.bytes($0) }
        if test.types.contains("jld:ToRDFTest") {
            if test.isNegative { return expectError(test) { _ = try processor.toRDF(input) } }
            return try datasetDifference(processor.toRDF(input).quads, manifest.bytes(test.expect))
        }
        func result() throws -> JSONLDResult {
            if test.types.contains("jld:CompactTest") { return try processor.compact(input, context: context ?? []) }
            if test.types.contains("jld:FlattenTest") { return try processor.flatten(input, context: context) }
            return try processor.expand(input)
        }
        if test.isNegative { return expectError(test) { _ = try result() } }
        return try LooseJSON.difference(result().json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 50)
}

@Test(.conformance("json-ld-api")) func remoteDocumentSuite() throws {
    let manifest = try SuiteManifest("json-ld-api", "remote-doc-manifest.jsonld")
    let ran = manifest.run("remote-doc") { test in
        let processor = JSONLDProcessor(
            options: try manifest.options(test), loader: manifest.loader(test), htmlReader: ScannedScripts())
        let input = JSONLDInput.iri(manifest.base + test.input)
        if test.isNegative { return expectError(test) { _ = try processor.expand(input) } }
        return try LooseJSON.difference(processor.expand(input).json(), manifest.bytes(test.expect))
    }
    #expect(ran >= 18)
}
