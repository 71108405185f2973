// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Serialize RDF as JSON-LD (JSON-LD API, sections 8.4 and 8.5): from quads to an expanded document.

/// Makes an expanded document of quads.
struct RDFReader {
    let session: Session
    let tree: Tree
    private let symbols: SymbolTable
    private var unique: UniqueAppender
    private var names: [Symbol] = [.default]
    /// For each graph an object from subjects to nodes.
    private var graphs: [Symbol: ObjectID]
    /// Where a blank node is the object of a statement; nil as soon as there is a second place.
    private var referencedOnce: [Symbol: Usage?] = [:]
    private var usagesOfNil: [Symbol: [Usage]] = [:]
    /// Nodes that became lists or values, by graph. They stay in their graph and are passed over.
    private var removed: [Symbol: Set<Symbol>] = [:]
    /// Blank nodes with `rdf:direction`, by graph.
    private var compoundLiterals: [Symbol: [Symbol]] = [:]

    /// A statement that has a node as its object.
    private struct Usage {
        var node: ObjectID
        var property: Symbol
        /// The object that stands for the reference.
        var value: ObjectID
    }

    init(_ session: Session) {
        self.session = session
        tree = session.tree
        symbols = session.symbols
        unique = UniqueAppender(tree: session.tree)
        graphs = [.default: session.tree.makeObject()]
    }

    // Section 8.4.2.
    mutating func read(_ quads: [RDFQuad]) throws(JSONLDError) -> ArrayID {
        // Step 5.
        for quad in quads { try add(quad) }
        // Step 6.
        for name in names {
            guard let graph = graphs[name] else { continue }
            try convertCompoundLiterals(name, graph)
            convertLists(name)
        }
        // Steps 7 to 9.
        let result = tree.makeArray()
        guard let defaultGraph = graphs[.default] else { return result }
        for member in nodes(.default, defaultGraph) {
            guard case .object(let node) = member.value else { continue }
            if let graph = graphs[member.key] {
                let content = tree.makeArray()
                for inner in nodes(member.key, graph) where hasContent(inner.value) {
                    tree.append(inner.value, to: content)
                }
                tree.set(.graph, .array(content), in: node)
            }
            if hasContent(member.value) { tree.append(member.value, to: result) }
        }
        return result
    }

    private func nodes(_ name: Symbol, _ graph: ObjectID) -> [Tree.Cell] {
        let all = session.options.isOrdered ? tree.sortedMembers(graph) : Array(tree.members(graph))
        guard let removed = removed[name] else { return all }
        return all.filter { !removed.contains($0.key) }
    }

    private func hasContent(_ node: Value) -> Bool {
        node.object.map { tree.count($0) > 1 } ?? false
    }

    // MARK: statements

    private func symbol(_ term: RDFTerm) -> Symbol? {
        switch term {
        case .iri(let iri): symbols.intern(iri)
        case .blankNode(let label): symbols.intern("_:" + label)
        case .literal: nil
        }
    }

    private func node(_ id: Symbol, _ graph: ObjectID) -> ObjectID {
        if case .object(let node) = tree[graph, id] { return node }
        let node = tree.makeObject(.id, .string(id))
        tree.add(id, .object(node), to: graph)
        return node
    }

    // Steps 5.1 to 5.7.
    private mutating func add(_ quad: RDFQuad) throws(JSONLDError) {
        // Literals are no subjects, predicates or graph names.
        guard let subject = symbol(quad.subject), let predicate = symbol(quad.predicate) else { return }
        if tree.cellCount > session.limits.cells {
            throw session.error(.limitExceeded, "more than \(session.limits.cells) values")
        }
        let name = quad.graph.flatMap { symbol($0) } ?? .default
        let graph: ObjectID
        if let known = graphs[name] {
            graph = known
        } else {
            graph = tree.makeObject()
            graphs[name] = graph
            names.append(name)
            if let defaultGraph = graphs[.default] { _ = node(name, defaultGraph) }
        }
        let node = node(subject, graph)
        if session.options.rdfDirection == .compoundLiteral, predicate == .rdfDirection {
            compoundLiterals[name, default: []].append(subject)
        }
        let object = symbol(quad.object)
        if let object { _ = self.node(object, graph) }
        // Step 5.7.5.
        if predicate == .rdfType, !session.options.usesRDFType, let object {
            return unique.add(.string(object), to: node, .type)
        }
        // Steps 5.7.6 to 5.7.8.
        let value = try convert(quad.object)
        let array = tree.arrayMember(node, predicate)
        let before = tree.count(array)
        unique.append(.object(value), to: array)
        // A statement that was there before refers to its object once, not twice.
        guard let object, tree.count(array) > before else { return }
        let usage = Usage(node: node, property: predicate, value: value)
        if object == .rdfNil {
            usagesOfNil[name, default: []].append(usage)
        } else if referencedOnce[object] != nil {
            referencedOnce[object] = .some(nil)
        } else if session.isBlankNode(object) {
            referencedOnce[object] = usage
        }
    }

