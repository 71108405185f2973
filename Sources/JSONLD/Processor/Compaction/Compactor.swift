// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The compaction algorithm (JSON-LD API, section 6.1): applies a context to an expanded document.
// Step numbers are those of section 6.1.2.

/// Compacts values of the tree of a session.
struct Compactor {
    let session: Session
    let tree: Tree

    init(_ session: Session) {
        self.session = session
        tree = session.tree
    }

    var compactsArrays: Bool { session.options.compactsArrays }

    // Section 6.1.2.
    func compact(
        _ element: Value, _ active: ActiveContext, _ property: Symbol?
    ) throws(JSONLDError) -> Value {
        switch element {
        // Step 2.
        case .null, .boolean, .string, .number: return element
        case .array(let array): return try compactArray(array, active, property)
        case .object(let object):
            try session.enter()
            let result = try compactObject(object, active, property)
            session.leave()
            return result
        }
    }

    // Step 3.
    private func compactArray(
        _ array: ArrayID, _ active: ActiveContext, _ property: Symbol?
    ) throws(JSONLDError) -> Value {
        try session.enter()
        let result = tree.makeArray()
        for item in tree.elements(array) {
            let compacted = try compact(item, active, property)
            if !compacted.isNull { tree.append(compacted, to: result) }
        }
        session.leave()
        let container = property.flatMap { active.terms[$0]?.container } ?? []
        guard tree.count(result) == 1, compactsArrays, property != .graph, property != .set,
            container.isDisjoint(with: [.list, .set]), let only = tree.first(result)
        else { return .array(result) }
        return only
    }

    // Steps 4 to 13.
    private func compactObject(
        _ element: ObjectID, _ outer: ActiveContext, _ property: Symbol?
    ) throws(JSONLDError) -> Value {
        var active = outer
        // Step 5.
        if let previous = outer.previous, !tree.has(.value, element),
            !(tree.count(element) == 1 && tree.has(.id, element))
        {
            active = previous
        }
        // Step 6. The definition is looked up before the context was taken back, as in expansion.
        if let property, outer.terms[property]?.localContext != nil {
            active = try session.applyPropertyScoped(property, of: outer, to: active)
        }
        let definition = property.flatMap { active.terms[$0] }
        // Step 7.
        if tree.has(.value, element) || tree.has(.id, element) {
            let value = try compactValue(element, active, definition)
            if value.object == nil && value.array == nil || definition?.type == .json { return value }
        }
        // Step 8.
        if let list = tree[element, .list], definition?.container.contains(.list) == true {
            return try compact(list, active, property)
        }
        // Step 11.
        let typeScoped = active
        active = try applyTypes(element, active)
        // Step 12.
        let scope = Scope(
            active: active, typeScoped: typeScoped, property: property, isInsideReverse: property == .reverse,
            result: tree.makeObject())
        let members = session.options.isOrdered ? tree.sortedMembers(element) : Array(tree.members(element))
        for member in members { try compactMember(member, scope) }
        return .object(scope.result)
    }

    // Step 11.
    private func applyTypes(_ element: ObjectID, _ typeScoped: ActiveContext) throws(JSONLDError) -> ActiveContext {
        guard let types = tree[element, .type] else { return typeScoped }
        var terms: [Symbol] = []
        try tree.forEach(types) { type throws(JSONLDError) in
            guard case .string(let iri) = type else { return }
            let term = try session.compactIRI(iri, typeScoped)
            if typeScoped.terms[term]?.localContext != nil { terms.append(term) }
        }
        terms.sort { isOrderedBefore(session.symbols.bytes($0), session.symbols.bytes($1)) }
        var active = typeScoped
        for term in terms { active = try session.applyTypeScoped(term, of: typeScoped, to: active) }
        return active
    }

    /// What stays the same while the members of one object are compacted.
    struct Scope {
        var active: ActiveContext
        var typeScoped: ActiveContext
        var property: Symbol?
        var isInsideReverse: Bool
        var result: ObjectID
    }

    // MARK: members

