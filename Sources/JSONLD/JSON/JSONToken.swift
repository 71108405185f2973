// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One entry of a document's index, in eight octets: the index of a text is then about as large
// as the text, and writing it costs one store a value.

/// Bits 0 to 31: offset of the value in the text. Bits 32 to 59: length in octets, or for an array or object the tape
/// index one past its end token. Bits 60 to 62: kind. Bit 63: the string has escapes.
struct JSONToken: Sendable {
    enum Kind: UInt64 {
        case object, array, string, number, `true`, `false`, null
        /// The closing bracket of an array or object; its payload is the tape index of the opening one.
        case end
    }

    static let kindShift: UInt64 = 60
    static let escapes: UInt64 = 1 << 63
    static let payloadMask: UInt64 = 0x0FFF_FFFF

    var bits: UInt64

    @inline(__always)
    init(bits: UInt64) {
        self.bits = bits
    }

    @inline(__always)
    init(_ kind: Kind, start: Int, payload: Int) {
        bits =
            UInt64(truncatingIfNeeded: start) | UInt64(truncatingIfNeeded: payload) << 32 | kind.rawValue << JSONToken.kindShift
    }

    @inline(__always)
    var kindBits: UInt64 { bits >> JSONToken.kindShift & 7 }

    @inline(__always)
    var hasEscapes: Bool { bits >= JSONToken.escapes }

    @inline(__always)
    var start: Int { Int(truncatingIfNeeded: bits & 0xFFFF_FFFF) }

    @inline(__always)
    var payload: Int { Int(truncatingIfNeeded: bits >> 32 & JSONToken.payloadMask) }

    /// Whether this opens an array or object.
    @inline(__always)
    var isContainer: Bool { kindBits <= Kind.array.rawValue }

    /// The tape index of what follows, for the token at `index`.
    @inline(__always)
    func next(at index: Int) -> Int { isContainer ? payload : index + 1 }
}
