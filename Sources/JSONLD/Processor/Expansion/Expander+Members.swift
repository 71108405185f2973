// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The members of an object under expansion (JSON-LD API, section 5.1.2 steps 13 and 14), but for
// the keywords.

extension Expander {
    // Steps 13 and 14.
    func expandMembers(_ element: ObjectID, _ scope: Scope) throws(JSONLDError) {
        var nests: [Tree.Cell] = []
        if session.options.isOrdered {
            for member in tree.sortedMembers(element) { try expandMember(member, scope, &nests) }
        } else {
            for member in tree.members(element) { try expandMember(member, scope, &nests) }
        }
        for nest in nests { try expandNest(nest, scope) }
    }

    // Step 13.
    private func expandMember(_ member: Tree.Cell, _ scope: Scope, _ nests: inout [Tree.Cell]) throws(JSONLDError) {
        let key = member.key
        // Step 13.1.
        if key == .context { return }
        // Step 13.2.
        let definition = scope.active.layers[key]
        let found = if let definition { definition.iri } else { try session.expandIRI(key, scope.active) }
        guard let property = found else { return }
        // Step 13.4.
        if property.isKeyword {
            session.path.append(.key(key))
            if property == .nest, !(scope.property == .reverse) {
                nests.append(member)
            } else {
                try expandKeyword(property, member.value, scope)
            }
            session.path.removeLast()
            return
        }
        // Step 13.3.
        guard session.symbols.traits(property).contains(.colon) else { return }
        session.path.append(.key(key))
        let expanded = try expandProperty(key, definition, member.value, scope)
        if !expanded.isNull { try add(expanded, property, definition, scope) }
        session.path.removeLast()
    }

    // Steps 13.5 to 13.12.
    private func expandProperty(
        _ key: Symbol, _ definition: TermDefinition?, _ value: Value, _ scope: Scope
    ) throws(JSONLDError) -> Value {
        guard let definition else { return try expand(value, scope.active, key, isFrame: scope.isFrame) }
        let container = definition.container
        var expanded: Value
        if definition.type == .json {
            // Step 13.6.
            let literal = tree.makeObject(.value, value)
            tree.add(.type, .string(.json), to: literal)
            expanded = .object(literal)
        } else if container.contains(.language), case .object(let map) = value {
            expanded = try expandLanguageMap(map, definition, scope)
        } else if !container.isDisjoint(with: [.index, .type, .id]), case .object(let map) = value {
            expanded = try expandIndexMap(map, key, definition, scope)
        } else {
            // Step 13.9.
            expanded = try expand(value, scope.active, key, isFrame: scope.isFrame)
        }
        // Step 13.10.
        if expanded.isNull { return .null }
        // Step 13.11.
        if container.contains(.list), !tree.isListObject(expanded) {
            expanded = .object(tree.makeObject(.list, .array(tree.asArray(expanded))))
        }
        // Step 13.12.
        if container.contains(.graph), container.isDisjoint(with: [.id, .index]) {
            let graphs = tree.makeArray()
            for item in tree.elements(tree.asArray(expanded)) {
                tree.append(.object(tree.makeObject(.graph, .array(tree.asArray(item)))), to: graphs)
            }
            expanded = .array(graphs)
        }
        return expanded
    }

    private func add(
        _ expanded: Value, _ property: Symbol, _ definition: TermDefinition?, _ scope: Scope
    ) throws(JSONLDError) {
        // Step 13.13.
        if let definition, definition.isReverse {
            try addReverse(expanded, property, to: reverseMap(scope.result))
            return
        }
        // Step 13.14. An array that was just made is taken as it is.
        if case .array = expanded, !tree.has(property, scope.result) {
            tree.add(property, expanded, to: scope.result)
        } else {
            tree.addValue(expanded, to: scope.result, property, asArray: true)
        }
    }

    /// The value of `@reverse` in a result.
    func reverseMap(_ result: ObjectID) -> ObjectID {
        if case .object(let map) = tree[result, .reverse] { return map }
        let map = tree.makeObject()
        tree.set(.reverse, .object(map), in: result)
        return map
    }

    func addReverse(_ values: Value, _ property: Symbol, to map: ObjectID) throws(JSONLDError) {
        try tree.forEach(values) { item throws(JSONLDError) in
            if tree.isValueObject(item) || tree.isListObject(item) {
                throw session.error(.invalidReversePropertyValue, "a value or a list can't have properties")
            }
            tree.addValue(item, to: map, property, asArray: true)
        }
    }

    // Step 14.
    private func expandNest(_ nest: Tree.Cell, _ scope: Scope) throws(JSONLDError) {
        try session.enter()
        session.path.append(.key(nest.key))
        var scope = scope
        // QUIRK: section 5.1.2 step 14 doesn't say that a term for @nest can have a context of its own; the test suite
        // (cases c037 and c038) and the errata do.
        if scope.active.layers[nest.key]?.localContext != nil {
            scope.active = try session.applyPropertyScoped(nest.key, of: scope.active, to: scope.active)
        }
        try tree.forEach(nest.value) { value throws(JSONLDError) in
            // Step 14.2.1.
            guard case .object(let object) = value else {
                throw session.error(.invalidNestValue, "the value of @nest is not an object")
            }
            for member in tree.members(object) where try session.expandIRI(member.key, scope.active) == .value {
                throw session.error(.invalidNestValue, "@value inside of @nest")
            }
            try expandMembers(object, scope)
        }
        session.path.removeLast()
        session.leave()
    }

