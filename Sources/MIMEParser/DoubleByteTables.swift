// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The tables of the East Asian charsets, made from their texts when the first of a charset is read.

enum DoubleByteTables {
    /// The characters of a text, row by row, as `PackedCharacter` has them; zero where there is none.
    static func packed(_ text: String, width: Int) -> [UInt32] {
        var table: [UInt32] = []
        var column = 0
        for scalar in text.unicodeScalars {
            if scalar == "\n" {
                table += repeatElement(0, count: max(0, width - column))
                column = 0
            } else {
                table.append(scalar == " " ? 0 : PackedCharacter.pack(scalar.value))
                column += 1
            }
        }
        return table + repeatElement(0, count: max(0, width - column))
    }
}

/// A character in UTF-8 in one word: its first octet is the lowest, and the highest holds the length where that is below
/// four (a fourth octet is 0x80 or more).
enum PackedCharacter {
    static let replacement = pack(0xFFFD)

    static func pack(_ scalar: UInt32) -> UInt32 {
        let last = 0x80 | scalar & 0x3F
        switch scalar {
        case ..<0x80: return scalar | 1 << 24
        case ..<0x800: return (0xC0 | scalar >> 6) | last << 8 | 2 << 24
        case ..<0x10000: return (0xE0 | scalar >> 12) | (0x80 | scalar >> 6 & 0x3F) << 8 | last << 16 | 3 << 24
        default:
            return (0xF0 | scalar >> 18) | (0x80 | scalar >> 12 & 0x3F) << 8 | (0x80 | scalar >> 6 & 0x3F) << 16 | last << 24
        }
    }

    @inline(__always)
    static func length(_ packed: UInt32) -> Int { packed >> 24 < 4 ? Int(packed >> 24) : 4 }
}
