// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How a session reads messages: after DATA to the final dot, after BDAT as many octets as were
// announced. A message that is refused is read to its end all the same.

import HookModel

extension SMTPServerSession {
    // MARK: - DATA

    mutating func beginData() {
        guard reversePath != nil else { return refuse(SMTPReply(503, "5.5.1", "Need MAIL command")) }
        guard !recipients.isEmpty else { return refuse(SMTPReply(503, "5.5.1", "No valid recipients")) }
        // RFC 3030 sections 2 and 3: one way for one message, and BDAT alone for binary ones.
        guard chunks == nil else { return refuse(SMTPReply(503, "5.5.1", "DATA cannot follow BDAT")) }
        guard !parameters.isBinary else { return refuse(SMTPReply(503, "5.5.1", "BODY=BINARYMIME needs BDAT")) }
        reply(SMTPReply(354, nil, "End data with <CR><LF>.<CR><LF>"))
        receiver = DataReceiver(
            limit: configuration.messageSize, sizeHint: parameters.size ?? usualSize, bareNewline: configuration.bareNewline)
        state = .data
    }

    mutating func advanceData(_ input: UnsafeRawBufferPointer, _ consumed: inout Int) -> Action? {
        guard consumed < input.count else { return .needInput }
        let rest = UnsafeRawBufferPointer(rebasing: input[consumed...])
        switch receiver?.receive(rest) {
        case .needsMore:
            consumed = input.count
            return .needInput
        case .complete(let count):
            consumed += count
            return finishData()
        case nil:
            state = .command
            return nil
        }
    }

    private mutating func finishData() -> Action? {
        guard let receiver else { return nil }
        self.receiver = nil
        return finish(receiver.buffer)
    }

    /// Hands the message out, or refuses it.
    private mutating func finish(_ buffer: MessageBuffer) -> Action? {
        state = .messageAsked
        let size = buffer.taken + buffer.message.count
        usualSize = size + size / 4
        let outcome: Outcome? = buffer.hasBareNewline ? .bareNewline : buffer.isTooLarge ? .messageTooLarge : nil
        if let outcome {
            let count = configuration.service == .lmtp ? recipients.count : 1
            answerMessage(Array(repeating: outcome.smtpReply, count: count))
            return nil
        }
        return .message(
            SMTPTransaction(
                helo: helo, reversePath: reversePath ?? "", recipients: recipients, taken: buffer.taken,
                bytes: buffer.message))
    }

    // MARK: - BDAT

    /// RFC 3030 section 2. Its octets follow at once, whatever is thought of it: they are read before the reply.
    mutating func beginChunk(_ size: Int, isLast: Bool) {
        let refusal: SMTPReply? =
            if needsTLS {
                Outcome.tlsRequired.smtpReply
            } else if reversePath == nil {
                SMTPReply(503, "5.5.1", "Need MAIL command")
            } else if recipients.isEmpty {
                SMTPReply(503, "5.5.1", "No valid recipients")
            } else {
                nil
            }
        if refusal == nil, chunks == nil {
            chunks = ChunkReceiver(
                limit: configuration.messageSize, sizeHint: parameters.size ?? (isLast ? size : usualSize),
                isBinary: parameters.isBinary, bareNewline: configuration.bareNewline)
        }
        state = .chunk(remaining: size, isLast: isLast, refusal: refusal)
    }

    mutating func advanceChunk(_ input: UnsafeRawBufferPointer, _ consumed: inout Int) -> Action? {
        guard case .chunk(let remaining, let isLast, let refusal) = state else { return nil }
        let count = min(remaining, input.count - consumed)
        if count > 0 {
            if refusal == nil {
                chunks?.receive(UnsafeRawBufferPointer(rebasing: input[consumed..<(consumed + count)]))
            }
            consumed += count
        }
        guard count == remaining else {
            state = .chunk(remaining: remaining - count, isLast: isLast, refusal: refusal)
            return .needInput
        }
        state = .command
        guard refusal == nil, var chunks else {
            refuse(refusal ?? Outcome.storeFailed.smtpReply)
            return nil
        }
        if isLast {
            chunks.finish()
            self.chunks = nil
            return finish(chunks.buffer)
        }
        finishChunk(chunks.buffer)
        return nil
    }

    /// Between two chunks. A message that cannot be taken any more ends here (section 2: further BDATs get 503).
    private mutating func finishChunk(_ buffer: MessageBuffer) {
        if buffer.hasBareNewline { return end(with: .bareNewline) }
        guard buffer.isTooLarge else { return reply(SMTPReply(250, "2.0.0", "Chunk received")) }
        resetTransaction()
        refuse(Outcome.messageTooLarge.smtpReply)
    }
}
