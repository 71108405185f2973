// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Puts the chunks of BDAT together (RFC 3030). Their ends are counted, not searched for, so
// nothing in them can end the message. Line ends are judged as in DATA all the same: what is
// stored must not read differently somewhere else.

struct ChunkReceiver: Sendable {
    var buffer: MessageBuffer
    /// BODY=BINARYMIME: in the body, a CR or LF is an octet like any other.
    private let isBinary: Bool
    /// The header section of a binary message is over.
    private var isBody = false
    /// The last octet was a CR that is not yet in the message.
    private var isAfterCarriageReturn = false
    private var isAtLineStart = true

    init(limit: Int, sizeHint: Int, isBinary: Bool, bareNewline: SMTPServerConfiguration.BareNewline) {
        buffer = MessageBuffer(limit: limit, sizeHint: sizeHint, bareNewline: bareNewline)
        self.isBinary = isBinary
    }

    /// Takes octets of a chunk. It makes no difference where chunks and pieces are cut.
    mutating func receive(_ piece: UnsafeRawBufferPointer) {
        var position = 0
        var search = LineEndSearch(piece)
        while position < piece.count, !isBody {
            if isAfterCarriageReturn {
                isAfterCarriageReturn = false
                if piece[position] == ASCII.lineFeed {
                    endLine()
                    position += 1
                } else {
                    buffer.appendBare(ASCII.carriageReturn)
                    isAtLineStart = false
                }
                continue
            }
            let end = search.next(from: position) ?? piece.count
            if end > position {
                buffer.append(UnsafeRawBufferPointer(rebasing: piece[position..<end]))
                isAtLineStart = false
            }
            if end < piece.count, piece[end] == ASCII.carriageReturn {
                isAfterCarriageReturn = true
            } else if end < piece.count {
                buffer.appendBare(ASCII.lineFeed)
                isAtLineStart = false
            }
            position = end + 1
        }
        if position < piece.count { buffer.append(UnsafeRawBufferPointer(rebasing: piece[position...])) }
    }

    /// After the last chunk.
    mutating func finish() {
        if isAfterCarriageReturn { buffer.appendBare(ASCII.carriageReturn) }
        isAfterCarriageReturn = false
    }

    private mutating func endLine() {
        buffer.appendLineEnd()
        // RFC 3030 section 3: the header section of BINARYMIME is made of lines as ever; the first empty one ends it.
        if isBinary, isAtLineStart { isBody = true }
        isAtLineStart = true
    }
}
