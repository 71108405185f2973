// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The data state of the WHATWG tokenizer as far as tags need it (HTML Standard 13.2.5.1, 13.2.5.6 to 13.2.5.8,
// 13.2.5.32 to 13.2.5.53): tags are returned, comments, document types, CDATA sections and text are passed over. What
// stands inside elements whose text is not markup is in TextStates.swift. Nothing is copied, nothing is read twice but
// a few bytes.

/// A start or end tag, as places in the input.
struct Tag {
    var isEndTag = false
    /// Place of `<`.
    var open = 0
    var name = 0..<0
    /// Place after `>`.
    var end = 0
    var isSelfClosing = false
}

/// Places of one attribute.
struct AttributePlace {
    var name = 0..<0
    var value = 0..<0
}

enum AttributeStep {
    case attribute
    /// `position` is after `>`; the second says whether `/` stood directly before it.
    case endOfTag(isSelfClosing: Bool)
    case endOfInput
}

/// Takes what is no tag. The scan of a document without foreign content needs none of it and pays nothing for it.
protocol MarkupSink {
    /// Whether `<![CDATA[` opens a section: only while the adjusted current node is in another namespace than HTML
    /// (13.2.5.42).
    var allowsCDATA: Bool { get }
    /// Text of the data state, references not resolved; never empty.
    mutating func text(_ range: Range<Int>)
    /// The inside of a CDATA section, never empty.
    mutating func literalText(_ range: Range<Int>)
    /// From `<!` to after `>`.
    mutating func documentType(_ range: Range<Int>)
}

struct NoSink: MarkupSink {
    @inline(__always) var allowsCDATA: Bool { false }
    @inline(__always) mutating func text(_ range: Range<Int>) {}
    @inline(__always) mutating func literalText(_ range: Range<Int>) {}
    @inline(__always) mutating func documentType(_ range: Range<Int>) {}
}

struct MarkupReader {
    let input: Input
    var position: Int

    @inline(__always) init(_ input: Input, position: Int = 0) {
        self.input = input
        self.position = position
    }

    /// The next tag; false at the end of the input. A tag that the input cuts off is no tag (13.2.5: eof-in-tag).
    @inline(__always) mutating func next<Sink: MarkupSink>(_ tag: inout Tag, _ sink: inout Sink) -> Bool {
        while true {
            let open = input.find(0x3C, from: position)
            guard open + 1 < input.count else { break }
            let byte = input[open + 1]
            if byte.isLetter {
                if open > position { sink.text(position..<open) }
                return finish(&tag, open: open, nameStart: open + 1, isEndTag: false)
            }
            if byte == 0x2F, open + 2 < input.count, input[open + 2].isLetter {
                if open > position { sink.text(position..<open) }
                return finish(&tag, open: open, nameStart: open + 2, isEndTag: true)
            }
            if byte != 0x21, byte != 0x2F, byte != 0x3F {
                // 13.2.5.6: the `<` is text, and the byte after it is looked at again.
                sink.text(position..<(open + 1))
                position = open + 1
            } else {
                position = passOver(open, byte, &sink)
            }
        }
        // `<` at the very end is text.
        if position < input.count { sink.text(position..<input.count) }
        position = input.count
        return false
    }

    /// 13.2.5.8, tag name state, and the attributes up to `>`.
    @inline(__always) private mutating func finish(_ tag: inout Tag, open: Int, nameStart: Int, isEndTag: Bool) -> Bool
    {
        var index = nameStart + 1
        while index < input.count, !input[index].endsTagName { index += 1 }
        tag.isEndTag = isEndTag
        tag.open = open
        tag.name = nameStart..<index
        var place = AttributePlace()
        while true {
            switch step(&index, &place) {
            case .attribute:
                continue
            case .endOfTag(let isSelfClosing):
                tag.isSelfClosing = isSelfClosing
                tag.end = index
                position = index
                return true
            case .endOfInput:
                position = input.count
                return false
            }
        }
    }

