// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// First stage of the fast reader: finds where values, brackets, commas and colons stand, 64
// octets at a time, and checks what can be checked without knowing the grammar: UTF-8, escapes,
// control characters. That something is wrong is all it says; the exact reader says what.

struct JSONIndexer {
    private let bytes: UnsafeRawPointer
    /// Offset one past the text.
    private let end: Int
    /// Where the next block begins.
    private(set) var position: Int
    private(set) var isValid = true

    // What one block tells the next.
    /// All ones inside a string.
    private var inString: UInt64 = 0
    /// 1 where the last octet was part of a number, a literal, or something that is nothing.
    private var inScalar: UInt64 = 0
    /// 1 where the first octet of the next block follows a reverse solidus that escapes it.
    private var isEscaped: UInt64 = 0
    /// 1 where the open string has an escape.
    private var hasEscapes: UInt64 = 0
    /// UTF-8 is checked up to here.
    private var checkedEnd = 0

    /// In an index entry of a closing quotation mark: the string has escapes. The bit ends up in the token.
    static let escapesFlag: UInt32 = 1 << 31

    init(_ bytes: UnsafeRawPointer, from start: Int, to end: Int) {
        self.bytes = bytes
        self.end = end
        position = start
    }

    var isAtEnd: Bool { position >= end }

    /// Whether all was well, after the last block.
    var isComplete: Bool { isValid && inString == 0 && isEscaped == 0 }

    /// Indexes up to `blocks` blocks. `entries` must have room for 64 entries each, and 64 more.
    @inline(__always)
    mutating func index(blocks: Int, into entries: UnsafeMutablePointer<UInt32>) -> Int {
        var state = self
        var count = 0
        var remaining = blocks
        while remaining > 0, state.position + JSONBlock.size <= state.end {
            count = state.indexBlock(state.bytes + state.position, entries, count)
            state.position += JSONBlock.size
            remaining -= 1
        }
        if remaining > 0, state.position < state.end {
            count = state.indexLastBlock(entries, count)
        }
        self = state
        return count
    }

    /// The last block is padded with spaces.
    @inline(never)
    private mutating func indexLastBlock(_ entries: UnsafeMutablePointer<UInt32>, _ count: Int) -> Int {
        withUnsafeTemporaryAllocation(byteCount: JSONBlock.size, alignment: 16) { block in
            block.initializeMemory(as: UInt8.self, repeating: 0x20)
            block.copyMemory(from: UnsafeRawBufferPointer(start: bytes + position, count: end - position))
            // The allocation has 64 octets.
            let count = indexBlock(UnsafeRawPointer(block.baseAddress.unsafelyUnwrapped), entries, count)
            position = end
            return count
        }
    }

    @inline(__always)
    private mutating func indexBlock(_ octets: UnsafeRawPointer, _ entries: UnsafeMutablePointer<UInt32>, _ count: Int) -> Int {
        let block = JSONBlock(octets)
        var quotationMarks = block.quotationMarks
        var blanks = block.blanks
        var flagged: UInt64 = 0
        let isSpecial = block.hasSpecials || (isEscaped | hasEscapes) != 0
        if isSpecial { (quotationMarks, blanks, flagged) = examine(octets, block) }
        // From the opening quotation mark of a string up to its closing one.
        let strings = Self.parity(quotationMarks) ^ inString
        inString = UInt64(bitPattern: Int64(bitPattern: strings) >> 63)
        let scalars = ~(block.operators | blanks | quotationMarks | strings)
        let starts = scalars & ~(scalars << 1 | inScalar)
        inScalar = scalars >> 63
        let entriesBits = block.operators & ~strings | quotationMarks | starts
        let newCount = Self.write(entriesBits, at: position, entries + count) + count
        if flagged != 0 { Self.flag(flagged, of: entriesBits, entries + count) }
        return newCount
    }

