// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads N-Quads by the grammar of RDF 1.1 N-Quads section 4, strictly: the first error ends it.

struct NQuadsReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let isGeneralized: Bool
    private var position = 0
    private var line = 1

    init(_ bytes: UnsafeBufferPointer<UInt8>, isGeneralized: Bool) {
        self.bytes = bytes
        self.isGeneralized = isGeneralized
    }

    // nquadsDoc ::= statement? (EOL statement)* EOL?
    mutating func read() throws(NQuadsError) -> [RDFQuad] {
        if let offset = UTF8Check.firstInvalid(bytes) {
            line += bytes[..<offset].count { $0 == 0x0A }
            throw NQuadsError(.invalidUTF8, line: line, offset: offset)
        }
        var quads: [RDFQuad] = []
        while position < bytes.count {
            skipBlanks()
            if peek != nil, !isAtLineEnd, peek != UInt8(ascii: "#") { quads.append(try readStatement()) }
            try endLine()
        }
        return quads
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private var isAtLineEnd: Bool { peek == 0x0A || peek == 0x0D }

    private func failure(_ code: NQuadsError.Code) -> NQuadsError {
        NQuadsError(code, line: line, offset: position)
    }

    private mutating func skipBlanks() {
        while let byte = peek, byte == 0x20 || byte == 0x09 { position += 1 }
    }

    /// What may stand between a statement and the next: white space, a comment, EOL.
    private mutating func endLine() throws(NQuadsError) {
        skipBlanks()
        if peek == UInt8(ascii: "#") {
            while peek != nil, !isAtLineEnd { position += 1 }
        }
        guard peek == nil || isAtLineEnd else { throw failure(.expectedLineEnd) }
        while let byte = peek, isAtLineEnd {
            position += 1
            // CR LF is one line end, as editors count.
            if byte == 0x0A || peek != 0x0A { line += 1 }
        }
    }

    // statement ::= subject predicate object graphLabel? '.'
    private mutating func readStatement() throws(NQuadsError) -> RDFQuad {
        guard let subject = try readResource() else { throw failure(.expectedSubject) }
        let predicatePosition = position
        guard let predicate = try readResource() else { throw failure(.expectedPredicate) }
        if case .blankNode = predicate, !isGeneralized {
            position = predicatePosition
            throw failure(.expectedPredicate)
        }
        let object: RDFTerm
        if let resource = try readResource() {
            object = resource
        } else if peek == UInt8(ascii: "\"") {
            object = .literal(try readLiteral())
        } else {
            throw failure(.expectedObject)
        }
        let graph = try readResource()
        guard peek == UInt8(ascii: ".") else { throw failure(.expectedEnd) }
        position += 1
        return RDFQuad(subject: subject, predicate: predicate, object: object, graph: graph)
    }

    /// An IRI or a blank node, with the white space around it; nil where neither begins here.
    private mutating func readResource() throws(NQuadsError) -> RDFTerm? {
        skipBlanks()
        let term: RDFTerm
        switch peek {
        case UInt8(ascii: "<"): term = .iri(try readIRI())
        case UInt8(ascii: "_"): term = .blankNode(try readLabel())
        default: return nil
        }
        skipBlanks()
        return term
    }

    // IRIREF ::= '<' ([^#x00-#x20<>"{}|^`\] | UCHAR)* '>'
    private mutating func readIRI() throws(NQuadsError) -> String {
        let start = position
        position += 1
        let iri = try readEscaped(until: UInt8(ascii: ">"), failing: .invalidIRI, isIRI: true)
        guard Self.hasScheme(iri) else {
            position = start
            throw failure(.relativeIRI)
        }
        return iri
    }

    // RFC 3986 section 3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
    private static func hasScheme(_ iri: String) -> Bool {
        guard let colon = iri.utf8.firstIndex(of: UInt8(ascii: ":")), let first = iri.utf8.first, isLetter(first) else {
            return false
        }
        return iri.utf8[..<colon].allSatisfy {
            isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
    }

    // literal ::= STRING_LITERAL_QUOTE ('^^' IRIREF | LANGTAG)?
    private mutating func readLiteral() throws(NQuadsError) -> RDFLiteral {
        position += 1
        let lexicalForm = try readEscaped(until: UInt8(ascii: "\""), failing: .invalidLiteral, isIRI: false)
        if peek == UInt8(ascii: "@") {
            let (language, direction) = try readLanguage()
            return RDFLiteral(lexicalForm: lexicalForm, language: language, direction: direction)
        }
        skipBlanks()
        guard peek == UInt8(ascii: "^") else {
            return RDFLiteral(lexicalForm: lexicalForm, datatype: RDFVocabulary.xsdString)
        }
        position += 1
        guard peek == UInt8(ascii: "^") else { throw failure(.invalidLiteral) }
        position += 1
        skipBlanks()
        guard peek == UInt8(ascii: "<") else { throw failure(.invalidIRI) }
        return RDFLiteral(lexicalForm: lexicalForm, datatype: try readIRI())
    }

    // LANGTAG ::= '@' [a-zA-Z]+ ('-' [a-zA-Z0-9]+)*
    // QUIRK: LANG_DIR of RDF 1.2, a tag followed by --ltr or --rtl, is read too: it is what the writer makes of a
    // literal with direction.
    private mutating func readLanguage() throws(NQuadsError) -> (language: String, direction: String?) {
        position += 1
        let start = position
        while let byte = peek, Self.isLanguageByte(byte) { position += 1 }
        var tag = String(decoding: bytes[start..<position], as: UTF8.self)
        var direction: String?
        if tag.hasSuffix("--ltr") || tag.hasSuffix("--rtl") {
            direction = String(tag.suffix(3))
            tag.removeLast(5)
        }
        let subtags = tag.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard subtags.allSatisfy({ !$0.isEmpty }), subtags[0].allSatisfy(Self.isLetter) else {
            position = start
            throw failure(.invalidLanguage)
        }
        return (tag, direction)
    }

    /// Characters up to `terminator`, which is consumed, with ECHAR (in literals) and UCHAR resolved.
    private mutating func readEscaped(
        until terminator: UInt8, failing code: NQuadsError.Code, isIRI: Bool
    ) throws(NQuadsError) -> String {
        var runStart = position
        var resolved: [UInt8] = []
        while let byte = peek {
            if byte == terminator {
                defer { position += 1 }
                guard !resolved.isEmpty else { return String(decoding: bytes[runStart..<position], as: UTF8.self) }
                resolved.append(contentsOf: bytes[runStart..<position])
                return String(decoding: resolved, as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") {
                resolved.append(contentsOf: bytes[runStart..<position])
                try readEscape(to: &resolved, isIRI: isIRI)
                runStart = position
            } else {
                // U+007F may stand in both (the writer escapes it all the same).
                guard isIRI ? !NQuads.isEscapedInIRI(byte) || byte == 0x7F : byte != 0x0A && byte != 0x0D else { break }
                position += 1
            }
        }
        throw failure(code)
    }

    // ECHAR ::= '\' [tbnrf"'\]; UCHAR ::= '\u' HEX HEX HEX HEX | '\U' HEX{8}
    private mutating func readEscape(to resolved: inout [UInt8], isIRI: Bool) throws(NQuadsError) {
        guard position + 1 < bytes.count else { throw failure(.invalidEscape) }
        let letter = bytes[position + 1]
        if letter == UInt8(ascii: "u") || letter == UInt8(ascii: "U") {
            let scalar = try readCodePoint(digits: letter == UInt8(ascii: "u") ? 4 : 8)
            // An escape gets nothing into an IRI that must not stand there as itself.
            if isIRI, scalar.value < 0x7F, NQuads.isEscapedInIRI(UInt8(truncatingIfNeeded: scalar.value)) {
                throw failure(.invalidIRI)
            }
            resolved.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
            return
        }
        guard !isIRI, let character = Self.character(ofEscape: letter) else { throw failure(.invalidEscape) }
        resolved.append(character)
        position += 2
    }

    private mutating func readCodePoint(digits: Int) throws(NQuadsError) -> Unicode.Scalar {
        guard position + 2 + digits <= bytes.count else { throw failure(.invalidEscape) }
        var value: UInt32 = 0
        for byte in bytes[(position + 2)..<(position + 2 + digits)] {
            // Eight digits fill 32 bits; what lies beyond Unicode is refused below.
            guard let digit = JSONEscapes.hexadecimal(byte) else { throw failure(.invalidEscape) }
            value = value << 4 | digit
        }
        guard let scalar = Unicode.Scalar(value) else { throw failure(.invalidEscape) }
        position += 2 + digits
        return scalar
    }

    private static func character(ofEscape letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"): letter
        default: nil
        }
    }
}

extension NQuadsReader {
    // BLANK_NODE_LABEL ::= '_:' (PN_CHARS_U | [0-9]) ((PN_CHARS | '.')* PN_CHARS)?
    private mutating func readLabel() throws(NQuadsError) -> String {
        guard position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: ":") else { throw failure(.invalidBlankNode) }
        let start = position + 2
        var end = start
        while end < bytes.count, Self.isLabelByte(bytes[end]) { end += 1 }
        while end > start, bytes[end - 1] == UInt8(ascii: ".") { end -= 1 }
        let label = String(decoding: bytes[start..<end], as: UTF8.self)
        guard Self.isLabel(label) else { throw failure(.invalidBlankNode) }
        position = end
        return label
    }

    /// Whether the grammar allows the label, which stands without `_:`.
    static func isLabel(_ label: String) -> Bool {
        guard let first = label.unicodeScalars.first, label.utf8.last != UInt8(ascii: ".") else { return false }
        // The usual label is ASCII letters and digits; the tables are for the rest.
        return isNameStart(first) && label.unicodeScalars.dropFirst().allSatisfy { isNameCharacter($0) || $0 == "." }
    }

    /// An octet that can be part of a label: all beyond ASCII, where code points decide.
    private static func isLabelByte(_ byte: UInt8) -> Bool {
        byte >= 0x80 || isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":")
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    // PN_CHARS_U, or a digit
    private static func isNameStart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x3A, 0xC0...0xD6, 0xD8...0xF6, 0xF8...0x2FF, 0x370...0x37D,
            0x37F...0x1FFF, 0x200C...0x200D, 0x2070...0x218F, 0x2C00...0x2FEF, 0x3001...0xD7FF, 0xF900...0xFDCF,
            0xFDF0...0xFFFD, 0x10000...0xEFFFF:
            true
        default: false
        }
    }

    // PN_CHARS ::= PN_CHARS_U | '-' | [0-9] | #x00B7 | [#x0300-#x036F] | [#x203F-#x2040]
    private static func isNameCharacter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x2D, 0xB7, 0x300...0x36F, 0x203F...0x2040: true
        default: isNameStart(scalar)
        }
    }

    static func isLanguageByte(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "-")
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: false
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}
