// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the parser itself has to know of a Content-Type: the kind of the part and one parameter. Values of the usual
// form are read in place; all others go through ParameterizedValue, which knows every form.

struct ContentTypeFacts {
    enum Kind { case text, multipart, digest, message, other }

    var kind: Kind
    /// Whether the value is of the form `type/subtype`.
    var isNamed: Bool
    /// The value is there, and of another form.
    var isMalformed: Bool
    /// Of a multipart.
    var boundary: Boundary?
    /// Of a text; nil where its label is not known.
    var charset: CharsetEncoding? = .unlabelled
    /// The parameter that counts is there twice with different values.
    var isAmbiguous = false

    /// Of a part without Content-Type.
    static func absent(isInDigest: Bool) -> ContentTypeFacts {
        ContentTypeFacts(kind: isInDigest ? .message : .text, isNamed: false, isMalformed: false)
    }

    private init(kind: Kind, isNamed: Bool, isMalformed: Bool) {
        self.kind = kind
        self.isNamed = isNamed
        self.isMalformed = isMalformed
    }

    init(_ bytes: Bytes, _ range: Range<Int>, isInDigest: Bool) {
        guard let end = Self.plainNameEnd(bytes, range) else {
            self.init(unusual: bytes, range, isInDigest: isInDigest)
            return
        }
        let start = end.start
        self.init(kind: Self.kind(bytes, start, end.name), isNamed: true, isMalformed: false)
        switch kind {
        case .text: takeCharset(bytes, end.next..<range.upperBound, range)
        case .multipart, .digest: takeBoundary(bytes, end.next..<range.upperBound, range)
        case .message, .other: break
        }
    }

    /// Any form, by the full parser.
    private init(unusual bytes: Bytes, _ range: Range<Int>, isInDigest: Bool) {
        let value = ParameterizedValue(bytes, range)
        let isNamed = MediaType.isSane(value.value)
        var name = isNamed ? value.value : (isInDigest ? "message/rfc822" : "text/plain")
        self.init(
            kind: name.withUTF8 { Self.kind($0, 0, $0.count) }, isNamed: isNamed,
            isMalformed: !isNamed && !value.value.isEmpty)
        take(value, bytes, range)
    }

    private static func kind(_ bytes: Bytes, _ start: Int, _ end: Int) -> Kind {
        switch bytes[start].lowercased {
        case 0x74 where bytes.hasWord("text/", at: start, end): return .text
        case 0x6D where bytes.hasWord("multipart/", at: start, end):
            return end - start == 16 && bytes.hasWord("multipart/digest", at: start, end) ? .digest : .multipart
        // RFC 2046 section 5.2.1, RFC 6532 section 3.7, RFC 5537 section 10.
        case 0x6D where end - start == 14 && bytes.hasWord("message/rfc822", at: start, end): return .message
        case 0x6D where end - start == 14 && bytes.hasWord("message/global", at: start, end): return .message
        case 0x6D where end - start == 12 && bytes.hasWord("message/news", at: start, end): return .message
        default: return .other
        }
    }

    /// Where `type/subtype` begins and ends, and the first parameter begins. Nil for a value that is not so plain.
    private static func plainNameEnd(_ bytes: Bytes, _ range: Range<Int>) -> (start: Int, name: Int, next: Int)? {
        let end = range.upperBound
        var index = range.lowerBound
        while index < end, bytes[index].isBlankOrLineEnd { index += 1 }
        let start = index
        while index < end, bytes[index].isToken { index += 1 }
        guard index > start, index < end, bytes[index] == 0x2F else { return nil }
        index += 1
        let subtype = index
        while index < end, bytes[index].isToken, bytes[index] < 0x80 { index += 1 }
        guard index > subtype else { return nil }
        let name = index
        while index < end, bytes[index].isBlankOrLineEnd { index += 1 }
        if index == end { return (start, name, end) }
        return bytes[index] == .semicolon ? (start, name, index + 1) : nil
    }

    /// `type/subtype` in lower case; nil for a value that is not so plain.
    static func plainName(_ bytes: Bytes, _ range: Range<Int>) -> String? {
        guard let end = plainNameEnd(bytes, range) else { return nil }
        let name = bytes[end.start..<end.name]
        guard name.allSatisfy({ $0 < 0x80 }) else { return nil }
        return String(unsafeUninitializedCapacity: name.count) { text in
            for (index, octet) in name.enumerated() { text[index] = octet.lowercased }
            return name.count
        }
    }

