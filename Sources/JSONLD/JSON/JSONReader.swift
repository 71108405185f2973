// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Checks a JSON text by the grammar of RFC 8259 and writes the tape. One pass, without
// recursion: nesting costs a place on an explicit stack, up to the limit.

struct JSONReader {
    /// The text, and what stands before it in its buffer: offsets count from the beginning of the buffer.
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position: Int
    private var tape: [JSONToken] = []
    /// Tape indices of the open arrays and objects.
    private var open: [Int] = []

    static func read(_ bytes: [UInt8], in range: Range<Int>, limits: JSONLimits) throws(JSONError) -> [JSONToken] {
        let result = bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(JSONError) in try read(buffer, in: range, limits: limits) }
        }
        return try result.get()
    }

    static func read(
        _ buffer: UnsafeBufferPointer<UInt8>, in range: Range<Int>, limits: JSONLimits
    ) throws(JSONError) -> [JSONToken] {
        guard range.count <= limits.size else { throw JSONError(.tooLarge, at: range.lowerBound + limits.size) }
        let text = UnsafeBufferPointer(rebasing: buffer[range])
        let start = range.lowerBound + (hasMark(text) ? 3 : 0)
        if let tape = JSONFastReader.tape(buffer, in: start..<range.upperBound, depth: limits.depth) { return tape }
        return try readExactly(buffer, in: range, limits: limits)
    }

    /// The same octet by octet: for scalars, and to say what is wrong and where.
    static func readExactly(
        _ buffer: UnsafeBufferPointer<UInt8>, in range: Range<Int>, limits: JSONLimits
    ) throws(JSONError) -> [JSONToken] {
        let text = UnsafeBufferPointer(rebasing: buffer[range])
        if let offset = UTF8Check.firstInvalid(text) { throw JSONError(.invalidUTF8, at: range.lowerBound + offset) }
        var reader = JSONReader(
            bytes: .init(rebasing: buffer[..<range.upperBound]), position: range.lowerBound + (hasMark(text) ? 3 : 0))
        try reader.readText(depth: limits.depth)
        return reader.tape
    }

    private init(bytes: UnsafeBufferPointer<UInt8>, position: Int) {
        self.bytes = bytes
        self.position = position
        tape.reserveCapacity((bytes.count - position) / 12 + 8)
    }

    static func hasMark(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF
    }

    // RFC 8259 section 2: JSON-text = ws value ws
    private mutating func readText(depth: Int) throws(JSONError) {
        try readValue(depth: depth)
        while let container = open.last {
            try continueContainer(container, depth: depth)
        }
        skipWhiteSpace()
        guard position == bytes.count else { throw JSONError(.trailingContent, at: position) }
    }

    /// Reads a scalar, or opens an array or object.
    private mutating func readValue(depth: Int) throws(JSONError) {
        skipWhiteSpace()
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        let start = position
        switch bytes[position] {
        case UInt8(ascii: "{"): try openContainer(.object, depth: depth)
        case UInt8(ascii: "["): try openContainer(.array, depth: depth)
        case UInt8(ascii: "\""): try readString()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try skipNumber()
            append(.number, from: start)
        case UInt8(ascii: "t"): try readLiteral("true", .true)
        case UInt8(ascii: "f"): try readLiteral("false", .false)
        case UInt8(ascii: "n"): try readLiteral("null", .null)
        default: throw JSONError(.unexpectedCharacter, at: position)
        }
    }

    private mutating func openContainer(_ kind: JSONToken.Kind, depth: Int) throws(JSONError) {
        guard open.count < depth else { throw JSONError(.tooDeep, at: position) }
        open.append(tape.count)
        tape.append(JSONToken(kind, start: position, payload: 0))
        position += 1
    }

    /// The next element or member of an open container, or its end. Sections 4 and 5.
    private mutating func continueContainer(_ index: Int, depth: Int) throws(JSONError) {
        let isObject = tape[index].kindBits == JSONToken.Kind.object.rawValue
        let isFirst = tape.count == index + 1
        skipWhiteSpace()
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        if bytes[position] == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
            tape.append(JSONToken(.end, start: position, payload: index))
            tape[index] = JSONToken(isObject ? .object : .array, start: tape[index].start, payload: tape.count)
            position += 1
            open.removeLast()
            return
        }
        if !isFirst {
            try expect(UInt8(ascii: ","))
            skipWhiteSpace()
        }
        if isObject {
            guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
            guard bytes[position] == UInt8(ascii: "\"") else { throw JSONError(.unexpectedCharacter, at: position) }
            try readString()
            skipWhiteSpace()
            try expect(UInt8(ascii: ":"))
        }
        try readValue(depth: depth)
    }

    private mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard position < bytes.count else { throw JSONError(.unexpectedEnd, at: position) }
        guard bytes[position] == byte else { throw JSONError(.unexpectedCharacter, at: position) }
        position += 1
    }

    private mutating func append(_ kind: JSONToken.Kind, from start: Int, hasEscapes: Bool = false) {
        var token = JSONToken(kind, start: start, payload: position - start)
        if hasEscapes { token.bits |= JSONToken.escapes }
        tape.append(token)
    }

    private mutating func readLiteral(_ word: StaticString, _ kind: JSONToken.Kind) throws(JSONError) {
        let start = position
        for index in 0..<word.utf8CodeUnitCount {
            try expect(word.utf8Start[index])
        }
        append(kind, from: start)
    }

    // Section 7: string = quotation-mark *char quotation-mark
    private mutating func readString() throws(JSONError) {
        let start = position
        var hasEscapes = false
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                append(.string, from: start, hasEscapes: hasEscapes)
                return
            }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape()
            } else {
                guard byte >= 0x20 else { throw JSONError(.controlCharacter, at: position) }
                position += 1
            }
        }
        throw JSONError(.unexpectedEnd, at: position)
    }

    private mutating func skipEscape() throws(JSONError) {
        guard position + 1 < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
        switch bytes[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            guard position + 6 <= bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
            for offset in 2..<6 where JSONEscapes.hexadecimal(bytes[position + offset]) == nil {
                throw JSONError(.invalidEscape, at: position + offset)
            }
            position += 6
        default: throw JSONError(.invalidEscape, at: position + 1)
        }
    }

    // Section 6: number = [ minus ] int [ frac ] [ exp ]
    private mutating func skipNumber() throws(JSONError) {
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        if position < bytes.count, bytes[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try skipDigits()
        }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            try skipDigits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            try skipDigits()
        }
    }

    private mutating func skipDigits() throws(JSONError) {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        guard position > start else { throw JSONError(.invalidNumber, at: position) }
    }

    private mutating func skipWhiteSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }
}
