// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The framing algorithm (JSON-LD Framing, section 4.1): lays out the nodes of a document as a
// frame says. Step numbers are those of section 4.1.2.

/// Frames the nodes of a node map.
struct Framer {
    let session: Session
    let tree: Tree
    /// Graph by name; `@merged` stands for all graphs in one.
    private let graphs: [Symbol: ObjectID]
    /// How often each blank node appears in the result.
    private(set) var blankNodeUses: [Symbol: Int] = [:]
    /// For a graph and a property: who refers to whom.
    private var referrers: [ReverseKey: [Symbol: [Symbol]]] = [:]

    private struct ReverseKey: Hashable {
        var graph: Symbol
        var property: Symbol
    }

    /// Nodes that were embedded already, by graph.
    final class Embeds {
        /// The output that a node is embedded as.
        var known: [GraphNode: ObjectID] = [:]
        /// Nodes that were embedded into a node.
        var dependents: [GraphNode: [GraphNode]] = [:]
    }

    struct GraphNode: Hashable {
        var graph: Symbol
        var id: Symbol
    }

    /// The framing state of section 4.1.2, as far as it changes.
    struct State {
        var graph: Symbol
        /// Whether the node to be framed is the value of another one's property.
        var isEmbedded = false
        var embeds = Embeds()
        /// Nodes that the one at hand is embedded in.
        var ancestors: Set<GraphNode> = []
    }

    /// What the results of one call are added to.
    enum Parent {
        case array(ArrayID)
        case property(ObjectID, Symbol)
    }

    /// What holds for one frame object.
    struct Flags {
        var embed: Symbol
        var isExplicit: Bool
        var requiresAll: Bool
    }

    init(_ session: Session, graphs: [Symbol: ObjectID]) {
        self.session = session
        tree = session.tree
        self.graphs = graphs
    }

    /// The nodes of a graph that match, framed.
    mutating func frame(graph: Symbol, _ frame: Value) throws(JSONLDError) -> ArrayID {
        let result = tree.makeArray()
        try self.frame(State(graph: graph), subjects(graph), frame, .array(result), isTop: true)
        return result
    }

    private func subjects(_ graph: Symbol) -> [Symbol] {
        graphs[graph].map { tree.sortedMembers($0).map(\.key) } ?? []
    }

    func node(_ id: Symbol, in graph: Symbol) -> ObjectID? {
        graphs[graph].flatMap { tree[$0, id]?.object }
    }

    // MARK: the algorithm

    /// - Parameter isTop: Whether each match is a result of its own, in which everything may be embedded anew.
    private mutating func frame(
        _ outer: State, _ subjects: [Symbol], _ frames: Value, _ parent: Parent, isTop: Bool = false
    ) throws(JSONLDError) {
        try session.enter()
        var state = outer
        // Steps 1 and 2.
        let frame = try validFrame(frames)
        let flags = try flags(frame)
        // Steps 3 and 4.
        for id in subjects {
            guard let node = node(id, in: state.graph), try matches(node, frame, state, flags) else { continue }
            if isTop { state.embeds = Embeds() }
            let output = tree.makeObject(.id, .string(id))
            count(id)
            let place = GraphNode(graph: state.graph, id: id)
            let isKnown = state.embeds.known[place] != nil
            // Step 4.2.
            if !state.isEmbedded, isKnown { continue }
            // Steps 4.3 and 4.4.
            if state.isEmbedded {
                let isReference =
                    flags.embed == .never || state.ancestors.contains(place) || flags.embed == .once && isKnown
                if isReference {
                    add(.object(output), to: parent)
                    continue
                }
            }
            if flags.embed == .last, isKnown { removeEmbed(place, state.embeds) }
            state.embeds.known[place] = output
            if case .property(let owner, _) = parent, case .string(let id) = tree[owner, .id] {
                state.embeds.dependents[GraphNode(graph: state.graph, id: id), default: []].append(place)
            }
            var inner = state
            inner.ancestors.insert(place)
            try fill(output, id, node, frame, flags, inner, subjects)
            // Step 4.7.6.
            add(.object(output), to: parent)
        }
        session.leave()
    }

    private func add(_ value: Value, to parent: Parent) {
        switch parent {
        case .array(let array): tree.append(value, to: array)
        case .property(let object, let key): tree.append(value, to: tree.arrayMember(object, key))
        }
    }

    // JSON-LD Framing 1.0, "remove an embed".
    /// Makes a reference of a node that was embedded before, and forgets what was embedded in it.
    private func removeEmbed(_ place: GraphNode, _ embeds: Embeds) {
        guard let output = embeds.known[place] else { return }
        for member in Array(tree.members(output)) where member.key != .id { tree.remove(member.key, from: output) }
        var forgotten = [place]
        while let next = forgotten.popLast() {
            for dependent in embeds.dependents.removeValue(forKey: next) ?? []
            where embeds.known.removeValue(forKey: dependent) != nil {
                forgotten.append(dependent)
            }
        }
    }

