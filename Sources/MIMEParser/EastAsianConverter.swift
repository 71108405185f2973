// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The East Asian charsets, as the WHATWG Encoding Standard sections 10 to 13 decode them: what is no character is one
// U+FFFD, and an ASCII octet behind a lone lead stays.

/// Which charset of one, two or more octets a character.
enum EastAsianCharset: Sendable {
    case gb18030, big5, eucJP, shiftJIS, eucKR
}

enum EastAsianConverter {
    static func utf8(_ bytes: [UInt8], _ charset: EastAsianCharset) -> [UInt8] {
        bytes.withUnsafeBufferPointer { input in
            let ascii = UTF8Validation.firstNonASCII(input, from: 0)
            guard ascii < input.count, let source = input.baseAddress else { return nil }
            let table = table(of: charset)
            let supplement = charset == .eucJP ? DoubleByteTables.jis0212 : []
            // An octet gives three at most; words are written whole.
            return [UInt8](unsafeUninitializedCapacity: 3 * input.count + 8) { output, count in
                guard let target = output.baseAddress else { return }
                table.withUnsafeBufferPointer { table in
                    supplement.withUnsafeBufferPointer { supplement in
                        var pass = EastAsianPass(
                            source: source, end: input.count, target: UnsafeMutableRawPointer(target), table: table,
                            supplement: supplement)
                        pass.run(charset)
                        count = pass.to
                    }
                }
            }
        } ?? bytes
    }

    private static func table(of charset: EastAsianCharset) -> [UInt32] {
        switch charset {
        case .gb18030: DoubleByteTables.gbk
        case .big5: DoubleByteTables.big5
        case .eucJP, .shiftJIS: DoubleByteTables.jis0208
        case .eucKR: DoubleByteTables.eucKR
        }
    }
}

struct EastAsianPass {
    let source: UnsafePointer<UInt8>
    let end: Int
    let target: UnsafeMutableRawPointer
    let table: UnsafeBufferPointer<UInt32>
    let supplement: UnsafeBufferPointer<UInt32>
    var from = 0
    var to = 0

    mutating func run(_ charset: EastAsianCharset) {
        while from < end {
            copyASCII()
            guard from < end else { return }
            let before = from
            switch charset {
            case .gb18030: gb18030()
            case .big5: big5()
            case .eucJP: eucJP()
            case .shiftJIS: shiftJIS()
            case .eucKR: eucKR()
            }
            // Every case takes an octet; this keeps a mistake from running on.
            if from == before { from += 1 }
        }
    }

    /// Eight octets at a time, then up to the first above ASCII.
    @inline(__always)
    private mutating func copyASCII() {
        let input = UnsafeRawPointer(source)
        while from + 8 <= end {
            let block = input.loadUnaligned(fromByteOffset: from, as: UInt64.self)
            let marks = UInt64(littleEndian: block & 0x8080_8080_8080_8080)
            target.storeBytes(of: block, toByteOffset: to, as: UInt64.self)
            if marks != 0 {
                let count = marks.trailingZeroBitCount >> 3
                from += count
                to += count
                return
            }
            from += 8
            to += 8
        }
        while from < end, source[from] < 0x80 {
            target.storeBytes(of: source[from], toByteOffset: to, as: UInt8.self)
            from += 1
            to += 1
        }
    }

    @inline(__always)
    private mutating func put(_ packed: UInt32) {
        target.storeBytes(of: packed.littleEndian, toByteOffset: to, as: UInt32.self)
        to += PackedCharacter.length(packed)
    }

    /// Writes what is at a pointer of a table and goes behind `length` octets. Where there is nothing, U+FFFD stands for
    /// them; the last of them stays where it is ASCII.
    @inline(__always)
    private mutating func put(_ table: UnsafeBufferPointer<UInt32>, at pointer: Int, length: Int) {
        let packed = pointer >= 0 && pointer < table.count ? table[pointer] : 0
        if packed != 0 {
            put(packed)
            from += length
        } else {
            fail(length)
        }
    }

    private mutating func fail(_ length: Int) {
        put(PackedCharacter.replacement)
        let last = min(from + length, end)
        from = length > 1 && last > from && source[last - 1] < 0x80 ? last - 1 : last
    }

    /// The octet behind the lead, or nil at the end.
    @inline(__always)
    private var trail: UInt8? { from + 1 < end ? source[from + 1] : nil }

    // MARK: charsets

    // Section 11.1.1.
    @inline(__always)
    private mutating func eucKR() {
        let lead = source[from]
        guard lead >= 0x81, lead <= 0xFE else { return fail(1) }
        guard let trail else { return fail(1) }
        guard trail >= 0x41, trail <= 0xFE else { return fail(2) }
        put(table, at: (Int(lead) - 0x81) * 190 + Int(trail) - 0x41, length: 2)
    }

