// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes the transfer encoding off a body piece by piece, with a bound to what comes out. However the input is cut, the
// output is that of decoding it at once.

/// A transfer encoding being taken off.
public struct TransferStream: Sendable {
    private enum State: Sendable {
        case identity
        case base64(Base64Group)
        case quotedPrintable(QuotedPrintableStream)
        /// Lines are decoded when the whole body is there; senders of it are long gone.
        case uuencode([UInt8])
    }

    private var state: State
    private var room: Int

    /// More came than `limit` octets; the rest was dropped.
    public private(set) var isLimitReached = false

    /// `limit` is the number of octets that come out at most.
    public init(_ encoding: TransferEncoding, limit: Int = .max) {
        room = max(0, limit)
        state =
            switch encoding {
            case .base64: .base64(Base64Group())
            case .quotedPrintable: .quotedPrintable(QuotedPrintableStream())
            case .uuencode: .uuencode([])
            case .sevenBit, .eightBit, .binary, .unknown: .identity
            }
    }

    /// Decodes the next piece of the body and appends what comes out. A piece gives at most 1.34 times its size, and
    /// what was kept of the pieces before.
    public mutating func decode(_ piece: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) {
        guard !isLimitReached, !piece.isEmpty else { return }
        let start = output.count
        switch state {
        case .identity: output += piece
        case .base64(let group): decodeBase64(piece, group, &output)
        case .quotedPrintable(var stream):
            state = .identity  // gives up the other reference to the stream's buffer
            stream.decode(piece, &output)
            state = .quotedPrintable(stream)
        case .uuencode(var body):
            state = .identity
            body += piece
            state = .uuencode(body)
        }
        bound(&output, from: start)
    }

    /// Decodes the next piece of the body and appends what comes out.
    public mutating func decode(_ piece: ArraySlice<UInt8>, into output: inout [UInt8]) {
        piece.withUnsafeBufferPointer { decode($0, into: &output) }
    }

    /// The body is at its end: appends what was kept.
    public mutating func finish(into output: inout [UInt8]) {
        guard !isLimitReached else { return }
        let start = output.count
        switch state {
        case .identity: break
        case .base64(var group): group.flush { output.append($0) }
        case .quotedPrintable(var stream): stream.finish(&output)
        case .uuencode(let body): output += body.withUnsafeBufferPointer { UUDecoder.decode($0) }
        }
        state = .identity
        bound(&output, from: start)
    }

    private mutating func decodeBase64(_ piece: Bytes, _ group: Base64Group, _ output: inout [UInt8]) {
        guard let source = piece.baseAddress else { return }
        output += [UInt8](unsafeUninitializedCapacity: Base64Decoder.roomNeeded(piece.count) + 3) { buffer, count in
            guard let target = buffer.baseAddress else { return }
            Base64Decoder.pairs.withUnsafeBufferPointer { table in
                guard let table = table.baseAddress else { return }
                var pass = Base64Pass(source: source, end: piece.count, target: target, table: table)
                pass.group = group
                pass.run()
                state = .base64(pass.group)
                count = pass.to
            }
        }
    }

    private mutating func bound(_ output: inout [UInt8], from start: Int) {
        let added = output.count - start
        if added > room {
            output.removeLast(added - room)
            isLimitReached = true
        }
        room -= min(added, room)
    }
}

extension MIMEMessage {
    /// The body of a part with its transfer encoding removed, `limit` octets at most, and whether there is more.
    public func body(of part: MIMEPart, limit: Int) -> (octets: [UInt8], isCut: Bool) {
        var output: [UInt8] = []
        var stream = TransferStream(part.encoding, limit: limit)
        var index = part.body.lowerBound
        while index < part.body.upperBound, !stream.isLimitReached {
            let next = min(index + Self.pieceSize, part.body.upperBound)
            stream.decode(part.bytes[index..<next], into: &output)
            index = next
        }
        stream.finish(into: &output)
        return (output, stream.isLimitReached)
    }

    private static let pieceSize = 1 << 16
}
