// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The part of the fast reader's first stage for blocks with a reverse solidus, a control
// character or an octet beyond ASCII in them.

/// What the first stage knows about octets that few blocks have.
struct JSONSpecials {
    private(set) var isValid = true
    /// 1 where the first octet of the next block follows a reverse solidus that escapes it.
    private(set) var isEscaped: UInt64 = 0
    /// 1 where the open string has an escape.
    private var hasEscapes: UInt64 = 0
    /// UTF-8 is checked up to here.
    private var checkedEnd = 0

    /// Whether the next block must be examined whatever is in it.
    @inline(__always)
    var isPending: Bool { isEscaped | hasEscapes != 0 }

    /// Examines a block. Returns quotation marks that no escape takes back, blanks without octets beyond ASCII, and
    /// closing quotation marks of strings with escapes.
    @inline(never)
    mutating func examine(
        _ octets: UnsafeRawPointer, _ block: JSONBlock, inString: UInt64, at position: Int, of text: UnsafeRawBufferPointer
    ) -> (UInt64, UInt64, UInt64) {
        let solidi = JSONBlock.bits(of: 0x5C, in: octets)
        let escaped = escapedOctets(solidi)
        let quotationMarks = block.quotationMarks & ~escaped
        let strings = JSONIndexer.parity(quotationMarks) ^ inString
        let beyondASCII = JSONBlock.beyondASCII(in: octets)
        if beyondASCII != 0 { checkUTF8(of: text, from: position) }
        let blanks = block.blanks & ~beyondASCII
        let controls = blanks & ~JSONBlock.bits(of: 0x20, in: octets)
        if controls != 0 { checkControls(controls, strings, octets) }
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

    // RFC 8259 section 2: only these are white space; section 7: none of them stands in a string as itself.
    private mutating func checkControls(_ controls: UInt64, _ strings: UInt64, _ octets: UnsafeRawPointer) {
        let white =
            JSONBlock.bits(of: 0x0A, in: octets) | JSONBlock.bits(of: 0x0D, in: octets) | JSONBlock.bits(of: 0x09, in: octets)
        if controls & (strings | ~white) != 0 { isValid = false }
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

    /// Checks what is not checked yet of the block at `position`, and the rest of a sequence that leaves it.
    private mutating func checkUTF8(of text: UnsafeRawBufferPointer, from position: Int) {
        // What came before the block and was not checked is ASCII.
        let start = max(position, checkedEnd)
        guard let checked = UTF8Check.end(of: text, from: start, upTo: min(position + JSONBlock.size, text.count)) else {
            isValid = false
            return
        }
        checkedEnd = checked
    }
}