    // Section 13.2.1.
    @inline(__always)
    private mutating func eucJP() {
        let lead = source[from]
        guard let trail else { return fail(1) }
        if lead == 0x8E {
            guard trail >= 0xA1, trail <= 0xDF else { return fail(2) }
            put(PackedCharacter.pack(0xFF61 - 0xA1 + UInt32(trail)))
            from += 2
        } else if lead == 0x8F {
            guard trail >= 0xA1, trail <= 0xFE else { return fail(2) }
            guard from + 2 < end else { return fail(2) }
            guard source[from + 2] >= 0xA1, source[from + 2] <= 0xFE else { return fail(3) }
            put(supplement, at: (Int(trail) - 0xA1) * 94 + Int(source[from + 2]) - 0xA1, length: 3)
        } else {
            guard lead >= 0xA1, lead <= 0xFE else { return fail(1) }
            guard trail >= 0xA1, trail <= 0xFE else { return fail(2) }
            put(table, at: (Int(lead) - 0xA1) * 94 + Int(trail) - 0xA1, length: 2)
        }
    }

    // Section 13.3.1.
    @inline(__always)
    private mutating func shiftJIS() {
        let lead = source[from]
        if lead >= 0xA1, lead <= 0xDF {
            put(PackedCharacter.pack(0xFF61 - 0xA1 + UInt32(lead)))
            from += 1
            return
        }
        if lead == 0x80 {
            put(PackedCharacter.pack(0x80))
            from += 1
            return
        }
        guard lead != 0xA0, lead <= 0xFC, let trail else { return fail(1) }
        guard trail >= 0x40, trail <= 0xFC, trail != 0x7F else { return fail(2) }
        let pointer = (Int(lead) - (lead < 0xA0 ? 0x81 : 0xC1)) * 188 + Int(trail) - (trail < 0x7F ? 0x40 : 0x41)
        if pointer >= 8836, pointer <= 10715 {
            put(PackedCharacter.pack(0xE000 - 8836 + UInt32(pointer)))
            from += 2
        } else {
            put(table, at: pointer, length: 2)
        }
    }

    // Section 12.1.1.
    @inline(__always)
    private mutating func big5() {
        let lead = source[from]
        guard lead >= 0x81, lead <= 0xFE, let trail else { return fail(1) }
        guard (trail >= 0x40 && trail <= 0x7E) || (trail >= 0xA1 && trail <= 0xFE) else { return fail(2) }
        let pointer = (Int(lead) - 0x81) * 157 + Int(trail) - (trail < 0x7F ? 0x40 : 0x62)
        // Four places are a letter with a combining mark.
        switch pointer {
        case 1133, 1135:
            put(PackedCharacter.pack(0xCA))
            put(PackedCharacter.pack(pointer == 1133 ? 0x304 : 0x30C))
            from += 2
        case 1164, 1166:
            put(PackedCharacter.pack(0xEA))
            put(PackedCharacter.pack(pointer == 1164 ? 0x304 : 0x30C))
            from += 2
        default: put(table, at: pointer, length: 2)
        }
    }

    // Section 10.2.1.
    @inline(__always)
    private mutating func gb18030() {
        let lead = source[from]
        if lead == 0x80 {
            put(PackedCharacter.pack(0x20AC))
            from += 1
            return
        }
        guard lead != 0xFF, let trail else { return fail(1) }
        if trail >= 0x30, trail <= 0x39 { return fourOctets(lead, trail) }
        guard trail >= 0x40, trail <= 0xFE, trail != 0x7F else { return fail(2) }
        put(table, at: (Int(lead) - 0x81) * 190 + Int(trail) - (trail < 0x7F ? 0x40 : 0x41), length: 2)
    }

    private mutating func fourOctets(_ first: UInt8, _ second: UInt8) {
        guard from + 3 < end else {
            put(PackedCharacter.replacement)
            from = from + 2 < end && source[from + 2] >= 0x81 ? end : from + 1
            return
        }
        let third = source[from + 2]
        let fourth = source[from + 3]
        // What is behind the lead can be text of its own.
        guard third >= 0x81, third <= 0xFE, fourth >= 0x30, fourth <= 0x39 else { return fail(1) }
        let upper = (UInt32(first) - 0x81) * 10 + UInt32(second) - 0x30
        let pointer = (upper * 126 + UInt32(third) - 0x81) * 10 + UInt32(fourth) - 0x30
        guard let scalar = Self.scalar(ofPointer: pointer) else { return fail(1) }
        put(PackedCharacter.pack(scalar))
        from += 4
    }

    /// WHATWG Encoding Standard section 5, index gb18030 ranges code point.
    private static func scalar(ofPointer pointer: UInt32) -> UInt32? {
        if pointer == 7457 { return 0xE7C7 }
        if pointer >= 189_000, pointer <= 1_237_575 { return 0x10000 + pointer - 189_000 }
        guard pointer <= 39_419 else { return nil }
        let ranges = DoubleByteTables.gb18030Ranges
        var low = 0
        var high = ranges.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if ranges[middle].pointer <= pointer { low = middle } else { high = middle }
        }
        return ranges[low].scalar + pointer - ranges[low].pointer
    }
}
