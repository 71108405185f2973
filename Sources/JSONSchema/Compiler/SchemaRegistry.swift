// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The documents of a compilation, and the schema resources and anchors in them: what a reference
// can lead to. Identifiers are looked for where schemas can stand, not in `enum` or `const`.

import JSONLD

/// A place in a document: the offset where a value begins says which one it is.
struct Place: Hashable {
    var document: Int
    var offset: Int

    init(_ document: Int, _ value: JSONValue) {
        self.document = document
        offset = value.range.lowerBound
    }
}

/// A schema with an identifier of its own (JSON Schema Core 2020-12 section 4.3.5).
struct SchemaResource {
    var base: URIReference
    var document: Int
    var root: JSONValue
    var dialect: Dialect
    var anchors: [String: JSONValue] = [:]
    var dynamicAnchors: [String: JSONValue] = [:]
}

struct SchemaRegistry {
    /// What was given, by URI.
    let given: [String: JSONDocument]
    let options: SchemaOptions
    /// The root `$id` of documents that were given under another URI.
    private let givenIdentifiers: [String: String]

    private(set) var documents: [(uri: String, root: JSONValue)] = []
    private(set) var resources: [SchemaResource] = []
    private(set) var resourcesByURI: [String: Int] = [:]
    /// The resource of every schema that has been looked at.
    private(set) var resourcesByPlace: [Place: Int] = [:]
    /// The schemas of the first document, in no particular order.
    private(set) var ownSchemas: [JSONValue] = []

    init(documents: [String: JSONDocument], options: SchemaOptions) {
        given = documents
        self.options = options
        var identifiers: [String: String] = [:]
        // Sorted, so that of two documents with one identifier it is always the same that counts.
        for uri in documents.keys.sorted() {
            guard let identifier = documents[uri]?.root["$id"]?.string else { continue }
            let resolved = URIReference(identifier).resolved(against: URIReference(uri)).withoutFragment
            if identifiers[resolved] == nil { identifiers[resolved] = uri }
        }
        givenIdentifiers = identifiers
    }

    func error(_ code: SchemaError.Code, _ document: Int, _ value: JSONValue, _ detail: String = "") -> SchemaError {
        let pointer = JSONPointer.pointer(from: documents[document].root, to: value.range.lowerBound)
        return SchemaError(code, document: documents[document].uri, pointer: pointer, detail: detail)
    }

    // MARK: documents

    /// Takes a document in. Returns the resource of its root.
    mutating func add(_ root: JSONValue, uri: String, fallback: Dialect) throws(SchemaError) -> Int {
        let document = documents.count
        documents.append((document == 0 ? "" : uri, root))
        let dialect = try dialect(of: root, document, fallback: fallback)
        let base = URIReference(URIReference(uri).withoutFragment)
        resources.append(SchemaResource(base: base, document: document, root: root, dialect: dialect))
        let resource = resources.count - 1
        try scan(root, document, resource)
        let own = resourcesByPlace[Place(document, root)] ?? resource
        resourcesByURI[base.withoutFragment] = own
        return own
    }

    /// The resource with this URI, whose document is taken in where that has not been done; nil where there is none.
    mutating func resource(_ uri: String, fallback: Dialect) throws(SchemaError) -> Int? {
        if let known = resourcesByURI[uri] { return known }
        if let document = given[uri] ?? given[uri + "#"] { return try add(document.root, uri: uri, fallback: fallback) }
        if let other = givenIdentifiers[uri], let document = given[other] {
            let resource = try add(document.root, uri: other, fallback: fallback)
            return resourcesByURI[uri] ?? resource
        }
        guard let document = Metaschemas.document(uri) else { return nil }
        return try add(document.root, uri: uri, fallback: fallback)
    }

    // MARK: dialects

    /// What `$schema` of a root says (Core 2020-12 section 8.1.1).
    private func dialect(of root: JSONValue, _ document: Int, fallback: Dialect) throws(SchemaError) -> Dialect {
        guard let named = root["$schema"] else { return fallback }
        guard let uri = named.string else { throw error(.invalidKeyword, document, named) }
        if let draft = Self.draft(uri) { return Dialect(draft, assertsFormats: options.assertsFormats) }
        guard let metaschema = given[uri] ?? given[uri + "#"] else { throw error(.unknownDialect, document, named, uri) }
        guard let vocabulary = metaschema.root["$vocabulary"], vocabulary.kind == .object else {
            guard let parent = metaschema.root["$schema"]?.string, let draft = Self.draft(parent) else {
                throw error(.unknownDialect, document, named, uri)
            }
            return Dialect(draft, assertsFormats: options.assertsFormats)
        }
        let entries = vocabulary.memberCursors.map { ($0.name.string ?? "", $0.value.booleanValue ?? true) }
        guard var dialect = Dialect(vocabulary: entries) else { throw error(.unknownVocabulary, document, named, uri) }
        if options.assertsFormats { dialect.assertsFormats = true }
        return dialect
    }

