// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a JSON number is worth. The digits stay as they were written; a value is made of them
// only for whoever asks for one.

/// A number of a JSON text, exactly as it is written (RFC 8259 section 6).
public struct JSONNumber: Sendable, Hashable {
    /// The digits, sign, point and exponent as they stand in the text.
    public let text: String

    /// `text` must have been checked: it comes from a document.
    init(checked text: String) {
        self.text = text
    }

    /// The nearest IEEE 754 double, ties to even; infinite where the number is beyond the range of doubles.
    public var doubleValue: Double {
        var copy = text
        return copy.withUTF8 { JSONNumber.doubleValue($0) }
    }

    /// The value of a number written without fraction and exponent; nil for others, and beyond the range of `Int`.
    public var integerValue: Int? { Int(text) }

    /// Powers of ten that a double holds exactly.
    private static let exactPowers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]

    /// The value of a number that has been checked against the grammar.
    static func doubleValue(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        // Digits that fit 53 bits, scaled by a power of ten that is exact: one rounding, so the result is the nearest.
        var mantissa: UInt64 = 0
        var digits = 0
        var scale = 0
        var seenPoint = false
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            if digit < 10 {
                digits += 1
                guard digits <= 18 else { return general(text) }
                mantissa = mantissa &* 10 &+ UInt64(digit)
                if seenPoint { scale += 1 }
            } else if byte == UInt8(ascii: ".") {
                seenPoint = true
            } else if byte != UInt8(ascii: "-") {
                return general(text)
            }
        }
        guard mantissa <= 1 << 53, scale < exactPowers.count else { return general(text) }
        let magnitude = Double(mantissa) / exactPowers[scale]
        return text.first == UInt8(ascii: "-") ? -magnitude : magnitude
    }

    private static func general(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        // A checked number is always one that Double can read.
        Double(String(decoding: text, as: UTF8.self)) ?? .nan
    }
}
