// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the script elements of an HTML document.

public enum ScriptScanner {
    /// The script elements of a document in an encoding that keeps ASCII bytes for ASCII characters.
    public static func scan(_ html: UnsafeBufferPointer<UInt8>, limits: ScriptLimits = ScriptLimits()) -> ScriptScan {
        guard let base = html.baseAddress, html.count > 0 else { return ScriptScan() }
        var run = ScanRun(Input(base: base, count: html.count), limits)
        run.scan()
        return run.result
    }

    public static func scan(_ html: [UInt8], limits: ScriptLimits = ScriptLimits()) -> ScriptScan {
        html.withUnsafeBufferPointer { scan($0, limits: limits) }
    }

    public static func scan(_ html: Span<UInt8>, limits: ScriptLimits = ScriptLimits()) -> ScriptScan {
        html.withUnsafeBufferPointer { scan($0, limits: limits) }
    }
}

/// What the reader does after a start tag.
enum TextModel {
    case markup
    case text(StaticString)
    case script
    case plaintext
}

/// One scan.
struct ScanRun {
    let input: Input
    let limits: ScriptLimits
    var result = ScriptScan()

    init(_ input: Input, _ limits: ScriptLimits) {
        self.input = input
        self.limits = limits
    }

    /// Documents whose script elements the tokenizer alone decides.
    mutating func scan() {
        var reader = MarkupReader(input)
        var tag = Tag()
        while reader.next(&tag) {
            if tag.isEndTag { continue }
            switch Self.model(input, tag.name) {
            case .markup:
                continue
            case .text(let name):
                reader.position = reader.endOfText(from: tag.end, name: name).next
            case .script:
                guard admitScript(tag) else { return }
                let end = reader.endOfScriptData(from: tag.end)
                addScript(tag, end)
                reader.position = end.next
            case .plaintext:
                return
            }
        }
    }

    /// HTML Standard 13.2.6.4: what the text of an HTML element is.
    ///
    /// `noscript` is markup: no mail reader runs scripts, so the scripting flag is disabled.
    @inline(__always) static func model(_ input: Input, _ name: Range<Int>) -> TextModel {
        guard name.count >= 3, name.count <= 9 else { return .markup }
        switch input[name.lowerBound] | 0x20 {
        case 0x73:  // s
            if input.equals(name, "script") { return .script }
            if input.equals(name, "style") { return .text("style") }
        case 0x74:  // t
            if input.equals(name, "title") { return .text("title") }
            if input.equals(name, "textarea") { return .text("textarea") }
        case 0x78:  // x
            if input.equals(name, "xmp") { return .text("xmp") }
        case 0x69:  // i
            if input.equals(name, "iframe") { return .text("iframe") }
        case 0x6E:  // n
            if input.equals(name, "noembed") { return .text("noembed") }
            if input.equals(name, "noframes") { return .text("noframes") }
        case 0x70:  // p
            if input.equals(name, "plaintext") { return .plaintext }
        default:
            break
        }
        return .markup
    }

    /// False at the limit of scripts.
    mutating func admitScript(_ tag: Tag) -> Bool {
        if result.elements.count < limits.scripts { return true }
        result.problems.append(ScriptProblem(code: .scriptLimit, offset: tag.open))
        return false
    }

    mutating func addScript(_ tag: Tag, _ end: TextEnd) {
        let attributes = self.attributes(of: tag)
        result.elements.append(
            ScriptElement(
                attributes: attributes, content: tag.end..<end.content, isTerminated: end.isTerminated,
                startTag: tag.open..<tag.end))
        if !end.isTerminated {
            result.problems.append(ScriptProblem(code: .unterminatedScript, offset: tag.open))
        }
    }

    /// The attributes of a start tag, within limits.
    mutating func attributes(of tag: Tag) -> [ScriptElement.Attribute] {
        let reader = MarkupReader(input)
        var list = AttributeList(input: input, limits: limits)
        var index = tag.name.upperBound
        var place = AttributePlace()
        while case .attribute = reader.step(&index, &place) { list.add(place) }
        if let place = list.dropped { result.problems.append(ScriptProblem(code: .attributeLimit, offset: place)) }
        if let place = list.cut { result.problems.append(ScriptProblem(code: .attributeLength, offset: place)) }
        return list.attributes
    }
}

/// Collects the attributes of one tag.
struct AttributeList {
    let input: Input
    let limits: ScriptLimits
    var attributes: [ScriptElement.Attribute] = []
    /// Place of the first attribute that was too many.
    var dropped: Int?
    /// Place of the first name or value that was too long.
    var cut: Int?

    init(input: Input, limits: ScriptLimits) {
        self.input = input
        self.limits = limits
    }

    mutating func add(_ place: AttributePlace) {
        let name = self.name(bounded(place.name))
        if attributes.contains(where: { $0.name == name }) { return }
        guard attributes.count < limits.attributes else {
            dropped = dropped ?? place.name.lowerBound
            return
        }
        var value: [UInt8] = []
        TextResolver(input: input, isAttribute: true).append(bounded(place.value), to: &value)
        attributes.append(ScriptElement.Attribute(name: name, value: String(decoding: value, as: UTF8.self)))
    }

    private mutating func bounded(_ range: Range<Int>) -> Range<Int> {
        guard range.count > limits.attributeLength else { return range }
        cut = cut ?? range.lowerBound
        return range.lowerBound..<(range.lowerBound + max(0, limits.attributeLength))
    }

    /// 13.2.5.33: A to Z in lower case, NUL as U+FFFD.
    private func name(_ range: Range<Int>) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for index in range {
            if input[index] == 0 {
                TextResolver.append(0xFFFD, to: &bytes)
            } else {
                bytes.append(input[index].lowercased)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
