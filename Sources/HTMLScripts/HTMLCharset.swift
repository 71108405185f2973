// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which encoding the bytes of an HTML part are in (HTML Standard 13.2.3.2): byte order mark, then the charset parameter
// of the part's Content-Type, then what meta elements or an XML declaration say. It decides, it does not decode.

public enum HTMLCharset {
    /// Where a label was found.
    public enum Source: String, Sendable, Hashable {
        case byteOrderMark
        /// The charset parameter of the Content-Type field.
        case parameter
        case meta
        case xmlDeclaration
        /// Nothing says it; the label is nil.
        case none
    }

    /// The label of the encoding, lower case, and where it was found.
    ///
    /// - A byte order mark counts more than the parameter (13.2.3.2 step 1): bytes that begin with one are in that
    ///   encoding whatever a mail program wrote above them, and an HTML text cannot usefully begin with its letters in
    ///   any other.
    /// - A parameter is given back trimmed and in lower case, known here or not: mail has charsets the web does not.
    ///   Who cannot decode it asks again with nil.
    /// - A meta element or XML declaration counts only with a label of the Encoding Standard, and the name of the
    ///   encoding is given back: "windows-1252" for "latin1". UTF-16 becomes "utf-8" and "x-user-defined"
    ///   "windows-1252", as the steps say.
    ///
    /// QUIRK: Encoding Standard 4.2 maps hz-gb-2312, iso-2022-cn and iso-2022-kr to "replacement", which decodes to
    /// nothing, because of scripts hidden in them. Nothing runs scripts here and mail still comes in them, so they keep
    /// their names.
    public static func label(of html: UnsafeBufferPointer<UInt8>, parameter: String? = nil) -> (
        label: String?, source: Source
    ) {
        if let mark = byteOrderMark(html) { return (mark, .byteOrderMark) }
        if let label = parameter.map({ trimmed($0.utf8) }), !label.isEmpty { return (label, .parameter) }
        guard let base = html.baseAddress else { return (nil, .none) }
        let prescan = CharsetPrescan(input: Input(base: base, count: min(html.count, prescanLength)))
        if let found = prescan.run() { return found }
        return lateMeta(Input(base: base, count: html.count)).map { ($0, .meta) } ?? (nil, .none)
    }

    public static func label(of html: [UInt8], parameter: String? = nil) -> (label: String?, source: Source) {
        html.withUnsafeBufferPointer { label(of: $0, parameter: parameter) }
    }

    public static func label(of html: Span<UInt8>, parameter: String? = nil) -> (label: String?, source: Source) {
        html.withUnsafeBufferPointer { label(of: $0, parameter: parameter) }
    }

    /// 13.2.3.2 step 4 lets the reader choose; every browser chose this, and authors are told to keep to it (4.2.5.4).
    static let prescanLength = 1_024

    /// The first meta element behind the first 1,024 bytes, or missed in them, that names an encoding: a browser then
    /// reads the document again (13.2.6.4.4, a meta start tag; 13.2.3.4, changing the encoding while parsing).
    private static func lateMeta(_ input: Input) -> String? {
        var reader = MarkupReader(input)
        var tag = Tag()
        var sink = NoSink()
        while reader.next(&tag, &sink) {
            if tag.isEndTag { continue }
            switch ScanRun.model(input, tag.name) {
            case .markup, .tree:
                if input.equals(tag.name, "meta"), let name = Meta.encoding(of: tag, input) { return name }
            case .text(let name):
                reader.position = reader.endOfText(from: tag.end, name: name).next
            case .script:
                reader.position = reader.endOfScriptData(from: tag.end).next
            case .plaintext:
                return nil
            }
        }
        return nil
    }

    /// Encoding Standard 4.2, get an encoding: the name for a label, or nil.
    static func name(forLabel label: some Collection<UInt8>) -> String? {
        EncodingNames.shared.names[trimmed(label)]
    }

    private static func byteOrderMark(_ html: UnsafeBufferPointer<UInt8>) -> String? {
        if html.starts(with: [0xEF, 0xBB, 0xBF]) { return "utf-8" }
        if html.starts(with: [0xFE, 0xFF]) { return "utf-16be" }
        if html.starts(with: [0xFF, 0xFE]) { return "utf-16le" }
        return nil
    }

