// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Frame matching and value pattern matching (JSON-LD Framing, sections 4.2 and 4.3).

extension Framer {
    // Section 4.2.
    /// Whether a node is one that the frame asks for. Goes as deep as the frame does.
    func matches(_ node: ObjectID, _ frame: ObjectID, _ state: State, _ flags: Flags) throws(JSONLDError) -> Bool {
        try session.enter()
        defer { session.leave() }
        var isWildcard = true
        var matchesSome = false
        for member in tree.members(frame) {
            let wanted = tree.asArray(member.value)
            let present = tree[node, member.key].map { tree.asArray($0) } ?? tree.makeArray()
            let isMatch: Bool
            if member.key == .id {
                isMatch = isEmptyObject(tree.first(wanted)) || contains(wanted, tree[node, .id] ?? .null)
                if !flags.requiresAll { return isMatch }
            } else if member.key == .type {
                isWildcard = false
                isMatch = matchesType(wanted, present)
                if !flags.requiresAll { return isMatch }
            } else if member.key.isKeyword {
                continue
            } else {
                isWildcard = false
                switch try matchProperty(wanted, present, state, flags) {
                case .yes: isMatch = true
                case .no: isMatch = false
                case .onlyByDefault: continue
                case .never: return false
                }
            }
            if !isMatch, flags.requiresAll { return false }
            matchesSome = matchesSome || isMatch
        }
        return isWildcard || matchesSome
    }

    private enum PropertyMatch {
        case yes, no
        /// The node lacks the property and the frame has a default for it.
        case onlyByDefault
        /// The node has what the frame says it must not have.
        case never
    }

    private func isEmptyObject(_ value: Value?) -> Bool {
        value?.object.map { tree.count($0) == 0 } ?? false
    }

    private func contains(_ array: ArrayID, _ value: Value) -> Bool {
        tree.elements(array).contains { tree.areEqual($0, value) }
    }

    // Step 2.2.
    private func matchesType(_ wanted: ArrayID, _ present: ArrayID) -> Bool {
        if tree.count(wanted) == 0 { return tree.count(present) == 0 }
        if tree.count(wanted) == 1, isEmptyObject(tree.first(wanted)) { return tree.count(present) > 0 }
        return tree.elements(wanted).contains { type in
            if case .object(let object) = type { return tree.has(.default, object) }
            return contains(present, type)
        }
    }

    // Steps 2.4 to 2.10.
    private func matchProperty(
        _ wanted: ArrayID, _ present: ArrayID, _ state: State, _ flags: Flags
    ) throws(JSONLDError) -> PropertyMatch {
        let hasValues = tree.count(present) > 0
        guard case .object(let pattern) = tree.first(wanted) else { return hasValues ? .never : .yes }
        try checkFrame(pattern)
        if !hasValues, tree.has(.default, pattern) { return .onlyByDefault }
        let isMatch: Bool
        if case .array(let list) = tree[pattern, .list] {
            isMatch = try matchesList(list, present, state, flags)
        } else if tree.has(.value, pattern) {
            isMatch = tree.elements(present).contains { $0.object.map { matchesValue(pattern, $0) } ?? false }
        } else if tree.count(pattern) == 1, tree.has(.id, pattern) {
            isMatch = try anyNodeMatches(present, pattern, state, flags)
        } else {
            isMatch = hasValues
        }
        return isMatch ? .yes : .no
    }

    private func matchesList(
        _ wanted: ArrayID, _ present: ArrayID, _ state: State, _ flags: Flags
    ) throws(JSONLDError) -> Bool {
        guard case .object(let pattern) = tree.first(wanted), case .object(let list) = tree.first(present),
            case .array(let elements) = tree[list, .list]
        else { return false }
        if tree.has(.value, pattern) {
            return tree.elements(elements).contains { $0.object.map { matchesValue(pattern, $0) } ?? false }
        }
        return try anyNodeMatches(elements, pattern, state, flags)
    }

    // Step 2.9.
    private func anyNodeMatches(
        _ values: ArrayID, _ pattern: ObjectID, _ state: State, _ flags: Flags
    ) throws(JSONLDError) -> Bool {
        for value in tree.elements(values) {
            guard case .object(let object) = value, case .string(let id) = tree[object, .id],
                let node = node(id, in: state.graph)
            else { continue }
            if try matches(node, pattern, state, flags) { return true }
        }
        return false
    }

    // Section 4.3.
    func matchesValue(_ pattern: ObjectID, _ value: ObjectID) -> Bool {
        let wanted = [Symbol.value, .type, .language].map { key in tree[pattern, key].map { tree.asArray($0) } }
        if wanted.allSatisfy({ $0 == nil || $0.map { tree.count($0) == 0 } == true }) { return true }
        guard let values = wanted[0], let own = tree[value, .value],
            contains(values, own) || isEmptyObject(tree.first(values))
        else { return false }
        return matchesEntry(wanted[1], tree[value, .type], ignoresCase: false)
            && matchesEntry(wanted[2], tree[value, .language], ignoresCase: true)
    }

    private func matchesEntry(_ wanted: ArrayID?, _ own: Value?, ignoresCase: Bool) -> Bool {
        guard let own else { return wanted.map { tree.count($0) == 0 } ?? true }
        guard let wanted else { return false }
        if isEmptyObject(tree.first(wanted)) { return true }
        guard ignoresCase, let tag = own.string else { return contains(wanted, own) }
        let key = session.languageKey(tag, nil)
        return tree.elements(wanted).contains { $0.string.map { session.languageKey($0, nil) == key } ?? false }
    }
}
