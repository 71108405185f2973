// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Quoted-printable (RFC 2045 section 6.7). What is not encoded rightly stays as it is. Octets that stand for themselves
// are copied eight at a time up to the next `=` or LF.

enum QuotedPrintableDecoder {
    /// Values of hexadecimal digits; 0xFF for what is none.
    private static let digits: [UInt8] = (0...255).map { ($0 as UInt8).hexadecimalValue ?? 0xFF }

    static func decode(_ input: Bytes) -> [UInt8] {
        guard let start = input.baseAddress, !input.isEmpty else { return [] }
        // Eight octets are written where fewer may count: the room behind the end is for the others.
        return [UInt8](unsafeUninitializedCapacity: input.count + 8) { buffer, count in
            guard let output = buffer.baseAddress else { return }
            digits.withUnsafeBufferPointer { digits in
                guard let digits = digits.baseAddress else { return }
                var pass = QuotedPrintablePass(input: start, end: input.count, output: output, digits: digits)
                pass.run()
                count = pass.to
            }
        }
    }
}

/// One pass from input to output; nothing is kept between two.
struct QuotedPrintablePass {
    let input: UnsafePointer<UInt8>
    let end: Int
    let output: UnsafeMutablePointer<UInt8>
    let digits: UnsafePointer<UInt8>
    var from = 0
    var to = 0
    private var endsInSoftBreak = false

    init(
        input: UnsafePointer<UInt8>, end: Int, output: UnsafeMutablePointer<UInt8>, digits: UnsafePointer<UInt8>
    ) {
        self.input = input
        self.end = end
        self.output = output
        self.digits = digits
    }

    mutating func run() {
        while from < end {
            copyPlain()
            guard from < end else { break }
            switch input[from] {
            case .equals: decodeEscapes()
            case .lineFeed: endLine()
            default:
                output[to] = input[from]
                from += 1
                to += 1
            }
        }
        // The end of the body is the end of a line too: its line end belongs to the boundary (RFC 2046 section 5.1.1).
        guard !endsInSoftBreak else { return }
        var place = end
        while place > 0, input[place - 1].isBlank {
            place -= 1
            to -= 1
        }
    }

    /// Copies up to the next `=` or LF, or until fewer than eight octets are left.
    @inline(__always)
    private mutating func copyPlain() {
        let source = UnsafeRawPointer(input)
        let target = UnsafeMutableRawPointer(output)
        while from + 8 <= end {
            let block = source.loadUnaligned(fromByteOffset: from, as: UInt64.self)
            target.storeBytes(of: block, toByteOffset: to, as: UInt64.self)
            let escapes = block ^ 0x3D3D_3D3D_3D3D_3D3D
            let feeds = block ^ 0x0A0A_0A0A_0A0A_0A0A
            let ones: UInt64 = 0x0101_0101_0101_0101
            // The lowest octet that is marked is one that was sought; those above it may be marked wrongly.
            let marks = ((escapes &- ones) & ~escapes | (feeds &- ones) & ~feeds) & 0x8080_8080_8080_8080
            if marks == 0 {
                from += 8
                to += 8
            } else {
                let count = UInt64(littleEndian: marks).trailingZeroBitCount >> 3
                from += count
                to += count
                return
            }
        }
    }

    /// Escapes that follow each other; at least one `=` is taken.
    @inline(__always)
    private mutating func decodeEscapes() {
        repeat {
            guard from + 2 < end else { return decodeOther() }
            let high = digits[Int(input[from + 1])]
            let low = digits[Int(input[from + 2])]
            guard (high | low) & 0xF0 == 0 else { return decodeOther() }
            output[to] = high << 4 | low
            to += 1
            from += 3
        } while from < end && input[from] == .equals
    }

    /// An `=` without two digits behind it. Rule 5: at the end of a line, with blanks that were added on the way, it
    /// takes the line end away. Anywhere else it stays.
    private mutating func decodeOther() {
        var next = from + 1
        if next < end, input[next] == .carriageReturn, next + 1 < end, input[next + 1] == .lineFeed {
            from = next + 2
            return
        }
        while next < end, input[next].isBlank { next += 1 }
        if next < end, input[next] == .carriageReturn, next + 1 == end || input[next + 1] == .lineFeed { next += 1 }
        if next >= end || input[next] == .lineFeed {
            endsInSoftBreak = next >= end
            from = min(next + 1, end)
        } else {
            output[to] = .equals
            to += 1
            from += 1
        }
    }

    /// Rule 3: blanks at the end of a line were put there on the way, unless they were written as escapes.
    @inline(__always)
    private mutating func endLine() {
        var place = from
        let hasReturn = place > 0 && input[place - 1] == .carriageReturn
        if hasReturn { place -= 1 }
        if place > 0, input[place - 1].isBlank {
            if hasReturn { to -= 1 }
            while place > 0, input[place - 1].isBlank {
                place -= 1
                to -= 1
            }
            if hasReturn {
                output[to] = .carriageReturn
                to += 1
            }
        }
        output[to] = .lineFeed
        to += 1
        from += 1
    }
}
