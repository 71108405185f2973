// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Node map generation (JSON-LD API, section 7.2): all nodes of an expanded document, by graph and
// identifier, and new labels for blank nodes (section 7.4).

/// Gives blank nodes new labels: `_:b0`, `_:b1` and so on.
struct BlankNodeIssuer {
    private let symbols: SymbolTable
    private var issued = SymbolMap()
    private var count = 0

    init(symbols: SymbolTable) {
        self.symbols = symbols
    }

    // Section 7.4.2.
    mutating func label(for identifier: Symbol?) -> Symbol {
        if let identifier, let known = issued[identifier] { return Symbol(index: UInt32(bitPattern: known)) }
        let label = next()
        if let identifier { issued.set(identifier, Int32(bitPattern: label.index)) }
        return label
    }

    private mutating func next() -> Symbol {
        // `_:b` and the digits, from the last to the first.
        var bytes: InlineArray<24, UInt8> = InlineArray(repeating: 0)
        var start = 24
        var rest = count
        count += 1
        repeat {
            start -= 1
            bytes[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        for byte in [UInt8(ascii: "b"), UInt8(ascii: ":"), UInt8(ascii: "_")] {
            start -= 1
            bytes[start] = byte
        }
        return bytes.span.withUnsafeBufferPointer { symbols.intern(UnsafeBufferPointer(rebasing: $0[start...])) }
    }
}

/// Nodes by graph name and identifier, in the order they were met.
struct NodeMap {
    /// Names of the graphs; `@default` is the first.
    private(set) var names: [Symbol] = [.default]
    /// For each graph an object from identifiers to nodes.
    private(set) var graphs: [ObjectID]
    private var indexOfGraph = SymbolMap()

    init(tree: Tree) {
        graphs = [tree.makeObject()]
        indexOfGraph.set(.default, 0)
    }

    func graph(_ name: Symbol) -> ObjectID? {
        indexOfGraph[name].map { graphs[Int($0)] }
    }

    mutating func makeGraph(_ name: Symbol, _ tree: Tree) -> ObjectID {
        if let known = graph(name) { return known }
        let graph = tree.makeObject()
        indexOfGraph.set(name, Int32(truncatingIfNeeded: graphs.count))
        names.append(name)
        graphs.append(graph)
        return graph
    }
}

/// Makes a node map.
struct NodeMapGenerator {
    let session: Session
    let tree: Tree
    var map: NodeMap
    var issuer: BlankNodeIssuer
    private var unique: UniqueAppender
    /// Whether properties are visited in the order of their names, which decides the labels of blank nodes.
    private let isSorted: Bool

    init(_ session: Session, isSorted: Bool = true) {
        self.session = session
        tree = session.tree
        map = NodeMap(tree: session.tree)
        issuer = BlankNodeIssuer(symbols: session.symbols)
        unique = UniqueAppender(tree: session.tree)
        self.isSorted = isSorted
    }

    /// What a value belongs to.
    private enum Place {
        case none
        /// The value of a property of a node.
        case property(ObjectID, Symbol)
        /// An element of a list.
        case list(ArrayID)
        /// A node that has the property, which refers to this one (a reverse property).
        case reverse(Value, Symbol)
    }

    /// Adds the nodes of an expanded document.
    mutating func add(_ nodes: ArrayID) throws(JSONLDError) {
        try add(.array(nodes), to: .default, .none)
    }

    // Section 7.2.2.
    private mutating func add(_ element: Value, to graphName: Symbol, _ place: Place) throws(JSONLDError) {
        // Step 1.
        if case .array(let array) = element {
            try session.enter()
            for item in tree.elements(array) { try add(item, to: graphName, place) }
            session.leave()
            return
        }
        guard case .object(let object) = element else { return }
        let present = tree.keywords(object)
        if present.contains(.value) {
            // Step 4.
            insert(present.contains(.type) ? relabelType(object) : element, place)
        } else if present.contains(.list), let list = tree[object, .list] {
            try addList(list, to: graphName, place)
        } else {
            try session.enter()
            try addNode(object, present, to: graphName, place)
            session.leave()
        }
    }

    // Step 3, for values.
    private mutating func relabelType(_ value: ObjectID) -> Value {
        guard case .string(let type) = tree[value, .type], session.isBlankNode(type) else { return .object(value) }
        let copy = tree.shallowCopy(value)
        tree.set(.type, .string(issuer.label(for: type)), in: copy)
        return .object(copy)
    }

    private mutating func insert(_ value: Value, _ place: Place) {
        switch place {
        case .none, .reverse: break
        case .property(let node, let property): unique.add(value, to: node, property)
        case .list(let list): tree.append(value, to: list)
        }
    }

    // Step 5.
    private mutating func addList(_ list: Value, to graphName: Symbol, _ place: Place) throws(JSONLDError) {
        let elements = tree.makeArray()
        let result = tree.makeObject(.list, .array(elements))
        try add(list, to: graphName, .list(elements))
        switch place {
        case .none, .reverse: break
        // Lists are never the same, even if they look alike.
        case .property(let node, let property): tree.append(.object(result), to: tree.arrayMember(node, property))
        case .list(let outer): tree.append(.object(result), to: outer)
        }
    }

    // Step 6.
    private mutating func addNode(
        _ element: ObjectID, _ present: KeywordSet, to graphName: Symbol, _ place: Place
    ) throws(JSONLDError) {
        // Steps 6.1 to 6.4.
        let id: Symbol
        switch present.contains(.id) ? tree[element, .id] : nil {
        case .string(let given): id = session.isBlankNode(given) ? issuer.label(for: given) : given
        // An identifier of the form of a keyword expands to null: a node that nothing can be said of.
        case .null: return
        default: id = issuer.label(for: nil)
        }
        let graph = map.makeGraph(graphName, tree)
        let node: ObjectID
        if case .object(let known) = tree[graph, id] {
            node = known
        } else {
            node = tree.makeObject(.id, .string(id))
            tree.add(id, .object(node), to: graph)
        }
        switch place {
        case .none: break
        // Step 6.5.
        case .reverse(let subject, let property): unique.add(subject, to: node, property)
        // Step 6.6.
        case .property, .list: insert(.object(tree.makeObject(.id, .string(id))), place)
        }
        try addKeywords(element, present, id, node, graphName)
        // Step 6.12.
        let members = isSorted ? tree.sortedMembers(element) : Array(tree.members(element))
        for member in members where !member.key.isKeyword {
            let property = session.isBlankNode(member.key) ? issuer.label(for: member.key) : member.key
            _ = tree.arrayMember(node, property)
            try add(member.value, to: graphName, .property(node, property))
        }
    }

    // Steps 6.7 to 6.11.
    private mutating func addKeywords(
        _ element: ObjectID, _ present: KeywordSet, _ id: Symbol, _ node: ObjectID, _ graphName: Symbol
    ) throws(JSONLDError) {
        if present.contains(.type), let types = tree[element, .type] {
            for type in tree.elements(tree.asArray(types)) {
                var type = type
                if case .string(let iri) = type, session.isBlankNode(iri) { type = .string(issuer.label(for: iri)) }
                unique.add(type, to: node, .type)
            }
        }
        if present.contains(.index), let index = tree[element, .index] {
            if let present = tree[node, .index], present != index {
                throw session.error(.conflictingIndexes, "a node with two indexes", id)
            }
            tree.set(.index, index, in: node)
        }
        if present.contains(.reverse), case .object(let reverse) = tree[element, .reverse] {
            let reference = Value.object(tree.makeObject(.id, .string(id)))
            for member in isSorted ? tree.sortedMembers(reverse) : Array(tree.members(reverse)) {
                try add(member.value, to: graphName, .reverse(reference, member.key))
            }
        }
        if present.contains(.graph), let graph = tree[element, .graph] {
            _ = map.makeGraph(id, tree)
            try add(graph, to: id, .none)
        }
        if present.contains(.included), let included = tree[element, .included] {
            try add(included, to: graphName, .none)
        }
    }
}
