// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// JSON pointers (RFC 6901): followed, and made for messages.

import JSONLD

enum JSONPointer {
    /// The reference tokens of a pointer, which begins with a slash or is empty; nil where it does neither.
    static func tokens(_ pointer: String) -> [String]? {
        if pointer.isEmpty { return [] }
        guard pointer.utf8.first == UInt8(ascii: "/") else { return nil }
        return pointer.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { unescaped($0) }
    }

    // RFC 6901 section 4: first ~1, then ~0.
    private static func unescaped(_ token: Substring) -> String {
        guard token.utf8.contains(UInt8(ascii: "~")) else { return String(token) }
        var bytes: [UInt8] = []
        var rest = token.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "~"), let next = rest.first, next == UInt8(ascii: "0") || next == UInt8(ascii: "1") {
                rest = rest.dropFirst()
                bytes.append(next == UInt8(ascii: "0") ? UInt8(ascii: "~") : UInt8(ascii: "/"))
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func escaped(_ name: String) -> String {
        guard name.utf8.contains(where: { $0.isOne(of: "~/") }) else { return name }
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "~"): bytes += "~0".utf8
            case UInt8(ascii: "/"): bytes += "~1".utf8
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The child of `value` that a token names.
    static func child(_ value: JSONValue, _ token: String) -> JSONValue? {
        switch value.kind {
        case .object: return value[token]
        case .array:
            // Section 4: digits without leading zeros.
            guard let index = Int(token), index >= 0, String(index) == token else { return nil }
            var position = 0
            for element in value.elementCursors {
                if position == index { return element }
                position += 1
            }
            return nil
        default: return nil
        }
    }

    /// The pointer from `root` to the value that begins at `offset` of its document.
    static func pointer(from root: JSONValue, to offset: Int) -> String {
        var result = ""
        var value = root
        while value.range.lowerBound != offset {
            guard let (token, next) = step(value, to: offset) else { return result }
            result += "/" + token
            value = next
        }
        return result
    }

    private static func step(_ value: JSONValue, to offset: Int) -> (String, JSONValue)? {
        if value.kind == .object {
            for member in value.memberCursors where member.value.range.contains(offset) {
                return (escaped(member.name.string ?? ""), member.value)
            }
        }
        var index = 0
        for element in value.elementCursors {
            if element.range.contains(offset) { return (String(index), element) }
            index += 1
        }
        return nil
    }

    /// Longest pointer into a value; names in it come from whoever sent the value.
    private static let largestPointer = 1000

    /// The pointer to the node at `target` of a tree.
    static func pointer(in tree: TreeView, to target: Int) -> String {
        var result = ""
        var index = 0
        while index != target, result.utf8.count <= largestPointer {
            let end = tree.next(index)
            let isObject = tree.nodes[index].kind == .object
            var position = index + 1
            var ordinal = 0
            while position < end {
                let value = isObject ? position + 1 : position
                if target < tree.next(value) { break }
                position = tree.next(value)
                ordinal += 1
            }
            guard position < end else { return result }
            if isObject {
                let name = tree.content(tree.nodes[position])
                let prefix = UnsafeBufferPointer(rebasing: name.prefix(largestPointer + 4))
                result += "/" + escaped(String(decoding: prefix, as: UTF8.self))
                // The name of a member has the pointer of the member.
                index = target == position ? target : position + 1
            } else {
                result += "/\(ordinal)"
                index = position
            }
        }
        guard result.utf8.count > largestPointer else { return result }
        return String(decoding: result.utf8.prefix(largestPointer), as: UTF8.self) + "…"
    }
}

extension JSONPointer {
    /// What making a pointer into a tree costs at most: the members and elements passed on the way.
    static func cost(in tree: TreeView, to target: Int) -> Int { target / 4 }
}
