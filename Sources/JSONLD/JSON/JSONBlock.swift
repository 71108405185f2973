// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Looks at 64 octets of JSON at once and says, a bit for each, which of them matter. SSE2 is
// part of every x86-64, so it needs no test at run time; elsewhere eight octets are looked at in
// a 64-bit word. Both give the same bits.

#if arch(x86_64) && canImport(_Builtin_intrinsics)
import _Builtin_intrinsics.intel
#endif

/// Which of 64 octets are what: bit i speaks of octet i.
struct JSONBlock {
    static let size = 64

    var quotationMarks: UInt64
    /// Brackets, braces, commas and colons; and the letters Y, y, underscore and U+007F, which share bits with the
    /// brackets, and which are errors wherever brackets count.
    var operators: UInt64
    /// U+0000 to U+0020, and octets beyond ASCII (`hasSpecials` is set then).
    var blanks: UInt64
    /// Whether there is a reverse solidus, a control character or an octet beyond ASCII.
    var hasSpecials: Bool
}

#if arch(x86_64) && canImport(_Builtin_intrinsics)
extension JSONBlock {
    private typealias Vector = SIMD2<Int64>

    @inline(__always)
    init(_ octets: UnsafeRawPointer) {
        let first = octets.loadUnaligned(fromByteOffset: 0, as: Vector.self)
        let second = octets.loadUnaligned(fromByteOffset: 16, as: Vector.self)
        let third = octets.loadUnaligned(fromByteOffset: 32, as: Vector.self)
        let fourth = octets.loadUnaligned(fromByteOffset: 48, as: Vector.self)
        let mark = _mm_set1_epi8(0x22)
        quotationMarks = Self.bits(
            _mm_cmpeq_epi8(first, mark), _mm_cmpeq_epi8(second, mark), _mm_cmpeq_epi8(third, mark),
            _mm_cmpeq_epi8(fourth, mark))
        operators = Self.bits(
            Self.operators(first), Self.operators(second), Self.operators(third), Self.operators(fourth))
        // The comparison is signed: octets beyond ASCII are less than everything.
        let exclamation = _mm_set1_epi8(0x21)
        blanks = Self.bits(
            _mm_cmpgt_epi8(exclamation, first), _mm_cmpgt_epi8(exclamation, second), _mm_cmpgt_epi8(exclamation, third),
            _mm_cmpgt_epi8(exclamation, fourth))
        let specials = _mm_or_si128(
            _mm_or_si128(Self.specials(first), Self.specials(second)),
            _mm_or_si128(Self.specials(third), Self.specials(fourth)))
        hasSpecials = _mm_movemask_epi8(specials) != 0
    }

    /// Octets that are `value`.
    @inline(__always)
    static func bits(of value: UInt8, in octets: UnsafeRawPointer) -> UInt64 {
        let pattern = _mm_set1_epi8(CChar(bitPattern: value))
        return bits(
            _mm_cmpeq_epi8(octets.loadUnaligned(fromByteOffset: 0, as: Vector.self), pattern),
            _mm_cmpeq_epi8(octets.loadUnaligned(fromByteOffset: 16, as: Vector.self), pattern),
            _mm_cmpeq_epi8(octets.loadUnaligned(fromByteOffset: 32, as: Vector.self), pattern),
            _mm_cmpeq_epi8(octets.loadUnaligned(fromByteOffset: 48, as: Vector.self), pattern))
    }

    /// Octets beyond ASCII.
    @inline(__always)
    static func beyondASCII(in octets: UnsafeRawPointer) -> UInt64 {
        bits(
            octets.loadUnaligned(fromByteOffset: 0, as: Vector.self),
            octets.loadUnaligned(fromByteOffset: 16, as: Vector.self),
            octets.loadUnaligned(fromByteOffset: 32, as: Vector.self),
            octets.loadUnaligned(fromByteOffset: 48, as: Vector.self))
    }

