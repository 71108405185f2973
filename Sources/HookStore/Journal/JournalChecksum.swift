// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The checksum of the journal: tells whole octets from torn, stale or decayed ones, at about the
// speed of memory. It proves nothing about who wrote them; for that the journal's chain begins
// with a random number that nobody who sends mail can know.

enum JournalChecksum {
    // Odd constants without structure: the fractional parts of the square roots of 2, 3, 5, 7.
    private static let factors: (UInt64, UInt64, UInt64, UInt64) = (
        0x6A09_E667_F3BC_C909, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B, 0xA54F_F53A_5F1D_36F1
    )

    /// 64 bits over `octets`. Each word goes through an invertible step, so that any change within one word always
    /// changes the result, and others do with all but one chance in 2^64.
    static func sum(_ octets: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        var lanes = (seed, seed ^ factors.1, seed &+ factors.2, ~seed)
        var offset = 0
        let count = octets.count
        // Four lanes, because one multiplication waits for the one before it.
        while offset &+ 32 <= count {
            lanes.0 = step(lanes.0, octets.loadUnaligned(fromByteOffset: offset, as: UInt64.self), factors.0)
            lanes.1 = step(lanes.1, octets.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self), factors.1)
            lanes.2 = step(lanes.2, octets.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self), factors.2)
            lanes.3 = step(lanes.3, octets.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self), factors.3)
            offset &+= 32
        }
        while offset &+ 8 <= count {
            lanes.0 = step(lanes.0, octets.loadUnaligned(fromByteOffset: offset, as: UInt64.self), factors.1)
            offset &+= 8
        }
        var rest: UInt64 = 0
        while offset < count {
            rest = rest << 8 | UInt64(octets[offset])
            offset &+= 1
        }
        lanes.0 = step(lanes.0, rest, factors.2)
        var sum = step(UInt64(truncatingIfNeeded: count), lanes.0, factors.0)
        sum = step(sum, lanes.1, factors.1)
        sum = step(sum, lanes.2, factors.2)
        sum = step(sum, lanes.3, factors.3)
        return sum ^ sum >> 29
    }

    @inline(__always)
    private static func step(_ lane: UInt64, _ word: UInt64, _ factor: UInt64) -> UInt64 {
        let mixed = (lane ^ UInt64(littleEndian: word)) &* factor
        return mixed << 29 | mixed >> 35
    }
}
