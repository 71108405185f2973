// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A JSON text (RFC 8259) and the flat index of its values: ranges into its bytes. Nothing is
// converted until it is asked for: numbers keep their digits, members their order, strings
// their escapes.

/// A checked JSON text.
public struct JSONDocument: Sendable {
    public enum Kind: UInt8, Sendable, Hashable {
        case object, array, string, number, `true`, `false`, null
    }

    /// What all cursors of a document share.
    final class Storage: Sendable {
        let bytes: [UInt8]
        let tape: [JSONToken]

        init(bytes: [UInt8], tape: [JSONToken]) {
            self.bytes = bytes
            self.tape = tape
        }
    }

    let storage: Storage

    /// Names that stood in an object more than once, in the order of the text: where those members' names stand that
    /// the policy dropped. Empty for `keep`.
    public let droppedNames: [Range<Int>]

    /// The buffer the text is in; ranges count from its beginning.
    public var bytes: [UInt8] { storage.bytes }

    /// Reads a text, and refuses anything that RFC 8259 does not allow. A byte order mark is skipped (section 8.1
    /// lets a reader do so). Time is linear in the size, except that looking for duplicate names sorts them.
    public init(
        _ bytes: [UInt8], limits: JSONLimits = JSONLimits(), duplicateNames: JSONDuplicateNames = .keep
    ) throws(JSONError) {
        try self.init(bytes, in: 0..<bytes.count, limits: limits, duplicateNames: duplicateNames)
    }

    /// Reads the text that is a part of a larger buffer, which is shared and not copied. Offsets, also those of
    /// errors, count from the beginning of the buffer.
    public init(
        _ bytes: [UInt8], in range: Range<Int>, limits: JSONLimits = JSONLimits(),
        duplicateNames: JSONDuplicateNames = .keep
    ) throws(JSONError) {
        let range = range.clamped(to: 0..<bytes.count)
        guard range.upperBound <= JSONLimits.largestSize else { throw JSONError(.tooLarge, at: JSONLimits.largestSize) }
        var tape = try JSONReader.read(bytes, in: range, limits: limits)
        droppedNames = try JSONDuplicates.apply(duplicateNames, to: &tape, of: bytes)
        storage = Storage(bytes: bytes, tape: tape)
    }

    public var root: JSONValue { JSONValue(storage: storage, index: 0) }

    /// The text of `value` on one line: line ends between tokens (the only place a checked text can have them)
    /// become spaces, everything else stays as it was sent.
    public static func onOneLine(_ value: ArraySlice<UInt8>) -> [UInt8] {
        var line = Array(value)
        line.withUnsafeMutableBytes { joinLines($0) }
        return line
    }

    /// Line ends become spaces, eight octets at a time and without branches.
    static func joinLines(_ text: UnsafeMutableRawBufferPointer) {
        var index = 0
        while index + 8 <= text.count {
            let word = text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // The lowest bit of each octet that is a line end, and then all of its bits.
            let lineEnds = (octets(of: word, equalTo: 0x0A) | octets(of: word, equalTo: 0x0D)) &* 0xFF
            text.storeBytes(of: word & ~lineEnds | lineEnds & 0x2020_2020_2020_2020, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        for index in index..<text.count where text[index] == 0x0A || text[index] == 0x0D { text[index] = 0x20 }
    }

    /// The lowest bit of each octet of `word` that is `octet`.
    @inline(__always)
    private static func octets(of word: UInt64, equalTo octet: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let difference = word ^ (ones &* octet)
        let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
        // No carry leaves its octet: seven bits and 0x7F.
        let isOther = ((difference & low) &+ low) | difference
        return (~isOther >> 7) & ones
    }
}
