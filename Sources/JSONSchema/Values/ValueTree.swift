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
        while let last = open.indices.last {
            if open[last].isObject {
                if let (name, value) = open[last].members.next() {
                    open[last].count += 1
                    append(name, origin: origin, open: &open)
                    resolve(nodes.count - 1, names)
                    append(value, origin: origin, open: &open)
                    continue
                }
            } else if let value = open[last].elements.next() {
                open[last].count += 1
                append(value, origin: origin, open: &open)
                continue
            }
            nodes[open[last].node].next = Int32(nodes.count)
            nodes[open[last].node].count = open[last].count
            open.removeLast()
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
        case .object: open.append(OpenContainer(value, node: index, isObject: true))
        case .array: open.append(OpenContainer(value, node: index, isObject: false))
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

    /// An array or object whose content is being laid out. Of the two cursors the one of the other kind is empty: two
    /// fields can go on where they are, which a choice of one could not.
    private struct OpenContainer {
        let node: Int
        let isObject: Bool
        var members: JSONValue.Members
        var elements: JSONValue.Elements
        var count: Int32 = 0

        init(_ value: JSONValue, node: Int, isObject: Bool) {
            self.node = node
            self.isObject = isObject
            members = value.memberCursors
            elements = value.elementCursors
        }
    }
}
