// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Says whether octets are JSON without keeping anything: for texts that are passed on as they
// came.

/// What a JSON text is, seen from outside.
public struct JSONOutline: Sendable, Hashable {
    public var kind: JSONDocument.Kind
    /// Where the value stands, without white space and byte order mark around it.
    public var range: Range<Int>
}

/// The reader without its index.
public enum JSONValidator {
    /// Checks a text by the same rules as `JSONDocument`. Offsets count from the beginning of the buffer.
    @discardableResult
    public static func check(
        _ bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits = JSONLimits()
    ) throws(JSONError) -> JSONOutline {
        guard bytes.count <= limits.size else { throw JSONError(.tooLarge, at: limits.size) }
        let start = JSONReader.hasMark(bytes) ? 3 : 0
        if JSONFastReader.isContainer(bytes, in: start..<bytes.count, depth: limits.depth) {
            return outline(bytes, from: start)
        }
        // A scalar, or something is wrong. Scalars are small, or a single string.
        let tape = try JSONReader.readExactly(bytes, in: 0..<bytes.count, limits: limits)
        let root = JSONValue(storage: .init(bytes: [], tape: tape), index: 0)
        return JSONOutline(kind: root.kind, range: root.range)
    }

    /// The outline of a text known to be an array or object: its first and last brackets.
    private static func outline(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> JSONOutline {
        let isNotBlank = { (byte: UInt8) in byte > 0x20 }
        let first = bytes[start...].firstIndex(where: isNotBlank) ?? start
        let last = bytes.lastIndex(where: isNotBlank) ?? first
        return JSONOutline(kind: bytes[first] == UInt8(ascii: "{") ? .object : .array, range: first..<(last + 1))
    }
}
