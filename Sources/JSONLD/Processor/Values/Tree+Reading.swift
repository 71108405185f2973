// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes a checked JSON text into the working tree, without recursion.

extension Tree {
    /// The value of a document. Of members of one name the last counts, in the place of the first.
    func read(_ document: JSONDocument) -> Value {
        document.bytes.withUnsafeBufferPointer { bytes in
            document.tape.withUnsafeBufferPointer { tape in read(bytes, tape) }
        }
    }

    private func read(_ bytes: UnsafeBufferPointer<UInt8>, _ tape: UnsafeBufferPointer<JSONDocument.Token>) -> Value {
        var open: [(value: Value, end: Int)] = []
        var index = 0
        while true {
            while let last = open.last, last.end == index {
                open.removeLast()
                if open.isEmpty { return last.value }
            }
            var key = Symbol.empty
            if case .object = open.last?.value {
                key = string(tape[index], bytes)
                index += 1
            }
            let token = tape[index]
            let value = self.value(token, bytes)
            switch open.last?.value {
            case .object(let object): set(key, value, in: object)
            case .array(let array): append(value, to: array)
            default: break
            }
            index += 1
            switch value {
            case .array, .object: open.append((value, Int(token.next)))
            default: if open.isEmpty { return value }
            }
        }
    }

    private func value(_ token: JSONDocument.Token, _ bytes: UnsafeBufferPointer<UInt8>) -> Value {
        switch token.kind {
        case .object: .object(makeObject())
        case .array: .array(makeArray())
        case .string: .string(string(token, bytes))
        case .number: .number(symbols.intern(UnsafeBufferPointer(rebasing: bytes[Int(token.start)..<Int(token.end)])))
        case .true: .boolean(true)
        case .false: .boolean(false)
        case .null: .null
        }
    }

    private func string(_ token: JSONDocument.Token, _ bytes: UnsafeBufferPointer<UInt8>) -> Symbol {
        // The token of a string includes its quotation marks.
        let content = bytes[(Int(token.start) + 1)..<(Int(token.end) - 1)]
        guard token.hasEscapes else { return symbols.intern(UnsafeBufferPointer(rebasing: content)) }
        return symbols.intern(JSONEscapes.decode(ArraySlice(content)))
    }
}
