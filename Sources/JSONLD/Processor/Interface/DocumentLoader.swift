// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where documents and contexts come from. This library fetches nothing: it asks a loader, and
// the loaders it has know only what they were given.

/// Answers with the document at an address. Called from the thread of the operation.
public protocol DocumentLoader: Sendable {
    /// The document at `iri`, or an error with the code `loading document failed`.
    func load(_ iri: String) throws(JSONLDError) -> RemoteDocument
}

/// A document and what the transport said of it (JSON-LD API, section 9.4.3).
public struct RemoteDocument: Sendable {
    /// The address it was finally found at, after redirects.
    public var documentIRI: String
    /// Value of the Content-Type field with its parameters; nil stands for JSON-LD.
    public var contentType: String?
    /// Values of all Link fields (RFC 8288).
    public var links: [String]
    public var body: [UInt8]

    public init(documentIRI: String, contentType: String? = nil, links: [String] = [], body: [UInt8]) {
        self.documentIRI = documentIRI
        self.contentType = contentType
        self.links = links
        self.body = body
    }
}

/// Knows no document at all. The default: nothing that a document names is ever fetched.
public struct NoDocuments: DocumentLoader {
    public init() {}

    public func load(_ iri: String) throws(JSONLDError) -> RemoteDocument {
        throw JSONLDError(.loadingDocumentFailed, "no document is known for \(iri)")
    }
}

/// Knows the documents it was given, by address.
public struct DocumentCollection: DocumentLoader {
    public var documents: [String: RemoteDocument]

    public init(_ documents: [String: RemoteDocument] = [:]) {
        self.documents = documents
    }

    public func load(_ iri: String) throws(JSONLDError) -> RemoteDocument {
        guard let document = documents[iri] else {
            throw JSONLDError(.loadingDocumentFailed, "no document is known for \(iri)")
        }
        return document
    }
}

/// What an operation works on.
public enum JSONLDInput: Sendable {
    /// A JSON text.
    case json([UInt8])
    /// A JSON text that has been read.
    case document(JSONDocument)
    /// A document with its address and media type; HTML is looked through for scripts.
    case remote(RemoteDocument)
    /// An address, for the loader.
    case iri(String)
}

/// Finds the scripts of an HTML document. The library itself knows no HTML; `HTMLScripts` does.
public protocol HTMLScriptReader: Sendable {
    func read(_ html: [UInt8]) -> HTMLDocumentScripts
}

/// What JSON-LD needs of an HTML document (JSON-LD 1.1, section 7).
public struct HTMLDocumentScripts: Sendable {
    public struct Script: Sendable {
        /// Value of the `type` attribute with its parameters.
        public var type: String
        /// Value of the `id` attribute.
        public var id: String?
        /// The text between the tags, as it stands.
        public var text: [UInt8]

        public init(type: String, id: String?, text: [UInt8]) {
            self.type = type
            self.id = id
            self.text = text
        }
    }

    /// The `href` of the first `base` element that has one.
    public var base: String?
    /// All script elements in document order.
    public var scripts: [Script]

    public init(base: String?, scripts: [Script]) {
        self.base = base
        self.scripts = scripts
    }
}
