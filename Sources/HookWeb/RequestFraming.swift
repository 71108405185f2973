// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where a request and its connection end, in so far as the header says so and the decoder does not
// judge it: codings nobody here undoes, bodies that may never come, who stays. Pure.

import HTTPTypes
import NIOCore
import NIOHTTP1

enum RequestFraming {
    /// Octets a client may go on sending after it was answered, so that it comes to read the answer: a connection that
    /// is closed with unread input is reset, and the answer lost.
    static let drainLimit = 4 << 20

    /// The answer to a request that nobody can follow, or whose body cannot be taken apart; nil for others. The connection
    /// ends with it.
    ///
    /// RFC 9112 section 3.2: there is one `Host`, perhaps none in HTTP/1.0. RFC 9110 section 9.3.6: `CONNECT` asks for a
    /// tunnel, and this is no proxy.
    static func refusal(_ head: HTTPRequestHead) -> WebAnswer? {
        let hosts = head.headers["Host"].count
        guard head.version.major == 1, head.method != .CONNECT, hosts == 1 || (hosts == 0 && head.version.minor == 0) else {
            return malformed
        }
        return head.headers.contains(name: "Transfer-Encoding") ? refusal(ofCodings: words("Transfer-Encoding", head), head) : nil
    }

    /// RFC 9112 section 6.1: a coding besides `chunked` is answered 501; `chunked` is the last one and stands there once;
    /// in HTTP/1.0 the framing is faulty. Section 7.1: it has no parameters. Another reader of what is in doubt, a proxy
    /// say, might see another request.
    private static func refusal(ofCodings codings: [String], _ head: HTTPRequestHead) -> WebAnswer? {
        guard head.version.minor > 0, codings.last == "chunked", codings.count(where: { $0 == "chunked" }) == 1 else {
            return malformed
        }
        return codings.count == 1 ? nil : unknownCoding
    }

    /// What becomes of the connection behind the answer (RFC 9112 sections 9.3 and 9.6).
    static func connection(_ head: HTTPRequestHead) -> AnswerWriter.Connection {
        let options = words("Connection", head)
        // Nobody here speaks another protocol, and the decoder reads nothing behind a request for one.
        if options.contains("close") || options.contains("upgrade") { return .ends }
        if head.version.minor > 0 { return .stays }
        return options.contains("keep-alive") ? .staysForOld : .ends
    }

    /// The members of a list in lower case; empty ones count for nothing (RFC 9110 section 5.6.1).
    private static func words(_ name: String, _ head: HTTPRequestHead) -> [String] {
        head.headers[canonicalForm: name].filter { !$0.isEmpty }.map { $0.lowercased() }
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
    /// nil where none is said, as before chunks; one that no `Int` can be is the largest.
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
            length: length.map { Int($0) ?? .max }, isChunked: encoding != nil,
            isOnDemand: expect?.lowercased() == "100-continue")
    }

    init(_ request: WebRequest) {
        self.init(
            length: request[.contentLength], encoding: request[.transferEncoding], expect: request[.expect])
    }
}
