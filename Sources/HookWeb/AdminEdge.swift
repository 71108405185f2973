// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Between Hummingbird's server and the management interface: requests become values, answers
// become responses, bodies are read within their limit.

import HookModel
import HTTPTypes
import HummingbirdCore
import NIOCore

struct AdminEdge: Sendable {
    let endpoint: AdminEndpoint
    let limits: WebLimits
    let now: @Sendable () -> Timestamp

    func respond(
        to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        let incoming = WebRequest(
            head: request.head, peer: channel.remoteAddress?.ipAddress ?? "unix", id: WebRequest.makeID(), receivedAt: now())
        let answer: WebAnswer
        switch endpoint.step(incoming) {
        case .answer(let ready): answer = ready
        case .work(let work): answer = await work()
        case .body(let limit, let prefix, let then):
            let announced = AnnouncedBody(incoming)
            if let length = announced.length, length > limit {
                answer = await then(nil)
            } else {
                // RFC 9110 section 10.1.1: the client waits for a word before it sends the body.
                if announced.isOnDemand {
                    try await writer.writeInformationalHead(HTTPResponse(status: .continue))
                }
                answer = await then(try await collect(request.body, announced.length, limit: limit, prefix: prefix))
            }
        }
        try await writer.write(response: head(of: answer, to: incoming), body: body(of: answer, to: incoming))
    }

    private func head(of answer: WebAnswer, to request: WebRequest) -> HTTPResponse {
        var fields = answer.fields
        fields[.requestID] = request.id
        fields[.date] = HTTPDate.text(request.receivedAt)
        // RFC 9110 section 8.6: none with 204.
        if answer.status != 204 { fields[.contentLength] = String(answer.body.count) }
        return HTTPResponse(status: .init(code: answer.status), headerFields: fields)
    }

    private func body(of answer: WebAnswer, to request: WebRequest) -> ResponseBody {
        // RFC 9110 section 9.3.2.
        if answer.body.isEmpty || request.method == .head { return ResponseBody() }
        return ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body))
    }

    /// Prefix and body; nil for a body of more than `limit` octets, whose rest is not kept.
    private func collect(
        _ body: RequestBody, _ announced: Int?, limit: Int, prefix: [UInt8]
    ) async throws -> [UInt8]? {
        var bytes = prefix
        bytes.reserveCapacity(prefix.count + min(announced ?? 0, limit))
        for try await buffer in body {
            guard bytes.count - prefix.count + buffer.readableBytes <= limit else { return nil }
            buffer.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
        }
        // The connection may have ended before the body did.
        if let announced, bytes.count - prefix.count != announced { throw RequestTruncated() }
        return bytes
    }
}
