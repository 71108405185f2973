// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The requests of a connection to the public side: what a header decides, and the body behind it.

import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOPosix

extension HookConnection {
    /// Octets of a post that is read on the event loop; larger ones would hold up other connections.
    private static let inlineSize = 64 << 10

    func begin(_ head: HTTPRequestHead) {
        let edge = site.current
        let now = edge.now()
        touch()
        connection = RequestFraming.connection(head)
        if isEnding { connection = .ends }
        isHead = head.method == .HEAD
        let id = WebRequest.makeID()
        requestID = id
        if let answer = RequestFraming.refusal(head) { return refuse(answer) }
        guard let method = head.method == .POST ? .post : HTTPRequest.Method(head.method.rawValue) else {
            return refuse(RequestFraming.malformed)
        }
        var request = WebRequest(
            method: method, target: head.uri, headers: head.headers, peer: address, id: id, receivedAt: now)
        request.peer = WebRequest.peer(
            address, forwarded: head.headers[canonicalForm: HTTPField.Name.forwardedFor.rawName], isTrustedProxy: edge.isTrustedProxy)
        self.edge = edge
        switch edge.endpoint.step(request) {
        case .answer(let answer): answerUnread(request, answer)
        case .body(let post): begin(post, edge, hearsInterim: head.version.minor > 0)
        }
    }

    private func begin(_ post: PendingPost, _ edge: HookEdge, hearsInterim: Bool) {
        let body = AnnouncedBody(post.request)
        announced = body.length
        if let announced, announced > post.limit { return answerUnread(post.request, edge.endpoint.tooLarge(post)) }
        // RFC 9110 section 10.1.1: in HTTP/1.0 there is no such word.
        if hearsInterim, body.isOnDemand, let context {
            var buffer = context.channel.allocator.buffer(capacity: 32)
            buffer.writeStaticString(AnswerWriter.proceed)
            context.write(wrapOutboundOut(buffer), promise: nil)
            needsFlush = true
        }
        entity = post.entityStart
        entity.reserveCapacity(entity.count + min(announced ?? 0, post.limit))
        self.post = post
        phase = .collecting
    }

    func collect(_ buffer: ByteBuffer) {
        guard let post, let edge else { return }
        touch()
        guard entity.count - post.entityStart.count + buffer.readableBytes <= post.limit else {
            return answerEarly(edge.endpoint.tooLarge(post))
        }
        buffer.withUnsafeReadableBytes { entity.append(contentsOf: $0) }
    }

    func receive() {
        guard let post, let edge, let context else { return }
        cancelDeadline()
        // Half a body never passes for a whole one.
        if let announced, entity.count - post.entityStart.count != announced { return close() }
        phase = .waiting
        number += 1
        let (number, eventLoop, octets) = (number, context.eventLoop, entity)
        entity = []
        self.post = nil
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let completion: @Sendable (WebAnswer) -> Void = { answer in
            if eventLoop.inEventLoop {
                bound.value.answered(number, answer)
            } else {
                eventLoop.execute { bound.value.answered(number, answer) }
            }
        }
        if octets.count <= Self.inlineSize {
            edge.endpoint.receive(post, octets, completion)
        } else {
            NIOThreadPool.singleton.submit { _ in edge.endpoint.receive(post, octets, completion) }
        }
    }
}