    /// Bit i: whether an odd number of bits stands at or below it.
    @inline(__always)
    private static func parity(_ bits: UInt64) -> UInt64 {
        var parity = bits
        parity ^= parity << 1
        parity ^= parity << 2
        parity ^= parity << 4
        parity ^= parity << 8
        parity ^= parity << 16
        parity ^= parity << 32
        return parity
    }

    /// Writes the offsets of the bits. More are written than there are bits, which costs less than asking each time.
    @inline(__always)
    private static func write(_ bits: UInt64, at position: Int, _ entries: UnsafeMutablePointer<UInt32>) -> Int {
        var bits = bits
        let count = population(bits)
        let base = UInt32(truncatingIfNeeded: position)
        var written = 0
        repeat {
            for index in 0..<8 {
                entries[written &+ index] = base &+ UInt32(truncatingIfNeeded: bits.trailingZeroBitCount)
                bits &= bits &- 1
            }
            written &+= 8
        } while written < count
        return count
    }

    /// `nonzeroBitCount` without the instruction that x86-64 got later.
    @inline(__always)
    private static func population(_ bits: UInt64) -> Int { bits.nonzeroBitCount }

    /// Marks the entries of closing quotation marks whose strings have escapes.
    private static func flag(_ flagged: UInt64, of bits: UInt64, _ entries: UnsafeMutablePointer<UInt32>) {
        var flagged = flagged
        while flagged != 0 {
            let below = (flagged & (0 &- flagged)) &- 1
            entries[(bits & below).nonzeroBitCount] |= escapesFlag
            flagged &= flagged &- 1
        }
    }
}

extension JSONIndexer {
    /// A block with something in it that few blocks have. Returns quotation marks that no escape takes back, blanks
    /// without octets beyond ASCII, and closing quotation marks of strings with escapes.
    @inline(never)
    private mutating func examine(_ octets: UnsafeRawPointer, _ block: JSONBlock) -> (UInt64, UInt64, UInt64) {
        let solidi = JSONBlock.bits(of: 0x5C, in: octets)
        let escaped = escapedOctets(solidi)
        let quotationMarks = block.quotationMarks & ~escaped
        let strings = Self.parity(quotationMarks) ^ inString
        let beyondASCII = JSONBlock.beyondASCII(in: octets)
        if beyondASCII != 0 { checkUTF8(upTo: position + JSONBlock.size) }
        let blanks = block.blanks & ~beyondASCII
        let controls = blanks & ~JSONBlock.bits(of: 0x20, in: octets)
        if controls != 0 { checkControls(controls, strings, octets) }
        let escapes = solidi & ~escaped
        if escapes != 0 { checkEscapes(escapes) }
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

    private mutating func checkEscapes(_ escapes: UInt64) {
        var escapes = escapes
        while escapes != 0 {
            if !isEscape(at: position + escapes.trailingZeroBitCount) { isValid = false }
            escapes &= escapes &- 1
        }
    }

    // Section 7
    private func isEscape(at offset: Int) -> Bool {
        guard offset + 1 < end else { return false }
        switch octet(offset + 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"):
            guard offset + 6 <= end else { return false }
            return (2..<6).allSatisfy { JSONEscapes.hexadecimal(octet(offset + $0)) != nil }
        default:
            return false
        }
    }

    @inline(__always)
    private func octet(_ offset: Int) -> UInt8 { bytes.load(fromByteOffset: offset, as: UInt8.self) }

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

    /// Checks what is not checked yet of the text up to `bound`, and the rest of a sequence that crosses it.
    private mutating func checkUTF8(upTo bound: Int) {
        // What came before the block and was not checked is ASCII.
        let start = max(position, checkedEnd)
        let text = UnsafeRawBufferPointer(start: bytes, count: end)
        guard let checked = UTF8Check.end(of: text, from: start, upTo: min(bound, end)) else {
            isValid = false
            return
        }
        checkedEnd = checked
    }
}