    // Step 12.
    private func compactMember(_ member: Tree.Cell, _ scope: Scope) throws(JSONLDError) {
        let active = scope.active
        switch member.key {
        case .id:
            // Step 12.1.
            let alias = try session.compactIRI(.id, active)
            tree.set(alias, try compactID(member.value, active), in: scope.result)
        case .type: try compactType(member.value, scope)
        case .reverse: try compactReverse(member.value, scope)
        case .preserve:
            // Step 12.4.
            if case .array(let preserved) = member.value, tree.count(preserved) == 0 { return }
            let compacted = try compact(member.value, active, scope.property)
            tree.set(.preserve, compacted, in: scope.result)
        case .index where scope.property.flatMap({ active.terms[$0] })?.container.contains(.index) == true:
            // Step 12.5.
            return
        case .direction, .index, .language, .value:
            // Step 12.6.
            tree.set(try session.compactIRI(member.key, active), member.value, in: scope.result)
        default:
            let values = tree.asArray(member.value)
            // Step 12.7.
            if tree.count(values) == 0 {
                let term = try session.compactIRI(
                    member.key, active, value: member.value, reverse: scope.isInsideReverse)
                let target = try nestResult(term, scope)
                tree.addValue(member.value, to: target, term, asArray: true)
            }
            // Step 12.8.
            for item in tree.elements(values) { try compactItem(item, member.key, scope) }
        }
    }

    // Step 12.1.1. Frames can have arrays of identifiers.
    private func compactID(_ value: Value, _ active: ActiveContext) throws(JSONLDError) -> Value {
        switch value {
        case .string(let iri): return .string(try session.compactIRI(iri, active, vocab: false))
        case .array(let values):
            let result = tree.makeArray()
            for item in tree.elements(values) { tree.append(try compactID(item, active), to: result) }
            return tree.count(result) == 1 ? tree.first(result) ?? value : .array(result)
        default: return value
        }
    }

    // Step 12.2.
    private func compactType(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        let compacted: Value
        if case .string(let iri) = value {
            compacted = .string(try session.compactIRI(iri, scope.typeScoped))
        } else {
            let array = tree.makeArray()
            for type in tree.elements(tree.asArray(value)) {
                guard case .string(let iri) = type else {
                    tree.append(type, to: array)
                    continue
                }
                tree.append(.string(try session.compactIRI(iri, scope.typeScoped)), to: array)
            }
            compacted = .array(array)
        }
        let alias = try session.compactIRI(.type, scope.active)
        let isSet = !session.isVersion1_0 && scope.active.terms[alias]?.container.contains(.set) == true
        let isEmpty = compacted.array.map { tree.count($0) == 0 } ?? false
        tree.addValue(compacted, to: scope.result, alias, asArray: isSet || !compactsArrays || isEmpty)
    }

    // Step 12.3.
    private func compactReverse(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        guard case .object(let compacted) = try compact(value, scope.active, .reverse) else { return }
        for member in Array(tree.members(compacted)) {
            guard let definition = scope.active.terms[member.key], definition.isReverse else { continue }
            let asArray = definition.container.contains(.set) || !compactsArrays
            tree.addValue(member.value, to: scope.result, member.key, asArray: asArray)
            tree.remove(member.key, from: compacted)
        }
        if tree.count(compacted) > 0 {
            tree.set(try session.compactIRI(.reverse, scope.active), .object(compacted), in: scope.result)
        }
    }

    // Steps 12.7.2 and 12.8.2.
    /// Where the values of a term go: into the result, or into an object under its nest value.
    func nestResult(_ term: Symbol, _ scope: Scope) throws(JSONLDError) -> ObjectID {
        guard let nest = scope.active.terms[term]?.nest else { return scope.result }
        guard try session.expandIRI(nest, scope.active) == .nest else {
            throw session.error(.invalidNestValue, "@nest of a term stands for something else", nest)
        }
        if case .object(let object) = tree[scope.result, nest] { return object }
        let object = tree.makeObject()
        tree.set(nest, .object(object), in: scope.result)
        return object
    }
}
