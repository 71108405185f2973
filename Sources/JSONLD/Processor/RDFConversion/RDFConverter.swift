// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Deserialize JSON-LD to RDF (JSON-LD API, sections 8.1 to 8.3): from a node map to quads.

/// Makes quads of a node map.
struct RDFConverter {
    let session: Session
    let tree: Tree
    private let symbols: SymbolTable
    private var issuer: BlankNodeIssuer
    private var quads: [SymbolQuad] = []
    /// Whether different values may have made the same statement.
    private var mayRepeat = false
    /// Whether a value was made into a literal that another value could be as well.
    private var hasNative = false
    private var graph: Symbol?

    init(_ session: Session, issuer: BlankNodeIssuer) {
        self.session = session
        tree = session.tree
        symbols = session.symbols
        self.issuer = issuer
    }

    // Section 8.1.2.
    mutating func convert(_ map: NodeMap) throws(JSONLDError) -> [SymbolQuad] {
        for (name, nodes) in zip(map.names, map.graphs) {
            // Step 1.1.
            guard name == .default || isResource(name) else { continue }
            graph = name == .default ? nil : name
            for member in tree.members(nodes) {
                // Step 1.3.1.
                guard case .object(let node) = member.value, isResource(member.key) else { continue }
                for property in tree.members(node) { try convert(property, of: member.key) }
            }
        }
        guard mayRepeat else { return quads }
        var seen: Set<SymbolQuad> = []
        return quads.filter { seen.insert($0).inserted }
    }

    // Step 1.3.2.
    private mutating func convert(_ property: Tree.Cell, of subject: Symbol) throws(JSONLDError) {
        guard case .array(let values) = property.value else { return }
        if property.key == .type {
            for type in tree.elements(values) {
                guard case .string(let iri) = type, isResource(iri) else { continue }
                add(subject, .rdfType, .resource(iri))
            }
            return
        }
        if property.key.isKeyword { return }
        if session.isBlankNode(property.key) {
            guard session.options.producesGeneralizedRDF else { return }
        } else if !isWellFormed(property.key) {
            return
        }
        // A type can be said in two ways, and so can a number or a boolean.
        if property.key == .rdfType { mayRepeat = true }
        hasNative = false
        for item in tree.elements(values) {
            guard case .object(let object) = item else { continue }
            // What a list or a compound literal is made of comes after the statement that refers to it.
            let place = quads.count
            guard let term = try convert(object) else { continue }
            let statement = SymbolQuad(subject: subject, predicate: property.key, object: term, graph: graph)
            if quads.count == place { quads.append(statement) } else { quads.insert(statement, at: place) }
        }
        if hasNative, tree.count(values) > 1 { mayRepeat = true }
    }

    private mutating func add(_ subject: Symbol, _ predicate: Symbol, _ object: SymbolTerm) {
        quads.append(SymbolQuad(subject: subject, predicate: predicate, object: object, graph: graph))
    }

    // MARK: objects

    /// The entries of an object of a statement.
    private struct Entries {
        var id: Value?
        var list: Value?
        var value: Value?
        var type: Symbol?
        var language: Symbol?
        var direction: Symbol?
    }

    @inline(__always)
    private func entries(_ item: ObjectID) -> Entries {
        var result = Entries()
        for member in tree.members(item) {
            switch member.key {
            case .id: result.id = member.value
            case .list: result.list = member.value
            case .value: result.value = member.value
            case .type: result.type = member.value.string
            case .language: result.language = member.value.string
            case .direction: result.direction = member.value.string
            default: break
            }
        }
        return result
    }

    // Section 8.2.2. Nil for what RDF can't say.
    private mutating func convert(_ item: ObjectID) throws(JSONLDError) -> SymbolTerm? {
        let entries = entries(item)
        // Step 3.
        if case .array(let list) = entries.list { return .resource(try convertList(list)) }
        guard let value = entries.value else {
            // Steps 1 and 2.
            guard case .string(let id) = entries.id, isResource(id) else { return nil }
            return .resource(id)
        }
        // Steps 5 to 7.
        let type = entries.type
        if let type, type != .json, !isWellFormed(type) { return nil }
        let language = entries.language
        if let language, !Self.isLanguageTag(symbols.bytes(language)) { return nil }
        // Steps 8 to 12.
        let (lexical, datatype) = try lexicalForm(value, type)
        // Step 13.
        if let direction = entries.direction, let form = session.options.rdfDirection {
            return convertDirected(lexical, language, direction, form)
        }
        // Step 14.
        if let language { return .tagged(lexical, language: language) }
        return .literal(lexical, datatype: datatype)
    }

