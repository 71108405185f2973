// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Quoted-printable (RFC 2045 section 6.7). What is not encoded rightly stays as it is. Octets that stand for themselves
// are copied sixteen at a time up to the next `=` or LF.

enum QuotedPrintableDecoder {
    /// Values of hexadecimal digits; 0xFF for what is none.
    private static let digits: [UInt8] = (0...255).map { ($0 as UInt8).hexadecimalValue ?? 0xFF }

    static func decode(_ input: Bytes) -> [UInt8] {
        guard let start = input.baseAddress, !input.isEmpty else { return [] }
        // Sixteen octets are written where fewer may count: the room behind the end is for the others.
        return [UInt8](unsafeUninitializedCapacity: input.count + 16) { buffer, count in
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

    /// Copies up to the next `=` or LF, or until fewer than sixteen octets are left.
    @inline(__always)
    private mutating func copyPlain() {
        let source = UnsafeRawPointer(input)
        let target = UnsafeMutableRawPointer(output)
        let escape = SIMD16<UInt8>(repeating: .equals)
        let feed = SIMD16<UInt8>(repeating: .lineFeed)
        while from + 16 <= end {
            let block = source.loadUnaligned(fromByteOffset: from, as: SIMD16<UInt8>.self)
            target.storeBytes(of: block, toByteOffset: to, as: SIMD16<UInt8>.self)
            let marks = unsafeBitCast((block .== escape) .| (block .== feed), to: SIMD2<UInt64>.self)
            if marks[0] | marks[1] == 0 {
                from += 16
                to += 16
            } else {
                let isLow = marks[0] != 0
                let place = UInt64(littleEndian: isLow ? marks[0] : marks[1]).trailingZeroBitCount >> 3
                from += isLow ? place : place + 8
                to += isLow ? place : place + 8
                return
            }
        }
    }

    /// Escapes that follow each other; at least one `=` is taken.
    @inline(__always)
    private mutating func decodeEscapes() {
        repeat {
            guard from + 2 < end else { return decodeOther() }
            let first = input[from + 1]
            let second = input[from + 2]
            if first == .carriageReturn, second == .lineFeed {
                from += 3
                return
            }
            let high = digits[Int(first)]
            let low = digits[Int(second)]
            guard (high | low) & 0xF0 == 0 else { return decodeOther() }
            output[to] = high << 4 | low
            to += 1
            from += 3
        } while from < end && input[from] == .equals
    }

    @inline(__always)
    private mutating func decodeOther() {
        if let next = Self.behindSoftBreak(input, from, end) {
            endsInSoftBreak = next > end
            from = min(next, end)
        } else {
            output[to] = .equals
            to += 1
            from += 1
        }
    }

    /// An `=` without two digits behind it. Rule 5: at the end of a line, with blanks that were added on the way, it
    /// takes the line end away. Anywhere else it stays: nil. Beyond `end` where the input ends before the line does.
    private static func behindSoftBreak(_ input: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int? {
        var next = start + 1
        while next < end, input[next].isBlank { next += 1 }
        if next < end, input[next] == .carriageReturn, next + 1 == end || input[next + 1] == .lineFeed { next += 1 }
        return next >= end || input[next] == .lineFeed ? next + 1 : nil
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
