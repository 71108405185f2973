// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The part of the fast reader's first stage for blocks with a reverse solidus, a control
// character or an octet beyond ASCII in them.

/// What the first stage knows about octets that few blocks have.
struct JSONSpecials {
    var isValid = true
    /// 1 where the first octet of the next block follows a reverse solidus that escapes it.
    private var isEscaped: UInt64 = 0
    /// 1 where the open string has an escape.
    private var hasEscapes: UInt64 = 0
    /// Which of the first octets of the next block must continue a UTF-8 sequence.
    private var continuations: UInt64 = 0

    /// Whether the next block must be examined whatever is in it.
    @inline(__always)
    var isPending: Bool { isEscaped | hasEscapes | continuations != 0 }

    /// Whether all was well, and nothing is left unfinished.
    var isComplete: Bool { isValid && !isPending }

    /// Examines a block. Returns quotation marks that no escape takes back, blanks without octets beyond ASCII, and
    /// closing quotation marks of strings with escapes.
    @inline(never)
    mutating func examine(
        _ octets: UnsafeRawPointer, _ block: JSONBlock, at position: Int, of text: UnsafeRawBufferPointer, _ inString: UInt64
    ) -> (UInt64, UInt64, UInt64) {
        let beyondASCII = JSONBlock.beyondASCII(in: octets)
        if beyondASCII | continuations != 0 { checkUTF8(octets, beyondASCII, at: position, of: text) }
        let blanks = block.blanks & ~beyondASCII
        let solidi = JSONBlock.bits(of: 0x5C, in: octets)
        guard solidi | isEscaped | hasEscapes != 0 else { return (block.quotationMarks, blanks, 0) }
        let escaped = escapedOctets(solidi)
        let quotationMarks = block.quotationMarks & ~escaped
        let strings = JSONIndexer.parity(quotationMarks) ^ inString
        let escapes = solidi & ~escaped
        if escapes != 0 { checkEscapes(escapes, at: position, of: text) }
        return (quotationMarks, blanks, closingMarks(quotationMarks & ~strings, after: escapes))
    }

    /// The octets that a reverse solidus escapes: each second one of a run, and the one after an odd run.
    private mutating func escapedOctets(_ solidi: UInt64) -> UInt64 {
        let even: UInt64 = 0x5555_5555_5555_5555
        let solidi = solidi & ~isEscaped
        let followers = solidi << 1 | isEscaped
        let oddStarts = solidi & ~even & ~followers
        let (sum, overflow) = oddStarts.addingReportingOverflow(solidi)
        isEscaped = overflow ? 1 : 0
        return (even ^ sum << 1) & followers
    }

    private mutating func checkEscapes(_ escapes: UInt64, at position: Int, of text: UnsafeRawBufferPointer) {
        var escapes = escapes
        while escapes != 0 {
            if !Self.isEscape(text, at: position + escapes.trailingZeroBitCount) { isValid = false }
            escapes &= escapes &- 1
        }
    }

    // Section 7
    private static func isEscape(_ text: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        guard offset + 1 < text.count else { return false }
        switch text[offset + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"):
            guard offset + 6 <= text.count else { return false }
            return (2..<6).allSatisfy { JSONEscapes.hexadecimal(text[offset + $0]) != nil }
        default:
            return false
        }
    }

    /// Those of the closing quotation marks that have an escape between them and the one before.
    private mutating func closingMarks(_ closing: UInt64, after escapes: UInt64) -> UInt64 {
        var flagged: UInt64 = 0
        var closing = closing
        var escapes = escapes
        while closing != 0 {
            let mark = closing & (0 &- closing)
            if hasEscapes != 0 || escapes & (mark &- 1) != 0 { flagged |= mark }
            hasEscapes = 0
            escapes &= ~(mark &- 1)
            closing &= closing &- 1
        }
        if escapes != 0 { hasEscapes = 1 }
        return flagged
    }

    // Unicode 15, table 3-7: which octets follow which. All leading octets of the block at once.
    private mutating func checkUTF8(
        _ octets: UnsafeRawPointer, _ beyondASCII: UInt64, at position: Int, of text: UnsafeRawBufferPointer
    ) {
        let leading = JSONBlock.bits(from: 0xC0, in: octets)
        let three = JSONBlock.bits(from: 0xE0, in: octets)
        let four = JSONBlock.bits(from: 0xF0, in: octets)
        let required = leading << 1 | three << 2 | four << 3 | continuations
        let neverValid = leading & ~JSONBlock.bits(from: 0xC2, in: octets) | JSONBlock.bits(from: 0xF5, in: octets)
        if required != beyondASCII & ~leading || neverValid != 0 { isValid = false }
        continuations = leading >> 63 | three >> 62 | four >> 61
        // Leading octets after which not every continuation may stand.
        var restricted =
            three & (JSONBlock.bits(of: 0xE0, in: octets) | JSONBlock.bits(of: 0xED, in: octets))
            | four & (JSONBlock.bits(of: 0xF0, in: octets) | JSONBlock.bits(of: 0xF4, in: octets))
        while restricted != 0 {
            let offset = position + restricted.trailingZeroBitCount
            if offset + 1 >= text.count || !Self.mayFollow(text[offset], text[offset + 1]) { isValid = false }
            restricted &= restricted &- 1
        }
    }

    private static func mayFollow(_ lead: UInt8, _ second: UInt8) -> Bool {
        switch lead {
        case 0xE0: second >= 0xA0
        case 0xED: second < 0xA0
        case 0xF0: second >= 0x90
        default: second < 0x90
        }
    }
}
