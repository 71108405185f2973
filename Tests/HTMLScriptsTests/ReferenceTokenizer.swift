// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The tokenizer of the HTML Standard, 13.2.5, written down state by state and byte by byte, as slow and as plain as it
// reads there. It is what the fast reader is compared with. Parse errors are left out; a document type is read as a
// bogus comment, which ends in the same place.

@testable import HTMLScripts

struct ReferenceTokenizer {
    enum State {
        case data, rcdata, rawText, scriptData, plaintext, tagOpen, endTagOpen, tagName
        case textLessThan, textEndTagOpen, textEndTagName
        case scriptLessThan, escapeStart, escapeStartDash, escaped, escapedDash, escapedDashDash, escapedLessThan
        case doubleEscapeStart, doubleEscaped, doubleEscapedDash, doubleEscapedDashDash, doubleEscapedLessThan,
            doubleEscapeEnd
        case beforeAttributeName, attributeName, afterAttributeName, beforeAttributeValue
        case doubleQuoted, singleQuoted, unquoted, afterQuoted, selfClosing
        case bogusComment, markupDeclaration, commentStart, commentStartDash, comment, commentLess, commentLessBang,
            commentLessBangDash
        case commentLessBangDashDash, commentEndDash, commentEnd, commentEndBang
        case cdata, cdataBracket, cdataEnd
    }

    private let bytes: [UInt8]
    private var index = 0
    private var state: State
    /// RCDATA, RAWTEXT, script data or script data escaped: where a `</` that is no end tag leads back to.
    private var textState = State.rcdata
    private var events: [Event] = []
    private var text: [UInt8] = []
    private var temporary: [UInt8] = []
    private var lastStartTag: String?
    private var isEndTag = false
    private var name: [UInt8] = []
    private var attributes: [(name: [UInt8], value: [UInt8])] = []
    private var isSelfClosing = false
    /// Whether start tags change the state as they do in a document that needs no tree (13.2.6.4).
    private var followsElements = false

    /// The events of a whole document.
    static func document(_ bytes: [UInt8]) -> [Event] {
        var tokenizer = ReferenceTokenizer(bytes, .data, nil)
        tokenizer.followsElements = true
        tokenizer.run()
        return tokenizer.events
    }

    static func read(_ bytes: [UInt8], from start: StartState = .data, lastStartTag: String? = nil) -> [Event] {
        let states: [StartState: State] = [
            .data: .data, .plaintext: .plaintext, .rcdata: .rcdata, .rawText: .rawText, .scriptData: .scriptData,
            .cdata: .cdata,
        ]
        var tokenizer = ReferenceTokenizer(bytes, states[start] ?? .data, lastStartTag)
        tokenizer.run()
        return tokenizer.events
    }

    private init(_ input: [UInt8], _ state: State, _ lastStartTag: String?) {
        var bytes: [UInt8] = []
        for (index, byte) in input.enumerated() {
            if byte == 0x0D {
                if index + 1 == input.count || input[index + 1] != 0x0A { bytes.append(0x0A) }
            } else {
                bytes.append(byte)
            }
        }
        self.bytes = bytes
        self.state = state
        self.lastStartTag = lastStartTag
    }

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// One step for each byte; nil is the end of the file, seen until a step does not ask for it again.
    private mutating func run() {
        while true {
            let byte = index < bytes.count ? bytes[index] : nil
            index += 1
            if step(byte) { break }
        }
        flush()
    }

    /// True: end-of-file token.
    private mutating func step(_ byte: UInt8?) -> Bool {
        switch state {
        case .data, .rcdata, .rawText, .scriptData, .plaintext, .cdata, .cdataBracket, .cdataEnd: return stepText(byte)
        case .tagOpen, .endTagOpen, .tagName: return stepTag(byte)
        case .textLessThan, .textEndTagOpen, .textEndTagName: return stepTextEnd(byte)
        case .scriptLessThan, .escapeStart, .escapeStartDash, .escaped, .escapedDash, .escapedDashDash,
            .escapedLessThan:
            return stepEscaped(byte)
        case .doubleEscapeStart, .doubleEscaped, .doubleEscapedDash, .doubleEscapedDashDash, .doubleEscapedLessThan,
            .doubleEscapeEnd:
            return stepDoubleEscaped(byte)
        case .beforeAttributeName, .attributeName, .afterAttributeName, .selfClosing: return stepAttributeName(byte)
        case .beforeAttributeValue, .doubleQuoted, .singleQuoted, .unquoted, .afterQuoted:
            return stepAttributeValue(byte)
        default: return stepComment(byte)
        }
    }

