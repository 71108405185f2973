// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the script elements of an HTML document, as a browser would that has scripts disabled. The tokens come from
// MarkupReader and TextStates, the open elements, where they count, from TreeTracker; here the three are put together.

/// Finds the script elements of an HTML document in one pass, in time linear in its size, without a tree and without
/// copies.
///
/// What is decided, and how:
/// - Every document: the tokenizer of HTML Standard 13.2.5 decides where tags begin and end, what is in comments, in
///   attribute values and in the text of `title`, `textarea`, `style`, `xmp`, `iframe`, `noembed`, `noframes`, `script`
///   and after `plaintext`. `noscript` holds markup: the scripting flag is disabled. Without `svg`, `math`, `template`
///   and `frameset` start tags that is exact, because tree construction then makes an element of every script start tag
///   in every insertion mode, and gives those elements their text state in every mode.
/// - Documents with one of those four: TreeTracker follows the insertion mode, the stack of open elements, the list
///   of active formatting elements and the adoption agency of 13.2.6, without nodes. So it is known which namespace a
///   script is in (in svg and math its content is markup, `style` and `title` are no raw text, and CDATA sections
///   exist), which tags leave it, and which script start tags make no element (in a frameset, or in a template whose
///   content began with `col`). Scripts of a body that a frameset takes away are not in the result. Scripts in a
///   template's content are.
///
/// What only a tree could answer is not asked: where foster parenting or the adoption agency put an element. The order
/// of the result is that of the source, which can differ from document order in broken tables. Beyond
/// `ScriptLimits.depth` open elements the second part is a guess, with a problem.
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

    /// The text of a script element of `html`, in the encoding of `html`: its "child text content", which a browser
    /// would run.
    ///
    /// `content` with line ends as LF and NUL as U+FFFD. In svg and math, besides: character references resolved, CDATA
    /// sections opened, comments and elements left out.
    public static func text(of element: ScriptElement, in html: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        let content = element.content.clamped(to: 0..<html.count)
        guard let base = html.baseAddress, !content.isEmpty else { return [] }
        let input = Input(base: base, count: content.upperBound)
        guard element.namespace == .html else { return ForeignScriptText.read(input, content, element.namespace) }
        var bytes: [UInt8] = []
        TextResolver(input: input, context: .literal).append(content, to: &bytes)
        return bytes
    }

    public static func text(of element: ScriptElement, in html: [UInt8]) -> [UInt8] {
        html.withUnsafeBufferPointer { text(of: element, in: $0) }
    }
}

/// What the reader does after a start tag.
enum TextModel {
    case markup
    case text(StaticString)
    case script
    case plaintext
    /// What follows depends on the elements that are open.
    case tree
}

/// One scan.
struct ScanRun {
    let input: Input
    let limits: ScriptLimits
    var result = ScriptScan()
    private var isDepthNoted = false

    init(_ input: Input, _ limits: ScriptLimits) {
        self.input = input
        self.limits = limits
    }