    private static func draft(_ uri: String) -> SchemaDraft? {
        SchemaDraft(rawValue: uri.hasSuffix("#") ? String(uri.dropLast()) : uri)
    }

    // MARK: identifiers

    /// Finds the identifiers in a schema and its subschemas. No recursion: what is still to be seen waits on a list.
    mutating func scan(_ root: JSONValue, _ document: Int, _ resource: Int) throws(SchemaError) {
        var pending = [(root, resource)]
        while let (value, outer) = pending.popLast() {
            let place = Place(document, value)
            guard value.kind == .object, resourcesByPlace[place] == nil else { continue }
            guard resourcesByPlace.count < options.subschemaLimit else { throw error(.tooLarge, document, value) }
            let own = try enter(value, document, outer)
            resourcesByPlace[place] = own
            if document == 0 { ownSchemas.append(value) }
            let draft = resources[own].dialect.draft
            for member in value.memberCursors {
                let name = member.name.string ?? ""
                switch member.value.kind {
                case .object:
                    if Dialect.isSingleSchema(name, draft) { pending.append((member.value, own)) }
                    if Dialect.isSchemaMap(name, draft) {
                        for child in member.value.memberCursors { pending.append((child.value, own)) }
                    }
                case .array:
                    if Dialect.isSchemaList(name, draft) {
                        for child in member.value.elementCursors { pending.append((child, own)) }
                    }
                default: break
                }
            }
        }
    }

    /// Reads the identifiers of one schema. Returns the resource it belongs to.
    private mutating func enter(_ value: JSONValue, _ document: Int, _ outer: Int) throws(SchemaError) -> Int {
        // Draft 7 section 8.3: all other properties in an object with $ref are ignored.
        if resources[outer].dialect.draft == .draft7, value["$ref"] != nil { return outer }
        var own = outer
        if let identifier = value["$id"] {
            guard let text = identifier.string else { throw error(.invalidIdentifier, document, identifier) }
            own = try enter(value, document, outer, identifier: text, at: identifier)
        }
        guard resources[own].dialect.draft == .draft2020 else { return own }
        if let anchor = value["$anchor"] {
            try add(anchor: anchor, of: value, document, own)
        }
        if let anchor = value["$dynamicAnchor"] {
            try add(anchor: anchor, of: value, document, own)
            if let name = anchor.string { resources[own].dynamicAnchors[name] = value }
        }
        return own
    }

    private mutating func add(
        anchor: JSONValue, of value: JSONValue, _ document: Int, _ resource: Int
    ) throws(SchemaError) {
        // Core 2020-12 section 8.2.2: a letter or underscore, then letters, digits, and - _ .
        guard let name = anchor.string, let first = name.utf8.first, first.isASCIILetter || first == UInt8(ascii: "_"),
            name.utf8.allSatisfy({ $0.isASCIILetterOrDigit || $0.isOne(of: "-_.") })
        else { throw error(.invalidIdentifier, document, anchor) }
        if let other = resources[resource].anchors[name], Place(document, other) != Place(document, value) {
            throw error(.duplicateIdentifier, document, anchor, name)
        }
        resources[resource].anchors[name] = value
    }

    private mutating func enter(
        _ value: JSONValue, _ document: Int, _ outer: Int, identifier: String, at place: JSONValue
    ) throws(SchemaError) -> Int {
        let reference = URIReference(identifier)
        let isDraft7 = resources[outer].dialect.draft == .draft7
        let fragment = reference.fragment.map { String($0) } ?? ""
        // Draft 7 section 8.2.3: "#name" is a name inside the resource. 2020-12 section 8.2.1 forbids it.
        if isDraft7, identifier.hasPrefix("#") {
            resources[outer].anchors[fragment] = value
            return outer
        }
        guard isDraft7 || fragment.isEmpty else { throw error(.invalidIdentifier, document, place, identifier) }
        var base = reference.resolved(against: resources[outer].base)
        base.fragment = nil
        var dialect = resources[outer].dialect
        if value["$schema"] != nil, Place(document, value) != Place(document, documents[document].root) {
            dialect = try self.dialect(of: value, document, fallback: dialect)
        }
        resources.append(SchemaResource(base: base, document: document, root: value, dialect: dialect))
        let own = resources.count - 1
        let uri = base.withoutFragment
        if resourcesByURI[uri] == nil {
            resourcesByURI[uri] = own
        } else if document == 0 {
            throw error(.duplicateIdentifier, document, place, uri)
        }
        if !fragment.isEmpty { resources[own].anchors[fragment] = value }
        return own
    }
}
