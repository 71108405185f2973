// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The answers of a connection to the public side, early ones and refusals among them, and how it ends.

import HookModel
import NIOCore

extension HookConnection {
    func answered(_ number: Int, _ answer: WebAnswer) {
        guard number == self.number, phase == .waiting else { return }
        write(answer)
        forgetRequest()
        finishAnswer()
        proceed()
        // Inside of a read the end of the read flushes.
        if !isHandling { flush() }
    }

    /// Answers by the header alone. RFC 9112 sections 9.3 and 9.6: who will not read the body says that the connection ends.
    func answerUnread(_ request: WebRequest, _ answer: WebAnswer) {
        let body = AnnouncedBody(request)
        if body.mayBeMissing { return refuse(answer) }
        if body.exceedsDrainLimit { connection = .ends }
        answerEarly(answer)
    }

    /// Answers before the request is read; its rest is not kept.
    func answerEarly(_ answer: WebAnswer) {
        write(answer)
        if connection == .ends { return finishOutput() }
        cancelDeadline()
        phase = .skipping
        entity = []
        post = nil
    }

    /// The answer is given and the request is read.
    func finishAnswer() {
        phase = .idle
        if connection == .ends { finishOutput() }
    }

    /// Answers in place of the endpoint, if that has not, and ends the connection.
    func refuse(_ answer: WebAnswer) {
        if phase == .idle || phase == .collecting {
            connection = .ends
            write(answer)
        }
        finishOutput()
        flush()
    }

    func write(_ answer: WebAnswer) {
        guard let context else { return }
        touch()
        hasAnswered = true
        if isEnding { connection = .ends }
        var buffer = context.channel.allocator.buffer(capacity: 512 + answer.body.count)
        writer.write(
            answer, id: requestID, hasBody: !isHead, connection, now: (edge ?? site.current).now(), to: &buffer)
        context.write(wrapOutboundOut(buffer), promise: nil)
        needsFlush = true
    }

    func flush() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    func forgetRequest() {
        entity = []
        post = nil
        edge = nil
        announced = nil
        requestID = nil
        isHead = false
        unwanted = 0
    }

    /// Says no more, and gives the client time to read what was said. Who does not read it is silent, as far as the idle
    /// limit goes.
    func finishOutput() {
        guard phase != .closing, phase != .closed, let context else { return }
        // There is nothing to read; a handshake may not even be over, behind which alone anything is written.
        guard hasAnswered else { return close() }
        phase = .closing
        inputs.removeAll()
        forgetRequest()
        cancelDeadline()
        needsFlush = false
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        // Not before: where the client has ended its side, the end of this one closes the socket and forgets what waits.
        written.futureResult.assumeIsolated().whenComplete { _ in
            guard self.phase == .closing else { return }
            self.schedule(Self.lingerTime) { $0.close() }
            self.context?.close(mode: .output, promise: nil)
        }
    }

    func close() {
        guard phase != .closed else { return }
        phase = .closed
        inputs.removeAll()
        needsFlush = false
        context?.flush()
        context?.close(promise: nil)
    }
}
