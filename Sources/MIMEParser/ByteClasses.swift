// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Classes of octets by the grammars of mail, and the few operations on pointers every scanner needs.

import Glibc

extension UInt8 {
    static let horizontalTab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let leftParenthesis: UInt8 = 0x28
    static let rightParenthesis: UInt8 = 0x29
    static let hyphen: UInt8 = 0x2D
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let questionMark: UInt8 = 0x3F
    static let backslash: UInt8 = 0x5C

    /// SP and HTAB: RFC 5234 appendix B.1, WSP.
    var isBlank: Bool { self == 0x20 || self == 0x09 }

    /// WSP, and the octets of a line end that folding leaves inside a field.
    var isBlankOrLineEnd: Bool { self == 0x20 || self == 0x09 || self == 0x0A || self == 0x0D }

    var isDigit: Bool { self &- 0x30 < 10 }

    var isLetter: Bool { (self | 0x20) &- 0x61 < 26 }

    /// Octets of a field name: RFC 5322 section 3.6.8, ftext.
    var isFieldName: Bool { self > 0x20 && self < 0x7F && self != .colon }

    /// RFC 2045 section 5.1, token, and every octet above ASCII (RFC 6532 section 3.2).
    var isToken: Bool {
        switch self {
        case 0...0x20, 0x7F: false
        case 0x22, 0x28, 0x29, 0x2C, 0x2F, 0x3A...0x40, 0x5B...0x5D: false
        default: true
        }
    }

    /// A to Z as a to z, all else as it is.
    var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

    /// Value of a hexadecimal digit in either case.
    var hexadecimalValue: UInt8? {
        if isDigit { return self &- 0x30 }
        let letter = (self | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }
}

typealias Bytes = UnsafeBufferPointer<UInt8>

extension UnsafeBufferPointer<UInt8> {
    /// The first place of an octet in a range of valid indexes, or the end of the range.
    @inline(__always)
    func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int {
        guard let base = baseAddress, !range.isEmpty,
            let found = memchr(base + range.lowerBound, Int32(byte), range.count)
        else { return range.upperBound }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    /// Where the line that holds `index` ends: behind its LF, or at `end`.
    @inline(__always)
    func nextLine(_ index: Int, _ end: Int) -> Int {
        let feed = firstIndex(of: .lineFeed, in: index..<end)
        return feed < end ? feed + 1 : end
    }

    /// Whether the octets from `start` on are `word`, which is in lower case, without regard to the case of letters.
    func hasWord(_ word: StaticString, at start: Int, _ end: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard end - start >= count else { return false }
        let expected = word.utf8Start
        for index in 0..<count where self[start + index].lowercased != expected[index] { return false }
        return true
    }

    /// The range without blanks and line ends at either end.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high, self[low].isBlankOrLineEnd { low += 1 }
        while high > low, self[high - 1].isBlankOrLineEnd { high -= 1 }
        return low..<high
    }
}
