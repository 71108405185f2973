// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Members whose names are keywords (JSON-LD API, section 5.1.2 step 13.4).

extension Expander {
    // Step 13.4.
    func expandKeyword(_ keyword: Symbol, _ value: Value, _ scope: Scope) throws(JSONLDError) {
        // Step 13.4.1.
        if scope.property == .reverse {
            throw session.error(.invalidReversePropertyMap, "a keyword inside of @reverse", keyword)
        }
        // Step 13.4.2.
        if tree.has(keyword, scope.result) {
            let mayRepeat = !session.isVersion1_0 && (keyword == .included || keyword == .type)
            guard mayRepeat else { throw session.error(.collidingKeywords, "a keyword stands twice", keyword) }
        }
        switch keyword {
        case .id: set(.id, try expandID(value, scope), scope)
        case .type: try expandType(value, scope)
        case .graph: try expandGraph(value, scope)
        case .included: try expandIncluded(value, scope)
        case .value: try expandValueKeyword(value, scope)
        case .language: try expandLanguage(value, scope)
        case .direction: try expandDirection(value, scope)
        case .index:
            // Step 13.4.10.
            guard value.string != nil else { throw session.error(.invalidIndexValue, "@index is not a string") }
            set(.index, value, scope)
        case .list: try expandList(value, scope)
        case .set:
            // Step 13.4.12.
            set(.set, try expand(value, scope.active, scope.property, isFrame: scope.isFrame), scope)
        case .reverse: try expandReverse(value, scope)
        case .default:
            // Step 13.4.15. What a default says is no frame any more.
            guard scope.isFrame else { return }
            set(.default, try expand(value, scope.active, scope.property, isFrame: false), scope)
        case .embed, .explicit, .omitDefault, .requireAll:
            // QUIRK: step 13.4.15 expands these like values of the property they stand in, which would drop them at the
            // top of a frame; they are kept as they are.
            guard scope.isFrame else { return }
            set(keyword, .array(tree.asArray(value)), scope)
        default: break
        }
    }

    private func set(_ keyword: Symbol, _ value: Value, _ scope: Scope) {
        tree.set(keyword, value, in: scope.result)
    }

    /// The elements of a value that a frame may give as an array.
    private func strings(_ value: Value) -> [Symbol]? {
        guard case .array(let array) = value else { return nil }
        let strings = tree.elements(array).compactMap(\.string)
        return strings.count == tree.count(array) ? strings : nil
    }

    private func isEmptyObject(_ value: Value) -> Bool {
        value.object.map { tree.count($0) == 0 } ?? false
    }

    // Step 13.4.3.
    private func expandID(_ value: Value, _ scope: Scope) throws(JSONLDError) -> Value {
        if case .string(let id) = value {
            let iri = try session.expandIRI(id, scope.active, documentRelative: true, vocab: false)
            let expanded = iri.map { Value.string($0) } ?? .null
            return scope.isFrame ? .array(tree.makeArray(expanded)) : expanded
        }
        if scope.isFrame, isEmptyObject(value) { return .array(tree.makeArray(value)) }
        guard scope.isFrame, let ids = strings(value), !ids.isEmpty else {
            throw session.error(.invalidIDValue, "@id is not a string")
        }
        let expanded = tree.makeArray()
        for id in ids {
            if let iri = try session.expandIRI(id, scope.active, documentRelative: true, vocab: false) {
                tree.append(.string(iri), to: expanded)
            }
        }
        return .array(expanded)
    }

    // Step 13.4.4.
    private func expandType(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        var expanded: Value
        switch value {
        case .string(let type): expanded = try typeIRI(type, scope)
        case .array(let types):
            let array = tree.makeArray()
            for type in tree.elements(types) {
                guard case .string(let name) = type else {
                    throw session.error(.invalidTypeValue, "@type is not a string or an array of strings")
                }
                tree.append(try typeIRI(name, scope), to: array)
            }
            expanded = .array(array)
        case .object(let object) where scope.isFrame && tree.count(object) == 0: expanded = value
        case .object(let object) where scope.isFrame && tree.has(.default, object):
            expanded = try expandDefaultType(object, scope)
        default: throw session.error(.invalidTypeValue, "@type is not a string or an array of strings")
        }
        // Step 13.4.4.5.
        if let present = tree[scope.result, .type] {
            // An array here is one that was made here.
            let all = tree.asArray(present)
            tree.append(contentsOf: tree.asArray(expanded), to: all)
            expanded = .array(all)
        }
        set(.type, expanded, scope)
    }

    private func typeIRI(_ type: Symbol, _ scope: Scope) throws(JSONLDError) -> Value {
        try session.expandIRI(type, scope.typeScoped, documentRelative: true).map { .string($0) } ?? .null
    }

