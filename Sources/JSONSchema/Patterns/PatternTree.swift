// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A regular expression after reading, before it becomes a program, and why one is refused.

/// The parts of an ECMA-262 pattern (section 22.2.1). Captures are not kept: a schema asks only whether there is a match.
indirect enum PatternTree: Sendable {
    case set(CharacterSet)
    case sequence([PatternTree])
    case choice([PatternTree])
    /// `most` nil: without end. Greedy and lazy match the same strings.
    case repetition(PatternTree, least: Int, most: Int?)
    case start
    case end
    case wordBoundary(isNegated: Bool)
    case lookaround(PatternTree, isAhead: Bool, isNegated: Bool)
    /// Well-formed, but no program can be made of it that runs in linear time.
    case backreference
}

/// Why a pattern is refused.
struct PatternError: Error, Hashable {
    enum Code: String, Hashable {
        case syntax = "not a regular expression of ECMA-262"
        case backreference = "back references can't be matched in linear time"
        case unknownProperty = "a Unicode property that is not supported"
        case modifiers = "flags inside the pattern are not supported"
        case tooDeep = "groups are nested too deeply"
        case tooLarge = "too large once its repetitions are written out"
    }

    var code: Code
    /// Offset in code points.
    var offset: Int
}
