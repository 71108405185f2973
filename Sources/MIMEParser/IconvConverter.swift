// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Charsets that are rare in mail through the C library's iconv, by names of our own list only: what a sender writes never
// gets there. A descriptor lives for one conversion.

import Glibc

enum IconvConverter {
    /// Nil where the library does not know the charset. What is not of the charset becomes U+FFFD.
    static func utf8(_ bytes: [UInt8], from name: String) -> [UInt8]? {
        guard let descriptor = iconv_open("UTF-8", name), descriptor != iconv_t(bitPattern: -1) else { return nil }
        defer { iconv_close(descriptor) }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count * 2 + 16)
        var input = bytes
        input.withUnsafeMutableBufferPointer { source in
            guard let base = source.baseAddress else { return }
            base.withMemoryRebound(to: CChar.self, capacity: source.count) { start in
                convert(descriptor, start, source.count, &output)
            }
        }
        return output
    }

    private static func convert(
        _ descriptor: iconv_t, _ start: UnsafeMutablePointer<CChar>, _ count: Int, _ output: inout [UInt8]
    ) {
        var from: UnsafeMutablePointer<CChar>? = start
        var left = count
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: pieceSize) { piece in
            while true {
                var to = piece.baseAddress
                var room = pieceSize
                let isFinal = left == 0
                let result = isFinal ? iconv(descriptor, nil, nil, &to, &room) : iconv(descriptor, &from, &left, &to, &room)
                let failure = errno
                piece[0..<(pieceSize - room)].withMemoryRebound(to: UInt8.self) { output += $0 }
                if result != Int(bitPattern: UInt.max) {
                    if isFinal { return }
                } else if failure == EILSEQ, let place = from, left > 0 {
                    output += [0xEF, 0xBF, 0xBD]
                    from = place + 1
                    left -= 1
                } else if failure != E2BIG {
                    // EINVAL: a character is cut off at the end.
                    output += [0xEF, 0xBF, 0xBD]
                    left = 0
                }
            }
        }
    }

    private static let pieceSize = 8192
}
