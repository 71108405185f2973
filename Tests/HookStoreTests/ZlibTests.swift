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
        for round in 0..<200 {
            let isNoise = round % 3 == 0
            let bytes = Self.octets(round * round, alphabet: isNoise ? 1 << 8 : 4, seed: UInt64(round))
            guard let packed = zlib.compressed(bytes) else {
                #expect(isNoise || round < 12, "\(round)")
                continue
            }
            #expect(!isNoise)
            #expect(packed.count < bytes.count - bytes.count / 8)
            #expect(Zlib.decompressed(packed, size: bytes.count) == bytes)
            #expect(Zlib.decompressed(packed, size: bytes.count + 1) == nil)
            #expect(Zlib.decompressed(Array(packed.dropLast()), size: bytes.count) == nil)
        }
    }

    @Test(arguments: [0, 1, 2, 7, 8]) func whatIsTooShortStays(count: Int) {
        #expect(ZlibCompressor().compressed(Array(repeating: 0, count: count)) == nil)
    }

    @Test func aLargeMail() {
        let bytes = Self.octets(5 << 20, alphabet: 2, seed: 1)
        let packed = ZlibCompressor().compressed(bytes)
        #expect(packed.map { Zlib.decompressed($0, size: bytes.count) == bytes } == true)
    }
}
