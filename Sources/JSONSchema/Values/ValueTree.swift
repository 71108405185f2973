// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A JSON value laid out for checking: a flat list of nodes in the order of the text, strings
// without escapes, names looked up once. It knows nothing of schemas except the names they use.

import JSONLD

/// One value, or the name of a member, which stands directly before the member's value.
struct ValueNode {
    var kind: JSONDocument.Kind
    /// Where the characters of a string, or the digits of a number, begin in the tree's bytes.
    var start: Int32
    /// Octets of a string or number; elements of an array; members of an object.
    var count: Int32
    /// The index of what follows this value and everything in it.
    var next: Int32
    /// For the name of a member: its number in the table of names, -1 where the schema does not use it.
    var symbol: Int32
}

/// A whole value. Node 0 is its root.
struct ValueTree {
    /// The text, followed by the strings that have escapes in the text, decoded.
    private(set) var bytes: [UInt8]
    private(set) var nodes: [ValueNode] = []

    /// Lays a value out. Time and space are linear in its text.
    init(_ value: JSONValue, names: NameTable) {
        let text = value.text
        bytes = Array(text)
        // A document's values have at least two octets on average; the rest is growth.
        nodes.reserveCapacity(min(text.count / 4 + 4, 1 << 20))
        let origin = text.startIndex
        var open: [OpenContainer] = []
        append(value, origin: origin, open: &open)
        while var container = open.popLast() {
            switch container.advance() {
            case nil:
                nodes[container.node].next = Int32(nodes.count)
                nodes[container.node].count = container.count
            case .member(let name, let value):
                open.append(container)
                append(name, origin: origin, open: &open)
                resolve(nodes.count - 1, names)
                append(value, origin: origin, open: &open)
            case .element(let value):
                open.append(container)
                append(value, origin: origin, open: &open)
            }
        }
    }

    private mutating func resolve(_ index: Int, _ names: NameTable) {
        let node = nodes[index]
        let start = Int(node.start)
        nodes[index].symbol = bytes.withUnsafeBufferPointer { bytes in
            // The node's octets lie in the tree's bytes.
            Int32(names.find(UnsafeBufferPointer(rebasing: bytes[start..<(start + Int(node.count))])))
        }
    }

    private mutating func append(_ value: JSONValue, origin: Int, open: inout [OpenContainer]) {
        let index = nodes.count
        let kind = value.kind
        let range = value.range
        var node = ValueNode(
            kind: kind, start: Int32(range.lowerBound - origin), count: Int32(range.count), next: Int32(index + 1),
            symbol: -1)
        switch kind {
        case .object: open.append(OpenContainer(node: index, children: .members(value.memberCursors)))
        case .array: open.append(OpenContainer(node: index, children: .elements(value.elementCursors)))
        case .string:
            node.start += 1
            node.count -= 2
            if hasEscapes(node) { decode(&node) }
        case .number, .true, .false, .null: break
        }
        nodes.append(node)
    }

    private func hasEscapes(_ node: ValueNode) -> Bool {
        let start = Int(node.start)
        return bytes.withUnsafeBufferPointer { bytes in
            for index in start..<(start + Int(node.count)) where bytes[index] == UInt8(ascii: "\\") { return true }
            return false
        }
    }

    /// Appends the characters of a string, and points the node at them.
    private mutating func decode(_ node: inout ValueNode) {
        let range = Int(node.start)..<Int(node.start + node.count)
        let start = bytes.count
        StringEscapes.decode(range, in: &bytes)
        node.start = Int32(start)
        node.count = Int32(bytes.count - start)
    }

    /// An array or object whose content is being laid out.
    private struct OpenContainer {
        enum Children {
            case members(JSONValue.Members)
            case elements(JSONValue.Elements)
        }

        enum Child {
            case member(JSONValue, JSONValue)
            case element(JSONValue)
        }

        let node: Int
        var children: Children
        var count: Int32 = 0

        init(node: Int, children: Children) {
            self.node = node
            self.children = children
        }

        mutating func advance() -> Child? {
            switch children {
            case .members(var members):
                guard let next = members.next() else { return nil }
                children = .members(members)
                count += 1
                return .member(next.name, next.value)
            case .elements(var elements):
                guard let next = elements.next() else { return nil }
                children = .elements(elements)
                count += 1
                return .element(next)
            }
        }
    }
}
