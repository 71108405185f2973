// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Octets the dialogue treats specially, and the search for line ends.

import Glibc

enum ASCII {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")
    static let dot = UInt8(ascii: ".")

    /// Upper case for A to Z only.
    static func upper(_ byte: UInt8) -> UInt8 { (97...122).contains(byte) ? byte - 32 : byte }

    static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }

    /// RFC 5322 section 3.2.3: atext, ASCII only.
    static func isAtomText(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: "?"),
            UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "{")...UInt8(ascii: "~"):
            true
        default: isAlphanumeric(byte)
        }
    }
}

/// Finds CRs and LFs in a piece with memchr(3), in time linear in the piece whatever is in it: the place of the next
/// LF is remembered, and a CR is only looked for before it.
struct LineEndSearch {
    private let piece: UnsafeRawBufferPointer
    /// The first LF not yet passed, or the piece's end; -1 before the first search.
    private var lineFeed = -1

    init(_ piece: UnsafeRawBufferPointer) { self.piece = piece }

    /// The first CR or LF from `start` on. `start` must not fall.
    mutating func next(from start: Int) -> Int? {
        if lineFeed < start { lineFeed = index(of: ASCII.lineFeed, start..<piece.count) ?? piece.count }
        if let carriageReturn = index(of: ASCII.carriageReturn, start..<lineFeed) { return carriageReturn }
        return lineFeed < piece.count ? lineFeed : nil
    }

    private func index(of byte: UInt8, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = piece.baseAddress else { return nil }
        return memchr(base + range.lowerBound, Int32(byte), range.count).map { UnsafeRawPointer($0) - base }
    }
}
