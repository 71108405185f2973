// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Base64 (RFC 2045 section 6.8), all at once. Octets outside the alphabet are skipped, missing padding is no error. Two
// characters are looked up at a time, and lines of one length are decoded with one check a line.

enum Base64Decoder {
    /// Twelve bits for each pair of characters, the first in the low octet of the index; `invalid` where one of them is
    /// not in the alphabet.
    static let pairs: [UInt16] = {
        var table = [UInt16](repeating: invalid, count: 1 << 16)
        for (high, first) in alphabet.enumerated() {
            for (low, second) in alphabet.enumerated() {
                table[Int(first) | Int(second) << 8] = UInt16(high << 6 | low)
            }
        }
        return table
    }()

    static let invalid: UInt16 = 0x8000

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func decode(_ input: Bytes) -> [UInt8] {
        guard let start = input.baseAddress, !input.isEmpty else { return [] }
        return [UInt8](unsafeUninitializedCapacity: roomNeeded(input.count)) { buffer, count in
            guard let output = buffer.baseAddress else { return }
            pairs.withUnsafeBufferPointer { table in
                guard let table = table.baseAddress else { return }
                var pass = Base64Pass(source: start, end: input.count, target: output, table: table)
                pass.run()
                pass.flush()
                count = pass.to
            }
        }
    }

    /// Octets of output for `count` of input. A block writes eight octets of which six count: the room behind the last
    /// is for the other two.
    static func roomNeeded(_ count: Int) -> Int { count / 4 * 3 + 16 }
}

/// What is between two pieces of input: a group of four characters that is not complete.
struct Base64Group: Sendable {
    enum Padding: Sendable {
        case none
        /// An `=` ended a group.
        case seen
        /// Blanks followed it: what is in that line is no base64. (RFC 2045 section 6.8 lets padding be taken for the end
        /// of the data; senders that encode in pieces go on in the next line, or at once.)
        case ended
    }

    /// Six bits of each character, the last lowest.
    var bits: UInt32 = 0
    var characters = 0
    var padding = Padding.none

    /// Whether whole blocks can be decoded.
    var isAtStart: Bool { characters == 0 && padding == .none }

    /// What is complete of the group: one octet of two characters, two of three, three of four.
    mutating func flush(_ append: (UInt8) -> Void) {
        let group = bits << UInt32(32 - 6 * max(1, characters))
        for index in 0..<max(0, characters - 1) { append(UInt8(truncatingIfNeeded: group >> UInt32(24 - 8 * index))) }
        bits = 0
        characters = 0
    }
}

/// One pass from input to output. The characters of a group of four that is not complete can be taken to a next pass.
struct Base64Pass {
    let source: UnsafeRawPointer
    let end: Int
    let target: UnsafeMutableRawPointer
    let table: UnsafePointer<UInt16>
    var from = 0
    var to = 0
    var group = Base64Group()
    /// Guesses at the length of lines that are left; a body whose lines differ does without.
    private var guesses = 4

    init(
        source: UnsafePointer<UInt8>, end: Int, target: UnsafeMutablePointer<UInt8>, table: UnsafePointer<UInt16>
    ) {
        self.source = UnsafeRawPointer(source)
        self.end = end
        self.target = UnsafeMutableRawPointer(target)
        self.table = table
    }

    mutating func run() {
        while from < end {
            if group.isAtStart {
                if guesses > 0 { decodeLines() }
                decodeBlocks()
                if from >= end { return }
            }
            decodeOctet(source.load(fromByteOffset: from, as: UInt8.self))
            from += 1
        }
    }

    @inline(__always)
    private func octet(_ index: Int) -> UInt8 { source.load(fromByteOffset: index, as: UInt8.self) }

    /// Decodes lines that are as long as the next one.
    private mutating func decodeLines() {
        guesses -= 1
        var width = 0
        while width < 1024, from + width < end, octet(from + width) > .carriageReturn { width += 1 }
        guard width >= 16, width & 3 == 0, from + width + 1 < end else { return }
        let hasReturn = octet(from + width) == .carriageReturn
        let step = width + (hasReturn ? 2 : 1)
        // Blocks are read whole: the last line of the body is left to the other loops.
        while from + step + 8 <= end {
            let last = from + step - 1
            guard octet(last) == .lineFeed, !hasReturn || octet(last - 1) == .carriageReturn else { return }
            // The usual length as a constant: the loop is unrolled for it.
            guard width == 76 ? decodeLine(76) : decodeLine(width) else { return }
            from += step
            to += width / 4 * 3
            guesses = 4
        }
    }

