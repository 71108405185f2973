// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What can be wrong with a message. Bad mail is a value with problems, never an error.

/// Something about a message that is not as the standards say.
public struct MIMEProblem: Sendable, Hashable {
    /// What it is. Raw values are stable names for logs and reports.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// A multipart without a `boundary` parameter (RFC 2046 section 5.1.1): the first line that looks like a delimiter
        /// gives it; it is taken as a leaf where there is none, and then content is lost.
        case missingBoundaryParameter = "boundary_missing"
        /// The boundary of a multipart never occurs; it is taken as a leaf.
        case boundaryNotFound = "boundary_not_found"
        /// A multipart that ends without its closing delimiter.
        case missingEndBoundary = "end_boundary_missing"
        /// A header that no empty line ends.
        case headerNotTerminated = "header_not_terminated"
        /// A line in a header that is no field.
        case malformedHeaderLine = "header_line_malformed"
        case headerTooLarge = "header_too_large"
        case tooManyParts = "too_many_parts"
        case nestedTooDeeply = "nested_too_deeply"
        /// Content-Transfer-Encoding is not one of RFC 2045 section 6.1: the body is taken as it is.
        case unknownEncoding = "transfer_encoding_unknown"
        /// A multipart or a message that claims to be encoded (RFC 2045 section 6.4 allows it for leaves only).
        case encodedContainer = "container_encoded"
        /// An encoded message that would pass the limit of octets for such; it is not looked into.
        case messageNotDecoded = "message_not_decoded"
        /// A field that must be there once is there again with another value, or a parameter is.
        case ambiguousHeader = "header_ambiguous"
        /// The `charset` of a text is not known: it is read as UTF-8 where it is that, else as windows-1252.
        case unknownCharset = "charset_unknown"
        /// Content-Type is not of the form `type/subtype`.
        case malformedContentType = "content_type_malformed"
        /// Line ends are CR alone (RFC 5322 section 2.3 forbids it); each was read as LF.
        case bareCarriageReturn = "bare_carriage_return"
        /// A text body holds a uuencoded file.
        case uuencodedText = "uuencoded_text"
        /// A text body holds a yEnc encoded file.
        case yEncodedText = "yencoded_text"
    }

    /// What it is.
    public var code: Code
    /// Which of the message's sources `offset` counts in.
    public var source: Int
    /// Where it is, or the header or body it is about.
    public var offset: Int
    /// Whether something of the message could not be looked at.
    public var isContentLost: Bool
}
