// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What was looked at as a possible document, and what it turned out to be. Values only; the
// search is the work of DocumentFinder, the choice that of HookDecision.

public import HookModel
public import JSONLD

/// A place of a message that may hold a document.
public struct Candidate: Sendable {
    public enum Kind: String, Sendable, Hashable {
        case json
        case jsonLD = "json-ld"

        /// RFC 8259 section 11, JSON-LD 1.1 section C.
        public var mediaType: String {
            switch self {
            case .json: "application/json"
            case .jsonLD: "application/ld+json"
            }
        }
    }

    public enum Origin: String, Sendable, Hashable {
        /// A part, attached file or not.
        case part
        /// A script element of an HTML part.
        case script
        /// The text body.
        case body
    }

    /// Where a marked part stands to what people read (draft-ietf-sml-structured-email, sections 4.2 and 4.3).
    public enum Placement: String, Sendable, Hashable {
        /// Another form of the whole readable content.
        case full
        /// Belongs to the readable content and covers some of it.
        case partial
        case unrelated
    }

    /// What stood there.
    public enum Content: Sendable {
        case document(JSONDocument)
        case failure(DocumentFailure)
    }

    /// IMAP section number of the part (RFC 3501 section 6.4.5).
    public var path: String
    /// Position among the candidate scripts of the part, from 0; 0 for other origins.
    public var index: Int
    public var kind: Kind
    public var origin: Origin
    /// The one source of `HookPolicy.sources` it belongs to.
    public var source: DocumentSources
    public var fileName: String?
    /// Inside a message that is attached to this one.
    public var isAttached: Bool
    /// The value of `data-kustomer-key`, else `data-hook-key`, of a script element.
    public var key: String?
    /// The type was written in a way that the standards do not know, but senders use.
    public var isMislabelled: Bool
    /// For JSON-LD parts with `Content-Purpose: Machine-readable`; nil for all others.
    public var placement: Placement?
    /// The names of the repairs without which it would not be JSON, in the order they were made.
    public var repairs: [JSONRepair]
    public var content: Content

    public var document: JSONDocument? {
        if case .document(let document) = content { document } else { nil }
    }

    public var failure: DocumentFailure? {
        if case .failure(let failure) = content { failure } else { nil }
    }
}

/// Why a candidate is no document.
public struct DocumentFailure: Sendable, Hashable {
    /// The codes of the extraction contract.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case invalidJSON = "invalid-json"
        case invalidEncoding = "invalid-encoding"
        case decompress
        case limit
    }

    public var code: Code
    /// For people, with line and column where there are any.
    public var reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }
}

/// What extraction bears. Each limit turns what passes it into a failure of code `limit`.
public struct ExtractionLimits: Sendable, Hashable {
    /// Octets of one document.
    public var documentSize: Int
    /// Arrays and objects inside each other. Deep enough for any data that was made on purpose.
    public var depth: Int
    /// Documents of a message, failures included: a mail of a thousand scripts is no order.
    public var documents: Int
    /// Octets a compressed part may have when it is unpacked.
    public var decompressedSize: Int
    /// How many times larger than its compressed form a part may become. Sizes below 1 MiB do not count: short texts
    /// that repeat themselves compress well.
    public var decompressionRatio: Int
    /// Octets of an HTML part that are looked at.
    public var htmlSize: Int

    public init(
        documentSize: Int = 1 << 20, depth: Int = 512, documents: Int = 100, decompressedSize: Int = 32 << 20,
        decompressionRatio: Int = 200, htmlSize: Int = 8 << 20
    ) {
        self.documentSize = documentSize
        self.depth = depth
        self.documents = documents
        self.decompressedSize = decompressedSize
        self.decompressionRatio = decompressionRatio
        self.htmlSize = htmlSize
    }
}
