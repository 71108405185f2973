// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The expansion algorithm (JSON-LD API, section 5.1): removes contexts and gives every value its
// regular form. Step numbers are those of section 5.1.2.

/// Expands values of the tree of a session.
struct Expander {
    let session: Session
    let tree: Tree
    /// Address of the document, for relative addresses of contexts.
    let baseURL: Symbol?
    /// Whether frames are expanded, which may hold what documents may not.
    let isFrame: Bool

    init(_ session: Session, baseURL: Symbol?, isFrame: Bool = false) {
        self.session = session
        tree = session.tree
        self.baseURL = baseURL
        self.isFrame = isFrame
    }

    /// What stays the same while the members of one object, and of those nested in it, are expanded.
    struct Scope {
        var active: ActiveContext
        /// The context before those of the types were applied.
        var typeScoped: ActiveContext
        /// The property whose value is expanded, as it stands in the document.
        var property: Symbol?
        var result: ObjectID
        var isJSONLiteral: Bool
        var isFrame: Bool
    }

    // Section 5.1.2. Null stands for a value that is dropped.
    func expand(
        _ element: Value, _ active: ActiveContext, _ property: Symbol?, isFrame: Bool? = nil, fromMap: Bool = false
    ) throws(JSONLDError) -> Value {
        // Step 2.
        let isFrame = property == .default ? false : isFrame ?? self.isFrame
        switch element {
        // Step 1.
        case .null: return .null
        case .boolean, .string, .number: return try expandScalar(element, active, property)
        case .array(let array): return try expandArray(array, active, property, isFrame, fromMap)
        case .object(let object):
            try session.enter()
            let result = try expandObject(object, active, property, isFrame, fromMap)
            session.leave()
            return result
        }
    }

    // Step 4.
    private func expandScalar(
        _ value: Value, _ active: ActiveContext, _ property: Symbol?
    ) throws(JSONLDError) -> Value {
        guard let property, property != .graph else { return .null }
        let definition = active.layers[property]
        guard definition?.localContext != nil else { return try expandValue(value, active, definition) }
        let scoped = try session.applyPropertyScoped(property, of: active, to: active)
        return try expandValue(value, scoped, scoped.layers[property])
    }

    // Step 5.
    private func expandArray(
        _ array: ArrayID, _ active: ActiveContext, _ property: Symbol?, _ isFrame: Bool, _ fromMap: Bool
    ) throws(JSONLDError) -> Value {
        try session.enter()
        let result = tree.makeArray()
        let isList = property.flatMap { active.layers[$0] }?.container.contains(.list) ?? false
        var index = 0
        for item in tree.elements(array) {
            session.path.append(.index(index))
            var expanded = try expand(item, active, property, isFrame: isFrame, fromMap: fromMap)
            // Step 5.2.2.
            if isList, case .array = expanded { expanded = .object(tree.makeObject(.list, expanded)) }
            // Step 5.2.3.
            switch expanded {
            case .null: break
            case .array(let items): tree.append(contentsOf: items, to: result)
            default: tree.append(expanded, to: result)
            }
            session.path.removeLast()
            index += 1
        }
        session.leave()
        return .array(result)
    }

    // Steps 6 to 20.
    private func expandObject(
        _ element: ObjectID, _ outer: ActiveContext, _ property: Symbol?, _ isFrame: Bool, _ fromMap: Bool
    ) throws(JSONLDError) -> Value {
        var active = outer
        // Step 7.
        if let previous = outer.previous, !fromMap, try startsNode(element, outer) { active = previous }
        // Step 8.
        if let property, outer.layers[property]?.localContext != nil {
            active = try session.applyPropertyScoped(property, of: outer, to: active)
        }
        // Step 9.
        if let context = tree[element, .context] {
            session.path.append(.key(.context))
            active = try session.process(context, active, ContextUse(baseURL: baseURL))
            session.path.removeLast()
        }
        // Step 10.
        let typeScoped = active
        // Steps 11 and 12.
        let typeMembers = try typeMembers(element, active)
        active = try applyTypes(typeMembers, active)
        let scope = Scope(
            active: active, typeScoped: typeScoped, property: property, result: tree.makeObject(),
            isJSONLiteral: try isJSONLiteral(typeMembers, active), isFrame: isFrame)
        // Steps 13 and 14.
        try expandMembers(element, scope)
        return try finish(scope)
    }