    /// Without white space around it, A to Z in lower case.
    private static func trimmed(_ label: some Collection<UInt8>) -> String {
        let start = label.drop { $0.isSpace }
        var bytes = start.map(\.lowercased)
        while let last = bytes.last, last.isSpace { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The labels of the Encoding Standard.
private struct EncodingNames: Sendable {
    static let shared = EncodingNames()

    let names: [String: String]

    /// Reads the generated text once: lines of a name and its labels.
    private init() {
        var names: [String: String] = [:]
        let source = UnsafeBufferPointer(
            start: EncodingLabels.text.utf8Start, count: EncodingLabels.text.utf8CodeUnitCount)
        for line in source.split(separator: 0x0A) {
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            for label in words.dropFirst() { names[label] = words.first }
        }
        self.names = names
    }
}

/// "Prescan a byte stream to determine its encoding" (13.2.3.2). It is no tokenizer: comments end earlier, raw text is
/// not known. Where it would read past the end it gives up, as the standard says.
struct CharsetPrescan {
    let input: Input

    func run() -> (label: String?, source: HTMLCharset.Source)? {
        // An XML declaration in UTF-16 without byte order mark. The name is given back, although meta would give UTF-8.
        if starts(with: [0x3C, 0, 0x3F, 0, 0x78, 0]) { return ("utf-16le", .xmlDeclaration) }
        if starts(with: [0, 0x3C, 0, 0x3F, 0, 0x78]) { return ("utf-16be", .xmlDeclaration) }
        if let name = metaEncoding() { return (name, .meta) }
        return xmlEncoding().map { ($0, .xmlDeclaration) }
    }

    private func metaEncoding() -> String? {
        var index = input.find(0x3C, from: 0)
        while index < input.count {
            if input.hasExactPrefix("!--", at: index + 1) {
                guard let close = endOfComment(index) else { return nil }
                index = close
            } else if input.hasPrefix("meta", at: index + 1), index + 5 < input.count,
                input[index + 5].isSpace || input[index + 5] == 0x2F
            {
                index += 5
                var meta = Meta()
                guard readAttributes(&index, { meta.add($0, $1) }) else { return nil }
                if let name = meta.encoding { return name }
            } else if isTag(index) {
                while index < input.count, !input[index].isSpace, input[index] != 0x3E { index += 1 }
                guard readAttributes(&index, { _, _ in }) else { return nil }
            } else if index + 1 < input.count, [0x21, 0x2F, 0x3F].contains(input[index + 1]) {
                index = input.find(0x3E, from: index + 2)
            }
            index = input.find(0x3C, from: index + 1)
        }
        return nil
    }

    private func starts(with bytes: [UInt8]) -> Bool {
        UnsafeBufferPointer(start: input.base, count: input.count).starts(with: bytes)
    }

    /// Place of the `>` of the first `-->`; its dashes may be those of `<!--`.
    private func endOfComment(_ open: Int) -> Int? {
        var close = input.find(0x3E, from: open + 4)
        while close < input.count {
            if input[close - 1] == 0x2D, input[close - 2] == 0x2D { return close }
            close = input.find(0x3E, from: close + 1)
        }
        return nil
    }

    private func isTag(_ open: Int) -> Bool {
        guard open + 1 < input.count else { return false }
        if input[open + 1] == 0x2F { return open + 2 < input.count && input[open + 2].isLetter }
        return input[open + 1].isLetter
    }

    /// "Get an attribute", again and again; leaves `index` at the `>`. False at the end of the input.
    private func readAttributes(_ index: inout Int, _ take: ([UInt8], [UInt8]) -> Void) -> Bool {
        while true {
            while index < input.count, input[index].isSpace || input[index] == 0x2F { index += 1 }
            guard index < input.count else { return false }
            if input[index] == 0x3E { return true }
            var name: [UInt8] = []
            while index < input.count, !input[index].endsAttributeName || (input[index] == 0x3D && name.isEmpty) {
                name.append(input[index].lowercased)
                index += 1
            }
            while index < input.count, input[index].isSpace { index += 1 }
            guard index < input.count else { return false }
            guard input[index] == 0x3D else {
                take(name, [])
                continue
            }
            index += 1
            while index < input.count, input[index].isSpace { index += 1 }
            guard let value = readValue(&index) else { return false }
            take(name, value)
        }
    }

    private func readValue(_ index: inout Int) -> [UInt8]? {
        guard index < input.count else { return nil }
        let start: Int
        let end: Int
        if input[index] == 0x22 || input[index] == 0x27 {
            start = index + 1
            end = input.find(input[index], from: start)
            guard end < input.count else { return nil }
            index = end + 1
        } else {
            start = index
            while index < input.count, !input[index].endsUnquotedValue { index += 1 }
            guard index < input.count else { return nil }
            end = index
        }
        return (start..<end).map { input[$0].lowercased }
    }

    /// "Get an XML encoding" (13.2.3.2).
    private func xmlEncoding() -> String? {
        guard input.hasExactPrefix("<?xml", at: 0) else { return nil }
        let end = input.find(0x3E, from: 5)
        guard end < input.count else { return nil }
        var index = 5
        while index < end, !input.hasExactPrefix("encoding", at: index) { index += 1 }
        index += 8
        while index < end, input[index] <= 0x20 { index += 1 }
        guard index < end, input[index] == 0x3D else { return nil }
        index += 1
        while index < end, input[index] <= 0x20 { index += 1 }
        guard index < end, input[index] == 0x22 || input[index] == 0x27 else { return nil }
        let close = input.find(input[index], from: index + 1)
        guard close < end else { return nil }
        let label = ((index + 1)..<close).map { input[$0] }
        guard !label.contains(where: { $0 <= 0x20 }), let name = HTMLCharset.name(forLabel: label) else { return nil }
        return name.hasPrefix("utf-16") ? "utf-8" : name
    }
}

/// What the attributes of one meta element say (13.2.3.2, step "If it is a meta tag").
private struct Meta {
    private var names: Set<[UInt8]> = []
    private var gotPragma = false
    private var needPragma: Bool?
    /// The inner nil: there was a label, and it is unknown.
    private var charset: String??

    mutating func add(_ name: [UInt8], _ value: [UInt8]) {
        guard names.insert(name).inserted else { return }
        if name.elementsEqual("http-equiv".utf8) {
            gotPragma = value.elementsEqual("content-type".utf8)
        } else if name.elementsEqual("content".utf8) {
            guard charset == nil, let label = Self.label(inContent: value), let name = HTMLCharset.name(forLabel: label)
            else { return }
            charset = .some(name)
            needPragma = true
        } else if name.elementsEqual("charset".utf8) {
            charset = .some(HTMLCharset.name(forLabel: value))
            needPragma = false
        }
    }

    var encoding: String? {
        guard let needPragma, !needPragma || gotPragma, case .some(.some(let name)) = charset else { return nil }
        return Self.usable(name)
    }

    private static func usable(_ name: String) -> String {
        if name.hasPrefix("utf-16") { return "utf-8" }
        return name == "x-user-defined" ? "windows-1252" : name
    }

    /// What tree construction reads from a meta element (13.2.6.4.4).
    static func encoding(of tag: Tag, _ input: Input) -> String? {
        var list = AttributeList(input: input, limits: ScriptLimits())
        list.addAll(of: tag)
        let value = { (name: String) in
            list.attributes.first { $0.name == name }.map { $0.value.utf8.map(\.lowercased) }
        }
        if let charset = value("charset"), let name = HTMLCharset.name(forLabel: charset) { return usable(name) }
        guard let pragma = value("http-equiv"), pragma.elementsEqual("content-type".utf8),
            let content = value("content"),
            let label = label(inContent: content)
        else { return nil }
        return HTMLCharset.name(forLabel: label).map(usable)
    }

    /// "Extracting a character encoding from a meta element" (4.2.5.4). `content` is lower case.
    private static func label(inContent content: [UInt8]) -> ArraySlice<UInt8>? {
        var index = 0
        while let found = place(of: "charset", in: content, from: index) {
            index = found + 7
            while index < content.count, content[index].isSpace { index += 1 }
            guard index < content.count else { return nil }
            guard content[index] == 0x3D else { continue }
            index += 1
            while index < content.count, content[index].isSpace { index += 1 }
            guard index < content.count else { return nil }
            let rest = content[index...]
            if content[index] == 0x22 || content[index] == 0x27 {
                guard let close = rest.dropFirst().firstIndex(of: content[index]) else { return nil }
                return content[(index + 1)..<close]
            }
            return rest.prefix { !$0.isSpace && $0 != 0x3B }
        }
        return nil
    }

    private static func place(of text: StaticString, in content: [UInt8], from start: Int) -> Int? {
        content.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            let input = Input(base: base, count: buffer.count)
            return (start..<max(start, buffer.count)).first { input.hasPrefix(text, at: $0) }
        }
    }
}
