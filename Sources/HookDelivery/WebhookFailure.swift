// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Names for the ways in which a request can fail without an answer.

internal import AsyncHTTPClient
internal import Glibc
internal import NIOCore
internal import NIOHTTP1

enum WebhookFailure {
    /// One of a closed set of reasons.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: reason(error)
        case let error as IOError: reason(errno: error.errnoCode)
        case is HTTPParserError: "bad_response"
        case is ChannelError: "connection_failed"
        default: reasonOfUnnamed(error)
        }
    }

    private static func reason(_ error: HTTPClientError) -> String {
        switch error {
        case .deadlineExceeded, .readTimeout, .writeTimeout, .getConnectionFromPoolTimeout: "timeout"
        case .connectTimeout: "connect_timeout"
        case .tlsHandshakeTimeout: "tls_failed"
        case .remoteConnectionClosed, .uncleanShutdown: "connection_closed"
        case .cancelled: "interrupted"
        default: "client_error"
        }
    }

    static func reason(errno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection_refused"
        case ECONNRESET, EPIPE: "connection_reset"
        case ETIMEDOUT: "connect_timeout"
        case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN: "unreachable"
        case EMFILE, ENFILE: "too_many_open_files"
        default: "io_error_\(code)"
        }
    }

    /// Errors of modules that this one does not import: known by their type's name and what they hold.
    private static func reasonOfUnnamed(_ error: any Error) -> String {
        let typeName = String(reflecting: type(of: error))
        if typeName.hasPrefix("NIOSSL.") { return "tls_failed" }
        // NIOPosix.NIOConnectionError: every address that was tried, each with its own error.
        for child in Mirror(reflecting: error).children {
            if child.label?.hasPrefix("dns") == true, !"\(child.value)".hasPrefix("nil") { return "dns_failed" }
            for failure in Mirror(reflecting: child.value).children {
                for case let cause as IOError in Mirror(reflecting: failure.value).children.map(\.value) {
                    return reason(errno: cause.errnoCode)
                }
            }
        }
        return "connection_failed"
    }
}
