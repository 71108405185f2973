// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes a value of the tree as JSON, on one line or indented, without recursion.

/// Writes values into one buffer, up to a number of octets.
struct TreeWriter {
    private let tree: Tree
    private let limit: Int
    private let isPretty: Bool
    private(set) var bytes: [UInt8] = []

    /// An open array or object: what is left of it, and whether its first member is still to come.
    private enum Open {
        case elements(Tree.Elements, isFirst: Bool)
        case members(Tree.Members, isFirst: Bool)
    }

    init(tree: Tree, limit: Int, isPretty: Bool) {
        self.tree = tree
        self.limit = limit
        self.isPretty = isPretty
        bytes.reserveCapacity(min(limit, 4096))
    }

    mutating func write(_ value: Value) throws(JSONLDError) {
        var open: [Open] = []
        start(value, &open)
        while let last = open.last {
            guard bytes.count <= limit else {
                throw JSONLDError(.limitExceeded, "the result is larger than \(limit) octets")
            }
            let depth = open.count
            switch last {
            case .elements(var elements, let isFirst):
                guard let element = elements.next() else {
                    close("]", isEmpty: isFirst, depth: depth)
                    open.removeLast()
                    continue
                }
                open[depth - 1] = .elements(elements, isFirst: false)
                separate(isFirst: isFirst, depth: depth)
                start(element, &open)
            case .members(var members, let isFirst):
                guard let member = members.next() else {
                    close("}", isEmpty: isFirst, depth: depth)
                    open.removeLast()
                    continue
                }
                open[depth - 1] = .members(members, isFirst: false)
                separate(isFirst: isFirst, depth: depth)
                writeString(member.key)
                bytes.append(UInt8(ascii: ":"))
                if isPretty { bytes.append(UInt8(ascii: " ")) }
                start(member.value, &open)
            }
        }
    }

    private mutating func start(_ value: Value, _ open: inout [Open]) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .boolean(true): bytes.append(contentsOf: "true".utf8)
        case .boolean(false): bytes.append(contentsOf: "false".utf8)
        case .number(let number): bytes.append(contentsOf: tree.symbols.bytes(number))
        case .string(let string): writeString(string)
        case .array(let array):
            bytes.append(UInt8(ascii: "["))
            open.append(.elements(tree.elements(array), isFirst: true))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            open.append(.members(tree.members(object), isFirst: true))
        }
    }

    private mutating func separate(isFirst: Bool, depth: Int) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        if isPretty { breakLine(depth) }
    }

    private mutating func close(_ bracket: Unicode.Scalar, isEmpty: Bool, depth: Int) {
        if isPretty, !isEmpty { breakLine(depth - 1) }
        bytes.append(UInt8(ascii: bracket))
    }

    private mutating func breakLine(_ depth: Int) {
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: depth * 2))
    }

    // RFC 8259 section 7: quotation mark, reverse solidus and U+0000 to U+001F must be escaped, nothing else is.
    private mutating func writeString(_ symbol: Symbol) {
        let content = tree.symbols.bytes(symbol)
        bytes.append(UInt8(ascii: "\""))
        if tree.symbols.traits(symbol).contains(.needsEscape) {
            for byte in content { appendEscaped(byte) }
        } else {
            bytes.append(contentsOf: content)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0x08: bytes.append(contentsOf: "\\b".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0C: bytes.append(contentsOf: "\\f".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0..<0x20:
            let digits = String(byte, radix: 16)
            bytes.append(contentsOf: "\\u00\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8)
        default: bytes.append(byte)
        }
    }
}
