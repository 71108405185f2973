// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What an operation made: a tree that can be looked through or written as JSON.

/// The result of expanding, compacting, flattening, framing, or reading RDF.
public struct JSONLDResult: Sendable {
    let tree: Tree
    let value: Value
    let limits: JSONLDLimits

    /// The result as JSON in UTF-8; on one line, or indented by two spaces.
    /// - Throws: `limit exceeded` if it is larger than `JSONLDLimits.outputSize`.
    public func json(isPretty: Bool = false) throws(JSONLDError) -> [UInt8] {
        try tree.json(value, limit: limits.outputSize, isPretty: isPretty)
    }

    public var root: JSONLDNode { JSONLDNode(tree: tree, value: value) }
}

/// A value of a result: a cursor, cheap to copy. It keeps the whole result.
public struct JSONLDNode: Sendable {
    public enum Kind: Sendable, Hashable {
        case object, array, string, number, boolean, null
    }

    let tree: Tree
    let value: Value

    public var kind: Kind {
        switch value {
        case .null: .null
        case .boolean: .boolean
        case .string: .string
        case .number: .number
        case .array: .array
        case .object: .object
        }
    }

    /// The characters of a string; nil for other kinds.
    public var string: String? { value.string.map { tree.symbols.text($0) } }

    /// The digits of a number as they were written; nil for other kinds.
    public var number: String? {
        if case .number(let number) = value { tree.symbols.text(number) } else { nil }
    }

    /// Nil for other kinds.
    public var boolean: Bool? {
        if case .boolean(let boolean) = value { boolean } else { nil }
    }

    /// The elements of an array; empty for other kinds.
    public var elements: [JSONLDNode] {
        value.array.map { tree.elements($0).map { JSONLDNode(tree: tree, value: $0) } } ?? []
    }

    /// The members of an object in their order; empty for other kinds.
    public var members: [(name: String, value: JSONLDNode)] {
        value.object.map { object in
            tree.members(object).map { (tree.symbols.text($0.key), JSONLDNode(tree: tree, value: $0.value)) }
        } ?? []
    }

    /// The member of this name.
    public subscript(name: String) -> JSONLDNode? {
        guard let object = value.object, let key = tree.symbols.find(name), let member = tree[object, key] else {
            return nil
        }
        return JSONLDNode(tree: tree, value: member)
    }

    /// The IRIs in `@type` of an expanded node.
    public var types: [String] {
        guard let types = self["@type"] else { return [] }
        return types.kind == .array ? types.elements.compactMap(\.string) : [types.string].compactMap(\.self)
    }

    /// The `@id` of a node.
    public var id: String? { self["@id"]?.string }
}
