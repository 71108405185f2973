// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SHA-256 and SHA-384 (FIPS 180-4) of whole messages, for naming blank nodes. Not meant for
// secrets: nothing here hides its timing or wipes its memory.

/// The hash a canonical form is made with (RDFC-1.0 section 4.1).
public enum HashAlgorithm: String, Sendable, Hashable, CaseIterable {
    case sha256 = "SHA-256"
    case sha384 = "SHA-384"
}

enum SHA2 {
    /// The digest of a message in lower-case hexadecimal digits.
    static func hexadecimal(_ message: [UInt8], _ algorithm: HashAlgorithm) -> [UInt8] {
        let digest = message.withUnsafeBytes { message in
            switch algorithm {
            case .sha256: sha256(message)
            case .sha384: sha384(message)
            }
        }
        var digits: [UInt8] = []
        digits.reserveCapacity(digest.count * 2)
        for byte in digest {
            for nibble in [byte >> 4, byte & 0x0F] {
                digits.append(nibble + (nibble < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10))
            }
        }
        return digits
    }

    static func sha256(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        var state = SHA2Constants.initial256
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
            forEachBlock(message, size: 64) { block in
                compress256(&state, schedule, block)
            }
        }
        return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
    }

    static func sha384(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        var state = SHA2Constants.initial384
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 80) { schedule in
            forEachBlock(message, size: 128) { block in
                compress512(&state, schedule, block)
            }
        }
        // Section 6.5: the digest is the left-most 384 bits.
        return state.prefix(6).flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }

    /// The blocks of a padded message (section 5.1): a one bit, zeros, and the length in bits at the end of the last.
    private static func forEachBlock(_ message: UnsafeRawBufferPointer, size: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        let whole = message.count / size * size
        for start in stride(from: 0, to: whole, by: size) {
            body(UnsafeRawBufferPointer(rebasing: message[start..<(start + size)]))
        }
        var tail = [UInt8](message[whole...])
        tail.append(0x80)
        // The length takes 8 octets with SHA-256 and 16 with SHA-384; the upper ones are always zero here.
        let lengthSize = size / 8
        while (tail.count + lengthSize) % size != 0 { tail.append(0) }
        tail.append(contentsOf: repeatElement(0, count: lengthSize - 8))
        let bits = UInt64(message.count) * 8
        tail.append(contentsOf: (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) })
        tail.withUnsafeBytes { tail in
            for start in stride(from: 0, to: tail.count, by: size) {
                body(UnsafeRawBufferPointer(rebasing: tail[start..<(start + size)]))
            }
        }
    }

    // Section 6.2.2.
    private static func compress256(
        _ state: inout [UInt32], _ schedule: UnsafeMutableBufferPointer<UInt32>, _ block: UnsafeRawBufferPointer
    ) {
        for index in 0..<16 {
            schedule[index] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
        }
        for index in 16..<64 {
            let early = schedule[index - 15]
            let late = schedule[index - 2]
            let first = rotate(early, 7) ^ rotate(early, 18) ^ early >> 3
            let second = rotate(late, 17) ^ rotate(late, 19) ^ late >> 10
            schedule[index] = schedule[index - 16] &+ first &+ schedule[index - 7] &+ second
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        SHA2Constants.rounds.withUnsafeBufferPointer { rounds in
            for index in 0..<64 {
                let upper = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
                let first = h &+ upper &+ (e & f ^ ~e & g) &+ UInt32(truncatingIfNeeded: rounds[index] >> 32) &+ schedule[index]
                let second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) &+ (a & b ^ a & c ^ b & c)
                (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
            }
        }
        for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
    }

    // Section 6.4.2.
    private static func compress512(
        _ state: inout [UInt64], _ schedule: UnsafeMutableBufferPointer<UInt64>, _ block: UnsafeRawBufferPointer
    ) {
        for index in 0..<16 {
            schedule[index] = UInt64(bigEndian: block.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        for index in 16..<80 {
            let early = schedule[index - 15]
            let late = schedule[index - 2]
            let first = rotate(early, 1) ^ rotate(early, 8) ^ early >> 7
            let second = rotate(late, 19) ^ rotate(late, 61) ^ late >> 6
            schedule[index] = schedule[index - 16] &+ first &+ schedule[index - 7] &+ second
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        SHA2Constants.rounds.withUnsafeBufferPointer { rounds in
            for index in 0..<80 {
                let upper = rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41)
                let first = h &+ upper &+ (e & f ^ ~e & g) &+ rounds[index] &+ schedule[index]
                let second = (rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39)) &+ (a & b ^ a & c ^ b & c)
                (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
            }
        }
        for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
    }

    @inline(__always)
    private static func rotate<Word: FixedWidthInteger>(_ word: Word, _ count: Word) -> Word {
        word >> count | word << (Word(truncatingIfNeeded: Word.bitWidth) &- count)
    }
}