    private mutating func flush() {
        events.appendText(String(decoding: text, as: UTF8.self))
        text = []
    }

    private mutating func reconsume(in next: State) -> Bool {
        index -= 1
        state = next
        return false
    }

    private mutating func become(_ next: State) -> Bool {
        state = next
        return false
    }

    private mutating func emit(_ output: [UInt8], _ next: State? = nil) -> Bool {
        text += output
        if let next { state = next }
        return false
    }

    private mutating func emit(_ character: Character, _ next: State? = nil) -> Bool {
        emit(Array(String(character).utf8), next)
    }

    private mutating func emitTag() -> Bool {
        flush()
        let name = String(decoding: name, as: UTF8.self)
        if isEndTag {
            events.append(.endTag(name))
        } else {
            var values: [String: String] = [:]
            for attribute in attributes {
                let key = String(decoding: attribute.name, as: UTF8.self)
                if values[key] == nil { values[key] = String(decoding: attribute.value, as: UTF8.self) }
            }
            events.append(.startTag(name, values, isSelfClosing: isSelfClosing))
            lastStartTag = name
            if followsElements { return become(Self.textState(of: name)) }
        }
        return become(.data)
    }

    private static func textState(of name: String) -> State {
        switch name {
        case "title", "textarea": .rcdata
        case "style", "xmp", "iframe", "noembed", "noframes": .rawText
        case "script": .scriptData
        case "plaintext": .plaintext
        default: .data
        }
    }

    private mutating func beginTag(isEndTag: Bool) {
        self.isEndTag = isEndTag
        name = []
        attributes = []
        isSelfClosing = false
    }

    private var isAppropriateEndTag: Bool { lastStartTag == String(decoding: name, as: UTF8.self) }

