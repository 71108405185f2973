// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds lines by their first two octets, and line ends of another kind, 64 octets of the body at a time.

package enum LineSearch {
    /// How far from `start` on no LF is without a CR before it, in steps of 64 octets. With `start` zero there is no octet
    /// before, and it is the answer.
    package static func passCRLF(_ octets: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int {
        guard start > 0, let base = octets.baseAddress else { return start }
        var index = start
        while index + blockSize <= end, !hasLoneLineFeed(base + index) { index += blockSize }
        return index
    }

    /// The first place behind a LF where `first` and `second` stand next to each other, from `start` on; `end` where
    /// there is none. `start` itself does not count as a place behind a LF unless one is before it in the range.
    @inline(__always)
    static func nextLine(_ bytes: Bytes, from start: Int, _ end: Int, first: UInt8, second: UInt8) -> Int {
        guard let base = UnsafeRawPointer(bytes.baseAddress) else { return end }
        var index = start
        while index + blockSize < end {
            // Base64 has no hyphens: whole bodies pass by here. What is sought is behind a LF, so one octet further on.
            while index + blockSize < end, !hasOctet(base + index + 1, first) { index += blockSize }
            // Where there is one, more are near, and few of them begin a line.
            var left = 16
            while left > 0, index + blockSize < end {
                if hasLineBegin(base + index, first) {
                    let limit = min(index + blockSize + 2, end)
                    if let place = exact(bytes, index, limit, first, second) { return place }
                }
                index += blockSize
                left -= 1
            }
        }
        return exact(bytes, index, end, first, second) ?? end
    }

    private static let blockSize = 64

    /// Octet by octet: a LF in the range with the two behind it. The last two octets of the range are not looked at as LF.
    private static func exact(_ bytes: Bytes, _ start: Int, _ end: Int, _ first: UInt8, _ second: UInt8) -> Int? {
        var index = start
        while index + 2 < end {
            index = bytes.firstIndex(of: .lineFeed, in: index..<(end - 2))
            guard index + 2 < end else { return nil }
            if bytes[index + 1] == first, bytes[index + 2] == second { return index + 1 }
            index += 1
        }
        return nil
    }

    /// Whether an octet is among 64.
    @inline(__always)
    private static func hasOctet(_ place: UnsafeRawPointer, _ octet: UInt8) -> Bool {
        let sought = SIMD16<UInt8>(repeating: octet)
        var found = load(place, 0) .== sought
        for offset in stride(from: 16, to: blockSize, by: 16) { found = found .| (load(place, offset) .== sought) }
        return isAny(found)
    }

    /// Whether a LF is among 64 octets with `first` behind it; the 65th is read as well.
    @inline(__always)
    private static func hasLineBegin(_ place: UnsafeRawPointer, _ first: UInt8) -> Bool {
        let feed = SIMD16<UInt8>(repeating: .lineFeed)
        let sought = SIMD16<UInt8>(repeating: first)
        var found = SIMDMask<SIMD16<Int8>>(repeating: false)
        for offset in stride(from: 0, to: blockSize, by: 16) {
            found = found .| ((load(place, offset) .== feed) .& (load(place, offset + 1) .== sought))
        }
        return isAny(found)
    }

    /// Whether a LF is among 64 octets with anything but a CR before it; the octet before them is read as well.
    @inline(__always)
    private static func hasLoneLineFeed(_ place: UnsafeRawPointer) -> Bool {
        let feed = SIMD16<UInt8>(repeating: .lineFeed)
        let carriageReturn = SIMD16<UInt8>(repeating: .carriageReturn)
        var found = SIMDMask<SIMD16<Int8>>(repeating: false)
        for offset in stride(from: 0, to: blockSize, by: 16) {
            found = found .| ((load(place, offset) .== feed) .& (load(place, offset - 1) .!= carriageReturn))
        }
        return isAny(found)
    }

    @inline(__always)
    private static func load(_ place: UnsafeRawPointer, _ offset: Int) -> SIMD16<UInt8> {
        place.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
    }

    /// The library's own `any` looks at lane by lane.
    @inline(__always)
    private static func isAny(_ mask: SIMDMask<SIMD16<Int8>>) -> Bool {
        let halves = unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        return halves[0] | halves[1] != 0
    }
}
