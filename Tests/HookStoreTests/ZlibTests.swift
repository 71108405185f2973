// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What packing does to the octets of a mail.

import TestSupport
import Testing

@testable import HookStore

@Suite struct ZlibTests {
    /// Text by the seed, of which one octet in `alphabet` is taken.
    private static func octets(_ count: Int, alphabet: UInt64, seed: UInt64) -> [UInt8] {
        var random = SplitMix64(state: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: 32 + random.next() % alphabet) }
    }

    /// One after the other, as of a batch: what does not become smaller leaves nothing behind for the next.
    @Test func whatBecomesSmallerComesBackAsItWas() {
        let zlib = ZlibCompressor()
        var smaller = 0
        for round in 0..<200 {
            let bytes = Self.octets(round * round, alphabet: round % 3 == 0 ? 1 << 8 : 4, seed: UInt64(round))
            guard let packed = zlib.compressed(bytes) else { continue }
            smaller += 1
            #expect(packed.count < bytes.count - bytes.count / 8)
            #expect(Zlib.decompressed(packed, size: bytes.count) == bytes)
            #expect(Zlib.decompressed(packed, size: bytes.count + 1) == nil)
            #expect(Zlib.decompressed(Array(packed.dropLast()), size: bytes.count) == nil)
        }
        // All with four letters but the shortest, none that is noise.
        #expect((120...134).contains(smaller), "\(smaller)")
    }

    @Test(arguments: [0, 1, 2, 7, 8]) func whatIsTooShortStays(count: Int) {
        #expect(ZlibCompressor().compressed(Array(repeating: 0, count: count)) == nil)
    }

    @Test func aMailLargerThanOneCallTakes() {
        let bytes = Self.octets(5 << 20, alphabet: 2, seed: 1)
        let packed = ZlibCompressor().compressed(bytes)
        #expect(packed.map { Zlib.decompressed($0, size: bytes.count) == bytes } == true)
    }
}
