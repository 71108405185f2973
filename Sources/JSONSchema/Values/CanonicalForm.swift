// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One spelling for equal values (JSON Schema Core 2020-12 section 4.2.2): equality becomes a
// comparison of octets, and finding equal ones among many a look into a hash table. The form is
// private to this module and is no JSON.

import JSONLD

/// Writes values of a tree in canonical form.
struct CanonicalForm {
    private let tree: TreeView
    /// Arrays and objects being written: what of them is still to come, last first.
    private var pending: [Int32] = []

    init(_ tree: TreeView) {
        self.tree = tree
    }

    /// Appends the form of the value at `index`. Time: the size of the value, and n log n comparisons for the names of
    /// an object. No recursion: what is still to come waits on a list.
    mutating func append(_ index: Int, to bytes: inout [UInt8]) {
        pending.removeAll(keepingCapacity: true)
        pending.append(Int32(index))
        while let next = pending.popLast() {
            let node = tree.nodes[Int(next)]
            switch node.kind {
            case .string: append(tree.content(node), to: &bytes)
            case .number: append(tree.number(node), to: &bytes)
            case .true: bytes.append(UInt8(ascii: "t"))
            case .false: bytes.append(UInt8(ascii: "f"))
            case .null: bytes.append(UInt8(ascii: "z"))
            case .array:
                open("[", node.count, &bytes)
                let first = pending.count
                tree.forEachElement(Int(next)) { pending.append(Int32($0)) }
                pending[first...].reverse()
            case .object:
                open("{", node.count, &bytes)
                let names = sortedNames(Int(next))
                for name in names.reversed() {
                    pending.append(name + 1)
                    pending.append(name)
                }
            }
        }
    }

    private func open(_ bracket: Unicode.Scalar, _ count: Int32, _ bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: bracket))
        append(integer: Int(count), to: &bytes)
    }

    private func append(_ content: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "s"))
        append(integer: content.count, to: &bytes)
        bytes.append(contentsOf: content)
    }

    private func append(_ number: Decimal, to bytes: inout [UInt8]) {
        bytes.append(number.isNegative ? UInt8(ascii: "-") : UInt8(ascii: "+"))
        append(integer: number.exponent, to: &bytes)
        append(integer: number.length, to: &bytes)
        if number.digits.isEmpty {
            append(integer: Int(truncatingIfNeeded: number.small), to: &bytes)
        } else {
            bytes.append(contentsOf: number.digits)
        }
    }

    private func append(integer: Int, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: integer.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private func sortedNames(_ object: Int) -> [Int32] {
        var names: [Int32] = []
        names.reserveCapacity(Int(tree.nodes[object].count))
        tree.forEachMember(object) { name, _ in names.append(Int32(name)) }
        names.sort { left, right in
            tree.content(tree.nodes[Int(left)]).lexicographicallyPrecedes(tree.content(tree.nodes[Int(right)]))
        }
        return names
    }
}
