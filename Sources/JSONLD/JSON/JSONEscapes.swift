// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The escapes of JSON strings (RFC 8259 section 7), read and written.

enum JSONEscapes {
    /// What becomes of half a surrogate pair (section 8.2 leaves its meaning open).
    enum LoneSurrogates {
        /// U+FFFD.
        case replace
        /// Its code unit in the form of a three-octet sequence, which no UTF-8 text contains: different halves stay
        /// different when names are compared.
        case keep
    }

    static func hexadecimal(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// Appends the characters of a checked string's content as UTF-8. Surrogate pairs are joined.
    static func append(_ content: UnsafeBufferPointer<UInt8>, to characters: inout [UInt8], loneSurrogates: LoneSurrogates) {
        characters.reserveCapacity(characters.count + content.count)
        var position = 0
        while position < content.count {
            let run = content[position...].firstIndex(of: UInt8(ascii: "\\")) ?? content.count
            characters.append(contentsOf: content[position..<run])
            position = run
            guard position + 1 < content.count else { break }
            guard content[position + 1] == UInt8(ascii: "u") else {
                characters.append(unescaped(content[position + 1]))
                position += 2
                continue
            }
            let (scalar, length) = unicodeEscape(content, at: position)
            let isLone = (0xD800...0xDFFF).contains(scalar)
            appendSequence(isLone && loneSurrogates == .replace ? 0xFFFD : scalar, to: &characters)
            position += length
        }
    }

    static func hasLoneSurrogate(_ content: UnsafeBufferPointer<UInt8>) -> Bool {
        var position = 0
        while let escape = content[position...].firstIndex(of: UInt8(ascii: "\\")), escape + 1 < content.count {
            position = escape + 2
            guard content[escape + 1] == UInt8(ascii: "u") else { continue }
            let (scalar, length) = unicodeEscape(content, at: escape)
            if (0xD800...0xDFFF).contains(scalar) { return true }
            position = escape + length
        }
        return false
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

    /// The code point of the escape at `start`, or its code unit where that is a lone surrogate.
    private static func unicodeEscape(_ content: UnsafeBufferPointer<UInt8>, at start: Int) -> (scalar: UInt32, length: Int) {
        guard let high = unit(content, at: start) else { return (0xFFFD, 2) }
        guard (0xD800...0xDBFF).contains(high), let low = unit(content, at: start + 6), (0xDC00...0xDFFF).contains(low)
        else { return (high, 6) }
        return (0x10000 + (high - 0xD800) << 10 + (low - 0xDC00), 12)
    }

    /// The code unit of the `\uXXXX` at `start`; nil where none stands there.
    private static func unit(_ content: UnsafeBufferPointer<UInt8>, at start: Int) -> UInt32? {
        guard start + 6 <= content.count, content[start] == UInt8(ascii: "\\"), content[start + 1] == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt32 = 0
        for byte in content[(start + 2)..<(start + 6)] {
            guard let digit = hexadecimal(byte) else { return nil }
            unit = unit << 4 | digit
        }
        return unit
    }

    private static func appendSequence(_ scalar: UInt32, to characters: inout [UInt8]) {
        let continuation = { (shift: UInt32) in UInt8(truncatingIfNeeded: 0x80 | scalar >> shift & 0x3F) }
        switch scalar {
        case ..<0x80:
            characters.append(UInt8(truncatingIfNeeded: scalar))
        case ..<0x800:
            characters.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
            characters.append(continuation(0))
        case ..<0x10000:
            characters.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
            characters.append(continuation(6))
            characters.append(continuation(0))
        default:
            characters.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
            characters.append(continuation(12))
            characters.append(continuation(6))
            characters.append(continuation(0))
        }
    }
}

extension JSONEscapes {
    /// Appends a string in quotation marks. Quotation mark, reverse solidus and U+0000 to U+001F must be escaped,
    /// nothing else is; the short escapes where there are some, else lower-case digits (also RFC 8785 section 3.2.2.2).
    static func appendQuoted(_ value: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        let isContiguous: Void? = value.utf8.withContiguousStorageIfAvailable { appendEscaped($0, to: &bytes) }
        if isContiguous == nil {
            Array(value.utf8).withUnsafeBufferPointer { appendEscaped($0, to: &bytes) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Runs that need no escape are copied whole.
    private static func appendEscaped(_ content: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        var runStart = 0
        var position = 0
        while position < content.count {
            if position + 8 <= content.count {
                let word = UnsafeRawPointer(content.baseAddress.unsafelyUnwrapped + position).loadUnaligned(as: UInt64.self)
                if !mayNeedEscape(word) {
                    position += 8
                    continue
                }
            }
            let byte = content[position]
            position += 1
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            bytes.append(contentsOf: content[runStart..<(position - 1)])
            appendEscape(of: byte, to: &bytes)
            runStart = position
        }
        bytes.append(contentsOf: content[runStart...])
    }

    /// Whether one of eight octets may be a quotation mark, a reverse solidus or a control character. The lowest one
    /// found is right; borrows can only add false ones above it, which the caller's closer look drops.
    @inline(__always)
    private static func mayNeedEscape(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        let quotation = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let solidus = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        let control = (word &- ones &* 0x20) & ~word
        return (control | (quotation &- ones) & ~quotation | (solidus &- ones) & ~solidus) & highs != 0
    }

    private static func appendEscape(of byte: UInt8, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0..<0x20:
            let digit = byte & 0x0F
            bytes.append(contentsOf: [
                UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0"), UInt8(ascii: "0") + byte >> 4,
                digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10),
            ])
        default: bytes.append(byte)
        }
    }
}
