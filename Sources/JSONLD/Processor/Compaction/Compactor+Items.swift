// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The values of a property under compaction, and the containers they go into (JSON-LD API,
// section 6.1.2 step 12.8).

extension Compactor {
    /// One value on its way.
    private struct Item {
        var expanded: Value
        var compacted: Value
        /// The property it goes to.
        var term: Symbol
        var definition: TermDefinition?
        /// The object that has or gets that property.
        var target: ObjectID
        var asArray: Bool

        var container: ContainerMapping { definition?.container ?? [] }
    }

    // Step 12.8.
    func compactItem(_ expanded: Value, _ property: Symbol, _ scope: Scope) throws(JSONLDError) {
        let active = scope.active
        let term = try session.compactIRI(property, active, value: expanded, reverse: scope.isInsideReverse)
        let target = try nestResult(term, scope)
        let definition = active.terms[term]
        let asArray =
            definition?.container.contains(.set) == true || term == .graph || term == .list || !compactsArrays
        // Step 12.8.6.
        var inner = expanded
        let isGraph = tree.isGraphObject(expanded)
        if let object = expanded.object {
            if let list = tree[object, .list] {
                inner = list
            } else if isGraph, let graph = tree[object, .graph] {
                inner = graph
            }
        }
        let compacted = try compact(inner, active, term)
        let item = Item(
            expanded: expanded, compacted: compacted, term: term, definition: definition, target: target,
            asArray: asArray)
        if tree.isListObject(expanded) {
            try addList(item, active)
        } else if isGraph {
            try addGraph(item, active)
        } else if !item.container.isDisjoint(with: [.language, .index, .id, .type]), !item.container.contains(.graph) {
            try addToMap(item, active)
        } else {
            // Step 12.8.10.
            tree.addValue(compacted, to: target, term, asArray: asArray)
        }
    }

    // Step 12.8.7.
    private func addList(_ item: Item, _ active: ActiveContext) throws(JSONLDError) {
        let list = Value.array(tree.asArray(item.compacted))
        if item.container.contains(.list) {
            if session.isVersion1_0, tree.has(item.term, item.target) {
                throw session.error(.compactionToListOfLists, "a property with several lists", item.term)
            }
            return tree.set(item.term, list, in: item.target)
        }
        let object = tree.makeObject(try session.compactIRI(.list, active), list)
        if let expanded = item.expanded.object, let index = tree[expanded, .index] {
            tree.add(try session.compactIRI(.index, active), index, to: object)
        }
        tree.addValue(.object(object), to: item.target, item.term, asArray: item.asArray)
    }

    /// The object that a property has as a map.
    private func mapObject(_ item: Item) -> ObjectID {
        if case .object(let map) = tree[item.target, item.term] { return map }
        let map = tree.makeObject()
        tree.set(item.term, .object(map), in: item.target)
        return map
    }

    // Step 12.8.8.
    private func addGraph(_ item: Item, _ active: ActiveContext) throws(JSONLDError) {
        guard let expanded = item.expanded.object else { return }
        let isSimple = !tree.has(.id, expanded)
        if item.container.isSuperset(of: [.graph, .id]) {
            // Step 12.8.8.1.
            let key: Symbol
            if case .string(let id) = tree[expanded, .id] {
                key = try session.compactIRI(id, active, vocab: false)
            } else {
                key = try session.compactIRI(.none, active)
            }
            tree.addValue(item.compacted, to: mapObject(item), key, asArray: item.asArray)
        } else if item.container.isSuperset(of: [.graph, .index]), isSimple {
            // Step 12.8.8.2.
            let none = try session.compactIRI(.none, active)
            let key = tree[expanded, .index]?.string ?? none
            tree.addValue(item.compacted, to: mapObject(item), key, asArray: item.asArray)
        } else if item.container.contains(.graph), isSimple {
            // Step 12.8.8.3.
            var compacted = item.compacted
            if case .array(let nodes) = compacted, tree.count(nodes) > 1 {
                compacted = .object(tree.makeObject(try session.compactIRI(.included, active), compacted))
            }
            tree.addValue(compacted, to: item.target, item.term, asArray: item.asArray)
        } else {
            // Step 12.8.8.4.
            let object = tree.makeObject(try session.compactIRI(.graph, active), item.compacted)
            if case .string(let id) = tree[expanded, .id] {
                let compacted = try session.compactIRI(id, active, vocab: false)
                tree.set(try session.compactIRI(.id, active), .string(compacted), in: object)
            }
            if let index = tree[expanded, .index] {
                tree.set(try session.compactIRI(.index, active), index, in: object)
            }
            tree.addValue(.object(object), to: item.target, item.term, asArray: item.asArray)
        }
    }

    // Step 12.8.9.
    private func addToMap(_ item: Item, _ active: ActiveContext) throws(JSONLDError) {
        let map = mapObject(item)
        var compacted = item.compacted
        var key: Symbol?
        let expanded = item.expanded.object
        if item.container.contains(.language) {
            if let expanded, let value = tree[expanded, .value] {
                compacted = value
                key = tree[expanded, .language]?.string
            }
        } else if item.container.contains(.index) {
            let index = item.definition?.index ?? .index
            if index == .index {
                key = expanded.flatMap { tree[$0, .index]?.string }
            } else {
                // Step 12.8.9.6. The mapping can be a term, a compact IRI or an IRI.
                var property = index
                if active.terms[index] == nil, let iri = try session.expandIRI(index, active) {
                    property = try session.compactIRI(iri, active)
                }
                key = takeFirst(property, from: compacted)
            }
        } else if item.container.contains(.id) {
            // Step 12.8.9.7.
            let alias = try session.compactIRI(.id, active)
            if case .object(let object) = compacted { key = tree.remove(alias, from: object)?.string }
        } else if item.container.contains(.type) {
            key = takeFirst(try session.compactIRI(.type, active), from: compacted)
            compacted = try referenceIfOnlyID(compacted, item, active)
        }
        // Steps 12.8.9.9 and 12.8.9.10.
        let none = try session.compactIRI(.none, active)
        tree.addValue(compacted, to: map, key ?? none, asArray: item.asArray)
    }

    // Steps 12.8.9.6.2 and 12.8.9.8.1.
    /// Takes the first value of a property out of a compacted node, if it is a string.
    private func takeFirst(_ property: Symbol, from compacted: Value) -> Symbol? {
        guard case .object(let object) = compacted, let values = tree[object, property] else { return nil }
        let array = tree.asArray(values)
        guard let first = tree.first(array)?.string else { return nil }
        tree.remove(property, from: object)
        for value in tree.elements(array).dropFirst() {
            tree.addValue(value, to: object, property, asArray: false)
        }
        return first
    }

    // Step 12.8.9.8.4.
    private func referenceIfOnlyID(
        _ compacted: Value, _ item: Item, _ active: ActiveContext
    ) throws(JSONLDError) -> Value {
        guard case .object(let object) = compacted, tree.count(object) == 1,
            let only = tree.members(object).first(where: { _ in true }),
            try session.expandIRI(only.key, active) == .id,
            let expanded = item.expanded.object, let id = tree[expanded, .id]
        else { return compacted }
        return try compact(.object(tree.makeObject(.id, id)), active, item.term)
    }
}
