// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// N-Quads: what is read, what is refused and where, what is written, and whatever a sender may
// make of it.

import JSONLD
import TestSupport
import Testing

@Suite("N-Quads")
struct NQuadsTests {
    private static let type = RDFTerm.iri("http://a.example/p")
    private static let subject = RDFTerm.iri("http://a.example/s")

    private func object(_ text: String) throws -> RDFTerm {
        try #require(NQuads.read(Array("<http://a.example/s> <http://a.example/p> \(text) .".utf8)).first).object
    }

    struct Literal: CustomTestStringConvertible, Sendable {
        var text: String
        var term: RDFTerm
        var testDescription: String { text }
    }

    @Test(arguments: [
        Literal(text: #""""#, term: .literal("")),
        Literal(text: #""a"^^<http://www.w3.org/2001/XMLSchema#string>"#, term: .literal("a")),
        Literal(text: #""1"^^<http://www.w3.org/2001/XMLSchema#integer>"#, term: .literal("1", datatype: RDFVocabulary.xsdInteger)),
        Literal(text: #""a"@en"#, term: .literal(RDFLiteral(lexicalForm: "a", language: "en"))),
        Literal(text: #""a"@de-CH-1996"#, term: .literal(RDFLiteral(lexicalForm: "a", language: "de-CH-1996"))),
        Literal(text: #""a"@ar--rtl"#, term: .literal(RDFLiteral(lexicalForm: "a", language: "ar", direction: "rtl"))),
        Literal(text: #""\t\b\n\r\f\"\'\\""#, term: .literal("\t\u{8}\n\r\u{C}\"'\\")),
        Literal(text: #""\u00e9\U0001F600\u0000""#, term: .literal("\u{E9}\u{1F600}\u{0}")),
        Literal(text: "\"é\t😀\u{7F}\"", term: .literal("é\t😀\u{7F}")),
        Literal(text: "_:b0", term: .blankNode("b0")),
        Literal(text: "_:0.a.b", term: .blankNode("0.a.b")),
        Literal(text: "_:a:b_c-é", term: .blankNode("a:b_c-é")),
        Literal(text: "<urn:x:y>", term: .iri("urn:x:y")),
        Literal(text: #"<http://a.example/\u00e9>"#, term: .iri("http://a.example/é")),
    ])
    func objects(_ literal: Literal) throws {
        let read = try object(literal.text)
        #expect(read == literal.term)
        // What is written reads back the same.
        let quad = RDFQuad(subject: Self.subject, predicate: Self.type, object: read, graph: .blankNode("g"))
        #expect(try NQuads.read(NQuads.write([quad])) == [quad])
    }

    @Test func shapeOfADocument() throws {
        let text = "# comment\r\n\r\n _:s<http://p.example/>\"o\"<http://g.example/>.#end\n\t\n_:s <http://p.example/> _:o."
        let quads = try NQuads.read(Array(text.utf8))
        #expect(
            quads == [
                RDFQuad(
                    subject: .blankNode("s"), predicate: .iri("http://p.example/"), object: .literal("o"),
                    graph: .iri("http://g.example/")),
                RDFQuad(subject: .blankNode("s"), predicate: .iri("http://p.example/"), object: .blankNode("o")),
            ])
        #expect(try NQuads.read([]).isEmpty)
    }

    struct Failure: CustomTestStringConvertible, Sendable {
        var text: String
        var code: NQuadsError.Code
        var line = 1
        var testDescription: String { text }
    }

    @Test(arguments: [
        Failure(text: "x", code: .expectedSubject),
        Failure(text: "\"s\" <u:p> <u:o> .", code: .expectedSubject),
        Failure(text: "<u:s> _:p <u:o> .", code: .expectedPredicate),
        Failure(text: "<u:s> \"p\" <u:o> .", code: .expectedPredicate),
        Failure(text: "<u:s> <u:p> .", code: .expectedObject),
        Failure(text: "<u:s> <u:p> 1 .", code: .expectedObject),
        Failure(text: "<u:s> <u:p> <u:o>", code: .expectedEnd),
        Failure(text: "<u:s> <u:p> <u:o> \"g\" .", code: .expectedEnd),
        Failure(text: "<u:s> <u:p> <u:o> .\n\n<u:s> <u:p> <u:o> . x", code: .expectedLineEnd, line: 3),
        Failure(text: "<u:s> <u:p> <u:o> . <u:s> <u:p> <u:o> .", code: .expectedLineEnd),
        Failure(text: "\r\n\r<s> <u:p> <u:o> .", code: .relativeIRI, line: 3),
        Failure(text: "<1:s> <u:p> <u:o> .", code: .relativeIRI),
        Failure(text: "<u:s s> <u:p> <u:o> .", code: .invalidIRI),
        Failure(text: #"<u:\u0020> <u:p> <u:o> ."#, code: .invalidIRI),
        Failure(text: #"<u:\n> <u:p> <u:o> ."#, code: .invalidEscape),
        Failure(text: "<u:s", code: .invalidIRI),
        Failure(text: "_s <u:p> <u:o> .", code: .invalidBlankNode),
        Failure(text: "_:-s <u:p> <u:o> .", code: .invalidBlankNode),
        Failure(text: "_:. <u:p> <u:o> .", code: .invalidBlankNode),
        Failure(text: "<u:s> <u:p> \"o .", code: .invalidLiteral),
        Failure(text: "<u:s> <u:p> \"o\n\" .", code: .invalidLiteral),
        Failure(text: "<u:s> <u:p> \"o\"^<u:d> .", code: .invalidLiteral),
        Failure(text: "<u:s> <u:p> \"o\"^^\"d\" .", code: .invalidIRI),
        Failure(text: #"<u:s> <u:p> "\x" ."#, code: .invalidEscape),
        Failure(text: #"<u:s> <u:p> "\ud800" ."#, code: .invalidEscape),
        Failure(text: #"<u:s> <u:p> "\U00110000" ."#, code: .invalidEscape),
        Failure(text: #"<u:s> <u:p> "\u12"#, code: .invalidEscape),
        Failure(text: "<u:s> <u:p> \"o\"@ .", code: .invalidLanguage),
        Failure(text: "<u:s> <u:p> \"o\"@en- .", code: .invalidLanguage),
        Failure(text: "<u:s> <u:p> \"o\"@1 .", code: .invalidLanguage),
        Failure(text: "<u:s> <u:p> \"o\"@en--up .", code: .invalidLanguage),
    ])
    func errorsHaveTheirLine(_ failure: Failure) {
        let error = #expect(throws: NQuadsError.self) { try NQuads.read(Array(failure.text.utf8)) }
        #expect(error?.code == failure.code)
        #expect(error?.line == failure.line)
    }

    @Test func octetsMustBeUTF8() {
        let bytes = Array("\n\n<u:s> <u:p> \"".utf8) + [0xC0, 0x80] + Array("\" .".utf8)
        #expect(throws: NQuadsError(.invalidUTF8, line: 3, offset: 15)) { try NQuads.read(bytes) }
    }

    @Test func generalizedPredicates() throws {
        let bytes = Array("<u:s> _:p <u:o> .\n".utf8)
        let quads = try NQuads.read(bytes, isGeneralized: true)
        #expect(quads[0].predicate == .blankNode("p"))
        #expect(NQuads.write(quads) == bytes)
    }

    /// Whatever stands in a term, a quad stays one line, and no term gets out of its place.
    @Test func hostileTermsStayInTheirPlace() throws {
        let evil = "x> .\n<u:a> <u:b> \"c\" .\r\n\\\"@en {}|^`"
        let quad = RDFQuad(
            subject: .blankNode(evil), predicate: .iri("u:" + evil),
            object: .literal(RDFLiteral(lexicalForm: evil, language: "en" + evil, direction: evil)), graph: .iri("u:g"))
        let bytes = NQuads.write([quad])
        #expect(bytes.filter { $0 == 0x0A || $0 == 0x0D }.count == 1)
        // The predicate is no IRI, and the reader says so.
        let error = #expect(throws: NQuadsError.self) { try NQuads.read(bytes) }
        #expect(error?.code == .invalidIRI)
        var repaired = quad
        repaired.predicate = .iri("u:p")
        let read = try NQuads.read(NQuads.write([repaired]))
        guard case .literal(let literal) = read[0].object else { Issue.record("no literal"); return }
        #expect(literal.lexicalForm == evil)
        #expect(literal.language == "enxuaubcen")
    }

    /// Terms are what their characters are; Swift's strings would take these for equal.
    @Test func termsAreNotNormalized() {
        #expect(RDFTerm.iri("u:\u{E9}") != .iri("u:e\u{301}"))
        #expect(RDFTerm.literal("\u{E9}") != .literal("e\u{301}"))
        #expect(RDFLiteral(lexicalForm: "a", language: "en") != RDFLiteral(lexicalForm: "a", language: "en", direction: "ltr"))
        #expect(Set([RDFTerm.iri("u:\u{E9}"), .iri("u:e\u{301}"), .iri("u:\u{E9}")]).count == 2)
    }

    /// Changed texts are read or refused; what is read is written and read again the same.
    @Test func mutatedTexts() throws {
        let text = #"""
            <http://a.example/s> <http://a.example/p> "v\u00e9\n\"x"@en-GB <http://a.example/g> .
            _:b0 <urn:p> "1"^^<http://www.w3.org/2001/XMLSchema#integer> _:g.1 . # note
            _:b1 <urn:p> _:b0 .
            """#
        var generator = SplitMix64(state: 17)
        let alphabet = Array("<>\"\\_:.@^#-u0\n\r\t aé".utf8) + [0x00, 0x7F, 0xC3, 0xFF]
        var read = 0
        for _ in 0..<1_500 {
            var bytes = Array(text.utf8)
            for _ in 0...Int.random(in: 0..<3, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = alphabet.randomElement(using: &generator) ?? 0
                case 1: bytes.remove(at: index)
                default: bytes.insert(alphabet.randomElement(using: &generator) ?? 0, at: index)
                }
            }
            guard let quads = try? NQuads.read(bytes) else { continue }
            read += 1
            #expect(try NQuads.read(NQuads.write(quads)) == quads)
        }
        #expect(read > 100)
    }

    @Test func everyTruncation() {
        let bytes = Array("_:b0 <urn:p> \"\\u00e9\\n\"@en <u:g> .\n".utf8)
        let whole = bytes.count - 1
        for end in 0..<bytes.count {
            let isRead = (try? NQuads.read(Array(bytes[..<end]))) != nil
            #expect(isRead == (end == 0 || end == whole), "\(end)")
        }
    }
}

@Suite("N-Quads of others", .conformance("schemaorg"))
struct NQuadsCorpusTests {
    @Test func schemaVocabularyReadsBack() throws {
        let bytes = try Conformance.bytes("schemaorg", "schemaorg-current-https.nq")
        let quads = try NQuads.read(bytes)
        #expect(quads.count == 17_949)
        #expect(try NQuads.read(NQuads.write(quads)) == quads)
    }
}

@Suite("N-Quads of JSON-LD", .conformance("json-ld-api"))
struct NQuadsOfJSONLDTests {
    /// Expected results in which blank nodes are predicates.
    private static let generalized: Set<String> = ["toRdf/0118-out.nq", "toRdf/e075-out.nq"]

    @Test func expectedResultsAreRead() throws {
        let names = Conformance.files("json-ld-api", "tests", extensions: ["nq"])
        #expect(names.count > 400)
        for name in names {
            let bytes = try Conformance.bytes("json-ld-api", "tests/" + name)
            let quads = try NQuads.read(bytes, isGeneralized: true)
            #expect(try NQuads.read(NQuads.write(quads), isGeneralized: true) == quads, "\(name)")
            let isStrict = (try? NQuads.read(bytes)) != nil
            #expect(isStrict == !Self.generalized.contains(name), "\(name)")
        }
    }
}
