// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A mail as a flat table of parts (RFC 2045, RFC 2046): ranges into its bytes, nothing copied
// until a body is decoded. Whatever the bytes are, there is a result; what is wrong with them
// is a list of problems.

/// What a parser bears. Where a limit is reached, parsing stops there and a problem says so.
public struct MIMELimits: Sendable, Hashable {
    /// Parts of a message, containers included: stops tables of millions of empty parts.
    public var parts: Int
    /// Containers inside each other: each level costs one more scan of what is in it.
    public var depth: Int
    /// Octets of one header section; what follows is not looked at for fields.
    public var headerSize: Int
    /// Problems that are kept; a broken mail can have one in every line.
    public var problems: Int

    public init(parts: Int = 1000, depth: Int = 50, headerSize: Int = 256 << 10, problems: Int = 100) {
        self.parts = parts
        self.depth = depth
        self.headerSize = headerSize
        self.problems = problems
    }
}

/// Something about a message that is not as the standards say.
public struct MIMEProblem: Sendable, Hashable {
    public enum Code: String, Sendable, Hashable {
        case missingBoundaryParameter = "boundary_missing"
        case missingEndBoundary = "end_boundary_missing"
        case headerNotTerminated = "header_not_terminated"
        case headerTooLarge = "header_too_large"
        case tooManyParts = "too_many_parts"
        case nestedTooDeeply = "nested_too_deeply"
        case unknownEncoding = "transfer_encoding_unknown"
        case ambiguousHeader = "header_ambiguous"
    }

    public var code: Code
    /// Offset in the source of the part it is about.
    public var offset: Int
    /// Whether something of the message could not be looked at.
    public var isContentLost: Bool
}

/// Content-Transfer-Encoding (RFC 2045 section 6).
public enum TransferEncoding: String, Sendable, Hashable {
    case sevenBit = "7bit"
    case eightBit = "8bit"
    case binary
    case base64
    case quotedPrintable = "quoted-printable"
    /// Not one of the above: the body is taken as it is (section 6.4).
    case unknown
}

/// One entity of a message.
public struct MIMEPart: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case leaf
        case multipart
        /// `message/rfc822` and `message/global`: the message in it is the next part of the table.
        case message
    }

    /// Index of the part this one is in; nil for the message itself.
    public var parent: Int?
    public var depth: Int
    /// IMAP section number (RFC 3501 section 6.4.5); empty for a multipart that is the body of a whole message.
    public var path: String
    public var kind: Kind
    /// Which of the message's sources the ranges count in.
    public var source: Int
    public var header: Range<Int>
    public var body: Range<Int>
    /// Lower case; `text/plain` where there is none (RFC 2045 section 5.2).
    public var mediaType: MediaType
    /// Whether the part itself says of what type it is.
    public var isTypeNamed: Bool
    public var encoding: TransferEncoding
    public var disposition: ParameterizedValue?
    /// Inside a message that is attached to this one.
    public var isAttached: Bool

    /// RFC 2183 `filename`, else RFC 2045 `name`, each in the forms of RFC 2231 as well.
    public var fileName: String? {
        disposition?["filename"] ?? mediaType.value["name"]
    }
}

/// A media type with its parameters (RFC 2045 section 5).
public struct MediaType: Sendable, Hashable {
    /// `type/subtype` in lower case, with its parameters.
    public var value: ParameterizedValue

    public var name: String { value.value }
    public var type: Substring { name.prefix { $0 != "/" } }
    public var subtype: Substring { name.drop { $0 != "/" }.dropFirst() }

    /// Nothing that looks like `type/subtype`: nil.
    init?(_ value: ParameterizedValue) {
        let halves = value.value.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, !halves[0].isEmpty, !halves[1].isEmpty else { return nil }
        self.value = value
    }

    private init(plain name: String) { value = ParameterizedValue(value: name, parameters: []) }

    static let textPlain = MediaType(plain: "text/plain")
    static let messageRFC822 = MediaType(plain: "message/rfc822")
}

/// A parsed message.
public struct MIMEMessage: Sendable {
    /// The message's bytes, then those of embedded messages that had to be decoded.
    public internal(set) var sources: [[UInt8]]
    /// Depth first; the message itself is the first.
    public internal(set) var parts: [MIMEPart] = []
    public internal(set) var problems: [MIMEProblem] = []

    public init(_ bytes: [UInt8], limits: MIMELimits = MIMELimits()) {
        sources = [bytes]
        var builder = PartTableBuilder(limits: limits)
        builder.build(&self)
    }

    /// The body of a part as it was sent.
    public func encodedBody(of part: MIMEPart) -> ArraySlice<UInt8> { sources[part.source][part.body] }

    /// The body of a part with its transfer encoding removed.
    public func body(of part: MIMEPart) -> [UInt8] {
        TransferDecoder.decode(encodedBody(of: part), part.encoding)
    }

    /// The body of a text part in UTF-8, by its `charset` (default us-ascii, read as windows-1252 where it has octets
    /// that are neither ASCII nor UTF-8).
    public func text(of part: MIMEPart) -> [UInt8] {
        Charset.utf8(body(of: part), label: part.mediaType.value["charset"])
    }

    /// The fields of a part's header, or of the message's own.
    public func header(of part: MIMEPart) -> HeaderFields { HeaderFields(sources[part.source], part.header) }
    public var header: HeaderFields { HeaderFields(sources[0], parts.first?.header ?? 0..<0) }
}
