// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Value compaction (JSON-LD API, section 6.3).

extension Compactor {
    // Section 6.3.2. `definition` is that of the active property.
    func compactValue(
        _ value: ObjectID, _ active: ActiveContext, _ definition: TermDefinition?
    ) throws(JSONLDError) -> Value {
        let hasIndex = tree.has(.index, value)
        // Step 6.
        if let id = tree[value, .id] {
            guard tree.count(value) == (hasIndex ? 2 : 1), case .string(let iri) = id else {
                return try compactKeys(value, active)
            }
            if definition?.type == .id { return .string(try session.compactIRI(iri, active, vocab: false)) }
            if definition?.type == .vocab { return .string(try session.compactIRI(iri, active)) }
            return try compactKeys(value, active)
        }
        let inner = tree[value, .value] ?? .null
        let type = tree[value, .type]?.string
        // Step 7.
        if let type, type == definition?.type { return inner }
        // Step 8.
        if type != nil || definition?.type == Symbol.none || tree.has(.type, value) {
            return try compactKeys(value, active)
        }
        // Steps 9 and 10.
        let keepsIndex = hasIndex && definition?.container.contains(.index) != true
        if inner.string == nil { return keepsIndex ? try compactKeys(value, active) : inner }
        if !keepsIndex, matchesDefaults(value, active, definition) { return inner }
        return try compactKeys(value, active)
    }

    // Steps 4, 5 and 10.
    /// Whether language and direction are those that a plain string would get.
    private func matchesDefaults(_ value: ObjectID, _ active: ActiveContext, _ definition: TermDefinition?) -> Bool {
        let language: Symbol? =
            switch definition?.language ?? .absent {
            case .absent: active.language
            case .null: nil
            case .some(let own): own
            }
        let direction: Symbol? =
            switch definition?.direction ?? .absent {
            case .absent: active.direction
            case .null: nil
            case .some(let own): own
            }
        guard tree[value, .direction]?.string == direction else { return false }
        switch (tree[value, .language]?.string, language) {
        case (nil, nil): return true
        case (let first?, let second?):
            return session.languageKey(first, nil) == session.languageKey(second, nil)
        default: return false
        }
    }

    // Steps 8.1 and 11.
    private func compactKeys(_ value: ObjectID, _ active: ActiveContext) throws(JSONLDError) -> Value {
        let result = tree.makeObject()
        for member in tree.members(value) {
            var inner = member.value
            if member.key == .type {
                if case .string(let type) = inner { inner = .string(try session.compactIRI(type, active)) }
            }
            tree.set(try session.compactIRI(member.key, active), inner, in: result)
        }
        return .object(result)
    }
}
