// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the JSON reader allows, and how it says no.

/// What the reader allows.
public struct JSONLimits: Sendable, Hashable {
    /// Arrays and objects inside each other. Deeper texts serve to exhaust a reader's stack; ours is on the heap, but
    /// whoever gets the text next may recurse.
    public var depth: Int
    /// Octets of a text. The index keeps lengths in 28 bits, so 268,435,455 is the most there can be.
    public var size: Int

    /// The largest text the index can hold.
    public static let largestSize = 1 << 28 - 1

    public init(depth: Int = 128, size: Int = JSONLimits.largestSize) {
        self.depth = depth
        self.size = min(size, JSONLimits.largestSize)
    }
}

/// What happens to an object that says a name twice (RFC 8259 section 4: names SHOULD be unique).
public enum JSONDuplicateNames: Sendable, Hashable {
    /// Every member is kept, nothing is looked for.
    case keep
    /// The text is refused.
    case reject
    /// The first member of a name counts, later ones are dropped from the index and reported.
    case first
    /// The last member of a name counts, as in ECMAScript; earlier ones are dropped from the index and reported.
    case last
}

/// Why a text is not JSON, or has no canonical form, and where.
public struct JSONError: Error, Sendable, Hashable {
    public enum Code: String, Sendable, Hashable, CaseIterable {
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
        case numberOutOfRange = "a number beyond the range of doubles"
        case loneSurrogate = "half of a surrogate pair in a string"
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