    /// One attribute, or the end of the tag (13.2.5.32 to 13.2.5.40). `index` stands after the tag name or an
    /// attribute.
    ///
    /// A quote opens a value only directly after `=` and white space; anywhere else it is part of a name or of an
    /// unquoted value. The first byte of a name is taken whatever it is, so `=` can start one.
    @inline(__always) func step(_ index: inout Int, _ place: inout AttributePlace) -> AttributeStep {
        var previous: UInt8 = 0
        while true {
            guard index < input.count else { return .endOfInput }
            let byte = input[index]
            guard byte.endsTagName else { break }
            index += 1
            if byte == 0x3E { return .endOfTag(isSelfClosing: previous == 0x2F) }
            previous = byte
        }
        let nameStart = index
        index += 1
        while index < input.count, !input[index].endsAttributeName { index += 1 }
        place.name = nameStart..<index
        place.value = index..<index
        // After attribute name state: white space may stand before `=`. If no `=` comes, nothing is lost by passing it.
        while index < input.count, input[index].isSpace { index += 1 }
        guard index < input.count else { return .endOfInput }
        guard input[index] == 0x3D else { return .attribute }
        index += 1
        while index < input.count, input[index].isSpace { index += 1 }
        return stepValue(&index, &place)
    }

    /// 13.2.5.35 to 13.2.5.38: before attribute value, and the three kinds of values.
    @inline(__always) private func stepValue(_ index: inout Int, _ place: inout AttributePlace) -> AttributeStep {
        guard index < input.count else { return .endOfInput }
        let byte = input[index]
        if byte == 0x22 || byte == 0x27 {
            let close = input.find(byte, from: index + 1)
            guard close < input.count else { return .endOfInput }
            place.value = (index + 1)..<close
            index = close + 1
            return .attribute
        }
        let valueStart = index
        while index < input.count, !input[index].endsUnquotedValue { index += 1 }
        guard index < input.count else { return .endOfInput }
        place.value = valueStart..<index
        return .attribute
    }

    /// `<!`, `<?` or `</` that opens no tag: the place where the data state goes on.
    private func passOver<Sink: MarkupSink>(_ open: Int, _ byte: UInt8, _ sink: inout Sink) -> Int {
        // 13.2.5.7: `</` at the end of the input is text.
        if byte == 0x2F, open + 2 == input.count {
            sink.text(position..<input.count)
            return input.count
        }
        if open > position { sink.text(position..<open) }
        guard byte == 0x21 else {
            // `</>` is nothing; `</` before another byte and `<?` are bogus comments (13.2.5.6, 13.2.5.7).
            return after(0x3E, from: open + 2)
        }
        if input.hasExactPrefix("--", at: open + 2) { return endOfComment(open) }
        if sink.allowsCDATA, input.hasExactPrefix("[CDATA[", at: open + 2) { return endOfCDATA(open + 9, &sink) }
        // A document type, or a bogus comment: every state of both ends at `>` (13.2.5.41, 13.2.5.53 to 13.2.5.68).
        let end = after(0x3E, from: open + 2)
        if input.hasPrefix("doctype", at: open + 2) { sink.documentType(open..<end) }
        return end
    }

    /// 13.2.5.43 to 13.2.5.52. Ends: `<!-->`, `<!--->`, and after those `-->` and `--!>`. The dashes of the opening do
    /// not count, and `<!--` inside has no meaning but for parse errors.
    private func endOfComment(_ open: Int) -> Int {
        let start = open + 4
        var close = input.find(0x3E, from: start)
        while close < input.count {
            let length = close - start
            if length == 0 || (length == 1 && input[start] == 0x2D) { return close + 1 }
            if length >= 2, input[close - 1] == 0x2D, input[close - 2] == 0x2D { return close + 1 }
            if length >= 3, input[close - 1] == 0x21, input[close - 2] == 0x2D, input[close - 3] == 0x2D {
                return close + 1
            }
            close = input.find(0x3E, from: close + 1)
        }
        return input.count
    }

    /// 13.2.5.69 to 13.2.5.71: up to `]]>`.
    private func endOfCDATA<Sink: MarkupSink>(_ start: Int, _ sink: inout Sink) -> Int {
        var close = input.find(0x3E, from: start)
        while close < input.count {
            if close - start >= 2, input[close - 1] == 0x5D, input[close - 2] == 0x5D { break }
            close = input.find(0x3E, from: close + 1)
        }
        let end = close < input.count ? close - 2 : input.count
        if end > start { sink.literalText(start..<end) }
        return min(close + 1, input.count)
    }

    private func after(_ byte: UInt8, from start: Int) -> Int {
        min(input.find(byte, from: start) + 1, input.count)
    }
}