    // MARK: maps

    // Step 13.7.
    private func expandLanguageMap(
        _ map: ObjectID, _ definition: TermDefinition, _ scope: Scope
    ) throws(JSONLDError) -> Value {
        let result = tree.makeArray()
        var direction = scope.active.direction
        switch definition.direction {
        case .absent: break
        case .null: direction = nil
        case .some(let own): direction = own
        }
        for member in sortedIfOrdered(map) {
            let isNone = try session.expandIRI(member.key, scope.active) == Symbol.none
            let tag = session.languageTag(member.key)
            session.path.append(.key(member.key))
            try tree.forEach(member.value) { item throws(JSONLDError) in
                if item.isNull { return }
                guard item.string != nil else {
                    throw session.error(.invalidLanguageMapValue, "a value of a language map is not a string")
                }
                let value = tree.makeObject(.value, item)
                if !isNone { tree.add(.language, .string(tag), to: value) }
                if let direction { tree.add(.direction, .string(direction), to: value) }
                tree.append(.object(value), to: result)
            }
            session.path.removeLast()
        }
        return .array(result)
    }

    // Step 13.8.
    private func expandIndexMap(
        _ map: ObjectID, _ key: Symbol, _ definition: TermDefinition, _ scope: Scope
    ) throws(JSONLDError) -> Value {
        let container = definition.container
        let result = tree.makeArray()
        for member in sortedIfOrdered(map) {
            // Steps 13.8.3.1 to 13.8.3.3.
            var context = scope.active
            if !container.isDisjoint(with: [.id, .type]) { context = context.previous ?? context }
            if container.contains(.type), context.layers[member.key]?.localContext != nil {
                context = try session.applyTypeScoped(member.key, of: context, to: context)
            } else if !container.contains(.type) {
                context = container.contains(.id) ? context : scope.active
            }
            // Step 13.8.3.4.
            let index = try session.expandIRI(member.key, scope.active)
            session.path.append(.key(member.key))
            // Steps 13.8.3.5 and 13.8.3.6.
            let values = try expand(
                .array(tree.asArray(member.value)), context, key, isFrame: scope.isFrame, fromMap: true)
            for item in tree.elements(tree.asArray(values)) {
                let labelled = try label(item, member.key, index, definition, scope)
                tree.append(labelled, to: result)
            }
            session.path.removeLast()
        }
        return .array(result)
    }

    // Step 13.8.3.7.
    /// Writes the key of a map into a value of it.
    private func label(
        _ item: Value, _ index: Symbol, _ expandedIndex: Symbol?, _ definition: TermDefinition, _ scope: Scope
    ) throws(JSONLDError) -> Value {
        let container = definition.container
        var item = item
        if container.contains(.graph), !tree.isGraphObject(item) {
            item = .object(tree.makeObject(.graph, .array(tree.asArray(item))))
        }
        guard case .object(let object) = item, expandedIndex != Symbol.none else { return item }
        if container.contains(.index), let property = definition.index, property != .index {
            try labelByProperty(object, index, property, scope)
        } else if container.contains(.index) {
            if !tree.has(.index, object) { tree.add(.index, .string(index), to: object) }
        } else if container.contains(.id) {
            if !tree.has(.id, object) {
                let id = try session.expandIRI(index, scope.active, documentRelative: true, vocab: false)
                tree.add(.id, id.map { .string($0) } ?? .null, to: object)
            }
        } else if container.contains(.type) {
            let types = tree.makeArray()
            if let expandedIndex { tree.append(.string(expandedIndex), to: types) }
            if let present = tree[object, .type] { tree.append(contentsOf: tree.asArray(present), to: types) }
            tree.set(.type, .array(types), in: object)
        }
        return item
    }

    // Step 13.8.3.7.2.
    private func labelByProperty(
        _ object: ObjectID, _ index: Symbol, _ property: Symbol, _ scope: Scope
    ) throws(JSONLDError) {
        let value = try expandValue(.string(index), scope.active, scope.active.layers[property])
        guard let key = try session.expandIRI(property, scope.active) else { return }
        let values = tree.makeArray(value)
        if let present = tree[object, key] { tree.append(contentsOf: tree.asArray(present), to: values) }
        tree.set(key, .array(values), in: object)
        if tree.has(.value, object) {
            throw session.error(.invalidValueObject, "a value can't be indexed by a property")
        }
    }

    private func sortedIfOrdered(_ map: ObjectID) -> [Tree.Cell] {
        session.options.isOrdered ? tree.sortedMembers(map) : Array(tree.members(map))
    }
}
