// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One SMTP reply as a value: code, enhanced status code, text.

/// An SMTP reply (RFC 5321 section 4.2) with its enhanced status code (RFC 3463, RFC 2034).
public struct SMTPReply: Sendable, Hashable, CustomStringConvertible {
    /// Three digits, 200 to 559.
    public var code: Int
    /// `class.subject.detail`, for example `5.1.1`; nil where RFC 2034 section 4 allows none (greeting, EHLO, 354).
    public var enhancedStatus: String?
    /// One line for people, without CR or LF.
    public var text: String

    public init(_ code: Int, _ enhancedStatus: String?, _ text: String) {
        self.code = code
        self.enhancedStatus = enhancedStatus
        self.text = text
    }

    public var isPositive: Bool { code < 400 }
    public var isTemporary: Bool { code >= 400 && code < 500 }

    /// The reply as one line without its CRLF.
    public var description: String {
        var octets: [UInt8] = []
        append(to: &octets)
        return String(decoding: octets, as: UTF8.self)
    }

    /// Appends the reply as one line without its CRLF.
    public func append(to octets: inout [UInt8]) {
        let space = UInt8(ascii: " ")
        octets.append(contentsOf: String(code).utf8)
        octets.append(space)
        if let enhancedStatus {
            octets.append(contentsOf: enhancedStatus.utf8)
            octets.append(space)
        }
        octets.append(contentsOf: text.utf8)
    }
}
