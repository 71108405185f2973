// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// UTF-16 and UTF-32 (RFC 2781, Unicode chapter 3). What is no character becomes U+FFFD.

enum UnicodeConverter {
    static func utf8(fromUTF16 bytes: [UInt8], _ order: CharsetEncoding.ByteOrder?) -> [UInt8] {
        let (isBig, start) = byteOrder(bytes, order)
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count / 2 * 3)
        var index = start
        func unit(_ index: Int) -> UInt32 {
            isBig
                ? UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1]) : UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index])
        }
        while index + 1 < bytes.count {
            let first = unit(index)
            index += 2
            if first & 0xFC00 == 0xD800, index + 1 < bytes.count, unit(index) & 0xFC00 == 0xDC00 {
                append(0x10000 + ((first & 0x3FF) << 10 | unit(index) & 0x3FF), &output)
                index += 2
            } else {
                append(first, &output)
            }
        }
        if index < bytes.count { append(0xFFFD, &output) }
        return output
    }

    static func utf8(fromUTF32 bytes: [UInt8], _ order: CharsetEncoding.ByteOrder?) -> [UInt8] {
        var isBig = order != .little
        var index = 0
        if bytes.starts(with: [0, 0, 0xFE, 0xFF]) {
            (isBig, index) = (true, 4)
        } else if bytes.starts(with: [0xFF, 0xFE, 0, 0]) {
            (isBig, index) = (false, 4)
        } else if order == nil, bytes.count >= 4 {
            isBig = bytes[0] == 0
        }
        var output: [UInt8] = []
        while index + 3 < bytes.count {
            var value: UInt32 = 0
            for offset in 0..<4 { value = value << 8 | UInt32(bytes[index + (isBig ? offset : 3 - offset)]) }
            append(value, &output)
            index += 4
        }
        if index < bytes.count { append(0xFFFD, &output) }
        return output
    }

    // RFC 2781 section 4.3 says big-endian where nothing is said, the WHATWG little-endian: the octets themselves
    // decide, since text mostly has characters whose upper octet is zero.
    private static func byteOrder(_ bytes: [UInt8], _ order: CharsetEncoding.ByteOrder?) -> (isBig: Bool, start: Int) {
        if bytes.count >= 2, bytes[0] == 0xFE, bytes[1] == 0xFF { return (true, 2) }
        if bytes.count >= 2, bytes[0] == 0xFF, bytes[1] == 0xFE { return (false, 2) }
        if let order { return (order == .big, 0) }
        var zeros = [0, 0]
        for (index, octet) in bytes.prefix(256).enumerated() where octet == 0 { zeros[index & 1] += 1 }
        return (zeros[0] > zeros[1], 0)
    }

    private static func append(_ value: UInt32, _ output: inout [UInt8]) {
        let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
        output += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }
}
