// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes a value of the tree as JSON, on one line or indented, without recursion.

extension Tree {
    /// The value as JSON in UTF-8.
    /// - Throws: `limit exceeded` beyond `limit` octets.
    func json(_ value: Value, limit: Int, isPretty: Bool = false) throws(JSONLDError) -> [UInt8] {
        let writer = TreeWriter(tree: self, isPretty: isPretty)
        guard writer.write(value, limit: limit) else {
            writer.bytes.deallocate()
            throw JSONLDError(.limitExceeded, "the result is larger than \(limit) octets")
        }
        return writer.bytes.finish()
    }
}

private struct TreeWriter {
    let tree: Tree
    let symbols: SymbolTable
    let isPretty: Bool
    let bytes = ByteBuffer(capacity: 4096)

    /// An open array or object: what is left of it.
    private struct Open: BitwiseCopyable {
        var members: Tree.Members
        var isObject: Bool
        var isFirst: Bool
    }

    init(tree: Tree, isPretty: Bool) {
        self.tree = tree
        symbols = tree.symbols
        self.isPretty = isPretty
    }

    /// False where the limit was reached.
    func write(_ value: Value, limit: Int) -> Bool {
        let open = Pool<Open>(capacity: 32)
        defer { open.deallocate() }
        start(value, open)
        while var current = open.last {
            let depth = open.count
            guard let member = current.members.next() else {
                if isPretty, !current.isFirst { breakLine(depth - 1) }
                bytes.append(current.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
                open.removeLast()
                continue
            }
            if bytes.count > limit { return false }
            if !current.isFirst { bytes.append(UInt8(ascii: ",")) }
            if isPretty { breakLine(depth) }
            current.isFirst = false
            open[depth - 1] = current
            if current.isObject {
                writeString(member.key)
                bytes.append(UInt8(ascii: ":"))
                if isPretty { bytes.append(UInt8(ascii: " ")) }
            }
            start(member.value, open)
        }
        return true
    }

    @inline(__always)
    private func start(_ value: Value, _ open: Pool<Open>) {
        switch value {
        case .null: bytes.append("null")
        case .boolean(let boolean): bytes.append(boolean ? "true" : "false")
        case .number(let number): bytes.append(contentsOf: symbols.bytes(number))
        case .string(let string): writeString(string)
        case .array(let array):
            bytes.append(UInt8(ascii: "["))
            open.append(Open(members: tree.cells(array), isObject: false, isFirst: true))
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            open.append(Open(members: tree.members(object), isObject: true, isFirst: true))
        }
    }

    private func breakLine(_ depth: Int) {
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<depth { bytes.append("  ") }
    }

    // RFC 8259 section 7: quotation mark, reverse solidus and U+0000 to U+001F must be escaped, nothing else is.
    @inline(__always)
    private func writeString(_ symbol: Symbol) {
        bytes.append(UInt8(ascii: "\""))
        let content = symbols.bytes(symbol)
        if symbols.traits(symbol).contains(.needsEscape) {
            writeEscaped(content)
        } else {
            bytes.append(contentsOf: content)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    @inline(never)
    private func writeEscaped(_ content: UnsafeBufferPointer<UInt8>) {
        for byte in content where !bytes.append(shortEscape: byte) {
            if byte < 0x20 {
                bytes.append(unicodeEscape: byte, digits: "0123456789abcdef")
            } else {
                bytes.append(byte)
            }
        }
    }
}
