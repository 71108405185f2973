// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Quoted-printable (RFC 2045 section 6.7). What is not encoded rightly stays as it is.

enum QuotedPrintableDecoder {
    static func decode(_ input: Bytes) -> [UInt8] {
        guard let start = input.baseAddress, !input.isEmpty else { return [] }
        return [UInt8](unsafeUninitializedCapacity: input.count + 8) { buffer, count in
            guard let output = buffer.baseAddress else { return }
            count = run(start, input.count, output)
        }
    }

    private static func run(
        _ input: UnsafePointer<UInt8>, _ count: Int, _ output: UnsafeMutablePointer<UInt8>
    ) -> Int {
        var from = 0
        var to = 0
        while from < count {
            let octet = input[from]
            if octet == .equals {
                (from, to) = escape(input, from, count, output, to)
            } else if octet == .lineFeed {
                // Rule 3: blanks at the end of a line were put there on the way.
                let hasReturn = to > 0 && output[to - 1] == .carriageReturn && from > 0 && input[from - 1] == .carriageReturn
                var end = hasReturn ? to - 1 : to
                while end > 0, output[end - 1].isBlank, isLiteral(input, from, hasReturn, to - end) { end -= 1 }
                to = end
                if hasReturn {
                    output[to] = .carriageReturn
                    to += 1
                }
                output[to] = .lineFeed
                to += 1
                from += 1
            } else {
                output[to] = octet
                to += 1
                from += 1
            }
        }
        return to
    }

    /// Whether the blank `back` octets before the line end was sent as it is, not as `=20`.
    private static func isLiteral(_ input: UnsafePointer<UInt8>, _ feed: Int, _ hasReturn: Bool, _ back: Int) -> Bool {
        let place = feed - back - 1
        return place >= 0 && input[place].isBlank
    }

    private static func escape(
        _ input: UnsafePointer<UInt8>, _ from: Int, _ count: Int, _ output: UnsafeMutablePointer<UInt8>, _ to: Int
    ) -> (Int, Int) {
        if from + 2 < count, let high = input[from + 1].hexadecimalValue, let low = input[from + 2].hexadecimalValue {
            output[to] = high << 4 | low
            return (from + 3, to + 1)
        }
        // Rule 5: a soft line break, with blanks that were added behind it.
        var next = from + 1
        while next < count, input[next].isBlank { next += 1 }
        if next == count { return (count, to) }
        if input[next] == .lineFeed { return (next + 1, to) }
        if input[next] == .carriageReturn, next + 1 == count || input[next + 1] == .lineFeed { return (min(next + 2, count), to) }
        output[to] = .equals
        return (from + 1, to + 1)
    }
}
