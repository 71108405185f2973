// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Schema.org: its context out of the library, its examples from HTML to quads, its vocabulary, and
// documents of booking mails.

import Foundation
import JSONLD
import TestSupport
import Testing


/// One JSON text as the quads of its statements.
private func quads(_ input: JSONLDInput, base: String = "https://base.example/doc") throws -> RDFDataset {
    var options = JSONLDOptions()
    options.base = base
    return try JSONLDProcessor(options: options, htmlReader: ScannedScripts()).toRDF(input)
}

@Test(.conformance("schemaorg")) func contextIsThePublishedOne() throws {
    let published = try Conformance.bytes("schemaorg", "jsonldcontext.jsonld")
    #expect(try LooseJSON.difference(ContextLibrary.schemaOrgContext(), published) == nil)
    let release = String(decoding: try Conformance.bytes("schemaorg", "VERSION"), as: UTF8.self)
    #expect(release.contains(ContextLibrary.schemaOrgRelease))
}

@Test(arguments: [
    "https://schema.org", "https://schema.org/", "http://schema.org", "http://schema.org/",
    "https://schema.org/docs/jsonldcontext.jsonld", "http://schema.org/docs/jsonldcontext.json",
])
func everyAddressOfSchemaOrgIsKnown(address: String) throws {
    let text = "{\"@context\":\"\(address)\",\"@type\":\"Order\",\"url\":\"https://shop.example/1\"}"
    let result = try JSONLDProcessor().expand(.json(Array(text.utf8)))
    #expect(result.topTypes == ["http://schema.org/Order"])
    #expect(result.root.elements.first?["http://schema.org/url"]?.elements.first?.id == "https://shop.example/1")
}

@Test func unknownContextIsNamed() {
    #expect {
        _ = try JSONLDProcessor().expand(.json(Array("{\"@context\":\"https://other.example/\",\"a\":1}".utf8)))
    } throws: { error in
        (error as? JSONLDError)?.code == .loadingRemoteContextFailed && (error as? JSONLDError)?.pointer == "/@context"
    }
}

@Test(.conformance("schemaorg-examples")) func schemaOrgExamples() throws {
    let manifest = try JSONDocument(try Conformance.bytes("schemaorg-examples", "manifest.json")).root
    let base = manifest["base"]?.string ?? ""
    var failures: [String] = []
    var passed = 0
    var withoutResult = 0
    for test in manifest["cases"]?.elements ?? [] {
        let id = test["id"]?.string ?? ""
        let html = try Conformance.bytes("schemaorg-examples", test["html"]?.string ?? "")
        let input = JSONLDInput.remote(RemoteDocument(documentIRI: base, contentType: "text/html", body: html))
        do {
            let dataset = try quads(input, base: base)
            guard let expected = test["expected"]?.string else {
                withoutResult += 1
                continue
            }
            let difference = try datasetDifference(
                dataset.quads, Conformance.bytes("schemaorg-examples", expected))
            if let difference { failures.append("\(id)\(difference)") } else { passed += 1 }
        } catch let error as JSONLDError where test["expected"]?.string == nil {
            print("  \(id), no expected result: \(error)")
            withoutResult += 1
        } catch {
            failures.append("\(id): \(error)")
        }
    }
    print(
        "schemaorg-examples: ran \(passed + failures.count), passed \(passed), failed \(failures.count), "
            + "left out \(withoutResult) without expected result")
    for failure in failures { print("  \(failure)") }
    #expect(failures.isEmpty)
    #expect(passed >= 309)
}

@Test(.conformance("schemaorg")) func vocabularyToQuads() throws {
    let document = try Conformance.bytes("schemaorg", "schemaorg-current-https.jsonld")
    let written = try JSONLDProcessor().toRDF(.json(document)).nquads()
    // The published quads are all in one named graph.
    let expected = try NQuads.read(Conformance.bytes("schemaorg", "schemaorg-current-https.nq")).map { quad in
        RDFQuad(subject: quad.subject, predicate: quad.predicate, object: quad.object)
    }
    let (got, want) = (Set(try NQuads.read(written)), Set(expected))
    #expect(want.count == 17_949)
    #expect(got.subtracting(want).isEmpty)
    #expect(want.subtracting(got).isEmpty)
}

@Test(.conformance("kitinerary")) func bookingDocuments() throws {
    var processed = 0
    let leftOut = [
        "extractordata/activitypub/glt2024.in.json": "needs the context of ActivityStreams, which is not in the library"
    ]
    // A form of dates of that program's own, @value together with other members, is no JSON-LD; that has to be said.
    var refused = 0
    for path in Conformance.files("kitinerary", extensions: ["json"]) where path.contains("/") && leftOut[path] == nil {
        let bytes = try Conformance.bytes("kitinerary", path)
        let document = try JSONDocument(bytes).root
        do {
            let count = try quads(.json(bytes)).count
            #expect((count == 0) == (document.kind == .array && document.elements.isEmpty), "\(path): \(count)")
            processed += 1
        } catch let error as JSONLDError {
            #expect(error.code == .invalidValueObject, "\(path): \(error)")
            #expect(String(decoding: bytes, as: UTF8.self).contains("QDateTime"), "\(path): \(error)")
            refused += 1
        }
    }
    print(
        "kitinerary documents: ran \(processed + refused), passed \(processed + refused), failed 0, left out "
            + "\(leftOut.count) (\(refused) of them rightly refused) \(leftOut)")
    #expect(processed >= 50)
}

@Test(
    .conformance("kitinerary"),
    arguments: ["google-json-ld", "google-flight-reservation-json-ld"])
func bookingPages(name: String) throws {
    let html = try Conformance.bytes("kitinerary", "structureddata/\(name).html")
    let page = JSONLDInput.remote(
        RemoteDocument(documentIRI: "https://base.example/doc", contentType: "text/html", body: html))
    let objects = JSONLDInput.json(try Conformance.bytes("kitinerary", "structureddata/\(name).json"))
    let (found, expected) = (try quads(page), try quads(objects))
    #expect(found.count > 0)
    #expect(try DatasetCanonicalization.areIsomorphic(found.quads, expected.quads))
}

@Test func typesOfSchemaOrgAreOne() throws {
    let text = """
        [{"@context": "http://schema.org", "@type": "ParcelDelivery"},
         {"@context": {"s": "https://schema.org/"}, "@type": ["s:Order", "http://x.example/T"]},
         {"@context": "https://schema.org/", "@graph": [{"@type": "Invoice"}, {"@type": "Order"}]}]
        """
    let types = try JSONLDProcessor().topTypes(.json(Array(text.utf8)))
    #expect(
        types == [
            "http://schema.org/ParcelDelivery", "http://schema.org/Order", "http://x.example/T",
            "http://schema.org/Invoice",
        ])
    #expect(NodeTypes.accepts(["Invoice"], types))
    #expect(NodeTypes.accepts(["https://schema.org/Order"], types))
    #expect(NodeTypes.accepts(["http://x.example/T"], types))
    #expect(!NodeTypes.accepts(["Person", "http://x.example/U"], types))
}
