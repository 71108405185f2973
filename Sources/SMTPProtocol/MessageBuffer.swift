// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What DATA and BDAT have in common: the message as it grows, its limit, and what becomes of a
// lone CR or LF.

struct MessageBuffer: Sendable {
    private(set) var message: [UInt8] = []
    /// Octets of the message that were taken out before.
    private(set) var taken = 0
    /// More than the limit came; what came later was dropped.
    private(set) var isTooLarge = false
    /// A CR without LF or a LF without CR was in it, and nobody asked for it to be mended.
    private(set) var hasBareNewline = false

    private let limit: Int
    private let bareNewline: SMTPServerConfiguration.BareNewline

    /// - Parameter sizeHint: octets, by the sender's word or by what it sent before: it may save copies, not claim memory.
    init(limit: Int, sizeHint: Int, bareNewline: SMTPServerConfiguration.BareNewline) {
        self.limit = limit
        self.bareNewline = bareNewline
        message.reserveCapacity(min(limit, max(sizeHint, 4096), 256 << 10))
    }

    /// Hands out what `message` holds, which goes on empty. The limit counts what was taken.
    mutating func take() -> [UInt8] {
        let octets = message
        taken += octets.count
        message = []
        return octets
    }

    mutating func append(_ byte: UInt8) {
        guard taken + message.count < limit else { return overflow() }
        if !isTooLarge { message.append(byte) }
    }

    mutating func append(_ run: UnsafeRawBufferPointer) {
        guard run.count <= limit - taken - message.count else { return overflow() }
        if !isTooLarge { message.append(contentsOf: run) }
    }

    mutating func appendLineEnd() {
        append(ASCII.carriageReturn)
        append(ASCII.lineFeed)
    }

    /// A CR or LF that is no line end of the wire's.
    mutating func appendBare(_ newline: UInt8) {
        switch bareNewline {
        case .refuse:
            hasBareNewline = true
            append(newline)
        case .normalize: appendLineEnd()
        }
    }

    /// The rest is only read to find its end.
    private mutating func overflow() {
        isTooLarge = true
        message = []
    }
}