    private mutating func count(_ id: Symbol) {
        if session.isBlankNode(id) { blankNodeUses[id, default: 0] += 1 }
    }

    // Steps 4.5 to 4.7.5.
    private mutating func fill(
        _ output: ObjectID, _ id: Symbol, _ node: ObjectID, _ frame: ObjectID, _ flags: Flags, _ state: State,
        _ subjects: [Symbol]
    ) throws(JSONLDError) {
        if graphs[id] != nil { try frameGraph(output, id, frame, state) }
        // Step 4.6.
        if let included = tree[frame, .included] {
            var inner = state
            inner.isEmbedded = false
            try self.frame(inner, subjects, included, .property(output, .included))
        }
        // Step 4.7.
        for member in tree.sortedMembers(node) {
            if member.key.isKeyword {
                // Step 4.7.1.
                tree.set(member.key, tree.deepCopy(member.value), in: output)
                if member.key == .type {
                    for type in tree.elements(tree.asArray(member.value)) { type.string.map { count($0) } }
                }
                continue
            }
            // Step 4.7.2.
            if flags.isExplicit, !tree.has(member.key, frame) { continue }
            guard case .array(let values) = member.value else { continue }
            let subframe = tree[frame, member.key] ?? implicitFrame(flags)
            for item in tree.elements(values) {
                try frameValue(item, subframe, .property(output, member.key), flags, state)
            }
        }
        try addDefaults(output, frame)
        try addReverse(output, id, frame, state)
    }

    // Step 4.5.
    private mutating func frameGraph(
        _ output: ObjectID, _ id: Symbol, _ frame: ObjectID, _ state: State
    ) throws(JSONLDError) {
        var subframe = tree.makeObject()
        if let graph = tree[frame, .graph] {
            if case .object(let first) = tree.first(tree.asArray(graph)) { subframe = first }
        } else if state.graph == Self.merged(session) {
            return
        }
        var inner = state
        inner.graph = id
        inner.isEmbedded = false
        try self.frame(
            inner, subjects(id), .array(tree.makeArray(.object(subframe))), .property(output, .graph))
    }

    /// The name of the graph that all others are merged into. No IRI can be the same.
    static func merged(_ session: Session) -> Symbol {
        session.symbols.intern("@merged")
    }

    // Step 4.7.3.
    private mutating func frameValue(
        _ item: Value, _ subframe: Value, _ parent: Parent, _ flags: Flags, _ state: State
    ) throws(JSONLDError) {
        guard case .object(let object) = item else { return }
        var inner = state
        inner.isEmbedded = true
        if case .array(let list) = tree[object, .list] {
            let copy = tree.makeObject(.list, .array(tree.makeArray()))
            add(.object(copy), to: parent)
            var listFrame = implicitFrame(flags)
            if case .object(let first) = tree.first(tree.asArray(subframe)), let own = tree[first, .list] {
                listFrame = own
            }
            for element in tree.elements(list) {
                if let id = reference(element) {
                    try frame(inner, [id], listFrame, .property(copy, .list))
                } else {
                    try frameListElement(element, listFrame, copy, flags, state)
                }
            }
        } else if let id = reference(item) {
            try frame(inner, [id], subframe, parent)
        } else if case .object(let pattern) = tree.first(tree.asArray(subframe)) {
            if matchesValue(pattern, object) { add(tree.deepCopy(item), to: parent) }
        } else {
            add(tree.deepCopy(item), to: parent)
        }
    }

    /// Lists in lists are laid out like lists; all other values are taken as they are.
    private mutating func frameListElement(
        _ element: Value, _ listFrame: Value, _ list: ObjectID, _ flags: Flags, _ state: State
    ) throws(JSONLDError) {
        if tree.isListObject(element) {
            try session.enter()
            try frameValue(element, listFrame, .property(list, .list), flags, state)
            session.leave()
        } else {
            add(tree.deepCopy(element), to: .property(list, .list))
        }
    }

    /// The identifier of a value that is nothing else.
    func reference(_ value: Value) -> Symbol? {
        guard case .object(let object) = value, tree.count(object) == 1 else { return nil }
        return tree[object, .id]?.string
    }

    // Step 4.7.4.
    private func addDefaults(_ output: ObjectID, _ frame: ObjectID) throws(JSONLDError) {
        for member in tree.sortedMembers(frame) {
            let first = tree.first(tree.asArray(member.value))
            let next = first?.object
            if member.key == .type {
                guard let next, tree.has(.default, next) else { continue }
            } else if member.key.isKeyword {
                continue
            }
            let omits = try next.flatMap { next throws(JSONLDError) in try boolean(.omitDefault, next) }
                ?? session.options.omitsDefault
            guard !omits, !tree.has(member.key, output) else { continue }
            var preserved = Value.string(.null)
            if let next, let value = tree[next, .default] { preserved = tree.deepCopy(value) }
            let marked = tree.makeObject(.preserve, .array(tree.asArray(preserved)))
            tree.set(member.key, .array(tree.makeArray(.object(marked))), in: output)
        }
    }

