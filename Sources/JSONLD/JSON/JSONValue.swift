// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Cursors into a document. They convert on demand and keep nothing.

/// A value in a document: a cursor, cheap to copy.
public struct JSONValue: Sendable {
    let storage: JSONDocument.Storage
    let index: Int

    @inline(__always)
    init(storage: JSONDocument.Storage, index: Int) {
        self.storage = storage
        self.index = index
    }

    @inline(__always)
    var token: JSONToken { storage.tape[index] }

    public var kind: JSONDocument.Kind {
        // A cursor never stands on an end token, the only one whose kind has no counterpart.
        JSONDocument.Kind(rawValue: UInt8(truncatingIfNeeded: token.kindBits)) ?? .null
    }

    /// Where the value stands in the document's bytes, quotation marks and brackets included.
    public var range: Range<Int> {
        let token = token
        // A container's payload is one past its end token, which stands at its closing bracket.
        let end = token.isContainer ? storage.tape[token.payload - 1].start + 1 : token.start + token.payload
        return token.start..<end
    }

    /// The value as it is written.
    public var text: ArraySlice<UInt8> { storage.bytes[range] }

    /// The characters of a string, with its escapes resolved; nil for other kinds. A lone surrogate becomes U+FFFD.
    public var string: String? {
        guard kind == .string else { return nil }
        return withContent { content, hasEscapes in
            guard hasEscapes else { return String(decoding: content, as: UTF8.self) }
            var characters: [UInt8] = []
            JSONEscapes.append(content, to: &characters, loneSurrogates: .replace)
            return String(decoding: characters, as: UTF8.self)
        }
    }

    /// Whether a string has half of a surrogate pair, which no UTF-8 text can say (RFC 8259 section 8.2).
    public var hasLoneSurrogate: Bool {
        guard kind == .string, token.hasEscapes else { return false }
        return withContent { content, _ in JSONEscapes.hasLoneSurrogate(content) }
    }

    /// The number as it is written; nil for other kinds.
    public var number: JSONNumber? {
        guard kind == .number else { return nil }
        return JSONNumber(checked: String(decoding: text, as: UTF8.self))
    }

    /// The nearest double of a number, infinite beyond the range of doubles; nil for other kinds.
    public var doubleValue: Double? {
        guard kind == .number else { return nil }
        let range = range
        return storage.bytes.withUnsafeBufferPointer { JSONNumber.doubleValue(.init(rebasing: $0[range])) }
    }

    /// The value of a number written without fraction and exponent that fits an `Int`; nil for everything else.
    public var integerValue: Int? { number?.integerValue }

    /// The value of `true` and `false`; nil for other kinds.
    public var booleanValue: Bool? {
        switch kind {
        case .true: true
        case .false: false
        case .object, .array, .string, .number, .null: nil
        }
    }

    public var isNull: Bool { kind == .null }

    /// The elements of an array; empty for other kinds.
    public var elements: [JSONValue] { Array(elementCursors) }

    /// The members of an object in the order of the text; empty for other kinds.
    public var members: [(name: String, value: JSONValue, nameRange: Range<Int>)] {
        memberCursors.map { ($0.name.string ?? "", $0.value, $0.name.range) }
    }

    /// The elements of an array one after the other, without an array of them; empty for other kinds.
    public var elementCursors: Elements { Elements(children: Children(of: self, if: .array)) }

    /// The members of an object one after the other: the name, a string, and the value; empty for other kinds.
    public var memberCursors: Members { Members(children: Children(of: self, if: .object)) }

    /// The first member of this name; nil where there is none, or this is no object.
    public subscript(name: String) -> JSONValue? {
        for member in memberCursors where member.name.isString(name) { return member.value }
        return nil
    }

    /// Whether this is a string of exactly these characters (code point by code point, RFC 8259 section 8.3).
    public func isString(_ other: String) -> Bool {
        guard kind == .string else { return false }
        return withContent { content, hasEscapes in
            guard hasEscapes else { return content.count == other.utf8.count && content.elementsEqual(other.utf8) }
            var characters: [UInt8] = []
            JSONEscapes.append(content, to: &characters, loneSurrogates: .keep)
            return characters.elementsEqual(other.utf8)
        }
    }

    /// What stands between the quotation marks of a string.
    private func withContent<Result>(_ body: (UnsafeBufferPointer<UInt8>, _ hasEscapes: Bool) -> Result) -> Result {
        let token = token
        return storage.bytes.withUnsafeBufferPointer { bytes in
            // The token of a string spans its two quotation marks, inside the bytes.
            body(.init(rebasing: bytes[(token.start + 1)..<(token.start + token.payload - 1)]), token.hasEscapes)
        }
    }
}

extension JSONValue {
    /// Walks over the tape entries directly below a container.
    struct Children: IteratorProtocol, Sendable {
        let storage: JSONDocument.Storage
        private var position: Int
        private let end: Int

        init(of value: JSONValue, if kind: JSONToken.Kind) {
            storage = value.storage
            position = value.index + 1
            let token = value.token
            end = token.kindBits == kind.rawValue ? token.payload - 1 : position
        }

        mutating func next() -> JSONValue? {
            guard position < end else { return nil }
            let child = JSONValue(storage: storage, index: position)
            position = storage.tape[position].next(at: position)
            return child
        }
    }

    /// The elements of an array.
    public struct Elements: Sequence, IteratorProtocol, Sendable {
        var children: Children

        public mutating func next() -> JSONValue? { children.next() }
    }

    /// The members of an object. Names and values stand in turn.
    public struct Members: Sequence, IteratorProtocol, Sendable {
        var children: Children

        public mutating func next() -> (name: JSONValue, value: JSONValue)? {
            guard let name = children.next(), let value = children.next() else { return nil }
            return (name, value)
        }
    }
}
