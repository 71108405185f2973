// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The flattening algorithm (JSON-LD API, section 7.1).

extension Run {
    // Section 7.1.2.
    func flatten(_ nodes: ArrayID) throws(JSONLDError) -> ArrayID {
        // Steps 1 to 3.
        var generator = NodeMapGenerator(session)
        try generator.add(nodes)
        let map = generator.map
        let defaultGraph = map.graphs[0]
        // Step 4.
        let named = zip(map.names, map.graphs).dropFirst()
        for (name, graph) in named {
            let entry: ObjectID
            if case .object(let known) = tree[defaultGraph, name] {
                entry = known
            } else {
                entry = tree.makeObject(.id, .string(name))
                tree.add(name, .object(entry), to: defaultGraph)
            }
            tree.set(.graph, .array(nodesWithContent(graph)), in: entry)
        }
        // Steps 5 to 7.
        return nodesWithContent(defaultGraph)
    }

    /// The nodes of a graph in the order of their identifiers, without those that are nothing but an identifier.
    func nodesWithContent(_ graph: ObjectID) -> ArrayID {
        let result = tree.makeArray()
        for member in tree.sortedMembers(graph) {
            guard case .object(let node) = member.value else { continue }
            if tree.count(node) == 1, tree.has(.id, node) { continue }
            tree.append(member.value, to: result)
        }
        return result
    }
}
