// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Why a schema can't be compiled, and where.

/// A schema was refused.
public struct SchemaError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case invalidSchema = "a schema is an object or a boolean"
        case invalidKeyword = "the keyword's value has the wrong form"
        case unknownDialect = "the meta-schema is neither draft 7 nor draft 2020-12, and not among the documents"
        case unknownVocabulary = "the meta-schema requires a vocabulary that is not supported"
        case invalidIdentifier = "not an identifier of a schema"
        case duplicateIdentifier = "two schemas have the same identifier"
        case unknownDocument = "refers to a document that was not given; nothing is fetched"
        case unknownAnchor = "refers to an anchor that the document does not have"
        case unresolvedPointer = "refers to a place that does not exist"
        case endlessReference = "refers to itself without end"
        case invalidPattern = "not a regular expression of ECMA-262"
        case unsupportedPattern = "a regular expression with parts that are not supported"
        case unsupportedNumber = "a divisor with more than 19 significant digits"
        case tooLarge = "the schema is larger than the limit"
    }

    public var code: Code
    /// The document: empty for the schema itself, else the URI it was given under.
    public var document: String
    /// JSON pointer (RFC 6901) to the place in that document.
    public var pointer: String
    /// More about it, such as the reference that leads nowhere; empty where the code says all.
    public var detail: String

    public init(_ code: Code, document: String = "", pointer: String, detail: String = "") {
        self.code = code
        self.document = document
        self.pointer = pointer
        self.detail = detail
    }

    public var description: String {
        "\(document)#\(pointer): \(code.rawValue)\(detail.isEmpty ? "" : " (\(detail))")"
    }
}
