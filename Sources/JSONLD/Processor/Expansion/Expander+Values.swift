// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Value expansion (JSON-LD API, section 5.3): a scalar and what the definition of its property
// says of it.

extension Expander {
    // Section 5.3.2. `definition` is that of the active property.
    func expandValue(
        _ value: Value, _ active: ActiveContext, _ definition: TermDefinition?
    ) throws(JSONLDError) -> Value {
        let type = definition?.type
        if let type, case .string(let string) = value {
            // Steps 1 and 2.
            if type == .id || type == .vocab {
                let iri = try session.expandIRI(string, active, documentRelative: true, vocab: type == .vocab)
                return .object(tree.makeObject(.id, iri.map { .string($0) } ?? .null))
            }
        }
        // Step 3.
        let result = tree.makeObject(.value, value)
        // Step 4.
        if let type, type != .id, type != .vocab, type != Symbol.none {
            tree.add(.type, .string(type), to: result)
            return .object(result)
        }
        // Step 5.
        guard value.string != nil else { return .object(result) }
        switch definition?.language ?? .absent {
        case .absent: if let language = active.language { tree.add(.language, .string(language), to: result) }
        case .null: break
        case .some(let language): tree.add(.language, .string(language), to: result)
        }
        switch definition?.direction ?? .absent {
        case .absent: if let direction = active.direction { tree.add(.direction, .string(direction), to: result) }
        case .null: break
        case .some(let direction): tree.add(.direction, .string(direction), to: result)
        }
        return .object(result)
    }
}
