// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A set of keywords in one word: all that the algorithms ask of an object again and again.

/// Keywords. There are fewer than 64 of them, and their numbers are small.
struct KeywordSet: BitwiseCopyable {
    private var bits: UInt64 = 0

    @inline(__always)
    mutating func insert(_ keyword: Symbol) {
        bits |= 1 << UInt64(keyword.index & 63)
    }

    @inline(__always)
    func contains(_ keyword: Symbol) -> Bool {
        bits >> UInt64(keyword.index & 63) & 1 != 0
    }
}
