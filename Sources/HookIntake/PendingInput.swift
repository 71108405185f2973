// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a connection has read and its dialogue has not taken yet.

import NIOCore

/// Large pieces stay as they came: to join them would copy most of a large mail once more. Small ones are joined, so
/// that a client who sends octet by octet (as TLS records) leaves no list of thousands.
struct PendingInput {
    /// Pieces from here on, in octets, are not copied.
    static let largePiece = 4096

    private(set) var first: ByteBuffer?
    private var rest: [ByteBuffer] = []

    var isEmpty: Bool { first == nil }

    mutating func append(_ piece: ByteBuffer) {
        guard piece.readableBytes > 0 else { return }
        guard let last = rest.last?.readableBytes ?? first?.readableBytes else {
            first = piece
            return
        }
        // To join it to a large one would copy that.
        if max(piece.readableBytes, last) >= Self.largePiece {
            rest.append(piece)
        } else if rest.isEmpty {
            first?.writeImmutableBuffer(piece)
        } else {
            rest[rest.count - 1].writeImmutableBuffer(piece)
        }
    }

    /// Takes octets off the first piece.
    mutating func consume(_ count: Int) {
        first?.moveReaderIndex(forwardBy: count)
        guard first?.readableBytes == 0 else { return }
        first = rest.isEmpty ? nil : rest.removeFirst()
    }

    mutating func removeAll() { self = PendingInput() }
}
