// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes a checked JSON text into the working tree, without recursion.

extension Tree {
    /// The value of a document. Of members of one name the last counts, in the place of the first.
    /// - Returns: Nil where arrays and objects are nested deeper than `depth`.
    func read(_ document: JSONDocument, depth: Int) -> Value? {
        document.storage.bytes.withUnsafeBufferPointer { bytes in
            document.storage.tape.withUnsafeBufferPointer { tape in read(bytes, tape, depth) }
        }
    }

    private func read(
        _ bytes: UnsafeBufferPointer<UInt8>, _ tape: UnsafeBufferPointer<JSONToken>, _ depth: Int
    ) -> Value? {
        var open: [Value] = []
        var current = Value.null
        var key: Symbol?
        for token in tape {
            let kind = JSONToken.Kind(rawValue: token.kindBits) ?? .null
            if kind == .end {
                let ended = open.removeLast()
                guard let outer = open.last else { return ended }
                current = outer
                continue
            }
            if case .object = current, key == nil {
                // The names and values of an object stand in turn.
                key = string(token, bytes)
                continue
            }
            let value = value(token, kind, bytes)
            switch current {
            case .object(let object):
                // The name was read just before.
                set(key ?? .empty, value, in: object)
                key = nil
            case .array(let array): append(value, to: array)
            default: break
            }
            if kind == .object || kind == .array {
                guard open.count < depth else { return nil }
                open.append(value)
                current = value
            } else if open.isEmpty {
                return value
            }
        }
        return .null
    }

    @inline(__always)
    private func value(_ token: JSONToken, _ kind: JSONToken.Kind, _ bytes: UnsafeBufferPointer<UInt8>) -> Value {
        switch kind {
        case .object: .object(makeObject())
        case .array: .array(makeArray())
        case .string: .string(string(token, bytes))
        case .number:
            .number(symbols.intern(UnsafeBufferPointer(rebasing: bytes[token.start..<(token.start + token.payload)])))
        case .true: .boolean(true)
        case .false: .boolean(false)
        case .null, .end: .null
        }
    }

    @inline(__always)
    private func string(_ token: JSONToken, _ bytes: UnsafeBufferPointer<UInt8>) -> Symbol {
        // The token of a string spans its quotation marks.
        let content = UnsafeBufferPointer(rebasing: bytes[(token.start + 1)..<(token.start + token.payload - 1)])
        return token.hasEscapes ? escapedString(content) : symbols.intern(content)
    }

    @inline(never)
    private func escapedString(_ content: UnsafeBufferPointer<UInt8>) -> Symbol {
        var characters: [UInt8] = []
        JSONEscapes.append(content, to: &characters, loneSurrogates: .replace)
        return characters.withUnsafeBufferPointer { symbols.intern($0) }
    }
}
