// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether octets are UTF-8 (RFC 3629), and making them so. Many octets at a time while they are ASCII.

enum UTF8Validation {
    static func isValid(_ bytes: Bytes) -> Bool { validCount(bytes, from: 0) == bytes.count }

    /// The first place of an octet above ASCII, or the end.
    static func firstNonASCII(_ bytes: Bytes, from start: Int) -> Int {
        guard let base = UnsafeRawPointer(bytes.baseAddress) else { return 0 }
        let count = bytes.count
        var index = start
        while index + 8 <= count {
            // Runs are short in most languages: the first word decides how to go on.
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let marks = word & 0x8080_8080_8080_8080
            if marks != 0 { return index + (marks.trailingZeroBitCount >> 3) }
            index += 8
            while index + 64 <= count, isASCII(base + index) { index += 64 }
        }
        while index < count, bytes[index] < 0x80 { index += 1 }
        return index
    }

    /// Whether 64 octets are ASCII.
    @inline(__always)
    private static func isASCII(_ place: UnsafeRawPointer) -> Bool {
        var seen = place.loadUnaligned(as: SIMD16<UInt8>.self)
        for offset in stride(from: 16, to: 64, by: 16) {
            seen = seen | place.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
        }
        let halves = unsafeBitCast(seen, to: SIMD2<UInt64>.self)
        return (halves[0] | halves[1]) & 0x8080_8080_8080_8080 == 0
    }

    /// How many octets from the beginning are UTF-8, given that those before `start` are and a character begins there.
    static func validCount(_ bytes: Bytes, from start: Int) -> Int {
        var index = firstNonASCII(bytes, from: start)
        while index < bytes.count {
            let length = sequenceLength(bytes, index)
            if length == 0 { return index }
            index += length
            if index < bytes.count, bytes[index] < 0x80 { index = firstNonASCII(bytes, from: index) }
        }
        return index
    }

    /// Octets of the character above ASCII at a place; zero where there is none (RFC 3629 section 4).
    @inline(__always)
    private static func sequenceLength(_ bytes: Bytes, _ index: Int) -> Int {
        let (length, lower, upper) = shape(of: bytes[index])
        guard length > 0, index + length <= bytes.count, bytes[index + 1] >= lower, bytes[index + 1] <= upper else {
            return 0
        }
        if length > 2, bytes[index + 2] & 0xC0 != 0x80 { return 0 }
        if length > 3, bytes[index + 3] & 0xC0 != 0x80 { return 0 }
        return length
    }

    /// Length of a sequence by its first octet, and what the second may be.
    @inline(__always)
    private static func shape(of lead: UInt8) -> (length: Int, lower: UInt8, upper: UInt8) {
        switch lead {
        case 0xC2...0xDF: (2, 0x80, 0xBF)
        case 0xE0: (3, 0xA0, 0xBF)
        case 0xED: (3, 0x80, 0x9F)
        case 0xE1...0xEF: (3, 0x80, 0xBF)
        case 0xF0: (4, 0x90, 0xBF)
        case 0xF1...0xF3: (4, 0x80, 0xBF)
        case 0xF4: (4, 0x80, 0x8F)
        default: (0, 0, 0)
        }
    }

    /// With U+FFFD for each maximal subpart that is not UTF-8 (Unicode chapter 3, and the WHATWG decoder).
    static func repaired(_ bytes: Bytes, validCount start: Int) -> [UInt8] {
        // Counted first: growing an array on the way would take twice the memory of a result that is three times the input.
        var size = bytes.count
        var place = start
        while place < bytes.count {
            let length = subpartLength(bytes, place)
            size += 3 - length
            place = validCount(bytes, from: place + length)
        }
        return [UInt8](unsafeUninitializedCapacity: size) { output, count in
            var copied = 0
            var index = start
            func copy(upTo end: Int) {
                guard end > copied, let target = output.baseAddress, let source = bytes.baseAddress else { return }
                (target + count).initialize(from: source + copied, count: end - copied)
                count += end - copied
            }
            while index < bytes.count {
                copy(upTo: index)
                for octet in UTF8.encodedReplacementCharacter {
                    output[count] = octet
                    count += 1
                }
                copied = index + subpartLength(bytes, index)
                index = validCount(bytes, from: copied)
            }
            copy(upTo: bytes.count)
        }
    }

    /// Octets at a place that begin a character which is then not completed; one at least.
    private static func subpartLength(_ bytes: Bytes, _ index: Int) -> Int {
        let (length, lower, upper) = shape(of: bytes[index])
        guard length > 2, index + 1 < bytes.count, bytes[index + 1] >= lower, bytes[index + 1] <= upper else { return 1 }
        guard length > 3, index + 2 < bytes.count, bytes[index + 2] & 0xC0 == 0x80 else { return 2 }
        return 3
    }
}
