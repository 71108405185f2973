// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads the data of one message, to CRLF.CRLF and to nothing else (RFC 5321 section 4.1.1.4).
// Servers that end it at other sequences let a sender smuggle a second message past the first
// server; here a lone CR or LF is content that refuses the whole message, or is mended if asked for.

/// Fed with pieces of any size; the result does not depend on where they are cut.
struct DataReceiver: Sendable {
    enum Progress: Sendable, Hashable {
        case needsMore
        /// The end was read; `consumed` octets of the piece belong to the data.
        case complete(consumed: Int)
    }

    /// The message without transparency dots and without the last CRLF.CRLF's dot line; lines end with CRLF.
    var buffer: MessageBuffer
    /// Where in a line end the last piece stopped. The CRLF of the DATA command counts as the one before the first
    /// line, so that an empty message is `.CRLF`.
    private var state = State.lineStart

    private enum State: Sendable {
        /// After a true CRLF.
        case lineStart
        case inLine
        /// After CR.
        case carriageReturn
        /// After CRLF and a dot.
        case dot
        /// After CRLF, a dot and CR.
        case dotCarriageReturn
    }

    init(limit: Int, sizeHint: Int = 0, bareNewline: SMTPServerConfiguration.BareNewline = .refuse) {
        buffer = MessageBuffer(limit: limit, sizeHint: sizeHint, bareNewline: bareNewline)
    }

    mutating func receive(_ piece: UnsafeRawBufferPointer) -> Progress {
        var position = 0
        var search = LineEndSearch(piece)
        while position < piece.count {
            switch state {
            case .inLine: position = readRun(piece, from: position, &search)
            case .lineStart, .carriageReturn, .dot, .dotCarriageReturn:
                if step(piece[position]) { return .complete(consumed: position + 1) }
                position += 1
            }
        }
        return .needsMore
    }

    /// Takes lines in one go, up to and with the first that ends with the piece, or has a dot or a lone CR or LF behind
    /// it: what is whole lines on the wire is the same octets in the message.
    private mutating func readRun(
        _ piece: UnsafeRawBufferPointer, from start: Int, _ search: inout LineEndSearch
    ) -> Int {
        var position = WholeLines.end(in: piece, from: start)
        while let end = search.next(from: position) {
            guard piece[end] == ASCII.carriageReturn else {
                buffer.append(UnsafeRawBufferPointer(rebasing: piece[start..<end]))
                buffer.appendBare(ASCII.lineFeed)
                return end + 1
            }
            guard end + 2 < piece.count, piece[end + 1] == ASCII.lineFeed, !Self.isSpecial(piece[end + 2]) else {
                buffer.append(UnsafeRawBufferPointer(rebasing: piece[start..<end]))
                state = .carriageReturn
                return end + 1
            }
            position = end + 2
        }
        buffer.append(UnsafeRawBufferPointer(rebasing: piece[start...]))
        return piece.count
    }

    /// Octets that mean something at the beginning of a line.
    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == ASCII.dot || byte == ASCII.carriageReturn || byte == ASCII.lineFeed
    }

    /// One octet at or near a line end; true at the end of the data.
    private mutating func step(_ byte: UInt8) -> Bool {
        switch (state, byte) {
        case (.lineStart, ASCII.dot): state = .dot
        case (.lineStart, _): begin(byte)
        case (.carriageReturn, ASCII.lineFeed): endLine()
        case (.carriageReturn, _): bareCarriageReturn(then: byte)
        case (.dot, ASCII.carriageReturn): state = .dotCarriageReturn
        // Section 4.5.2: a leading dot is removed if more characters follow on the line.
        case (.dot, _): begin(byte)
        case (.dotCarriageReturn, ASCII.lineFeed): return true
        case (.dotCarriageReturn, _): bareCarriageReturn(then: byte)
        case (.inLine, _): begin(byte)
        }
        return false
    }

    /// An octet that is neither part of a true line end nor of the final dot.
    private mutating func begin(_ byte: UInt8) {
        switch byte {
        case ASCII.carriageReturn: state = .carriageReturn
        case ASCII.lineFeed:
            buffer.appendBare(byte)
            state = .inLine
        default:
            buffer.append(byte)
            state = .inLine
        }
    }

    private mutating func endLine() {
        buffer.appendLineEnd()
        state = .lineStart
    }

    private mutating func bareCarriageReturn(then byte: UInt8) {
        buffer.appendBare(ASCII.carriageReturn)
        begin(byte)
    }
}
