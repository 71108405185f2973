// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a tokenizer says about an input, in a form two of them can be compared in: tags and text. Comments and document
// types are left out, because HTMLScripts passes over them; that they end in the right place shows in what follows
// them.

@testable import HTMLScripts

enum Event: Equatable, CustomStringConvertible {
    case startTag(String, [String: String], isSelfClosing: Bool)
    case endTag(String)
    case text(String)

    var description: String {
        switch self {
        case .startTag(let name, let attributes, let isSelfClosing):
            "<\(name) \(attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.debugDescription)" })\(isSelfClosing ? "/" : "")>"
        case .endTag(let name): "</\(name)>"
        case .text(let text): text.debugDescription
        }
    }
}

extension [Event] {
    /// Text that follows text is one piece.
    mutating func appendText(_ text: String) {
        guard !text.isEmpty else { return }
        if case .text(let before) = last {
            self[count - 1] = .text(before + text)
        } else {
            append(.text(text))
        }
    }
}

/// The states a reading can begin in.
enum StartState: String, CaseIterable {
    case data = "Data state"
    case plaintext = "PLAINTEXT state"
    case rcdata = "RCDATA state"
    case rawText = "RAWTEXT state"
    case scriptData = "Script data state"
    case cdata = "CDATA section state"
}

private struct EventSink: MarkupSink {
    let input: Input
    var events: [Event] = []
    var allowsCDATA = false

    init(_ input: Input) { self.input = input }

    mutating func text(_ range: Range<Int>) { append(range, .text, keepsNull: true) }
    mutating func literalText(_ range: Range<Int>) { append(range, .literal, keepsNull: true) }
    mutating func documentType(_ range: Range<Int>) {}

    /// The data state and CDATA sections hand NUL on, the others replace it.
    mutating func append(_ range: Range<Int>, _ context: TextResolver.Context, keepsNull: Bool) {
        var bytes: [UInt8] = []
        let resolver = TextResolver(input: input, context: context)
        var start = range.lowerBound
        while start < range.upperBound {
            let null = keepsNull ? min(input.find(0, from: start), range.upperBound) : range.upperBound
            resolver.append(start..<null, to: &bytes)
            if null < range.upperBound { bytes.append(0) }
            start = null + 1
        }
        events.appendText(String(decoding: bytes, as: UTF8.self))
    }
}

enum ReaderEvents {
    /// The events of HTMLScripts' own reader.
    static func read(_ bytes: [UInt8], from state: StartState = .data, lastStartTag: String? = nil) -> [Event] {
        // Never empty, so that there is a base address.
        (bytes + [0]).withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return [] }
            let input = Input(base: base, count: bytes.count)
            var reader = MarkupReader(input)
            var sink = EventSink(input)
            start(&reader, &sink, state, lastStartTag)
            var tag = Tag()
            while reader.next(&tag, &sink) { sink.events.append(event(tag, input)) }
            return sink.events
        }
    }

    private static func event(_ tag: Tag, _ input: Input) -> Event {
        let name = AttributeList.lowercasedName(input, tag.name)
        if tag.isEndTag { return .endTag(name) }
        var limits = ScriptLimits()
        limits.attributes = .max
        var list = AttributeList(input: input, limits: limits)
        list.addAll(of: tag)
        let pairs = list.attributes.map { ($0.name, $0.value) }
        return .startTag(name, Dictionary(uniqueKeysWithValues: pairs), isSelfClosing: tag.isSelfClosing)
    }

    /// Reads what belongs to the state, up to where the data state begins.
    private static func start(
        _ reader: inout MarkupReader, _ sink: inout EventSink, _ state: StartState, _ lastStartTag: String?
    ) {
        let all = 0..<reader.input.count
        let names: [String: StaticString] = [
            "xmp": "xmp", "textarea": "textarea", "script": "script", "title": "title", "style": "style",
        ]
        // Without a start tag before it no end tag is appropriate; this name cannot occur.
        let name = lastStartTag.flatMap { names[$0] } ?? "\u{1}"
        let end: TextEnd
        switch state {
        case .data: return
        case .plaintext:
            sink.append(all, .literal, keepsNull: false)
            reader.position = reader.input.count
            return
        case .cdata:
            let section = Array("<![CDATA[".utf8) + (0..<reader.input.count).map { reader.input[$0] }
            sink.events = cdata(section)
            reader.position = reader.input.count
            return
        case .rcdata, .rawText: end = reader.endOfText(from: 0, name: name)
        case .scriptData: end = reader.endOfScriptData(from: 0, name: name)
        }
        sink.append(0..<end.content, state == .rcdata ? .text : .literal, keepsNull: false)
        if end.isTerminated { sink.events.append(.endTag(lastStartTag ?? "")) }
        reader.position = end.next
    }

    private static func cdata(_ section: [UInt8]) -> [Event] {
        section.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return [] }
            let input = Input(base: base, count: buffer.count)
            var reader = MarkupReader(input)
            var sink = EventSink(input)
            sink.allowsCDATA = true
            var tag = Tag()
            while reader.next(&tag, &sink) {
                sink.events.append(event(tag, input))
                sink.allowsCDATA = false
            }
            return sink.events
        }
    }
}
