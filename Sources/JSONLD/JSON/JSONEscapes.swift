// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The escapes of JSON strings (RFC 8259 section 7), and the check that a text is UTF-8.

enum JSONEscapes {
    static func hexadecimal(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// The characters of a checked string's content. Surrogate pairs are joined; a lone one becomes U+FFFD
    /// (section 8.2 leaves its meaning open).
    static func decode(_ content: ArraySlice<UInt8>) -> String {
        var scalars = String.UnicodeScalarView()
        var plain: [UInt8] = []
        var position = content.startIndex
        func flush() {
            scalars.append(contentsOf: String(decoding: plain, as: UTF8.self).unicodeScalars)
            plain.removeAll(keepingCapacity: true)
        }
        while position < content.endIndex {
            guard content[position] == UInt8(ascii: "\\"), position + 1 < content.endIndex else {
                plain.append(content[position])
                position += 1
                continue
            }
            guard content[position + 1] == UInt8(ascii: "u") else {
                plain.append(unescaped(content[position + 1]))
                position += 2
                continue
            }
            flush()
            let (scalar, length) = unicodeEscape(content, at: position)
            scalars.append(scalar)
            position += length
        }
        flush()
        return String(scalars)
    }

    private static func unescaped(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: byte
        }
    }

    private static func unicodeEscape(_ content: ArraySlice<UInt8>, at start: Int) -> (scalar: Unicode.Scalar, length: Int) {
        let replacement: Unicode.Scalar = "\u{FFFD}"
        guard let high = unit(content, at: start) else { return (replacement, 2) }
        if let scalar = Unicode.Scalar(high) { return (scalar, 6) }
        guard (0xD800...0xDBFF).contains(high), let low = unit(content, at: start + 6),
            (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { return (replacement, 6) }
        return (scalar, 12)
    }

    /// The code unit of the `\uXXXX` at `start`; nil where none stands there.
    private static func unit(_ content: ArraySlice<UInt8>, at start: Int) -> UInt32? {
        guard start + 6 <= content.endIndex, content[start] == UInt8(ascii: "\\"),
            content[start + 1] == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt32 = 0
        for byte in content[(start + 2)..<(start + 6)] {
            guard let digit = hexadecimal(byte) else { return nil }
            unit = unit << 4 | digit
        }
        return unit
    }
}

enum UTF8Check {
    /// Offset of the first octet that is not part of well-formed UTF-8 (Unicode 15, table 3-7); nil if all is well.
    static func firstInvalid(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            return nil
        } catch {
            return error.byteOffsets.lowerBound
        }
    }
}