    static func charsetLabel(_ bytes: Bytes, _ range: Range<Int>) -> String? {
        guard let end = plainNameEnd(bytes, range) else { return ParameterizedValue(bytes, range)["charset"] }
        switch plainParameter("charset", bytes, end.next..<range.upperBound) {
        case .absent: return nil
        case .found(let value): return HeaderText.string(Bytes(rebasing: bytes[value]))
        case .unusual: return ParameterizedValue(bytes, range)["charset"]
        }
    }

    // MARK: parameters

    private mutating func takeCharset(_ bytes: Bytes, _ parameters: Range<Int>, _ range: Range<Int>) {
        switch Self.plainParameter("charset", bytes, parameters) {
        case .absent: break
        case .found(let value): charset = Charset.encoding(bytes, value)
        case .unusual: take(ParameterizedValue(bytes, range), bytes, range)
        }
    }

    private mutating func takeBoundary(_ bytes: Bytes, _ parameters: Range<Int>, _ range: Range<Int>) {
        switch Self.plainParameter("boundary", bytes, parameters) {
        case .absent: break
        case .found(let value): boundary = Boundary(Array(bytes[value]))
        case .unusual: take(ParameterizedValue(bytes, range), bytes, range)
        }
    }

    private mutating func take(_ value: ParameterizedValue, _ bytes: Bytes, _ range: Range<Int>) {
        switch kind {
        case .text:
            charset = Charset.encoding(label: value["charset"])
            isAmbiguous = value.contradictions.contains("charset")
        case .multipart, .digest:
            boundary = value["boundary"].flatMap { text in
                // Octets that are no text are compared as they are.
                Boundary(text.utf8.allSatisfy { $0 < 0x80 } ? Array(text.utf8) : Self.rawBoundary(bytes, range))
            }
            isAmbiguous = value.contradictions.contains("boundary")
        case .message, .other: break
        }
    }

    private static func rawBoundary(_ bytes: Bytes, _ range: Range<Int>) -> [UInt8] {
        var scanner = ParameterScanner(bytes, range)
        _ = scanner.mainValue()
        while let (name, value) = scanner.next() {
            if name.count == 8, bytes.hasWord("boundary", at: name.lowerBound, name.upperBound) { return value }
        }
        return []
    }

    private enum PlainParameter {
        case absent
        case found(Range<Int>)
        /// Comments, escapes, RFC 2231, a missing semicolon, octets above ASCII, the name twice, more parameters than
        /// anyone sends: not read here.
        case unusual
    }

    private static func plainParameter(_ name: StaticString, _ bytes: Bytes, _ range: Range<Int>) -> PlainParameter {
        let end = range.upperBound
        var index = range.lowerBound
        var result = PlainParameter.absent
        for _ in 0..<ParameterizedValue.parameterLimit {
            while index < end, bytes[index].isBlankOrLineEnd || bytes[index] == .semicolon { index += 1 }
            if index == end { return result }
            let start = index
            while index < end, bytes[index].isToken, bytes[index] != 0x2A { index += 1 }
            guard index > start, index < end, bytes[index] == .equals else { return .unusual }
            let isWanted = index - start == name.utf8CodeUnitCount && bytes.hasWord(name, at: start, index)
            index += 1
            guard let value = plainValue(bytes, &index, end) else { return .unusual }
            guard isWanted else { continue }
            if case .found = result { return .unusual }
            result = .found(value)
        }
        return .unusual
    }

    /// A token, or a quoted string in which nothing is escaped or folded, that a semicolon or the end follows.
    private static func plainValue(_ bytes: Bytes, _ index: inout Int, _ end: Int) -> Range<Int>? {
        guard index < end else { return nil }
        let isQuoted = bytes[index] == .quote
        if isQuoted { index += 1 }
        let start = index
        if isQuoted {
            while index < end, bytes[index] != .quote {
                guard bytes[index] != .backslash, bytes[index] >= 0x20, bytes[index] < 0x80 else { return nil }
                index += 1
            }
        } else {
            while index < end, bytes[index] != .semicolon, !bytes[index].isBlankOrLineEnd {
                guard bytes[index] != .leftParenthesis, bytes[index] != .quote, bytes[index] < 0x80 else { return nil }
                index += 1
            }
        }
        let value = start..<index
        if isQuoted {
            guard index < end else { return nil }
            index += 1
        }
        while index < end, bytes[index].isBlankOrLineEnd { index += 1 }
        return index == end || bytes[index] == .semicolon ? value : nil
    }
}