    // Step 13.4.4.3.
    private func expandDefaultType(_ object: ObjectID, _ scope: Scope) throws(JSONLDError) -> Value {
        let types = tree.makeArray()
        try tree.forEach(tree[object, .default] ?? .null) { type throws(JSONLDError) in
            guard case .string(let name) = type else {
                throw session.error(.invalidTypeValue, "@default of @type is not a string")
            }
            tree.append(try typeIRI(name, scope), to: types)
        }
        let value = tree.count(types) == 1 ? tree.first(types) ?? .null : .array(types)
        return .object(tree.makeObject(.default, value))
    }

    // Step 13.4.5.
    private func expandGraph(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        let graph = try expand(value, scope.active, .graph, isFrame: scope.isFrame)
        set(.graph, .array(graph.isNull ? tree.makeArray() : tree.asArray(graph)), scope)
    }

    // Step 13.4.6.
    private func expandIncluded(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        if session.isVersion1_0 { return }
        let expanded = try expand(value, scope.active, nil, isFrame: scope.isFrame)
        let nodes = expanded.isNull ? tree.makeArray() : tree.asArray(expanded)
        if tree.count(nodes) == 0 { throw session.error(.invalidIncludedValue, "@included holds no node") }
        for node in tree.elements(nodes) where !tree.isNodeObject(node) {
            throw session.error(.invalidIncludedValue, "@included holds something that is no node")
        }
        if case .array(let present) = tree[scope.result, .included] {
            tree.append(contentsOf: nodes, to: present)
        } else {
            set(.included, .array(nodes), scope)
        }
    }

    // Step 13.4.7.
    private func expandValueKeyword(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        if scope.isJSONLiteral {
            if session.isVersion1_0 {
                throw session.error(.invalidValueObjectValue, "JSON literals are not of version 1.0")
            }
            return set(.value, value, scope)
        }
        switch value {
        case .null, .boolean, .string, .number:
            set(.value, scope.isFrame && !value.isNull ? .array(tree.makeArray(value)) : value, scope)
        case .object(let object) where scope.isFrame && tree.count(object) == 0:
            set(.value, .array(tree.makeArray(value)), scope)
        case .array(let array) where scope.isFrame && tree.elements(array).allSatisfy(\.isScalar):
            set(.value, value, scope)
        default: throw session.error(.invalidValueObjectValue, "@value is an array or an object")
        }
    }

    // Step 13.4.8.
    private func expandLanguage(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        if case .string(let tag) = value {
            let normal = Value.string(session.languageTag(tag))
            return set(.language, scope.isFrame ? .array(tree.makeArray(normal)) : normal, scope)
        }
        guard scope.isFrame, isEmptyObject(value) || strings(value) != nil else {
            throw session.error(.invalidLanguageTaggedString, "@language is not a string")
        }
        set(.language, .array(tree.asArray(value)), scope)
    }

    // Step 13.4.9.
    private func expandDirection(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        if session.isVersion1_0 { return }
        if value == .string(.ltr) || value == .string(.rtl) {
            return set(.direction, scope.isFrame ? .array(tree.makeArray(value)) : value, scope)
        }
        guard scope.isFrame, isEmptyObject(value) || strings(value) != nil else {
            throw session.error(.invalidBaseDirection, "@direction is neither ltr nor rtl")
        }
        set(.direction, .array(tree.asArray(value)), scope)
    }

    // Step 13.4.11.
    private func expandList(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        if scope.property == nil || scope.property == .graph { return }
        let expanded = try expand(value, scope.active, scope.property, isFrame: scope.isFrame)
        let list = expanded.isNull ? tree.makeArray() : tree.asArray(expanded)
        if session.isVersion1_0, tree.elements(list).contains(where: { tree.isListObject($0) }) {
            throw session.error(.listOfLists, "a list inside a list is not of version 1.0")
        }
        set(.list, .array(list), scope)
    }

    // Step 13.4.13.
    private func expandReverse(_ value: Value, _ scope: Scope) throws(JSONLDError) {
        guard value.object != nil else { throw session.error(.invalidReverseValue, "@reverse is not an object") }
        let expanded = try expand(value, scope.active, .reverse, isFrame: scope.isFrame)
        guard case .object(let object) = expanded else { return }
        // Step 13.4.13.3: what is reversed twice is not reversed.
        if case .object(let double) = tree[object, .reverse] {
            for member in tree.members(double) {
                tree.addValue(member.value, to: scope.result, member.key, asArray: true)
            }
        }
        // Step 13.4.13.4.
        guard tree.count(object) > (tree.has(.reverse, object) ? 1 : 0) else { return }
        let map = reverseMap(scope.result)
        for member in tree.members(object) where member.key != .reverse {
            try addReverse(member.value, member.key, to: map)
        }
    }
}
