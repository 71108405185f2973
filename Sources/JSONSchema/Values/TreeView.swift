// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A value tree while it is being read: bare pointers, so that walking it costs no reference
// counting. A view lives inside the closure that made it.

/// A view of a `ValueTree`.
struct TreeView {
    let nodes: UnsafeBufferPointer<ValueNode>
    let bytes: UnsafeBufferPointer<UInt8>

    /// The octets of a string or number.
    @inline(__always)
    func content(_ node: ValueNode) -> UnsafeBufferPointer<UInt8> {
        // A node's octets lie in the tree's bytes.
        UnsafeBufferPointer(rebasing: bytes[Int(node.start)..<Int(node.start + node.count)])
    }

    func number(_ node: ValueNode) -> Decimal { Decimal(content(node)) }

    /// The index behind the value at `index`.
    @inline(__always)
    func next(_ index: Int) -> Int { Int(nodes[index].next) }

    /// Calls `body` with the index of each element of the array at `index`.
    @inline(__always)
    func forEachElement(_ index: Int, _ body: (Int) -> Void) {
        let end = next(index)
        var position = index + 1
        while position < end {
            body(position)
            position = next(position)
        }
    }

    /// Calls `body` with the indices of name and value of each member of the object at `index`.
    @inline(__always)
    func forEachMember(_ index: Int, _ body: (Int, Int) -> Void) {
        let end = next(index)
        var position = index + 1
        while position < end {
            body(position, position + 1)
            position = next(position + 1)
        }
    }
}

extension ValueTree {
    func withView<Result>(_ body: (TreeView) -> Result) -> Result {
        nodes.withUnsafeBufferPointer { nodes in
            bytes.withUnsafeBufferPointer { bytes in body(TreeView(nodes: nodes, bytes: bytes)) }
        }
    }

    /// The canonical form of the whole value.
    var canonicalForm: [UInt8] {
        withView { view in
            var result: [UInt8] = []
            var form = CanonicalForm(view)
            form.append(0, to: &result)
            return result
        }
    }
}
