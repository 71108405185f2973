// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The byte classes of the HTML syntax, and memchr over the input. Every class here lies below U+0080, so the input may
// be in any encoding that keeps ASCII bytes for ASCII characters.

import Glibc

extension UInt8 {
    /// ASCII alpha.
    @inline(__always) var isLetter: Bool { (self | 0x20) &- 0x61 < 26 }

    /// Tab, line feed, form feed, space; carriage return too, which input preprocessing turns into a line feed.
    @inline(__always) var isSpace: Bool { self < 64 && (ByteSet.space &>> UInt64(self)) & 1 != 0 }

    /// What ends a tag name, and an end tag name in text: white space, `/` and `>`.
    @inline(__always) var endsTagName: Bool { self < 64 && (ByteSet.tagNameEnd &>> UInt64(self)) & 1 != 0 }

    /// What ends an attribute name: white space, `/`, `>` and `=`.
    @inline(__always) var endsAttributeName: Bool { self < 64 && (ByteSet.attributeNameEnd &>> UInt64(self)) & 1 != 0 }

    /// What ends an unquoted attribute value: white space and `>`.
    @inline(__always) var endsUnquotedValue: Bool { self < 64 && (ByteSet.unquotedValueEnd &>> UInt64(self)) & 1 != 0 }

    /// A to Z become a to z; nothing else changes (`| 0x20` alone would make letters of other bytes).
    @inline(__always) var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

    @inline(__always) var isDigit: Bool { self &- 0x30 < 10 }

    @inline(__always) var isAlphanumeric: Bool { isLetter || isDigit }

    /// 0 to 15, or nil.
    var hexadecimalValue: UInt32? {
        if isDigit { return UInt32(self - 0x30) }
        let letter = self | 0x20
        return letter >= 0x61 && letter <= 0x66 ? UInt32(letter - 0x57) : nil
    }
}

/// Sets of bytes below 64, one bit each.
private enum ByteSet {
    static let space: UInt64 = 1 << 0x09 | 1 << 0x0A | 1 << 0x0C | 1 << 0x0D | 1 << 0x20
    static let tagNameEnd: UInt64 = 1 << 0x09 | 1 << 0x0A | 1 << 0x0C | 1 << 0x0D | 1 << 0x20 | 1 << 0x2F | 1 << 0x3E
    static let attributeNameEnd: UInt64 =
        1 << 0x09 | 1 << 0x0A | 1 << 0x0C | 1 << 0x0D | 1 << 0x20 | 1 << 0x2F | 1 << 0x3D | 1 << 0x3E
    static let unquotedValueEnd: UInt64 = 1 << 0x09 | 1 << 0x0A | 1 << 0x0C | 1 << 0x0D | 1 << 0x20 | 1 << 0x3E
}

/// The input, borrowed for the time of one call.
struct Input {
    let base: UnsafePointer<UInt8>
    let count: Int

    /// The caller keeps `0 <= index < count`; every loop of this module tests against `count` before it reads.
    @inline(__always) subscript(index: Int) -> UInt8 { base[index] }

    /// Place of the next `byte` at or after `start`; `count` where there is none.
    @inline(__always) func find(_ byte: UInt8, from start: Int) -> Int {
        guard start < count, let hit = memchr(base + start, Int32(byte), count - start) else { return count }
        return UnsafeRawPointer(hit) - UnsafeRawPointer(base)
    }

    /// Place of the last `byte` before `end`; -1 where there is none.
    func findLast(_ byte: UInt8, before end: Int) -> Int {
        let pattern = SIMD16<UInt8>(repeating: byte)
        var start = end - 16
        while start >= 0 {
            let block = UnsafeRawPointer(base + start).loadUnaligned(as: SIMD16<UInt8>.self)
            // All bits of an octet that is equal.
            let hits = unsafeBitCast(block .== pattern, to: SIMD2<UInt64>.self)
            if hits[1] != 0 { return start + 8 + (63 - hits[1].leadingZeroBitCount) >> 3 }
            if hits[0] != 0 { return start + (63 - hits[0].leadingZeroBitCount) >> 3 }
            start -= 16
        }
        var index = start + 15
        while index >= 0, base[index] != byte { index -= 1 }
        return index
    }

    /// Whether the bytes at `start` are `text` (lower-case ASCII), letters compared without regard to case.
    func hasPrefix(_ text: StaticString, at start: Int) -> Bool {
        let length = text.utf8CodeUnitCount
        guard length <= count - start else { return false }
        for offset in 0..<length where base[start + offset].lowercased != text.utf8Start[offset] { return false }
        return true
    }

    /// As `hasPrefix`, but case counts.
    func hasExactPrefix(_ text: StaticString, at start: Int) -> Bool {
        let length = text.utf8CodeUnitCount
        guard length <= count - start else { return false }
        for offset in 0..<length where base[start + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether `range` is `text` (lower-case ASCII) but for the case of letters.
    func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count == text.utf8CodeUnitCount && hasPrefix(text, at: range.lowerBound)
    }
}
