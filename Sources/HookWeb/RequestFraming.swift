// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where a request ends, in so far as its header says so and the decoder does not judge it: codings
// nobody here undoes, and bodies that may never come. Pure.

import NIOCore
import NIOHTTP1

enum RequestFraming {
    /// What a client may go on sending after it was answered, so that it comes to read the answer: a connection that
    /// is closed with unread input is reset, and the answer lost.
    static let skippedOctets = 4 << 20

    /// The answer to a request whose body cannot be taken apart; nil for others. The connection ends with it.
    ///
    /// RFC 9112 section 6.1: a coding besides `chunked` is answered 501; `chunked` is the last one and stands there once;
    /// in HTTP/1.0 the framing is faulty. Section 7.1: it has no parameters. Another reader of what is in doubt, a proxy
    /// say, might see another request.
    static func refusal(_ head: HTTPRequestHead) -> WebAnswer? {
        var codings: [String]?
        for field in head.headers where field.name.utf8.count == 17 && field.name.lowercased() == "transfer-encoding" {
            let words = field.value.lowercased().split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }
            codings = (codings ?? []) + words.filter { !$0.isEmpty }
        }
        guard let codings else { return nil }
        guard head.version.minor > 0, codings.last == "chunked", codings.count(where: { $0 == "chunked" }) == 1 else {
            return malformed
        }
        return codings.count == 1 ? nil : unknownCoding
    }

    /// Whether what comes behind an answer to the header alone cannot be told from the next request: the client waits for
    /// a word and may leave the body out (RFC 9110 section 10.1.1).
    static func mayLackBody(expect: String?, length: String?, encoding: String?) -> Bool {
        guard expect?.lowercased() == "100-continue" else { return false }
        return encoding != nil || (length.flatMap { Int($0) } ?? 0) > 0
    }

    /// Whether a body is longer than what is read of one that nobody wants.
    static func isUnbearable(length: String?) -> Bool { length.flatMap { Int($0) }.map { $0 > skippedOctets } ?? false }

    static let malformed = WebAnswer.error(
        status: 400, code: "request_malformed", "This is not a valid HTTP/1.1 request")
    private static let unknownCoding = WebAnswer.error(
        status: 501, code: "transfer_coding_unknown", "The only transfer coding that is understood is chunked")
}

/// The same for the management side, whose next handlers do not see the version of a request. Nothing behind a request
/// that is refused is looked at.
final class FramingGuard: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    /// Why a request goes no further.
    struct Refused: Error {
        let answer: WebAnswer
    }

    private var hasRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasRefused else { return }
        if case .head(let head) = unwrapInboundIn(data), let answer = RequestFraming.refusal(head) {
            hasRefused = true
            return context.fireErrorCaught(Refused(answer: answer))
        }
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension FramingGuard: Sendable {}
