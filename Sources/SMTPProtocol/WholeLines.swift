// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Passes over data that is the same on the wire and in the message, 64 octets at a time.

enum WholeLines {
    /// Octets that are looked at beyond those passed.
    private static let lookahead = 2
    private static let blockSize = 64

    /// How far from `start`, which is inside of a line, every CR has its LF, every LF its CR, and no line begins with
    /// a dot, a CR or a LF. What stands there may be so as well; the octet before is not a CR.
    static func end(in piece: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let base = piece.baseAddress, start < piece.count, piece[start] != ASCII.lineFeed else { return start }
        var position = start
        while position + blockSize + lookahead <= piece.count, !isSpecial(base + position) { position += blockSize }
        // Its LF was looked at with it.
        return position > start && piece[position - 1] == ASCII.carriageReturn ? position + 1 : position
    }

    /// Whether among 64 octets and the one behind them there is a CR or LF that is none of a whole line's.
    @inline(__always)
    private static func isSpecial(_ place: UnsafeRawPointer) -> Bool {
        let (carriageReturn, lineFeed) = (Octets(repeating: ASCII.carriageReturn), Octets(repeating: ASCII.lineFeed))
        let dot = Octets(repeating: ASCII.dot)
        var found = SIMDMask<SIMD16<Int8>>(repeating: false)
        for offset in stride(from: 0, to: blockSize, by: 16) {
            let isCarriageReturn = load(place, offset) .== carriageReturn
            let isLineFeed = load(place, offset + 1) .== lineFeed
            let third = load(place, offset + 2)
            let isOutOfPlace = (third .== dot) .| (third .== carriageReturn) .| (third .== lineFeed)
            found = found .| (isCarriageReturn .^ isLineFeed) .| (isCarriageReturn .& isOutOfPlace)
        }
        // The library's own `any` looks at lane by lane.
        let halves = unsafeBitCast(found, to: SIMD2<UInt64>.self)
        return halves[0] | halves[1] != 0
    }

    private typealias Octets = SIMD16<UInt8>

    @inline(__always)
    private static func load(_ place: UnsafeRawPointer, _ offset: Int) -> Octets {
        place.loadUnaligned(fromByteOffset: offset, as: Octets.self)
    }
}
