// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The check that a text is UTF-8 (Unicode 15, table 3-7).

enum UTF8Check {
    /// Offset of the first octet that is not part of well-formed UTF-8; nil if all is well.
    static func firstInvalid(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            return nil
        } catch {
            return error.byteOffsets.lowerBound
        }
    }

    /// Reads characters from `start` on until one ends at or beyond `bound`, and returns where; nil if one of them is
    /// not well-formed. `bound` lies inside the text.
    static func end(of text: UnsafeRawBufferPointer, from start: Int, upTo bound: Int) -> Int? {
        var position = start
        while position < bound {
            let lead = text[position]
            if lead < 0x80 {
                position += 1
                continue
            }
            let length = length(ofSequence: lead)
            guard length > 0, position + length <= text.count, allowedSecond(after: lead).contains(text[position + 1]) else {
                return nil
            }
            for offset in 2..<max(length, 2) where text[position + offset] & 0xC0 != 0x80 { return nil }
            position += length
        }
        return position
    }

    /// Zero for an octet that begins nothing.
    @inline(__always)
    private static func length(ofSequence lead: UInt8) -> Int {
        switch lead {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 0
        }
    }

    @inline(__always)
    private static func allowedSecond(after lead: UInt8) -> ClosedRange<UInt8> {
        switch lead {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
    }
}
