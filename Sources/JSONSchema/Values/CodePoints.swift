// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Strings as code points, and classes of ASCII octets. Octets come from checked JSON: they are
// well-formed UTF-8 but for halves of surrogate pairs, which have three octets here.

enum CodePoints {
    /// Number of code points: octets that continue none.
    static func count(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var count = 0
        for byte in bytes where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }

    /// The code points of a string.
    static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt32] {
        var points: [UInt32] = []
        points.reserveCapacity(bytes.count)
        var position = 0
        while position < bytes.count {
            points.append(next(bytes, &position))
        }
        return points
    }

    /// The code point at `position`, which moves behind it.
    @inline(__always)
    static func next(_ bytes: UnsafeBufferPointer<UInt8>, _ position: inout Int) -> UInt32 {
        let first = bytes[position]
        position += 1
        if first < 0x80 { return UInt32(first) }
        let length = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1
        var value = UInt32(first) & (0x3F >> UInt32(length))
        let end = min(position + length, bytes.count)
        while position < end {
            value = value << 6 | UInt32(bytes[position] & 0x3F)
            position += 1
        }
        return value
    }
}

extension UInt8 {
    var hexadecimalValue: UInt32? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(self - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(self - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    var isASCIILetter: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 }
    var isASCIIDigit: Bool { self &- UInt8(ascii: "0") < 10 }
    var isASCIILetterOrDigit: Bool { isASCIILetter || isASCIIDigit }

    /// Whether it is one of the characters of `set`, which is ASCII.
    @inline(__always)
    func isOne(of set: StaticString) -> Bool {
        for index in 0..<set.utf8CodeUnitCount where set.utf8Start[index] == self { return true }
        return false
    }
}
