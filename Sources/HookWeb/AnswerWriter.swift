// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Answers of the public side as octets of HTTP/1.1: the same few fields each time, so most of
// it is ready before there is a request.

import HookModel
import HTTPTypes
import NIOCore

struct AnswerWriter {
    /// What is said of the connection (RFC 9112 section 9.6).
    enum Connection {
        case stays
        /// The same, said to a client of HTTP/1.0, which would not expect it.
        case staysForOld
        case ends

        /// The value of the field; nil where none is needed.
        var option: String? {
            switch self {
            case .stays: nil
            case .staysForOld: "keep-alive"
            case .ends: "close"
            }
        }
    }

    static let proceed: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"

    /// Fields that let pages of any origin read an answer.
    private static let shared: [UInt8] = CrossOrigin.fields.reduce(into: []) { octets, field in
        octets += Array("\(field.name.rawName): \(field.value)\r\n".utf8)
    }

    private var date = HTTPDate()

    /// - Parameters:
    ///   - id: of the request; nil where there was none that could be read.
    ///   - hasBody: false for the answer to HEAD (RFC 9110 section 9.3.2).
    mutating func write(
        _ answer: WebAnswer, id: String?, hasBody: Bool, _ connection: Connection, now: Timestamp,
        to buffer: inout ByteBuffer
    ) {
        buffer.reserveCapacity(minimumWritableBytes: 512 + answer.body.count)
        if answer.status == 202 {
            buffer.writeStaticString("HTTP/1.1 202 Accepted\r\n")
        } else {
            let status = HTTPResponse.Status(code: answer.status)
            buffer.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        }
        buffer.writeBytes(date.field(now))
        for field in answer.fields {
            buffer.writeString(field.name.rawName)
            buffer.writeStaticString(": ")
            buffer.writeString(field.value)
            buffer.writeStaticString("\r\n")
        }
        if answer.isShared { buffer.writeBytes(Self.shared) }
        if let id {
            buffer.writeStaticString("X-Request-Id: ")
            buffer.writeString(id)
            buffer.writeStaticString("\r\n")
        }
        if let option = connection.option { buffer.writeString("Connection: \(option)\r\n") }
        // RFC 9110 section 8.6: none with 204.
        if answer.status != 204 {
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(answer.body.count))
            buffer.writeStaticString("\r\n")
        }
        buffer.writeStaticString("\r\n")
        if hasBody { buffer.writeBytes(answer.body) }
    }
}

/// RFC 9110 section 6.6.1: when an answer was made. Made anew once a second.
struct HTTPDate {
    private var second = Int64.min
    private var octets: [UInt8] = []

    /// The whole field with its line end.
    mutating func field(_ now: Timestamp) -> [UInt8] {
        if now.seconds != second {
            second = now.seconds
            octets = Array("Date: \(Self.text(now))\r\n".utf8)
        }
        return octets
    }

    /// RFC 9110 section 5.6.7, IMF-fixdate.
    static func text(_ time: Timestamp) -> String {
        // 2026-11-24T09:30:00Z
        let parts = time.rfc3339WholeSeconds.split { "-T:Z".utf8.contains($0.utf8[$0.utf8.startIndex]) }
        guard parts.count == 6, let month = Int(parts[1]), (1...12).contains(month) else { return "" }
        let days = time.seconds / 86_400
        // 1970-01-01 was a Thursday.
        let weekday = Int(((days + 4) % 7 + 7) % 7)
        return "\(weekdays[weekday]), \(parts[2]) \(months[month - 1]) \(parts[0]) \(parts[3]):\(parts[4]):\(parts[5]) GMT"
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
