// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds lines by their first two octets, 64 octets of the body at a time.

enum LineSearch {
    /// The first place behind a LF where `first` and `second` stand next to each other, from `start` on; `end` where
    /// there is none. `start` itself does not count as a place behind a LF unless one is before it in the range.
    @inline(__always)
    static func nextLine(_ bytes: Bytes, from start: Int, _ end: Int, first: UInt8, second: UInt8) -> Int {
        guard let base = UnsafeRawPointer(bytes.baseAddress) else { return end }
        let feeds = SIMD16<UInt8>(repeating: .lineFeed)
        let firsts = SIMD16<UInt8>(repeating: first)
        let seconds = SIMD16<UInt8>(repeating: second)
        var index = start
        while index + 66 <= end {
            // No octet differs in a place where all three are found: the lane is zero.
            var found = SIMDMask<SIMD16<Int8>>(repeating: false)
            for offset in stride(from: 0, to: 64, by: 16) {
                let place = index &+ offset
                found = found
                    .| ((base.loadUnaligned(fromByteOffset: place, as: SIMD16<UInt8>.self) .== feeds)
                        .& (base.loadUnaligned(fromByteOffset: place &+ 1, as: SIMD16<UInt8>.self) .== firsts)
                        .& (base.loadUnaligned(fromByteOffset: place &+ 2, as: SIMD16<UInt8>.self) .== seconds))
            }
            let halves = unsafeBitCast(found, to: SIMD2<UInt64>.self)
            if halves[0] | halves[1] != 0 { break }
            index += 64
        }
        while index + 2 < end {
            index = bytes.firstIndex(of: .lineFeed, in: index..<(end - 2))
            guard index + 2 < end else { return end }
            if bytes[index + 1] == first, bytes[index + 2] == second { return index + 1 }
            index += 1
        }
        return end
    }
}
