// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Names for the ways in which a request can fail without an answer.

internal import Glibc
internal import NIOCore

enum WebhookFailure {
    /// One of a closed set of reasons.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as EndpointFailure: error.reason
        case let error as IOError: reason(errno: error.errnoCode)
        case ChannelError.connectTimeout: "connect_timeout"
        case is ChannelError: "connection_closed"
        // Errors of TLS come as several types of NIOSSL, most of which only have their module in common.
        default: String(reflecting: type(of: error)).hasPrefix("NIOSSL.") ? "tls_failed" : "connection_failed"
        }
    }

    static func reason(errno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection_refused"
        case ECONNRESET, EPIPE: "connection_reset"
        case ETIMEDOUT: "connect_timeout"
        case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL: "unreachable"
        case EMFILE, ENFILE: "too_many_open_files"
        default: "io_error_\(code)"
        }
    }
}
