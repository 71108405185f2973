// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Charsets of one octet a character, ASCII below 0x80.

enum SingleByteConverter {
    /// `table` holds what 0x80 to 0xFF mean.
    static func utf8(_ bytes: [UInt8], _ table: [UInt16]) -> [UInt8] {
        bytes.withUnsafeBufferPointer { input in
            let ascii = UTF8Validation.firstNonASCII(input, from: 0)
            if ascii == input.count { return nil }
            var upper = 0
            for octet in input[ascii...] { upper += Int(octet >> 7) }
            let packed = table.map { PackedCharacter.pack(UInt32($0)) }
            return [UInt8](unsafeUninitializedCapacity: input.count + 2 * upper + 8) { output, count in
                guard let source = input.baseAddress, let target = output.baseAddress, packed.count == 128 else { return }
                count = packed.withUnsafeBufferPointer { run(source, input.count, UnsafeMutableRawPointer(target), $0) }
            }
        } ?? bytes
    }

    private static func run(
        _ input: UnsafePointer<UInt8>, _ count: Int, _ output: UnsafeMutableRawPointer, _ packed: UnsafeBufferPointer<UInt32>
    ) -> Int {
        let source = UnsafeRawPointer(input)
        var from = 0
        var to = 0
        while from < count {
            // The room of 8 octets behind the end takes what is written ahead.
            while from + 8 <= count {
                let block = source.loadUnaligned(fromByteOffset: from, as: UInt64.self)
                guard block & 0x8080_8080_8080_8080 == 0 else { break }
                output.storeBytes(of: block, toByteOffset: to, as: UInt64.self)
                from += 8
                to += 8
            }
            while from < count {
                let octet = input[from]
                from += 1
                if octet < 0x80 {
                    output.storeBytes(of: octet, toByteOffset: to, as: UInt8.self)
                    to += 1
                    if from & 7 == 0 { break }
                } else {
                    let code = packed[Int(octet & 0x7F)]
                    output.storeBytes(of: code.littleEndian, toByteOffset: to, as: UInt32.self)
                    to += Int(code >> 24)
                }
            }
        }
        return to
    }
}