    /// Decodes `width` characters into place. False where one of them is not in the alphabet.
    @inline(__always)
    private func decodeLine(_ width: Int) -> Bool {
        var input = source + from
        var output = target + to
        var seen: UInt16 = 0
        var blocks = width >> 3
        // Three at a time: the compiler does not unroll the loop, and its overhead is a tenth of the work.
        while blocks >= 3 {
            let first = block(input)
            let second = block(input + 8)
            let third = block(input + 16)
            output.storeBytes(of: first.octets, as: UInt64.self)
            output.storeBytes(of: second.octets, toByteOffset: 6, as: UInt64.self)
            output.storeBytes(of: third.octets, toByteOffset: 12, as: UInt64.self)
            seen |= first.marks | second.marks | third.marks
            input += 24
            output += 18
            blocks -= 3
        }
        while blocks > 0 {
            let (octets, marks) = block(input)
            output.storeBytes(of: octets, as: UInt64.self)
            seen |= marks
            input += 8
            output += 6
            blocks -= 1
        }
        if width & 4 != 0 {
            let (octets, marks) = halfBlock(input)
            output.storeBytes(of: octets, as: UInt32.self)
            seen |= marks
        }
        return seen & Base64Decoder.invalid == 0
    }

    @inline(__always)
    private mutating func decodeBlocks() {
        while from + 8 <= end {
            let (octets, marks) = block(source + from)
            guard marks & Base64Decoder.invalid == 0 else { break }
            target.storeBytes(of: octets, toByteOffset: to, as: UInt64.self)
            from += 8
            to += 6
        }
        if from + 4 <= end {
            let (octets, marks) = halfBlock(source + from)
            guard marks & Base64Decoder.invalid == 0 else { return }
            target.storeBytes(of: octets, toByteOffset: to, as: UInt32.self)
            from += 4
            to += 3
        }
    }

    /// Eight characters: six octets, and two of zero behind them.
    @inline(__always)
    private func block(_ input: UnsafeRawPointer) -> (octets: UInt64, marks: UInt16) {
        // Pairs are loaded one by one: taking a longer word apart costs more than the loads.
        let first = table[pair(input, 0)]
        let second = table[pair(input, 2)]
        let third = table[pair(input, 4)]
        let fourth = table[pair(input, 6)]
        let upper = UInt64(first) << 12 | UInt64(second)
        let lower = UInt64(third) << 12 | UInt64(fourth)
        return ((upper << 40 | lower << 16).bigEndian, first | second | third | fourth)
    }

    /// Four characters: three octets, and one of zero behind them.
    @inline(__always)
    private func halfBlock(_ input: UnsafeRawPointer) -> (octets: UInt32, marks: UInt16) {
        let first = table[pair(input, 0)]
        let second = table[pair(input, 2)]
        return ((UInt32(first) << 20 | UInt32(second) << 8).bigEndian, first | second)
    }

    @inline(__always)
    private func pair(_ input: UnsafeRawPointer, _ offset: Int) -> Int {
        Int(UInt16(littleEndian: input.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    }

    private mutating func decodeOctet(_ octet: UInt8) {
        if group.padding != .none {
            switch octet {
            case .lineFeed: group.padding = .none
            case _ where group.padding == .ended: return
            case .space, .horizontalTab: group.padding = .ended
            case .equals, .carriageReturn: return
            default: group.padding = .none
            }
        }
        let value = table[Int(octet) | 0x4100]  // with `A`, which is zero
        if value & Base64Decoder.invalid == 0 {
            group.bits = group.bits << 6 | UInt32(value >> 6)
            group.characters += 1
            if group.characters == 4 { flush() }
        } else if octet == .equals, group.characters > 0 {
            if group.characters > 1 { group.padding = .seen }
            flush()
        }
    }

    mutating func flush() {
        group.flush { octet in
            target.storeBytes(of: octet, toByteOffset: to, as: UInt8.self)
            to += 1
        }
    }
}
