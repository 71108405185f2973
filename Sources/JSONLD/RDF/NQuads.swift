// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// N-Quads (RDF 1.1 N-Quads), the line format of RDF datasets: what is wrong with a text, and
// writing. Reading is in NQuadsReader.swift.

/// Why a text is not N-Quads, and where.
public struct NQuadsError: Error, Sendable, Hashable {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case invalidUTF8 = "not UTF-8"
        case expectedSubject = "a subject (IRI or blank node) must stand here"
        case expectedPredicate = "a predicate (IRI) must stand here"
        case expectedObject = "an object (IRI, blank node or literal) must stand here"
        case expectedEnd = "a graph label or the full stop must stand here"
        case expectedLineEnd = "nothing but a comment may follow the full stop"
        case invalidIRI = "not an IRI"
        case relativeIRI = "an IRI without scheme"
        case invalidBlankNode = "not a blank node label"
        case invalidLiteral = "a string that does not end, or a line end in it"
        case invalidEscape = "an escape that N-Quads does not know"
        case invalidLanguage = "not a language tag"
    }

    public var code: Code
    /// The line, from 1.
    public var line: Int
    /// Offset of the octet where it was noticed.
    public var offset: Int

    public init(_ code: Code, line: Int, offset: Int) {
        self.code = code
        self.line = line
        self.offset = offset
    }
}

/// Reading and writing of N-Quads.
public enum NQuads {
    /// The quads of a text, in its order, repetitions included. IRIs must have a scheme.
    ///
    /// - Parameter isGeneralized: blank nodes may be predicates (JSON-LD 1.1 API, `produceGeneralizedRdf`).
    /// - Throws: the first error.
    public static func read(_ bytes: [UInt8], isGeneralized: Bool = false) throws(NQuadsError) -> [RDFQuad] {
        let result = bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(NQuadsError) in
                var reader = NQuadsReader(buffer, isGeneralized: isGeneralized)
                return try reader.read()
            }
        }
        return try result.get()
    }

    /// One line a quad, in the order given, each in the canonical form of RDFC-1.0 section 5.
    public static func write(_ quads: [RDFQuad]) -> [UInt8] {
        var bytes: [UInt8] = []
        for quad in quads {
            append(quad, to: &bytes)
        }
        return bytes
    }

    static func append(_ quad: RDFQuad, to bytes: inout [UInt8]) {
        append(quad.subject, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        append(quad.predicate, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        append(quad.object, to: &bytes)
        if let graph = quad.graph {
            bytes.append(UInt8(ascii: " "))
            append(graph, to: &bytes)
        }
        bytes.append(contentsOf: [UInt8(ascii: " "), UInt8(ascii: "."), UInt8(ascii: "\n")])
    }

    static func append(_ term: RDFTerm, to bytes: inout [UInt8]) {
        switch term {
        case .iri(let iri): appendIRI(iri, to: &bytes)
        case .blankNode(let label): appendLabel(label, to: &bytes)
        case .literal(let literal): append(literal, to: &bytes)
        }
    }

    private static func append(_ literal: RDFLiteral, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        appendEscaped(literal.lexicalForm, to: &bytes, allowsShortEscapes: true, where: isEscapedInLiteral)
        bytes.append(UInt8(ascii: "\""))
        if let language = literal.language {
            bytes.append(UInt8(ascii: "@"))
            bytes.append(contentsOf: language.utf8.filter(NQuadsReader.isLanguageByte))
            if let direction = literal.direction, direction == "ltr" || direction == "rtl" {
                // QUIRK: LANG_DIR of RDF 1.2 N-Quads; RDF 1.1 has no direction to write.
                bytes.append(contentsOf: "--".utf8)
                bytes.append(contentsOf: direction.utf8)
            }
        } else if literal.datatype != RDFVocabulary.xsdString {
            bytes.append(contentsOf: "^^".utf8)
            appendIRI(literal.datatype, to: &bytes)
        }
    }

    private static func appendIRI(_ iri: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "<"))
        appendEscaped(iri, to: &bytes, allowsShortEscapes: false, where: isEscapedInIRI)
        bytes.append(UInt8(ascii: ">"))
    }

    /// A label that the grammar does not allow is written as the digits of its octets: a line stays a line.
    private static func appendLabel(_ label: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "_:".utf8)
        if NQuadsReader.isLabel(label) {
            bytes.append(contentsOf: label.utf8)
        } else {
            bytes.append(contentsOf: "x-".utf8)
            for byte in label.utf8 { bytes.append(contentsOf: hexadecimal(byte)) }
        }
    }

    // RDFC-1.0 section 5: short escapes where there are some, \uXXXX for other controls and U+007F, else the character.
    @inline(__always)
    private static func isEscapedInLiteral(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F
    }

    /// What IRIREF does not allow; such an IRI is no IRI, but it must not break out of its place.
    @inline(__always)
    static func isEscapedInIRI(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, 0x7F, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "}"),
            UInt8(ascii: "|"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "\\"):
            true
        default: false
        }
    }

    @inline(__always)
    private static func appendEscaped(
        _ text: String, to bytes: inout [UInt8], allowsShortEscapes: Bool, where isEscaped: (UInt8) -> Bool
    ) {
        var text = text
        text.withUTF8 { content in
            // Runs that need no escape are copied whole.
            var runStart = 0
            for position in 0..<content.count where isEscaped(content[position]) {
                bytes.append(contentsOf: content[runStart..<position])
                appendEscape(of: content[position], to: &bytes, allowsShortEscapes: allowsShortEscapes)
                runStart = position + 1
            }
            bytes.append(contentsOf: content[runStart...])
        }
    }

    private static func appendEscape(of byte: UInt8, to bytes: inout [UInt8], allowsShortEscapes: Bool) {
        bytes.append(UInt8(ascii: "\\"))
        if allowsShortEscapes, let short = shortEscape(of: byte) {
            bytes.append(short)
        } else {
            bytes.append(contentsOf: "u00".utf8)
            bytes.append(contentsOf: hexadecimal(byte))
        }
    }

    private static func shortEscape(of byte: UInt8) -> UInt8? {
        switch byte {
        case 0x08: UInt8(ascii: "b")
        case 0x09: UInt8(ascii: "t")
        case 0x0A: UInt8(ascii: "n")
        case 0x0C: UInt8(ascii: "f")
        case 0x0D: UInt8(ascii: "r")
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): byte
        default: nil
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
        [byte >> 4, byte & 0x0F].map { $0 + ($0 < 10 ? UInt8(ascii: "0") : UInt8(ascii: "A") - 10) }
    }
}
