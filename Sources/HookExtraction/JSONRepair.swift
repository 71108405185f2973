// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Mends what senders often break in the JSON of their mails. Off unless a hook asks for it
// (but for CDATA sections, which in XHTML are no fault); each change has a name and is reported, and text that still is not JSON afterwards stays an
// error. Strings are only changed in ways that cannot be meant otherwise.

import JSONLD

/// One kind of change, named for reports.
public enum JSONRepair: String, Sendable, Hashable, CaseIterable {
    /// `<![CDATA[ ... ]]>` around it, also behind `//`.
    case cdataWrapper = "cdata_wrapper"
    /// `<!-- ... -->` around it.
    case commentWrapper = "comment_wrapper"
    /// The quotation marks are written as `&quot;` or another reference.
    case htmlEntities = "html_entities"
    /// `// ...` and `/* ... */` between tokens.
    case comments
    /// A comma before a closing bracket.
    case trailingCommas = "trailing_commas"
    /// Line ends, tabs and other control characters in strings.
    case controlCharacters = "control_characters"
    /// A semicolon behind the value.
    case trailingSemicolon = "trailing_semicolon"

    /// Takes CDATA sections off that XHTML authors put around scripts: there they are markup, not content. nil where
    /// there are none.
    static func withoutSections(_ text: [UInt8]) -> [UInt8]? {
        var mender = JSONMender(text)
        mender.unwrap(comments: false)
        return mender.repairs.isEmpty ? nil : mender.text
    }

    /// The document that `text` was meant to be, with the changes that were needed; nil where that is not enough.
    /// Call it with text that is not JSON as it stands.
    static func mend(_ text: [UInt8], limits: JSONLimits) -> (document: JSONDocument, repairs: [JSONRepair])? {
        var mender = JSONMender(text)
        mender.unwrap()
        mender.resolveEntities()
        mender.rewriteTokens()
        guard !mender.repairs.isEmpty, let document = try? JSONDocument(mender.text, limits: limits) else { return nil }
        return (document, mender.repairs)
    }
}

private struct JSONMender {
    private(set) var text: [UInt8]
    private(set) var repairs: [JSONRepair] = []

    init(_ text: [UInt8]) { self.text = text }

    private mutating func note(_ repair: JSONRepair) {
        if !repairs.contains(repair) { repairs.append(repair) }
    }

    // MARK: - Wrappers

    /// Takes wrappers off from outside to inside; a comment may hold a CDATA section or the other way round.
    mutating func unwrap(comments: Bool = true) {
        for _ in 0..<4 {
            if strip("<![CDATA[", "]]>") || strip("//<![CDATA[", "//]]>") || strip("/*<![CDATA[*/", "/*]]>*/")
                || strip("// <![CDATA[", "// ]]>")
            {
                note(.cdataWrapper)
            } else if comments, strip("<!--", "//-->") || strip("<!--", "-->") {
                note(.commentWrapper)
            } else {
                return
            }
        }
    }

    private mutating func strip(_ opening: StaticString, _ closing: StaticString) -> Bool {
        let (front, back) = (Self.octets(opening), Self.octets(closing))
        let content = Self.trimmed(text[...])
        guard content.count >= front.count + back.count, content.starts(with: front), content.suffix(back.count).elementsEqual(back)
        else { return false }
        text = Array(content.dropFirst(front.count).dropLast(back.count))
        return true
    }

    // MARK: - Character references

    private static let references: [(name: [UInt8], byte: UInt8)] = [
        ("&quot;", "\""), ("&#34;", "\""), ("&#x22;", "\""), ("&#X22;", "\""), ("&apos;", "'"), ("&#39;", "'"),
        ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"),
    ].map { (name: Array($0.0.utf8), byte: UInt8(ascii: $0.1)) }

    /// Only where the value itself is escaped: its first quotation mark is a reference. References inside strings of
    /// sound JSON are data and stay.
    mutating func resolveEntities() {
        let content = Self.trimmed(text[...])
        guard let first = content.dropFirst().first(where: { !Self.isSpace($0) && $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "{") }),
            first == UInt8(ascii: "&"), !content.contains(UInt8(ascii: "\""))
        else { return }
        var plain: [UInt8] = []
        plain.reserveCapacity(content.count)
        var position = content.startIndex
        while position < content.endIndex {
            let rest = content[position...]
            if content[position] == UInt8(ascii: "&"),
                let reference = Self.references.first(where: { rest.starts(with: $0.name) })
            {
                plain.append(reference.byte)
                position += reference.name.count
            } else {
                plain.append(content[position])
                position += 1
            }
        }
        text = plain
        note(.htmlEntities)
    }

    // MARK: - Tokens

    /// One pass over the text that tells strings from what stands between them.
    mutating func rewriteTokens() {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "\""): position = copyString(from: position, to: &output)
            case UInt8(ascii: "/"):
                if let end = endOfComment(from: position) {
                    note(.comments)
                    output.append(UInt8(ascii: " "))
                    position = end
                } else {
                    output.append(text[position])
                    position += 1
                }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                dropTrailingComma(&output)
                output.append(text[position])
                position += 1
            default:
                output.append(text[position])
                position += 1
            }
        }
        text = output
        dropSemicolon()
    }

    /// Copies a string with its quotation marks; control characters in it become escapes.
    private mutating func copyString(from start: Int, to output: inout [UInt8]) -> Int {
        output.append(text[start])
        var position = start + 1
        while position < text.count {
            let byte = text[position]
            position += 1
            if byte == UInt8(ascii: "\\"), position < text.count {
                output += [byte, text[position]]
                position += 1
            } else if byte < 0x20 {
                note(.controlCharacters)
                output += Self.escape(byte)
            } else {
                output.append(byte)
                if byte == UInt8(ascii: "\"") { return position }
            }
        }
        return position
    }

    private static func escape(_ byte: UInt8) -> [UInt8] {
        switch byte {
        case 0x09: return Array("\\t".utf8)
        case 0x0A: return Array("\\n".utf8)
        case 0x0D: return Array("\\r".utf8)
        default:
            let digits = Array("0123456789abcdef".utf8)
            return Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }

    private func endOfComment(from start: Int) -> Int? {
        guard start + 1 < text.count else { return nil }
        if text[start + 1] == UInt8(ascii: "/") {
            return text[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? text.count
        }
        guard text[start + 1] == UInt8(ascii: "*") else { return nil }
        var position = start + 2
        while position + 1 < text.count {
            if text[position] == UInt8(ascii: "*"), text[position + 1] == UInt8(ascii: "/") { return position + 2 }
            position += 1
        }
        return text.count
    }

    private mutating func dropTrailingComma(_ output: inout [UInt8]) {
        guard let last = output.lastIndex(where: { !Self.isSpace($0) }), output[last] == UInt8(ascii: ",") else { return }
        note(.trailingCommas)
        output[last] = UInt8(ascii: " ")
    }

    private mutating func dropSemicolon() {
        guard let last = text.lastIndex(where: { !Self.isSpace($0) }), text[last] == UInt8(ascii: ";") else { return }
        note(.trailingSemicolon)
        text.removeSubrange(last...)
    }

    // MARK: - Octets

    private static func octets(_ text: StaticString) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let last = bytes.lastIndex(where: { !isSpace($0) }) else { return bytes.prefix(0) }
        return bytes[...last].drop(while: isSpace)
    }
}