    // Steps 8 to 12.
    private mutating func lexicalForm(
        _ value: Value, _ type: Symbol?
    ) throws(JSONLDError) -> (lexical: Symbol, datatype: Symbol) {
        if type == .json { return (try canonicalJSON(value), .rdfJSON) }
        switch value {
        case .boolean(let boolean):
            hasNative = true
            return (symbols.intern(boolean ? "true" : "false"), type ?? .xsdBoolean)
        case .number(let number):
            hasNative = true
            let (form, isDouble) = NumberForms.canonical(symbols.bytes(number), asDouble: type == .xsdDouble)
            return (symbols.intern(form), type ?? (isDouble ? .xsdDouble : .xsdInteger))
        case .string(let string): return (string, type ?? .xsdString)
        case .null, .array, .object: return (.empty, type ?? .xsdString)
        }
    }

    // Step 8, by RFC 8785.
    private func canonicalJSON(_ value: Value) throws(JSONLDError) -> Symbol {
        let text = try tree.json(value, limit: session.limits.outputSize)
        do throws(JSONError) {
            let document = try JSONDocument(text, limits: JSONLimits(depth: session.limits.depth))
            return session.intern(try JCS.canonicalize(document.root))
        } catch {
            throw session.error(.invalidJSONLiteral, error.code.rawValue)
        }
    }

    // Step 13.
    private mutating func convertDirected(
        _ lexical: Symbol, _ language: Symbol?, _ direction: Symbol, _ form: JSONLDOptions.RDFDirection
    ) -> SymbolTerm {
        let tag = session.lowercased(language.map { Array(symbols.bytes($0)) } ?? [])
        switch form {
        case .i18nDatatype:
            var datatype = Array(RDFVocabulary.internationalization.utf8)
            datatype += tag
            datatype.append(UInt8(ascii: "_"))
            datatype += symbols.bytes(direction)
            return .literal(lexical, datatype: session.intern(datatype))
        case .compoundLiteral:
            let node = issuer.label(for: nil)
            add(node, .rdfValue, .literal(lexical, datatype: .xsdString))
            if language != nil { add(node, .rdfLanguage, .literal(session.intern(tag), datatype: .xsdString)) }
            add(node, .rdfDirection, .literal(direction, datatype: .xsdString))
            return .resource(node)
        }
    }

    // Section 8.3.2.
    private mutating func convertList(_ list: ArrayID) throws(JSONLDError) -> Symbol {
        try session.enter()
        defer { session.leave() }
        var head = Symbol.rdfNil
        var last: Symbol?
        for item in tree.elements(list) {
            let node = issuer.label(for: nil)
            if let last { add(last, .rdfRest, .resource(node)) } else { head = node }
            last = node
            if case .object(let object) = item, let term = try convert(object) { add(node, .rdfFirst, term) }
        }
        if let last { add(last, .rdfRest, .resource(.rdfNil)) }
        return head
    }

    // MARK: what RDF can say

    @inline(__always)
    private func isResource(_ symbol: Symbol) -> Bool {
        !symbols.traits(symbol).isDisjoint(with: [.blankNode, .iri])
    }

    @inline(__always)
    private func isWellFormed(_ symbol: Symbol) -> Bool {
        symbols.traits(symbol).contains(.iri)
    }

    // BCP 47 section 2.2.9 in outline: subtags of one to eight letters and digits, the first of letters.
    static func isLanguageTag(_ tag: UnsafeBufferPointer<UInt8>) -> Bool {
        let subtags = tag.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        for (index, subtag) in subtags.enumerated() {
            guard (1...8).contains(subtag.count) else { return false }
            guard subtag.allSatisfy({ $0.isASCIILetter || index > 0 && $0.isASCIIDigit }) else { return false }
        }
        return !subtags.isEmpty
    }
}
