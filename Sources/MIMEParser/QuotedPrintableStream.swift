// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Quoted-printable in pieces: what cannot be told before the next piece comes is kept.

struct QuotedPrintableStream: Sendable {
    private enum State {
        case plain
        /// Blanks that may be at the end of a line.
        case blanks
        /// The same with a CR behind them, or a CR alone.
        case lineReturn
        case escape
        case escapeDigit
        /// An `=` with blanks behind it: a soft line break, if the line ends there.
        case escapeBlanks
        case escapeReturn
    }

    private var state = State.plain
    /// The octets that are kept in all states but `plain`.
    private var pending: [UInt8] = []

    mutating func decode(_ piece: Bytes, _ output: inout [UInt8]) {
        var index = 0
        let lines = behindLastFeed(piece)
        while index < piece.count {
            if state == .plain, index < lines {
                output += QuotedPrintableDecoder.decode(Bytes(rebasing: piece[index..<lines]))
                index = lines
            } else {
                step(piece[index], &output)
                index += 1
            }
        }
    }

    /// Where the last line of a piece that ends in it ends: what is before can be decoded at once.
    private func behindLastFeed(_ piece: Bytes) -> Int {
        var index = piece.count
        while index > 0, piece[index - 1] != .lineFeed { index -= 1 }
        return index
    }

    mutating func finish(_ output: inout [UInt8]) {
        switch state {
        case .lineReturn, .escapeDigit: output += pending
        // The end of the body is the end of a line.
        case .plain, .blanks, .escape, .escapeBlanks, .escapeReturn: break
        }
        reset()
    }

    private mutating func reset() {
        pending.removeAll(keepingCapacity: true)
        state = .plain
    }

    private mutating func keep(_ octet: UInt8, _ next: State) {
        pending.append(octet)
        state = next
    }

    private mutating func step(_ octet: UInt8, _ output: inout [UInt8]) {
        switch state {
        case .plain: plain(octet, &output)
        case .blanks:
            if octet.isBlank { return pending.append(octet) }
            if octet == .carriageReturn { return keep(octet, .lineReturn) }
            if octet != .lineFeed { output += pending }
            reset()
            plain(octet, &output)
        case .lineReturn:
            if octet == .lineFeed { output.append(.carriageReturn) } else { output += pending }
            reset()
            plain(octet, &output)
        case .escape:
            if octet.hexadecimalValue != nil { return keep(octet, .escapeDigit) }
            stepBehindEscape(octet, &output)
        case .escapeDigit:
            if let high = pending[1].hexadecimalValue, let low = octet.hexadecimalValue {
                output.append(high << 4 | low)
                return reset()
            }
            giveUp(octet, &output)
        case .escapeBlanks: stepBehindEscape(octet, &output)
        case .escapeReturn:
            if octet == .lineFeed { return reset() }
            giveUp(octet, &output)
        }
    }

    private mutating func stepBehindEscape(_ octet: UInt8, _ output: inout [UInt8]) {
        switch octet {
        case .space, .horizontalTab: keep(octet, .escapeBlanks)
        case .carriageReturn: keep(octet, .escapeReturn)
        case .lineFeed: reset()
        default: giveUp(octet, &output)
        }
    }

    private mutating func plain(_ octet: UInt8, _ output: inout [UInt8]) {
        switch octet {
        case .equals: keep(octet, .escape)
        case .space, .horizontalTab: keep(octet, .blanks)
        case .carriageReturn: keep(octet, .lineReturn)
        default: output.append(octet)
        }
    }

    /// The kept `=` stands for itself; what is behind it is looked at again. None of that is an `=`.
    private mutating func giveUp(_ octet: UInt8, _ output: inout [UInt8]) {
        let rest = pending.dropFirst()
        reset()
        output.append(.equals)
        for kept in rest { step(kept, &output) }
        step(octet, &output)
    }
}
