// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads the data of one message, to CRLF.CRLF and to nothing else (RFC 5321 section 4.1.1.4).
// Servers that end it at other sequences let a sender smuggle a second message past the first
// server; here a lone CR or LF is content that refuses the whole message.

/// Fed with pieces of any size; the result does not depend on where they are cut.
struct DataReceiver: Sendable {
    enum Progress: Sendable, Hashable {
        case needsMore
        /// The end was read; `consumed` octets of the piece belong to the data.
        case complete(consumed: Int)
    }

    /// The message without transparency dots and without the last CRLF.CRLF's dot line; lines end with CRLF.
    private(set) var message: [UInt8] = []
    /// Octets of the message that were taken out before.
    private(set) var taken = 0
    /// More than the limit came; what came later was dropped.
    private(set) var isTooLarge = false
    /// A CR without LF or a LF without CR was in it.
    private(set) var hasBareNewline = false

    private let limit: Int
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

    init(limit: Int, sizeHint: Int = 0) {
        self.limit = limit
        // The hint is the sender's word: it may save copies, not claim memory.
        message.reserveCapacity(min(limit, max(sizeHint, 4096), 256 << 10))
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

    /// Hands out what `message` holds, which goes on empty. The limit counts what was taken.
    mutating func take() -> [UInt8] {
        let octets = message
        taken += octets.count
        message = []
        return octets
    }

    /// Takes everything up to and with the next CR or LF in one go.
    private mutating func readRun(
        _ piece: UnsafeRawBufferPointer, from start: Int, _ search: inout LineEndSearch
    ) -> Int {
        guard let end = search.next(from: start) else {
            append(UnsafeRawBufferPointer(rebasing: piece[start...]))
            return piece.count
        }
        append(UnsafeRawBufferPointer(rebasing: piece[start..<end]))
        if piece[end] == ASCII.carriageReturn {
            state = .carriageReturn
        } else {
            hasBareNewline = true
            append(ASCII.lineFeed)
        }
        return end + 1
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
            hasBareNewline = true
            append(byte)
            state = .inLine
        default:
            append(byte)
            state = .inLine
        }
    }

    private mutating func endLine() {
        append(ASCII.carriageReturn)
        append(ASCII.lineFeed)
        state = .lineStart
    }

    private mutating func bareCarriageReturn(then byte: UInt8) {
        hasBareNewline = true
        append(ASCII.carriageReturn)
        begin(byte)
    }

    private mutating func append(_ byte: UInt8) {
        guard taken + message.count < limit else {
            overflow()
            return
        }
        if !isTooLarge { message.append(byte) }
    }

    private mutating func append(_ run: UnsafeRawBufferPointer) {
        guard run.count <= limit - taken - message.count else {
            overflow()
            return
        }
        if !isTooLarge { message.append(contentsOf: run) }
    }

    /// The rest is only read to find its end.
    private mutating func overflow() {
        isTooLarge = true
        message = []
    }
}