    /// Reads with the tokenizer alone; where a tag comes that only open elements explain, starts again with those. Most
    /// documents have their scripts at the beginning, or none: the rest is not read.
    ///
    /// - Parameter isWhole: reads all of it, to the same result.
    mutating func scan(isWhole: Bool = false) {
        let last = isWhole ? input.count : lastOfInterest
        var reader = MarkupReader(input)
        var tag = Tag()
        var sink = NoSink()
        while reader.position <= last, reader.next(&tag, &sink) {
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
            case .tree:
                result = ScriptScan()
                return scanWithTree()
            }
        }
    }

    /// The last place where a script can begin, or a frameset, which takes away those of the body; -1 where there is none.
    /// Other tags that need open elements say nothing about scripts before them.
    private var lastOfInterest: Int {
        var open = input.findLast(0x3C, before: input.count)
        while open >= 0, !input.hasPrefix("<script", at: open), !input.hasPrefix("<frameset", at: open) {
            open = input.findLast(0x3C, before: open)
        }
        return open
    }

    private mutating func scanWithTree() {
        var reader = MarkupReader(input)
        var tag = Tag()
        var tracker = TreeTracker(input, limits)
        while reader.next(&tag, &tracker) {
            if tag.isEndTag {
                tracker.endTag(tag)
                close(&tracker, at: tag)
                continue
            }
            let outcome = tracker.startTag(tag)
            close(&tracker, at: tag)
            if let remaining = tracker.remainingScripts { dropScripts(from: remaining) }
            noteDepth(tracker, tag)
            switch outcome {
            case .none:
                continue
            case .text(let name):
                reader.position = reader.endOfText(from: tag.end, name: name).next
            case .script:
                guard admitScript(tag) else { return }
                let end = reader.endOfScriptData(from: tag.end)
                addScript(tag, end)
                reader.position = end.next
            case .foreignScript(let namespace):
                guard admitScript(tag) else { return }
                addForeignScript(tag, namespace, &tracker)
            case .plaintext:
                return finish(tracker)
            }
        }
        finish(tracker)
    }

    private mutating func noteDepth(_ tracker: TreeTracker, _ tag: Tag) {
        guard tracker.open.isOverflown, !isDepthNoted else { return }
        isDepthNoted = true
        result.problems.append(ScriptProblem(code: .depthLimit, offset: tag.open))
    }

    private mutating func dropScripts(from count: Int) {
        guard count < result.elements.count else { return }
        let place = result.elements[count].startTag.lowerBound
        result.elements.removeSubrange(count...)
        result.problems.removeAll { $0.offset >= place && $0.code != .depthLimit }
    }

    /// Script elements in foreign namespaces end when they leave the stack, whatever tag made them.
    private mutating func close(_ tracker: inout TreeTracker, at tag: Tag) {
        guard !tracker.open.closedScripts.isEmpty else { return }
        for index in tracker.open.closedScripts {
            let start = result.elements[index].content.lowerBound
            result.elements[index].content = start..<tag.open
            result.elements[index].isTerminated = true
        }
        tracker.open.closedScripts.removeAll(keepingCapacity: true)
    }

    private mutating func addForeignScript(
        _ tag: Tag, _ namespace: ElementNamespace, _ tracker: inout TreeTracker
    ) {
        let isOpen = !tag.isSelfClosing && tracker.open.setScript(result.elements.count)
        result.elements.append(
            ScriptElement(
                attributes: attributes(of: tag), content: tag.end..<(isOpen ? input.count : tag.end),
                isTerminated: !isOpen,
                startTag: tag.open..<tag.end, namespace: namespace == .svg ? .svg : .mathML))
    }

    private mutating func finish(_ tracker: TreeTracker) {
        for element in result.elements where element.namespace != .html && !element.isTerminated {
            result.problems.append(ScriptProblem(code: .unterminatedScript, offset: element.startTag.lowerBound))
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
            if input.equals(name, "svg") { return .tree }
        case 0x74:  // t
            if input.equals(name, "title") { return .text("title") }
            if input.equals(name, "textarea") { return .text("textarea") }
            if input.equals(name, "template") { return .tree }
        case 0x78:  // x
            if input.equals(name, "xmp") { return .text("xmp") }
        case 0x69:  // i
            if input.equals(name, "iframe") { return .text("iframe") }
        case 0x6E:  // n
            if input.equals(name, "noembed") { return .text("noembed") }
            if input.equals(name, "noframes") { return .text("noframes") }
        case 0x6D:  // m
            if input.equals(name, "math") { return .tree }
        case 0x66:  // f
            if input.equals(name, "frameset") { return .tree }
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
        var list = AttributeList(input: input, limits: limits)
        list.addAll(of: tag)
        if let place = list.dropped { result.problems.append(ScriptProblem(code: .attributeLimit, offset: place)) }
        if let place = list.cut { result.problems.append(ScriptProblem(code: .attributeLength, offset: place)) }
        return list.attributes
    }
}
