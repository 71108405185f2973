// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where a reference leads: base URI, resource, anchor or JSON pointer.

import JSONLD

/// What a reference leads to.
struct ReferenceTarget {
    var value: JSONValue
    var document: Int
    var resource: Int
    /// The fragment, where it is a dynamic anchor of the target.
    var dynamicAnchor: String?
}

extension SchemaRegistry {
    /// Follows `$ref` or `$dynamicRef`, whose value is `keyword`, in a schema of `resource`.
    mutating func resolve(_ keyword: JSONValue, _ document: Int, _ resource: Int) throws(SchemaError) -> ReferenceTarget {
        guard let text = keyword.string else { throw error(.invalidKeyword, document, keyword) }
        let absolute = URIReference(text).resolved(against: resources[resource].base)
        let uri = absolute.withoutFragment
        let found = try self.resource(uri, fallback: resources[resource].dialect)
        guard let target = found else { throw error(.unknownDocument, document, keyword, uri) }
        guard let fragment = URIReference.percentDecoded(absolute.fragment ?? "") else {
            throw error(.invalidKeyword, document, keyword, text)
        }
        let root = resources[target].root
        if fragment.isEmpty {
            return ReferenceTarget(value: root, document: resources[target].document, resource: target)
        }
        if fragment.hasPrefix("/") {
            let place = try follow(fragment, from: target)
            guard let place else { throw error(.unresolvedPointer, document, keyword, text) }
            return place
        }
        guard let value = resources[target].anchors[fragment] else {
            throw error(.unknownAnchor, document, keyword, text)
        }
        return ReferenceTarget(
            value: value, document: resources[target].document, resource: target,
            dynamicAnchor: resources[target].dynamicAnchors[fragment] == nil ? nil : fragment)
    }

    /// Follows a JSON pointer from the root of a resource. Resources inside it change the base on the way.
    private mutating func follow(_ pointer: String, from start: Int) throws(SchemaError) -> ReferenceTarget? {
        var resource = start
        let document = resources[start].document
        var value = resources[start].root
        for token in JSONPointer.tokens(pointer) ?? [] {
            guard let child = JSONPointer.child(value, token) else { return nil }
            value = child
            if let inner = resourcesByPlace[Place(document, value)] { resource = inner }
        }
        // A place that is no known keyword's has not been looked at yet.
        try scan(value, document, resource)
        resource = resourcesByPlace[Place(document, value)] ?? resource
        return ReferenceTarget(value: value, document: document, resource: resource)
    }
}