    /// Which of the 16 octets at `octets` are digits.
    @inline(__always)
    static func digits(in octets: UnsafeRawPointer) -> UInt32 {
        let offset = _mm_sub_epi8(octets.loadUnaligned(as: Vector.self), _mm_set1_epi8(0x30))
        let isDigit = _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(9)), offset)
        return UInt32(truncatingIfNeeded: _mm_movemask_epi8(isDigit))
    }

    /// Octets that are `value` or more; `value` is beyond ASCII.
    @inline(__always)
    static func bits(from value: UInt8, in octets: UnsafeRawPointer) -> UInt64 {
        let pattern = _mm_set1_epi8(CChar(bitPattern: value))
        let isEnough = { (vector: Vector) in _mm_cmpeq_epi8(_mm_max_epu8(vector, pattern), vector) }
        return bits(
            isEnough(octets.loadUnaligned(fromByteOffset: 0, as: Vector.self)),
            isEnough(octets.loadUnaligned(fromByteOffset: 16, as: Vector.self)),
            isEnough(octets.loadUnaligned(fromByteOffset: 32, as: Vector.self)),
            isEnough(octets.loadUnaligned(fromByteOffset: 48, as: Vector.self)))
    }

    /// Whether there is a control character that is no white space.
    @inline(__always)
    static func hasForbiddenControl(in octets: UnsafeRawPointer) -> Bool {
        var forbidden = Vector()
        for offset in [0, 16, 32, 48] {
            let vector = octets.loadUnaligned(fromByteOffset: offset, as: Vector.self)
            let isWhite = _mm_or_si128(
                _mm_cmpeq_epi8(vector, _mm_set1_epi8(0x09)),
                _mm_or_si128(_mm_cmpeq_epi8(vector, _mm_set1_epi8(0x0A)), _mm_cmpeq_epi8(vector, _mm_set1_epi8(0x0D))))
            let isControl = _mm_cmpeq_epi8(_mm_min_epu8(vector, _mm_set1_epi8(0x1F)), vector)
            forbidden = _mm_or_si128(forbidden, _mm_andnot_si128(isWhite, isControl))
        }
        return _mm_movemask_epi8(forbidden) != 0
    }

    /// Whether there is a reverse solidus or an octet beyond ASCII.
    @inline(__always)
    static func isMoreThanWhite(_ octets: UnsafeRawPointer) -> Bool {
        var found = Vector()
        for offset in [0, 16, 32, 48] {
            let vector = octets.loadUnaligned(fromByteOffset: offset, as: Vector.self)
            found = _mm_or_si128(found, _mm_or_si128(vector, _mm_cmpeq_epi8(vector, _mm_set1_epi8(0x5C))))
        }
        return _mm_movemask_epi8(found) != 0
    }

    /// The place of the lowest bit; anything for zero. (`trailingZeroBitCount` has an answer for zero, which costs.)
    @inline(__always)
    static func lowestBit(of bits: UInt64) -> UInt32 {
        UInt32(bitPattern: __bsfq(Int64(bitPattern: bits)))
    }

    /// Which of the 16 octets at `octets` are points.
    @inline(__always)
    static func points(in octets: UnsafeRawPointer) -> UInt32 {
        let isPoint = _mm_cmpeq_epi8(octets.loadUnaligned(as: Vector.self), _mm_set1_epi8(0x2E))
        return UInt32(truncatingIfNeeded: _mm_movemask_epi8(isPoint))
    }

    @inline(__always)
    private static func operators(_ vector: Vector) -> Vector {
        // 0x5B, 0x5D, 0x7B and 0x7D are the only JSON punctuation that these three bits make 0x7F.
        let isBracket = _mm_cmpeq_epi8(_mm_or_si128(vector, _mm_set1_epi8(0x26)), _mm_set1_epi8(0x7F))
        let isComma = _mm_cmpeq_epi8(vector, _mm_set1_epi8(0x2C))
        let isColon = _mm_cmpeq_epi8(vector, _mm_set1_epi8(0x3A))
        return _mm_or_si128(isBracket, _mm_or_si128(isComma, isColon))
    }

    @inline(__always)
    private static func specials(_ vector: Vector) -> Vector {
        _mm_or_si128(
            _mm_cmpgt_epi8(_mm_set1_epi8(0x20), vector), _mm_cmpeq_epi8(vector, _mm_set1_epi8(0x5C)))
    }

    @inline(__always)
    private static func bits(_ first: Vector, _ second: Vector, _ third: Vector, _ fourth: Vector) -> UInt64 {
        let low = UInt64(UInt32(truncatingIfNeeded: _mm_movemask_epi8(first) | _mm_movemask_epi8(second) << 16))
        let high = UInt64(UInt32(truncatingIfNeeded: _mm_movemask_epi8(third) | _mm_movemask_epi8(fourth) << 16))
        return low | high << 32
    }
}
#else
extension JSONBlock {
    @inline(__always)
    init(_ octets: UnsafeRawPointer) {
        self = JSONBlockInWords.block(octets)
    }

    @inline(__always)
    static func bits(of value: UInt8, in octets: UnsafeRawPointer) -> UInt64 {
        JSONBlockInWords.bits(of: value, in: octets)
    }

    @inline(__always)
    static func beyondASCII(in octets: UnsafeRawPointer) -> UInt64 {
        JSONBlockInWords.beyondASCII(in: octets)
    }