    // Step 4.7.5.
    private mutating func addReverse(
        _ output: ObjectID, _ id: Symbol, _ frame: ObjectID, _ state: State
    ) throws(JSONLDError) {
        guard case .object(let reverse) = tree[frame, .reverse] else { return }
        var inner = state
        inner.isEmbedded = true
        for member in tree.sortedMembers(reverse) {
            for subject in referrers(to: id, by: member.key, in: state.graph) {
                let map: ObjectID
                if case .object(let known) = tree[output, .reverse] {
                    map = known
                } else {
                    map = tree.makeObject()
                    tree.set(.reverse, .object(map), in: output)
                }
                let values = tree.arrayMember(map, member.key)
                try self.frame(inner, [subject], member.value, .array(values))
            }
        }
    }

    private mutating func referrers(to id: Symbol, by property: Symbol, in graph: Symbol) -> [Symbol] {
        let key = ReverseKey(graph: graph, property: property)
        if let known = referrers[key] { return known[id] ?? [] }
        var index: [Symbol: [Symbol]] = [:]
        for member in graphs[graph].map({ Array(tree.members($0)) }) ?? [] {
            guard case .object(let node) = member.value, case .array(let values) = tree[node, property] else { continue }
            for value in tree.elements(values) {
                guard case .object(let object) = value, case .string(let target) = tree[object, .id] else { continue }
                if index[target]?.last != member.key { index[target, default: []].append(member.key) }
            }
        }
        referrers[key] = index
        return index[id] ?? []
    }

    // MARK: frames

    // Step 1.
    private func validFrame(_ frames: Value) throws(JSONLDError) -> ObjectID {
        guard case .array(let array) = frames, tree.count(array) == 1, case .object(let frame) = tree.first(array) else {
            throw session.error(.invalidFrame, "a frame is one object")
        }
        try checkFrame(frame)
        return frame
    }

    func checkFrame(_ frame: ObjectID) throws(JSONLDError) {
        for keyword in [Symbol.id, .type] {
            guard let values = tree[frame, keyword] else { continue }
            for value in tree.elements(tree.asArray(values)) {
                switch value {
                case .object: continue
                case .string(let iri) where session.isIRI(iri) || keyword == .type && iri == .json: continue
                default:
                    throw session.error(.invalidFrame, "neither IRIs nor a wildcard", keyword)
                }
            }
        }
    }

    // Step 2.
    private func flags(_ frame: ObjectID) throws(JSONLDError) -> Flags {
        let options = session.options
        return Flags(
            embed: try embed(frame), isExplicit: try boolean(.explicit, frame) ?? options.isExplicit,
            requiresAll: try boolean(.requireAll, frame) ?? options.requiresAll)
    }

    private func embed(_ frame: ObjectID) throws(JSONLDError) -> Symbol {
        switch flag(.embed, frame) {
        case nil:
            switch session.options.embed {
            case .always: return .always
            case .once: return .once
            case .never: return .never
            }
        case .boolean(true): return .once
        case .boolean(false): return .never
        case .string(.always): return .always
        case .string(.once): return .once
        case .string(.never): return .never
        // Of version 1.0 only.
        case .string(.first) where session.isVersion1_0: return .once
        case .string(.last) where session.isVersion1_0: return .last
        default: throw session.error(.invalidEmbedValue, "@embed is not @always, @once or @never")
        }
    }

    private func boolean(_ keyword: Symbol, _ frame: ObjectID) throws(JSONLDError) -> Bool? {
        switch flag(keyword, frame) {
        case nil: return nil
        case .boolean(let value): return value
        case .string(let text) where session.symbols.text(text) == "true": return true
        case .string(let text) where session.symbols.text(text) == "false": return false
        default: throw session.error(.invalidFrame, "not a boolean", keyword)
        }
    }

    /// The value of a framing keyword, out of the arrays and the value object that expansion put around it.
    private func flag(_ keyword: Symbol, _ frame: ObjectID) -> Value? {
        var value = tree[frame, keyword]
        if case .array(let array) = value { value = tree.first(array) }
        if case .object(let object) = value { value = tree[object, .value] }
        if case .array(let array) = value { value = tree.first(array) }
        return value
    }

    /// The frame of values that the frame says nothing of.
    private func implicitFrame(_ flags: Flags) -> Value {
        let frame = tree.makeObject(.embed, .array(tree.makeArray(.string(flags.embed))))
        tree.add(.explicit, .array(tree.makeArray(.boolean(flags.isExplicit))), to: frame)
        tree.add(.requireAll, .array(tree.makeArray(.boolean(flags.requiresAll))), to: frame)
        return .array(tree.makeArray(.object(frame)))
    }
}