    // 13.2.5.1 to 13.2.5.5, 13.2.5.69 to 13.2.5.71
    private mutating func stepText(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.cdata, 0x5D?): return become(.cdataBracket)
        case (.cdata, let byte?): return emit([byte])
        case (.cdataBracket, 0x5D?): return become(.cdataEnd)
        case (.cdataBracket, _):
            _ = emit("]")
            return reconsume(in: .cdata)
        case (.cdataEnd, 0x5D?): return emit("]")
        case (.cdataEnd, 0x3E?): return become(.data)
        case (.cdataEnd, _):
            _ = emit("]")
            _ = emit("]")
            return reconsume(in: .cdata)
        case (_, nil): return true
        case (.data, 0x26?), (.rcdata, 0x26?): return emit(reference(isAttribute: false))
        case (.data, 0x3C?): return become(.tagOpen)
        case (.rcdata, 0x3C?), (.rawText, 0x3C?):
            textState = state
            return become(.textLessThan)
        case (.scriptData, 0x3C?): return become(.scriptLessThan)
        case (.data, let byte?): return emit([byte])
        case (_, 0?): return emit(Self.replacement)
        case (_, let byte?): return emit([byte])
        }
    }

    // 13.2.5.6 to 13.2.5.8
    private mutating func stepTag(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.tagOpen, 0x21?): return become(.markupDeclaration)
        case (.tagOpen, 0x2F?): return become(.endTagOpen)
        case (.tagOpen, let byte?) where byte.isLetter:
            beginTag(isEndTag: false)
            return reconsume(in: .tagName)
        case (.tagOpen, 0x3F?): return reconsume(in: .bogusComment)
        case (.tagOpen, nil):
            _ = emit("<")
            return true
        case (.tagOpen, _):
            _ = emit("<")
            return reconsume(in: .data)
        case (.endTagOpen, let byte?) where byte.isLetter:
            beginTag(isEndTag: true)
            return reconsume(in: .tagName)
        case (.endTagOpen, 0x3E?): return become(.data)
        case (.endTagOpen, nil):
            _ = emit(Array("</".utf8))
            return true
        case (.endTagOpen, _): return reconsume(in: .bogusComment)
        case (_, nil): return true
        case (_, 0x09?), (_, 0x0A?), (_, 0x0C?), (_, 0x20?): return become(.beforeAttributeName)
        case (_, 0x2F?): return become(.selfClosing)
        case (_, 0x3E?): return emitTag()
        case (_, 0?): name += Self.replacement
        case (_, let byte?): name.append(byte.lowercased)
        }
        return false
    }

    // 13.2.5.9 to 13.2.5.14, and the same three states of script data (15 to 17) and of escaped script data (23 to 25)
    private mutating func stepTextEnd(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.textLessThan, 0x2F?):
            temporary = []
            return become(.textEndTagOpen)
        case (.textLessThan, _):
            _ = emit("<")
            return reconsume(in: textState)
        case (.textEndTagOpen, let byte?) where byte.isLetter:
            beginTag(isEndTag: true)
            return reconsume(in: .textEndTagName)
        case (.textEndTagOpen, _):
            _ = emit(Array("</".utf8))
            return reconsume(in: textState)
        case (_, 0x09?), (_, 0x0A?), (_, 0x0C?), (_, 0x20?):
            if isAppropriateEndTag { return become(.beforeAttributeName) }
        case (_, 0x2F?):
            if isAppropriateEndTag { return become(.selfClosing) }
        case (_, 0x3E?):
            if isAppropriateEndTag { return emitTag() }
        case (_, let byte?) where byte.isLetter:
            name.append(byte.lowercased)
            temporary.append(byte)
            return false
        default: break
        }
        _ = emit(Array("</".utf8) + temporary)
        return reconsume(in: textState)
    }

    // 13.2.5.15, 13.2.5.18 to 13.2.5.23
    private mutating func stepEscaped(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.scriptLessThan, 0x2F?):
            temporary = []
            textState = .scriptData
            return become(.textEndTagOpen)
        case (.scriptLessThan, 0x21?): return emit(Array("<!".utf8), .escapeStart)
        case (.scriptLessThan, _):
            _ = emit("<")
            return reconsume(in: .scriptData)
        case (.escapeStart, 0x2D?): return emit("-", .escapeStartDash)
        case (.escapeStartDash, 0x2D?): return emit("-", .escapedDashDash)
        case (.escapeStart, _), (.escapeStartDash, _): return reconsume(in: .scriptData)
        case (.escapedLessThan, 0x2F?):
            temporary = []
            textState = .escaped
            return become(.textEndTagOpen)
        case (.escapedLessThan, let byte?) where byte.isLetter:
            temporary = []
            _ = emit("<")
            return reconsume(in: .doubleEscapeStart)
        case (.escapedLessThan, _):
            _ = emit("<")
            return reconsume(in: .escaped)
        case (_, nil): return true
        case (_, 0x3C?): return become(.escapedLessThan)
        case (.escaped, 0x2D?): return emit("-", .escapedDash)
        case (.escapedDash, 0x2D?), (.escapedDashDash, 0x2D?): return emit("-", .escapedDashDash)
        case (.escapedDashDash, 0x3E?): return emit(">", .scriptData)
        case (_, 0?): return emit(Self.replacement, .escaped)
        case (_, let byte?): return emit([byte], .escaped)
        }
    }

    // 13.2.5.26 to 13.2.5.31
    private mutating func stepDoubleEscaped(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.doubleEscapeStart, let byte?) where byte.endsTagName:
            return emit([byte], temporary.elementsEqual("script".utf8) ? .doubleEscaped : .escaped)
        case (.doubleEscapeEnd, let byte?) where byte.endsTagName:
            return emit([byte], temporary.elementsEqual("script".utf8) ? .escaped : .doubleEscaped)
        case (.doubleEscapeStart, let byte?) where byte.isLetter, (.doubleEscapeEnd, let byte?) where byte.isLetter:
            temporary.append(byte.lowercased)
            return emit([byte])
        case (.doubleEscapeStart, _): return reconsume(in: .escaped)
        case (.doubleEscapeEnd, _): return reconsume(in: .doubleEscaped)
        case (.doubleEscapedLessThan, 0x2F?):
            temporary = []
            return emit("/", .doubleEscapeEnd)
        case (.doubleEscapedLessThan, _): return reconsume(in: .doubleEscaped)
        case (_, nil): return true
        case (_, 0x3C?): return emit("<", .doubleEscapedLessThan)
        case (.doubleEscaped, 0x2D?): return emit("-", .doubleEscapedDash)
        case (_, 0x2D?): return emit("-", .doubleEscapedDashDash)
        case (.doubleEscapedDashDash, 0x3E?): return emit(">", .scriptData)
        case (_, 0?): return emit(Self.replacement, .doubleEscaped)
        case (_, let byte?): return emit([byte], .doubleEscaped)
        }
    }

    // 13.2.5.32 to 13.2.5.34, 13.2.5.40
    private mutating func stepAttributeName(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.selfClosing, 0x3E?):
            isSelfClosing = true
            return emitTag()
        case (.selfClosing, nil): return true
        case (.selfClosing, _): return reconsume(in: .beforeAttributeName)
        case (.beforeAttributeName, 0x2F?), (.beforeAttributeName, 0x3E?), (.beforeAttributeName, nil):
            return reconsume(in: .afterAttributeName)
        case (.beforeAttributeName, 0x3D?):
            attributes.append((name: [0x3D], value: []))
            return become(.attributeName)
        case (.attributeName, let byte) where byte.map { $0.endsTagName } ?? true:
            return reconsume(in: .afterAttributeName)
        case (.attributeName, 0x3D?): return become(.beforeAttributeValue)
        case (.attributeName, 0?): attributes[attributes.count - 1].name += Self.replacement
        case (.attributeName, let byte?): attributes[attributes.count - 1].name.append(byte.lowercased)
        case (_, 0x09?), (_, 0x0A?), (_, 0x0C?), (_, 0x20?): return false
        case (.afterAttributeName, 0x2F?): return become(.selfClosing)
        case (.afterAttributeName, 0x3D?): return become(.beforeAttributeValue)
        case (.afterAttributeName, 0x3E?): return emitTag()
        case (_, nil): return true
        case (_, _):
            attributes.append((name: [], value: []))
            return reconsume(in: .attributeName)
        }
        return false
    }

    // 13.2.5.35 to 13.2.5.39
    private mutating func stepAttributeValue(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.beforeAttributeValue, 0x09?), (.beforeAttributeValue, 0x0A?), (.beforeAttributeValue, 0x0C?),
            (.beforeAttributeValue, 0x20?):
            return false
        case (.beforeAttributeValue, 0x22?): return become(.doubleQuoted)
        case (.beforeAttributeValue, 0x27?): return become(.singleQuoted)
        case (.beforeAttributeValue, 0x3E?): return emitTag()
        case (.beforeAttributeValue, _): return reconsume(in: .unquoted)
        case (_, nil): return true
        case (.doubleQuoted, 0x22?), (.singleQuoted, 0x27?): return become(.afterQuoted)
        case (.afterQuoted, 0x2F?): return become(.selfClosing)
        case (.afterQuoted, 0x3E?), (.unquoted, 0x3E?): return emitTag()
        case (.afterQuoted, 0x09?), (.afterQuoted, 0x0A?), (.afterQuoted, 0x0C?), (.afterQuoted, 0x20?),
            (.unquoted, 0x09?), (.unquoted, 0x0A?), (.unquoted, 0x0C?), (.unquoted, 0x20?):
            return become(.beforeAttributeName)
        case (.afterQuoted, _): return reconsume(in: .beforeAttributeName)
        case (_, 0x26?): attributes[attributes.count - 1].value += reference(isAttribute: true)
        case (_, 0?): attributes[attributes.count - 1].value += Self.replacement
        case (_, let byte?): attributes[attributes.count - 1].value.append(byte)
        }
        return false
    }

    // 13.2.5.41 to 13.2.5.52
    private mutating func stepComment(_ byte: UInt8?) -> Bool {
        switch (state, byte) {
        case (.markupDeclaration, 0x2D?) where index < bytes.count && bytes[index] == 0x2D:
            index += 1
            return become(.commentStart)
        case (.markupDeclaration, _): return reconsume(in: .bogusComment)
        case (.commentLess, 0x21?): return become(.commentLessBang)
        case (.commentLess, 0x3C?): return false
        case (.commentLess, _): return reconsume(in: .comment)
        case (.commentLessBang, 0x2D?): return become(.commentLessBangDash)
        case (.commentLessBang, _): return reconsume(in: .comment)
        case (.commentLessBangDash, 0x2D?): return become(.commentLessBangDashDash)
        case (.commentLessBangDash, _): return reconsume(in: .commentEndDash)
        case (.commentLessBangDashDash, _): return reconsume(in: .commentEnd)
        case (_, nil): return true
        case (.bogusComment, 0x3E?), (.commentStart, 0x3E?), (.commentStartDash, 0x3E?), (.commentEnd, 0x3E?),
            (.commentEndBang, 0x3E?):
            flush()
            return become(.data)
        case (.bogusComment, _): return false
        case (.commentStart, 0x2D?): return become(.commentStartDash)
        case (.commentStartDash, 0x2D?), (.commentEndDash, 0x2D?): return become(.commentEnd)
        case (.comment, 0x3C?): return become(.commentLess)
        case (.comment, 0x2D?), (.commentEndBang, 0x2D?): return become(.commentEndDash)
        case (.commentEnd, 0x21?): return become(.commentEndBang)
        case (.commentEnd, 0x2D?), (.comment, _): return false
        default: return reconsume(in: .comment)
        }
    }

    // MARK: 13.2.5.72 to 13.2.5.80

    private static let names: [[UInt8]: [UInt8]] = {
        let source = UnsafeBufferPointer(
            start: NamedReferenceSource.text.utf8Start, count: NamedReferenceSource.text.utf8CodeUnitCount)
        var names: [[UInt8]: [UInt8]] = [:]
        for entry in String(decoding: source, as: UTF8.self).split(whereSeparator: \.isWhitespace) {
            let parts = entry.split(separator: "=")
            let scalars = parts[1].split(separator: "+").compactMap {
                UInt32($0, radix: 16).flatMap(Unicode.Scalar.init)
            }
            names[Array(parts[0].utf8)] = Array(String(String.UnicodeScalarView(scalars)).utf8)
        }
        return names
    }()

    /// After `&`; answers what it stands for and moves on, or answers `&`.
    private mutating func reference(isAttribute: Bool) -> [UInt8] {
        if index < bytes.count, bytes[index] == 0x23 { return numericReference() }
        for length in stride(from: min(33, bytes.count - index), to: 0, by: -1) {
            let name = Array(bytes[index..<(index + length)])
            guard let value = Self.names[name] else { continue }
            let next = index + length
            if isAttribute, name.last != 0x3B, next < bytes.count, bytes[next] == 0x3D || bytes[next].isAlphanumeric {
                break
            }
            index = next
            return value
        }
        return [0x26]
    }

    private mutating func numericReference() -> [UInt8] {
        var next = index + 1
        let isHexadecimal = next < bytes.count && (bytes[next] == 0x78 || bytes[next] == 0x58)
        if isHexadecimal { next += 1 }
        let digits = bytes[next...].prefix { isHexadecimal ? $0.hexadecimalValue != nil : $0.isDigit }
        guard !digits.isEmpty else { return [0x26] }
        index = digits.endIndex
        if index < bytes.count, bytes[index] == 0x3B { index += 1 }
        let code = UInt32(String(decoding: digits, as: UTF8.self), radix: isHexadecimal ? 16 : 10) ?? .max
        if code >= 0x80, code < 0xA0, let mapped = Self.windows1252[code] { return Array(String(mapped).utf8) }
        guard code != 0, let scalar = Unicode.Scalar(code) else { return Self.replacement }
        return Array(String(Character(scalar)).utf8)
    }

    private static let windows1252: [UInt32: Character] = [
        0x80: "€", 0x82: "‚", 0x83: "ƒ", 0x84: "„", 0x85: "…", 0x86: "†", 0x87: "‡", 0x88: "ˆ", 0x89: "‰", 0x8A: "Š",
        0x8B: "‹", 0x8C: "Œ",
        0x8E: "Ž", 0x91: "‘", 0x92: "’", 0x93: "“", 0x94: "”", 0x95: "•", 0x96: "–", 0x97: "—", 0x98: "˜", 0x99: "™",
        0x9A: "š", 0x9B: "›",
        0x9C: "œ", 0x9E: "ž", 0x9F: "Ÿ",
    ]
}