    @inline(__always)
    static func digits(in octets: UnsafeRawPointer) -> UInt32 {
        JSONBlockInWords.digits(in: octets)
    }

    @inline(__always)
    static func bits(from value: UInt8, in octets: UnsafeRawPointer) -> UInt64 {
        JSONBlockInWords.bits(from: value, in: octets)
    }

    @inline(__always)
    static func hasForbiddenControl(in octets: UnsafeRawPointer) -> Bool {
        JSONBlockInWords.hasForbiddenControl(in: octets)
    }

    @inline(__always)
    static func isMoreThanWhite(_ octets: UnsafeRawPointer) -> Bool {
        JSONBlockInWords.isMoreThanWhite(octets)
    }

    @inline(__always)
    static func lowestBit(of bits: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: bits.trailingZeroBitCount)
    }

    @inline(__always)
    static func points(in octets: UnsafeRawPointer) -> UInt32 {
        JSONBlockInWords.points(in: octets)
    }
}
#endif

/// The same eight octets at a time, in integer registers, for processors without SSE2; compiled everywhere, so that
/// tests can compare the two.
enum JSONBlockInWords {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    static func block(_ octets: UnsafeRawPointer) -> JSONBlock {
        var block = JSONBlock(quotationMarks: 0, operators: 0, blanks: 0, hasSpecials: false)
        for index in 0..<8 {
            let word = word(octets, index)
            let shift = UInt64(index * 8)
            block.quotationMarks |= gather(equal(word, 0x22)) << shift
            let operators = equal(word | ones &* 0x26, 0x7F) | equal(word, 0x2C) | equal(word, 0x3A)
            block.operators |= gather(operators) << shift
            block.blanks |= gather(less(word, 0x21) | word & highs) << shift
            if (less(word, 0x20) | equal(word, 0x5C) | word) & highs != 0 { block.hasSpecials = true }
        }
        return block
    }

    static func bits(of value: UInt8, in octets: UnsafeRawPointer) -> UInt64 {
        (0..<8).reduce(0) { $0 | gather(equal(word(octets, $1), value)) << UInt64($1 * 8) }
    }

    static func beyondASCII(in octets: UnsafeRawPointer) -> UInt64 {
        (0..<8).reduce(0) { $0 | gather(word(octets, $1) & highs) << UInt64($1 * 8) }
    }

    static func bits(from value: UInt8, in octets: UnsafeRawPointer) -> UInt64 {
        (0..<8).reduce(0) { bits, index in
            let word = word(octets, index)
            let isEnough = word & ((word & ~highs) &+ ones &* UInt64(0x80 - (value & 0x7F))) & highs
            return bits | gather(isEnough) << UInt64(index * 8)
        }
    }

    static func hasForbiddenControl(in octets: UnsafeRawPointer) -> Bool {
        (0..<8).contains { index in
            let word = word(octets, index)
            return less(word, 0x20) & ~(equal(word, 0x09) | equal(word, 0x0A) | equal(word, 0x0D)) != 0
        }
    }

    static func isMoreThanWhite(_ octets: UnsafeRawPointer) -> Bool {
        (0..<8).contains { index in
            let word = word(octets, index)
            return (word | equal(word, 0x5C)) & highs != 0
        }
    }

    static func digits(in octets: UnsafeRawPointer) -> UInt32 {
        let low = word(octets, 0)
        let high = word(octets, 1)
        let bits = gather(less(low, 0x3A) & ~less(low, 0x30)) | gather(less(high, 0x3A) & ~less(high, 0x30)) << 8
        return UInt32(truncatingIfNeeded: bits)
    }

    static func points(in octets: UnsafeRawPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: gather(equal(word(octets, 0), 0x2E)) | gather(equal(word(octets, 1), 0x2E)) << 8)
    }

    @inline(__always)
    private static func word(_ octets: UnsafeRawPointer, _ index: Int) -> UInt64 {
        UInt64(littleEndian: octets.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    }

    /// The high bit of each octet that is `value`.
    @inline(__always)
    private static func equal(_ word: UInt64, _ value: UInt8) -> UInt64 {
        let difference = word ^ ones &* UInt64(value)
        return ~((difference & ~highs) &+ ~highs | difference) & highs
    }

    /// The high bit of each ASCII octet that is less than `bound`, which is at most 0x80.
    @inline(__always)
    private static func less(_ word: UInt64, _ bound: UInt8) -> UInt64 {
        ~((word & ~highs) &+ ones &* UInt64(0x80 - bound) | word) & highs
    }

    /// The high bits of eight octets as eight bits.
    @inline(__always)
    private static func gather(_ highBits: UInt64) -> UInt64 {
        ((highBits >> 7) &* 0x0102_0408_1020_4080) >> 56
    }
}
