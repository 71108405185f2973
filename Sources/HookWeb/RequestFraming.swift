// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where a request ends, in so far as its header says so and the decoder does not judge it: codings
// nobody here undoes, and bodies that may never come. Pure.

import HTTPTypes
import NIOCore
import NIOHTTP1

enum RequestFraming {
    /// Octets a client may go on sending after it was answered, so that it comes to read the answer: a connection that
    /// is closed with unread input is reset, and the answer lost.
    static let drainLimit = 4 << 20

    /// The answer to a request whose body cannot be taken apart; nil for others. The connection ends with it.
    ///
    /// RFC 9112 section 6.1: a coding besides `chunked` is answered 501; `chunked` is the last one and stands there once;
    /// in HTTP/1.0 the framing is faulty. Section 7.1: it has no parameters. Another reader of what is in doubt, a proxy
    /// say, might see another request.
    static func refusal(_ head: HTTPRequestHead) -> WebAnswer? {
        var codings: [String]?
        for field in head.headers where field.name.utf8.count == 17 && field.name.lowercased() == "transfer-encoding" {
            let words = field.value.lowercased().split(separator: ",").map(withoutBlanks)
            codings = (codings ?? []) + words.filter { !$0.isEmpty }
        }
        guard let codings else { return nil }
        guard head.version.minor > 0, codings.last == "chunked", codings.count(where: { $0 == "chunked" }) == 1 else {
            return malformed
        }
        return codings.count == 1 ? nil : unknownCoding
    }

    /// RFC 9110 section 5.6.1: blanks may stand around a word of a list, not inside of it.
    private static func withoutBlanks(_ word: Substring) -> String {
        func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
        guard let last = word.lastIndex(where: { !isBlank($0) }) else { return "" }
        return String(word[...last].drop(while: isBlank))
    }

    static let malformed = WebAnswer.error(
        status: 400, code: "request_malformed", "This is not a valid HTTP/1.1 request")
    static let headerTooLarge = WebAnswer.error(
        status: 431, code: "header_too_large", "The header of the request is too large")
    private static let unknownCoding = WebAnswer.error(
        status: 501, code: "transfer_coding_unknown", "The only transfer coding that is understood is chunked")
}

/// What a header says of the body behind it. The decoder has seen that the length is a number.
struct AnnouncedBody {
    /// nil where none is said, as before chunks.
    var length: Int?
    var isChunked = false
    /// The client waits for a word before it sends it (RFC 9110 section 10.1.1).
    var isOnDemand = false

    /// Whether what comes behind an answer to the header alone cannot be told from the next request: the client waits for
    /// a word and may leave the body out.
    var mayBeMissing: Bool { isOnDemand && (isChunked || (length ?? 0) > 0) }

    /// Whether it is longer than what is read of one that nobody wants.
    var exceedsDrainLimit: Bool { (length ?? 0) > RequestFraming.drainLimit }
}

extension AnnouncedBody {
    init(length: String?, encoding: String?, expect: String?) {
        self.init(
            length: length.flatMap { Int($0) }, isChunked: encoding != nil,
            isOnDemand: expect?.lowercased() == "100-continue")
    }

    init(_ request: WebRequest) {
        self.init(
            length: request[.contentLength], encoding: request[.transferEncoding], expect: request[.expect])
    }
}

/// `RequestFraming.refusal` for the management side, whose next handlers do not see the version of a request. Nothing behind a request
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
