// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The escapes of JSON strings (RFC 8259 section 7), resolved. Half of a surrogate pair becomes
// the three octets its code unit would have, so that different strings stay different.

enum StringEscapes {
    /// Appends the characters of the checked string content at `range` of `bytes` to `bytes`.
    static func decode(_ range: Range<Int>, in bytes: inout [UInt8]) {
        bytes.reserveCapacity(bytes.count + range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            let byte = bytes[position]
            guard byte == UInt8(ascii: "\\"), position + 1 < range.upperBound else {
                bytes.append(byte)
                position += 1
                continue
            }
            let letter = bytes[position + 1]
            position += 2
            guard letter == UInt8(ascii: "u") else {
                bytes.append(simple(letter))
                continue
            }
            var scalar = codeUnit(at: position, in: bytes, end: range.upperBound)
            position += 4
            if (0xD800...0xDBFF).contains(scalar), position + 6 <= range.upperBound,
                bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
            {
                let low = codeUnit(at: position + 2, in: bytes, end: range.upperBound)
                if (0xDC00...0xDFFF).contains(low) {
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                    position += 6
                }
            }
            append(scalar, to: &bytes)
        }
    }

    private static func simple(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: letter
        }
    }

    private static func codeUnit(at position: Int, in bytes: [UInt8], end: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in position..<min(position + 4, end) { value = value << 4 | (bytes[index].hexadecimalValue ?? 0) }
        return value
    }

    /// The UTF-8 form of a code point, also of half a surrogate pair.
    static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
        let tail = { (shift: UInt32) in UInt8(truncatingIfNeeded: 0x80 | (scalar >> shift & 0x3F)) }
        switch scalar {
        case ..<0x80: bytes.append(UInt8(truncatingIfNeeded: scalar))
        case ..<0x800: bytes += [UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6), tail(0)]
        case ..<0x10000: bytes += [UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12), tail(6), tail(0)]
        default: bytes += [UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18), tail(12), tail(6), tail(0)]
        }
    }
}