    // Section 8.5.2.
    private func convert(_ term: RDFTerm) throws(JSONLDError) -> ObjectID {
        if let id = symbol(term) { return tree.makeObject(.id, .string(id)) }
        guard case .literal(let literal) = term else { return tree.makeObject() }
        let lexical = symbols.intern(literal.lexicalForm)
        let datatype = symbols.intern(literal.datatype)
        // Step 2.4.
        if session.options.usesNativeTypes, let native = native(lexical, datatype) {
            return tree.makeObject(.value, native)
        }
        // Step 2.5.
        if datatype == .rdfJSON, !session.isVersion1_0 {
            let value = try session.read(Array(literal.lexicalForm.utf8), .invalidJSONLiteral)
            let object = tree.makeObject(.value, value)
            tree.add(.type, .string(.json), to: object)
            return object
        }
        let object = tree.makeObject(.value, .string(lexical))
        let base = RDFVocabulary.internationalization
        if session.options.rdfDirection == .i18nDatatype, literal.datatype.hasPrefix(base) {
            // Step 2.6.
            let parts = literal.datatype.dropFirst(base.count).split(
                separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
            if let language = parts.first, !language.isEmpty {
                tree.add(.language, .string(symbols.intern(String(language))), to: object)
            }
            if parts.count > 1 { tree.add(.direction, .string(symbols.intern(String(parts[1]))), to: object) }
        } else if let language = literal.language {
            // Step 2.7.
            tree.add(.language, .string(symbols.intern(language)), to: object)
            if let direction = literal.direction {
                tree.add(.direction, .string(symbols.intern(direction)), to: object)
            }
        } else if datatype != .xsdString {
            // Step 2.8.
            tree.add(.type, .string(datatype), to: object)
        }
        return object
    }

    // Step 2.4.
    private func native(_ lexical: Symbol, _ datatype: Symbol) -> Value? {
        let text = symbols.bytes(lexical)
        switch datatype {
        case .xsdBoolean:
            // QUIRK: section 8.5.2 step 2.4.2 knows true and false only; case 0027 of the suite wants 1 and 0 as well,
            // the other lexical forms of the datatype (XML Schema 1.1 part 2, section 3.3.2).
            if text.elementsEqual("true".utf8) || text.elementsEqual("1".utf8) { return .boolean(true) }
            return text.elementsEqual("false".utf8) || text.elementsEqual("0".utf8) ? .boolean(false) : nil
        case .xsdInteger: return NumberForms.json(integer: text).map { .number(symbols.intern($0)) }
        case .xsdDouble: return NumberForms.json(double: text).map { .number(symbols.intern($0)) }
        default: return nil
        }
    }

    // MARK: compound literals

    // Step 6.1.
    private mutating func convertCompoundLiterals(_ name: Symbol, _ graph: ObjectID) throws(JSONLDError) {
        for subject in compoundLiterals[name] ?? [] {
            guard let usage = referencedOnce[subject] ?? nil, case .object(let literal) = tree[graph, subject],
                removed[name, default: []].insert(subject).inserted
            else { continue }
            let reference = usage.value
            tree.remove(.id, from: reference)
            if let value = first(.rdfValue, literal) { tree.set(.value, value, in: reference) }
            if let language = first(.rdfLanguage, literal) {
                guard let tag = language.string, RDFConverter.isLanguageTag(symbols.bytes(tag)) else {
                    throw session.error(.invalidLanguageTaggedString, "rdf:language is not a language tag")
                }
                tree.set(.language, language, in: reference)
            }
            if let direction = first(.rdfDirection, literal) {
                guard direction == .string(.ltr) || direction == .string(.rtl) else {
                    throw session.error(.invalidBaseDirection, "rdf:direction is neither ltr nor rtl")
                }
                tree.set(.direction, direction, in: reference)
            }
        }
    }

    /// `@value` of the first value of a property.
    private func first(_ property: Symbol, _ node: ObjectID) -> Value? {
        guard case .array(let values) = tree[node, property], case .object(let value) = tree.first(values) else {
            return nil
        }
        return tree[value, .value]
    }

    // MARK: lists

    // Steps 6.2 to 6.4.
    private mutating func convertLists(_ name: Symbol) {
        for usage in usagesOfNil[name] ?? [] {
            var usage = usage
            var items: [Value] = []
            var listNodes: [Symbol] = []
            // Step 6.4.3: from the end of the list towards its head. Every node is visited once: what is visited is
            // referred to once only.
            while usage.property == .rdfRest, case .string(let id) = tree[usage.node, .id],
                session.isBlankNode(id), let next = referencedOnce[id] ?? nil, let item = listItem(usage.node)
            {
                items.append(item)
                listNodes.append(id)
                usage = next
                guard case .string(let next) = tree[usage.node, .id], session.isBlankNode(next) else { break }
            }
            tree.remove(.id, from: usage.value)
            let list = tree.makeArray()
            for item in items.reversed() { tree.append(item, to: list) }
            tree.set(.list, .array(list), in: usage.value)
            removed[name, default: []].formUnion(listNodes)
        }
    }

    /// The only value of `rdf:first` of a node that is a list node and nothing else.
    private func listItem(_ node: ObjectID) -> Value? {
        guard case .array(let first) = tree[node, .rdfFirst], tree.count(first) == 1,
            case .array(let rest) = tree[node, .rdfRest], tree.count(rest) == 1
        else { return nil }
        var expected = 3
        if case .array(let types) = tree[node, .type] {
            guard tree.count(types) == 1, tree.first(types) == .string(.rdfList) else { return nil }
            expected += 1
        }
        return tree.count(node) == expected ? tree.first(first) : nil
    }
}
