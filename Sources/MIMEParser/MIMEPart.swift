// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One entity of a message: where it stands and what its header says of its body.

/// One entity of a message (RFC 2045 section 2.4). Types, dispositions and names are read from the bytes when they are
/// asked for.
public struct MIMEPart: Sendable {
    /// What is in it.
    public enum Kind: Sendable, Hashable {
        case leaf
        case multipart
        /// `message/rfc822` and `message/global`: the message in it is the next part of the table.
        case message
    }

    /// Index of the part this one is in; nil for the message itself.
    public internal(set) var parent: Int?
    /// Containers around it; zero for the message itself.
    public internal(set) var depth: Int
    /// IMAP section number (RFC 3501 section 6.4.5); empty for a multipart that is the body of the whole message. A
    /// multipart that is the body of an embedded message has the number of the part that holds the message.
    public internal(set) var path: String
    /// A container whose limits or boundary do not allow to look into it is a leaf.
    public internal(set) var kind: Kind
    /// Which of the message's sources the ranges count in.
    public internal(set) var source: Int
    /// The header with its line ends, without the empty line behind it.
    public internal(set) var header: Range<Int>
    /// As it was sent; without the line end before a boundary, which belongs to the boundary (RFC 2046 section 5.1.1).
    public internal(set) var body: Range<Int>
    /// `7bit` where there is none (RFC 2045 section 6.1).
    public internal(set) var encoding: TransferEncoding
    /// Whether the part itself says of what type it is, and in a form that can be understood.
    public internal(set) var isTypeNamed: Bool
    /// Inside a message that is attached to this one.
    public internal(set) var isAttached: Bool

    /// The source the ranges count in.
    let bytes: [UInt8]
    var typeField: Range<Int>?
    var dispositionField: Range<Int>?
    /// RFC 2046 section 5.1.5: parts of a digest are messages unless they say otherwise.
    var isInDigest: Bool
    /// `multipart/digest`.
    var isDigest = false
    /// `text/*`.
    var isTextType = false
    /// Of a text.
    var charset = CharsetEncoding.unlabelled

    /// `text/plain` where there is none (RFC 2045 section 5.2), `message/rfc822` in a digest.
    public var mediaType: MediaType {
        let value = typeField.map { parameterized($0) }
        if isTypeNamed, let value { return MediaType(value) }
        return MediaType(named: isInDigest ? "message/rfc822" : "text/plain", parametersOf: value)
    }

    /// The name of `mediaType`: `type/subtype` in lower case. Parameters are not read where the field has the usual form.
    public var typeName: String {
        guard isTypeNamed, let typeField else { return isInDigest ? "message/rfc822" : "text/plain" }
        return bytes.withUnsafeBufferPointer { ContentTypeFacts.plainName($0, typeField) } ?? mediaType.name
    }

    /// The charset that `mediaType` names, as it was sent. Other parameters are not read where the field has the usual form.
    public var charsetLabel: String? {
        guard let typeField else { return nil }
        return bytes.withUnsafeBufferPointer { ContentTypeFacts.charsetLabel($0, typeField) }
    }

    /// A leaf of type `text`, whatever the subtype.
    public var isText: Bool { kind == .leaf && isTextType }

    /// RFC 2183; nil where there is none.
    public var disposition: ParameterizedValue? { dispositionField.map { parameterized($0) } }

    /// The `filename` of Content-Disposition, else the `name` of Content-Type, each in the forms of RFC 2231 as well.
    ///
    /// QUIRK: RFC 2047 section 5 forbids encoded words in parameters; senders write file names so, and they are decoded.
    public var fileName: String? {
        let type = hasNameInType ? mediaType.value : nil
        guard let name = disposition?["filename"] ?? disposition?["name"] ?? type?["name"] ?? type?["filename"] else {
            return nil
        }
        return name.utf8.contains(.questionMark) ? EncodedWords.decoded(Array(name.utf8)) : name
    }

    /// Whether reading the parameters of Content-Type can bring a name; most have none, and none of its letters.
    private var hasNameInType: Bool {
        guard let typeField else { return false }
        let text = bytes[typeField]
        return zip(text, text.dropFirst(3)).contains { $0 | 0x20 == UInt8(ascii: "n") && $1 | 0x20 == UInt8(ascii: "e") }
    }

    private func parameterized(_ range: Range<Int>) -> ParameterizedValue {
        bytes.withUnsafeBufferPointer { ParameterizedValue($0, range) }
    }
}
