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

    // What one block tells the next.
    /// All ones inside a string.
    private var inString: UInt64 = 0
    /// 1 where the last octet was part of a number, a literal, or something that is nothing.
    private var inScalar: UInt64 = 0
    /// What only blocks with something special in them change.
    private var specials = JSONSpecials()

    /// In an index entry of a closing quotation mark: the string has escapes. The bit ends up in the token.
    static let escapesFlag: UInt32 = 1 << 31

    init(_ bytes: UnsafeRawPointer, from start: Int, to end: Int) {
        self.bytes = bytes
        self.end = end
        position = start
    }

    var isAtEnd: Bool { position >= end }

    /// Whether all was well, after the last block.
    var isComplete: Bool { specials.isComplete && inString == 0 }

    /// Indexes up to `blocks` blocks. `entries` must have room for 64 entries each, and 64 more.
    mutating func index(blocks: Int, into entries: UnsafeMutablePointer<UInt32>) -> Int {
        var block = position
        let whole = min(blocks, (end - position) / JSONBlock.size)
        let bound = position + whole * JSONBlock.size
        var (inString, inScalar) = (inString, inScalar)
        var next = entries
        while block < bound {
            next = Self.indexBlock(bytes + block, at: block, &inString, &inScalar, &specials, bytes, end, next)
            block &+= JSONBlock.size
        }
        (self.inString, self.inScalar) = (inString, inScalar)
        position = block
        if whole < blocks, position < end { next = indexLastBlock(next) }
        return next - entries
    }

    /// The last block is padded with spaces.
    private mutating func indexLastBlock(_ entries: UnsafeMutablePointer<UInt32>) -> UnsafeMutablePointer<UInt32> {
        withUnsafeTemporaryAllocation(byteCount: JSONBlock.size, alignment: 16) { block in
            block.initializeMemory(as: UInt8.self, repeating: 0x20)
            block.copyMemory(from: UnsafeRawBufferPointer(start: bytes + position, count: end - position))
            // The allocation has 64 octets.
            let octets = UnsafeRawPointer(block.baseAddress.unsafelyUnwrapped)
            let next = Self.indexBlock(octets, at: position, &inString, &inScalar, &specials, bytes, end, entries)
            position = end
            return next
        }
    }

    /// Writes the entries of a block, and returns the place after them. Static, and with its state in parameters: what
    /// is used in every block then stays in registers.
    @inline(__always)
    private static func indexBlock(
        _ octets: UnsafeRawPointer, at position: Int, _ inString: inout UInt64, _ inScalar: inout UInt64,
        _ specials: inout JSONSpecials, _ bytes: UnsafeRawPointer, _ end: Int, _ entries: UnsafeMutablePointer<UInt32>
    ) -> UnsafeMutablePointer<UInt32> {
        let block = JSONBlock(octets)
        var quotationMarks = block.quotationMarks
        var blanks = block.blanks
        var flagged: UInt64 = 0
        var controls: UInt64 = 0
        if block.hasSpecials || specials.isPending {
            if specials.isPending || JSONBlock.isMoreThanWhite(octets) {
                let text = UnsafeRawBufferPointer(start: bytes, count: end)
                (quotationMarks, blanks, flagged) = specials.examine(octets, block, at: position, of: text, inString)
            }
            // Blanks are only white space and controls now.
            controls = blanks & ~JSONBlock.bits(of: 0x20, in: octets)
        }
        // From the opening quotation mark of a string up to its closing one.
        let strings = parity(quotationMarks) ^ inString
        if controls != 0, controls & strings != 0 || JSONBlock.hasForbiddenControl(in: octets) { specials.isValid = false }
        inString = UInt64(bitPattern: Int64(bitPattern: strings) &>> 63)
        let scalars = ~(block.operators | blanks | quotationMarks | strings)
        let starts = scalars & ~(scalars << 1 | inScalar)
        inScalar = scalars >> 63
        let bits = block.operators & ~strings | quotationMarks | starts
        let next = write(bits, at: position, entries)
        if flagged != 0 { flag(flagged, of: bits, entries) }
        return next
    }

    /// Bit i: whether an odd number of bits stands at or below it.
    @inline(__always)
    static func parity(_ bits: UInt64) -> UInt64 {
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
    private static func write(
        _ bits: UInt64, at position: Int, _ entries: UnsafeMutablePointer<UInt32>
    ) -> UnsafeMutablePointer<UInt32> {
        var bits = bits
        let base = UInt32(truncatingIfNeeded: position)
        let end = entries + bits.nonzeroBitCount
        var next = entries
        for _ in 0..<2 { writeEight(&bits, base, &next) }
        while next < end { writeEight(&bits, base, &next) }
        return end
    }

    @inline(__always)
    private static func writeEight(_ bits: inout UInt64, _ base: UInt32, _ next: inout UnsafeMutablePointer<UInt32>) {
        for index in 0..<8 {
            next[index] = base &+ JSONBlock.lowestBit(of: bits)
            bits &= bits &- 1
        }
        next += 8
    }

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
