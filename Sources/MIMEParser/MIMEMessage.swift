// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A mail as a flat table of parts (RFC 2045, RFC 2046): ranges into its bytes, nothing copied
// until a body is decoded. Whatever the bytes are, there is a result; what is wrong with them
// is a list of problems.

/// A parsed message.
public struct MIMEMessage: Sendable {
    /// The message's bytes, then those of embedded messages that had to be decoded.
    public let sources: [[UInt8]]
    /// Depth first; the message itself is the first. Empty only where the limit of parts is zero.
    public let parts: [MIMEPart]
    /// In the order they were found, as many as the limits keep.
    public let problems: [MIMEProblem]

    /// Finds the parts of a message. Takes time linear in its size, and no bytes are copied but those of embedded
    /// messages that are base64 or quoted-printable (each level shorter than the one around it).
    public init(_ bytes: [UInt8], limits: MIMELimits = MIMELimits()) {
        var builder = PartTableBuilder(bytes, limits: limits)
        builder.build()
        sources = builder.sources
        parts = builder.parts
        problems = builder.problems
    }

    /// The message's own bytes.
    public var bytes: [UInt8] { sources[0] }

    /// The body of a part as it was sent.
    public func encodedBody(of part: MIMEPart) -> ArraySlice<UInt8> { part.bytes[part.body] }

    /// The body of a part with its transfer encoding removed.
    public func body(of part: MIMEPart) -> [UInt8] {
        part.bytes.withUnsafeBufferPointer { TransferDecoder.decode(Bytes(rebasing: $0[part.body]), part.encoding) }
    }

    /// The body of a part in UTF-8, by its `charset`, whatever its type. Without one, and with one that is unknown, octets
    /// that are UTF-8 are taken as that, and others as windows-1252.
    public func text(of part: MIMEPart) -> [UInt8] { Charset.utf8(body(of: part), charset(of: part)) }

    /// What `text(of:)` begins with, of the first `limit` octets of the encoded body; nil where there are no more than that,
    /// or where they do not tell: a file of uuencode may begin behind other text, which is not part of it then. The last 8 octets can be others than those of the whole, for the cut may go through a character or its encoding.
    public func textStart(of part: MIMEPart, limit: Int) -> [UInt8]? {
        guard part.body.count > limit, part.encoding != .uuencode else { return nil }
        var octets = part.bytes.withUnsafeBufferPointer {
            TransferDecoder.decode(Bytes(rebasing: $0[part.body.prefix(limit)]), part.encoding)
        }
        // The cut may leave two octets of an escape, and half a character would have all of a text that says nothing of its
        // charset taken as windows-1252.
        octets.removeLast(min(3, octets.count))
        while let last = octets.last, last >= 0x80 { octets.removeLast() }
        return Charset.utf8(octets, charset(of: part))
    }

    private func charset(of part: MIMEPart) -> CharsetEncoding {
        part.isTextType ? part.charset : Charset.encoding(label: part.mediaType.value["charset"]) ?? .unlabelled
    }

    /// The fields of a part's header.
    public func header(of part: MIMEPart) -> HeaderFields { HeaderFields(part.bytes, part.header) }

    /// The fields of the message's own header.
    public var header: HeaderFields { HeaderFields(sources[0], parts.first?.header ?? 0..<0) }

    /// The groups of fields that the body of a report consists of, an empty line between each two: `message/delivery-status`
    /// (RFC 3464 section 2.1), `message/disposition-notification` (RFC 8098 section 3.1), `message/feedback-report`
    /// (RFC 5965 section 3).
    public func fieldGroups(of part: MIMEPart) -> [HeaderFields] {
        let body = body(of: part)
        return body.withUnsafeBufferPointer { bytes in
            var groups: [HeaderFields] = []
            var start = 0
            var index = 0
            while index <= bytes.count {
                let next = index < bytes.count ? bytes.nextLine(index, bytes.count) : bytes.count + 1
                if index == bytes.count || bytes.trimmed(index..<next).isEmpty {
                    if index > start { groups.append(HeaderFields(body, start..<index)) }
                    start = next
                }
                index = next
            }
            return groups
        }
    }

    /// Message-ID without its angle brackets (RFC 5322 section 3.6.4).
    public var messageID: String? {
        let header = header
        return header.firstRange("message-id").flatMap { MessageIdentifiers.all(in: header.unfolded($0)).first }
    }
}
