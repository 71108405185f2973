// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A JSON text (RFC 8259) as a flat tape of ranges into its bytes. Nothing is converted until it
// is asked for: numbers keep their digits, members their order, strings their escapes.

/// What the reader allows.
public struct JSONLimits: Sendable, Hashable {
    /// Arrays and objects inside each other. Deeper texts serve to exhaust a reader's stack.
    public var depth: Int
    /// Octets of a text; offsets are kept in 32 bits.
    public var size: Int

    public init(depth: Int = 128, size: Int = 1 << 30) {
        self.depth = depth
        self.size = min(size, Int(Int32.max))
    }
}

/// Why a text is not JSON, and where.
public struct JSONError: Error, Sendable, Hashable {
    public enum Code: String, Sendable, Hashable {
        case unexpectedEnd = "the text ends too early"
        case unexpectedCharacter = "unexpected character"
        case controlCharacter = "control character in a string"
        case invalidEscape = "invalid escape in a string"
        case invalidNumber = "not a number as JSON writes it"
        case invalidUTF8 = "not UTF-8"
        case trailingContent = "something follows the value"
        case duplicateName = "a member's name stands twice"
        case tooDeep = "nested too deeply"
        case tooLarge = "too large"
    }

    public var code: Code
    /// Offset of the octet where it was noticed.
    public var offset: Int

    public init(_ code: Code, at offset: Int) {
        self.code = code
        self.offset = offset
    }

    /// Line and column (in characters) of the offset in `bytes`, both from 1.
    public func position(in bytes: [UInt8]) -> (line: Int, column: Int) {
        let before = bytes.prefix(offset)
        let line = before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        // Octets that continue a UTF-8 sequence are no characters of their own.
        return (line, before[lineStart...].reduce(1) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) })
    }
}

/// A checked JSON text.
public struct JSONDocument: Sendable {
    public enum Kind: UInt8, Sendable, Hashable {
        case object, array, string, number, `true`, `false`, null
    }

    /// One value of the tape. Members of an object stand as name and value in turn.
    struct Token: Sendable {
        var kind: Kind
        /// Only for strings: whether there is an escape in it.
        var hasEscapes = false
        var start: Int32
        /// One past the last octet of the value.
        var end: Int32 = 0
        /// Index in the tape one past the value and all in it.
        var next: Int32 = 0
    }

    /// The text; ranges count from its beginning.
    public let bytes: [UInt8]
    let tape: [Token]

    /// Reads a text, and refuses anything that RFC 8259 does not allow. A byte order mark is skipped (section 8.1
    /// lets a reader do so).
    public init(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
        tape = try JSONReader.read(bytes, limits: limits)
        self.bytes = bytes
    }

    public var root: JSONValue { JSONValue(document: self, index: 0) }
}

/// A value in a document: a cursor, cheap to copy.
public struct JSONValue: Sendable {
    private let document: JSONDocument
    private let index: Int

    init(document: JSONDocument, index: Int) {
        self.document = document
        self.index = index
    }

    private var token: JSONDocument.Token { document.tape[index] }

    public var kind: JSONDocument.Kind { token.kind }

    /// Where the value stands in the document's bytes, quotation marks and brackets included.
    public var range: Range<Int> { Int(token.start)..<Int(token.end) }

    /// The value as it is written.
    public var text: ArraySlice<UInt8> { document.bytes[range] }

    /// The characters of a string, with its escapes resolved; nil for other kinds. A lone surrogate becomes U+FFFD.
    public var string: String? {
        guard kind == .string else { return nil }
        let content = document.bytes[range.dropFirst().dropLast()]
        guard token.hasEscapes else { return String(decoding: content, as: UTF8.self) }
        return JSONEscapes.decode(content)
    }

    public var isNull: Bool { kind == .null }

    /// The elements of an array; empty for other kinds.
    public var elements: [JSONValue] {
        guard kind == .array else { return [] }
        return children
    }

    /// The members of an object in the order of the text; empty for other kinds.
    public var members: [(name: String, value: JSONValue, nameRange: Range<Int>)] {
        guard kind == .object else { return [] }
        let children = children
        return stride(from: 0, to: children.count - 1, by: 2).map {
            (children[$0].string ?? "", children[$0 + 1], children[$0].range)
        }
    }

    /// The first member of this name; nil where there is none, or this is no object.
    public subscript(name: String) -> JSONValue? {
        guard kind == .object else { return nil }
        var child = index + 1
        while child < Int(token.next) {
            let key = JSONValue(document: document, index: child)
            let value = Int(document.tape[child].next)
            if key.isWritten(name) { return JSONValue(document: document, index: value) }
            child = Int(document.tape[value].next)
        }
        return nil
    }

    private func isWritten(_ name: String) -> Bool {
        if token.hasEscapes { return string == name }
        return document.bytes[range.dropFirst().dropLast()].elementsEqual(name.utf8)
    }

    private var children: [JSONValue] {
        var children: [JSONValue] = []
        var child = index + 1
        while child < Int(token.next) {
            children.append(JSONValue(document: document, index: child))
            child = Int(document.tape[child].next)
        }
        return children
    }
}