    /// Whether an object is a node of its own: neither a value nor a reference.
    private func startsNode(_ element: ObjectID, _ active: ActiveContext) throws(JSONLDError) -> Bool {
        let isSingle = tree.count(element) == 1
        for member in tree.members(element) {
            let expanded = try session.expandIRI(member.key, active)
            if expanded == .value || isSingle && expanded == .id { return false }
        }
        return true
    }

    // MARK: types

    /// The members that expand to `@type`, in the order of their names.
    private func typeMembers(_ element: ObjectID, _ active: ActiveContext) throws(JSONLDError) -> [Tree.Cell] {
        let terms = active.typeTerms
        var found: [Tree.Cell] = []
        for member in tree.members(element) {
            // Contexts have one such term or none; one that has very many is looked up in.
            let isType = terms.count < 8 ? terms.contains(member.key) : active.layers[member.key]?.iri == .type
            if member.key == .type || isType { found.append(member) }
        }
        return found.count < 2 ? found : tree.sortedByKey(found)
    }

    // Step 11.
    private func applyTypes(_ members: [Tree.Cell], _ typeScoped: ActiveContext) throws(JSONLDError) -> ActiveContext {
        var active = typeScoped
        for member in members {
            if case .string(let type) = member.value {
                if typeScoped.layers[type]?.localContext != nil {
                    active = try session.applyTypeScoped(type, of: typeScoped, to: active)
                }
                continue
            }
            guard case .array(let values) = member.value else { continue }
            let types = tree.elements(values).compactMap(\.string)
                .filter { typeScoped.layers[$0]?.localContext != nil }
                .sorted { isOrderedBefore(session.symbols.bytes($0), session.symbols.bytes($1)) }
            for type in types { active = try session.applyTypeScoped(type, of: typeScoped, to: active) }
        }
        return active
    }

    // Step 12.
    private func isJSONLiteral(_ members: [Tree.Cell], _ active: ActiveContext) throws(JSONLDError) -> Bool {
        guard let first = members.first else { return false }
        var last: Symbol?
        switch first.value {
        case .string(let type): last = type
        case .array(let types): for type in tree.elements(types) { last = type.string }
        default: break
        }
        guard let last else { return false }
        return last == .json || active.layers[last]?.iri == .json
    }

    // MARK: the end

    // Steps 15 to 20.
    private func finish(_ scope: Scope) throws(JSONLDError) -> Value {
        let result = scope.result
        var value = Value.object(result)
        var present = tree.keywords(result)
        if present.contains(.value) {
            if try isDroppedValue(scope) { return .null }
        } else if present.contains(.type) {
            // Step 16.
            if let type = tree[result, .type], type.array == nil {
                tree.set(.type, .array(tree.makeArray(type)), in: result)
            }
        } else if present.contains(.set) || present.contains(.list) {
            // Step 17.
            guard tree.count(result) == (present.contains(.index) ? 2 : 1) else {
                throw session.error(.invalidSetOrListObject, "@set or @list together with something else")
            }
            if let set = tree[result, .set] { value = set }
        }
        guard case .object(let object) = value else { return value }
        if object != result { present = tree.keywords(object) }
        let isSingle = tree.count(object) == 1
        // Step 18.
        if isSingle, present.contains(.language) { return .null }
        // Step 19.
        guard scope.property == nil || scope.property == .graph else { return value }
        if tree.count(object) == 0 || present.contains(.value) || present.contains(.list) { return .null }
        if isSingle, present.contains(.id), !scope.isFrame { return .null }
        return value
    }

    // Step 15.
    private func isDroppedValue(_ scope: Scope) throws(JSONLDError) -> Bool {
        let result = scope.result
        // Step 15.1.
        for member in tree.members(result) {
            switch member.key {
            case .direction, .index, .language, .type, .value: continue
            default: throw session.error(.invalidValueObject, "@value together with something else", member.key)
            }
        }
        let type = tree[result, .type]
        if type != nil, tree.has(.language, result) || tree.has(.direction, result) {
            throw session.error(.invalidValueObject, "@type together with @language or @direction")
        }
        let value = tree[result, .value] ?? .null
        // Step 15.2.
        if type == .string(.json) { return false }
        // Step 15.3.
        if case .array(let values) = value, tree.count(values) == 0 { return true }
        if value.isNull { return true }
        // Step 15.4.
        if value.string == nil, tree.has(.language, result), !scope.isFrame {
            throw session.error(.invalidLanguageTaggedValue, "@language of something that is no string")
        }
        // Step 15.5.
        if let type, !scope.isFrame {
            guard case .string(let iri) = type, session.isIRI(iri) else {
                throw session.error(.invalidTypedValue, "@type of a value is not an IRI")
            }
        }
        return false
    }
}
