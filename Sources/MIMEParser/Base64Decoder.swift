// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Base64 (RFC 2045 section 6.8). Octets outside the alphabet are skipped, missing padding is no error. Eight characters
// are decoded at a time through a table that is indexed by two of them.

enum Base64Decoder {
    /// Twelve bits for each pair of characters, the first in the low octet of the index; `invalid` where one of them is
    /// not in the alphabet.
    private static let pairs: [UInt16] = {
        var table = [UInt16](repeating: invalid, count: 1 << 16)
        for (high, first) in alphabet.enumerated() {
            for (low, second) in alphabet.enumerated() {
                table[Int(first) | Int(second) << 8] = UInt16(high << 6 | low)
            }
        }
        return table
    }()

    private static let invalid: UInt16 = 0x8000

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func decode(_ input: Bytes) -> [UInt8] {
        guard let start = input.baseAddress, !input.isEmpty else { return [] }
        // A block writes eight octets of which six count: the room behind the last is for the other two.
        return [UInt8](unsafeUninitializedCapacity: input.count / 4 * 3 + 16) { buffer, count in
            guard let output = buffer.baseAddress else { return }
            count = pairs.withUnsafeBufferPointer { table in
                guard let table = table.baseAddress else { return 0 }
                var state = Base64State()
                return state.run(table, start, input.count, output)
            }
        }
    }
}

/// What is between two pieces of input: the characters of a group of four that is not complete.
struct Base64State {
    private var bits: UInt32 = 0
    private var characters = 0

    /// Decodes `count` octets into `output`, which has room for `count / 4 * 3 + 16`. Returns how many were written.
    mutating func run(
        _ table: UnsafePointer<UInt16>, _ input: UnsafePointer<UInt8>, _ count: Int, _ output: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let source = UnsafeRawPointer(input)
        let target = UnsafeMutableRawPointer(output)
        var from = 0
        var to = 0
        while from < count {
            if characters == 0 {
                while from + 8 <= count {
                    let block = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: from, as: UInt64.self))
                    let first = table[Int(truncatingIfNeeded: block & 0xFFFF)]
                    let second = table[Int(truncatingIfNeeded: block >> 16 & 0xFFFF)]
                    let third = table[Int(truncatingIfNeeded: block >> 32 & 0xFFFF)]
                    let fourth = table[Int(truncatingIfNeeded: block >> 48)]
                    guard (first | second | third | fourth) & 0x8000 == 0 else { break }
                    let upper = UInt64(first) << 12 | UInt64(second)
                    let lower = UInt64(third) << 12 | UInt64(fourth)
                    target.storeBytes(of: (upper << 40 | lower << 16).bigEndian, toByteOffset: to, as: UInt64.self)
                    from += 8
                    to += 6
                }
                if from + 4 <= count {
                    let block = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: from, as: UInt32.self))
                    let first = table[Int(truncatingIfNeeded: block & 0xFFFF)]
                    let second = table[Int(truncatingIfNeeded: block >> 16)]
                    if (first | second) & 0x8000 == 0 {
                        let group = UInt32(first) << 20 | UInt32(second) << 8
                        target.storeBytes(of: group.bigEndian, toByteOffset: to, as: UInt32.self)
                        from += 4
                        to += 3
                        continue
                    }
                }
            }
            guard from < count else { break }
            let octet = input[from]
            from += 1
            let value = table[Int(octet) | 0x4100]
            if value & 0x8000 == 0 {
                bits = bits << 6 | UInt32(value >> 6)
                characters += 1
                if characters == 4 { to = flush(target, to) }
            } else if octet == .equals {
                to = flush(target, to)
            }
        }
        return flush(target, to)
    }

    /// Writes what is complete of a group: one octet of two characters, two of three, three of four.
    private mutating func flush(_ target: UnsafeMutableRawPointer, _ to: Int) -> Int {
        let octets = max(0, characters - 1)
        let group = bits << UInt32(32 - 6 * max(1, characters))
        for index in 0..<octets {
            target.storeBytes(of: UInt8(truncatingIfNeeded: group >> UInt32(24 - 8 * index)), toByteOffset: to + index, as: UInt8.self)
        }
        bits = 0
        characters = 0
        return to + octets
    }
}
