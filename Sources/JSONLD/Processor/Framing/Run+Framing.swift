// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The operation frame() (JSON-LD Framing, section 5.1), around the framing algorithm.

extension Run {
    // Section 5.1, from step 4 on.
    func frame(_ input: JSONLDInput, _ frame: JSONLDInput) throws(JSONLDError) -> Value {
        let expanded = try expand(input)
        session.resetPath()
        let expandedFrame = try expand(frame, isFrame: true, outerBase: expanded.base)
        session.resetPath()
        // Steps 8 to 11.
        let source = expandedFrame.source.value
        let context = source.object.flatMap { tree[$0, .context] } ?? .object(tree.makeObject())
        let active = try session.process(
            context, session.initialContext(base: expandedFrame.base), ContextUse(baseURL: expandedFrame.base))
        // Step 13. A frame of a graph is about the default graph, any other about all of them together.
        var framesDefaultGraph = false
        if let object = source.object {
            for member in tree.members(object) where try session.expandIRI(member.key, active) == .graph {
                framesDefaultGraph = true
            }
        }
        let framed = try frameNodes(expanded.nodes, expandedFrame.nodes, framesDefaultGraph: framesDefaultGraph)
        // Steps 18 to 20.
        let omitsGraph = session.options.omitsGraph ?? !session.isVersion1_0
        let compacted = try compact(
            .array(framed), context, base: expanded.base ?? expandedFrame.base, keepsGraph: !omitsGraph,
            keepsEmptyGraph: !omitsGraph)
        return replaceNull(compacted)
    }

    // Steps 14 to 17.
    private func frameNodes(
        _ nodes: ArrayID, _ frames: ArrayID, framesDefaultGraph: Bool
    ) throws(JSONLDError) -> ArrayID {
        var generator = NodeMapGenerator(session)
        try generator.add(nodes)
        var graphs: [Symbol: ObjectID] = [:]
        for (name, graph) in zip(generator.map.names, generator.map.graphs) { graphs[name] = graph }
        var name = Symbol.default
        if !framesDefaultGraph {
            name = Framer.merged(session)
            graphs[name] = merge(generator.map)
        }
        var framer = Framer(session, graphs: graphs)
        let frame = tree.count(frames) == 0 ? tree.makeArray(.object(tree.makeObject())) : frames
        let framed = try framer.frame(graph: name, .array(frame))
        // Step 17. A label that is used once says nothing.
        let droppable = session.isVersion1_0 ? [] : Set(framer.blankNodeUses.filter { $0.value == 1 }.keys)
        guard case .array(let cleaned) = try cleanUp(.array(framed), droppable) else { return framed }
        return cleaned
    }

    // JSON-LD API, section 7.3.
    /// All graphs in one: each node with what any graph says of it.
    private func merge(_ map: NodeMap) -> ObjectID {
        var unique = UniqueAppender(tree: tree)
        let result = tree.makeObject()
        for graph in map.graphs {
            for member in tree.members(graph) {
                guard case .object(let node) = member.value else { continue }
                let merged: ObjectID
                if case .object(let known) = tree[result, member.key] {
                    merged = known
                } else {
                    merged = tree.makeObject(.id, .string(member.key))
                    tree.add(member.key, .object(merged), to: result)
                }
                for property in tree.members(node) {
                    if property.key.isKeyword, property.key != .type {
                        tree.set(property.key, property.value, in: merged)
                    } else {
                        _ = tree.arrayMember(merged, property.key)
                        for value in tree.elements(tree.asArray(property.value)) {
                            unique.add(value, to: merged, property.key)
                        }
                    }
                }
            }
        }
        return result
    }

    // Steps 17 and 18.
    /// Takes values out of `@preserve`, and the identifiers away from blank nodes that need none.
    private func cleanUp(_ value: Value, _ droppable: Set<Symbol>) throws(JSONLDError) -> Value {
        switch value {
        case .null, .boolean, .string, .number: return value
        case .array(let array):
            try session.enter()
            let result = tree.makeArray()
            for element in tree.elements(array) { tree.append(try cleanUp(element, droppable), to: result) }
            session.leave()
            return .array(result)
        case .object(let object):
            if let preserved = tree[object, .preserve] { return tree.first(tree.asArray(preserved)) ?? .null }
            if tree.has(.value, object) { return value }
            try session.enter()
            let result = tree.makeObject()
            for member in tree.members(object) {
                if member.key == .id, case .string(let id) = member.value, droppable.contains(id) { continue }
                tree.add(member.key, try cleanUp(member.value, droppable), to: result)
            }
            session.leave()
            return .object(result)
        }
    }

    // Step 20.
    /// `@null` becomes null, and an array of nothing else becomes empty.
    private func replaceNull(_ value: Value) -> Value {
        switch value {
        case .null, .boolean, .number: return value
        case .string(let string): return string == .null ? .null : value
        case .array(let array):
            let result = tree.makeArray()
            for element in tree.elements(array) {
                let replaced = replaceNull(element)
                if !replaced.isNull { tree.append(replaced, to: result) }
            }
            return .array(result)
        case .object(let object):
            let result = tree.makeObject()
            for member in tree.members(object) {
                let isContext = member.key == .context
                tree.add(member.key, isContext ? member.value : replaceNull(member.value), to: result)
            }
            return .object(result)
        }
    }
}
