// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A JSON checker as plain as the grammar, to compare the readers with; and texts to compare
// them on.

import TestSupport

/// RFC 8259, one function a rule. Recursive: for short texts only.
struct JSONReference {
    private let bytes: [UInt8]
    private var position = 0
    private let depth: Int

    static func accepts(_ bytes: [UInt8], depth: Int = 128) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var checker = JSONReference(bytes: bytes.starts(with: mark) ? Array(bytes.dropFirst(3)) : bytes, depth: depth)
        return checker.element(0) && checker.position == checker.bytes.count
    }

    private init(bytes: [UInt8], depth: Int) {
        self.bytes = bytes
        self.depth = depth
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func blanks() {
        while let byte = peek, [0x20, 0x0A, 0x0D, 0x09].contains(byte) { position += 1 }
    }

    private mutating func element(_ level: Int) -> Bool {
        blanks()
        guard value(level) else { return false }
        blanks()
        return true
    }

    private mutating func value(_ level: Int) -> Bool {
        switch peek {
        case UInt8(ascii: "{"): level < depth && object(level + 1)
        case UInt8(ascii: "["): level < depth && array(level + 1)
        case UInt8(ascii: "\""): string()
        case UInt8(ascii: "t"): word("true")
        case UInt8(ascii: "f"): word("false")
        case UInt8(ascii: "n"): word("null")
        default: number()
        }
    }

    private mutating func word(_ word: String) -> Bool {
        guard bytes[position...].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    private mutating func object(_ level: Int) -> Bool {
        position += 1
        blanks()
        if take("}") { return true }
        repeat {
            blanks()
            guard peek == UInt8(ascii: "\""), string() else { return false }
            blanks()
            guard take(":"), element(level) else { return false }
        } while take(",")
        return take("}")
    }

    private mutating func array(_ level: Int) -> Bool {
        position += 1
        blanks()
        if take("]") { return true }
        repeat {
            guard element(level) else { return false }
        } while take(",")
        return take("]")
    }

    private mutating func string() -> Bool {
        position += 1
        while let byte = peek {
            position += 1
            if byte == UInt8(ascii: "\"") { return true }
            if byte < 0x20 { return false }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escape = peek else { return false }
            position += 1
            if escape == UInt8(ascii: "u") {
                for _ in 0..<4 {
                    guard let digit = peek, Character(Unicode.Scalar(digit)).isHexDigit else { return false }
                    position += 1
                }
            } else if !"\"\\/bfnrt".utf8.contains(escape) {
                return false
            }
        }
        return false
    }

    private mutating func digits() -> Bool {
        let start = position
        while let byte = peek, (0x30...0x39).contains(byte) { position += 1 }
        return position > start
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") { guard digits() else { return false } }
        if take(".") { guard digits() else { return false } }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() else { return false }
        }
        return true
    }
}

/// Random texts near JSON.
struct JSONTexts {
    private var generator: SplitMix64

    init(seed: UInt64) {
        generator = SplitMix64(state: seed)
    }

    private static let scalars: [String] = [
        "0", "-0", "1", "-17", "3.25", "1e5", "1E+9", "-2.5e-3", "123456789012345678901234567890", "0.1234567890123456789",
        "1765724761", "84.095", "true", "false", "null", "\"\"", "\"a\"", "\"\\n\"", "\"\\u00e9\\uD83D\\uDE00\"", "\"\\\\\"",
        "\"\\\"\"", "\"é€😀\"", "\"a longer text, with [brackets] {braces}: and commas\"",
        "\"\\\\\\\\\\\\\\\" and so on until it is longer than one block of the indexer is, 0123456789\"",
        "\"https://schema.org/Order\"", "{}", "[]", "[ ]", "{ }",
    ]
    private static let blanks = ["", "", "", "", " ", "\n", "\t", "\r\n", "  ", "                 "]
    private static let alphabet = Array("{}[]\":,\\0123456789-+.eEtruefalsn u\n\t /\u{7F}Yy_".utf8) + [0x00, 0x1F, 0x80, 0xC3, 0xA9, 0xF0, 0xFF]

    /// A text that is JSON.
    mutating func valid(depth: Int = 4) -> String {
        let blank = { (texts: inout JSONTexts) in Self.blanks.randomElement(using: &texts.generator) ?? "" }
        let content: String
        switch depth == 0 ? 2 : Int.random(in: 0..<4, using: &generator) {
        case 0:
            let members = (0..<Int.random(in: 0..<6, using: &generator)).map { _ in
                let name = ["\"a\"", "\"\"", "\"@type\"", "\"\\u0061\"", "\"streetAddress\"", "\"\\\"\""]
                    .randomElement(using: &generator) ?? ""
                return name + blank(&self) + ":" + valid(depth: depth - 1)
            }
            content = "{" + blank(&self) + members.joined(separator: ",") + "}"
        case 1:
            let elements = (0..<Int.random(in: 0..<6, using: &generator)).map { _ in valid(depth: depth - 1) }
            content = "[" + blank(&self) + elements.joined(separator: ",") + "]"
        default:
            content = Self.scalars.randomElement(using: &generator) ?? ""
        }
        return blank(&self) + content + blank(&self)
    }

    /// The text with a few octets changed, taken out, put in, or doubled.
    mutating func mutated(_ text: String) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0...Int.random(in: 0..<3, using: &generator) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &generator)
            let octet = Self.alphabet.randomElement(using: &generator) ?? 0
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes[index] = octet
            case 1: bytes.remove(at: index)
            case 2: bytes.insert(octet, at: index)
            default: bytes.insert(contentsOf: bytes[index..<min(index + 5, bytes.count)], at: index)
            }
        }
        return bytes
    }
}
