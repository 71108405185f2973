// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The text of a script element in svg or math. There it is an element like others: its content is markup, of which only
// the text directly inside counts (DOM Standard, child text content).

struct ForeignScriptText: MarkupSink {
    private let input: Input
    private var tracker: TreeTracker
    private var bytes: [UInt8] = []
    /// Elements open while the script element is the current node.
    private let depth: Int

    /// `content` is what the scan gave, so the element stays open to its end.
    static func read(_ input: Input, _ content: Range<Int>, _ namespace: ScriptElement.Namespace) -> [UInt8] {
        var sink = ForeignScriptText(input, namespace == .svg ? .svg : .math)
        var reader = MarkupReader(input, position: content.lowerBound)
        var tag = Tag()
        while reader.next(&tag, &sink) {
            if tag.isEndTag {
                sink.tracker.endTag(tag)
                continue
            }
            switch sink.tracker.startTag(tag) {
            case .none, .foreignScript: continue
            case .text(let name): reader.position = reader.endOfText(from: tag.end, name: name).next
            case .script: reader.position = reader.endOfScriptData(from: tag.end).next
            case .plaintext: return sink.bytes
            }
        }
        return sink.bytes
    }

    private init(_ input: Input, _ namespace: ElementNamespace) {
        self.input = input
        tracker = TreeTracker(input, ScriptLimits())
        tracker.openScript(in: namespace)
        depth = tracker.open.stack.count
    }

    var allowsCDATA: Bool { tracker.allowsCDATA }

    mutating func text(_ range: Range<Int>) {
        append(range, .text)
        tracker.text(range)
    }

    mutating func literalText(_ range: Range<Int>) {
        append(range, .literal)
        tracker.literalText(range)
    }

    mutating func documentType(_ range: Range<Int>) {}

    private mutating func append(_ range: Range<Int>, _ context: TextResolver.Context) {
        guard tracker.open.stack.count == depth else { return }
        TextResolver(input: input, context: context).append(range, to: &bytes)
    }
}

extension TreeTracker {
    /// The state of a parser that has just opened a script element in a foreign namespace.
    fileprivate mutating func openScript(in namespace: ElementNamespace) {
        insert(ElementNames.html)
        insert(ElementNames.body)
        mode = .inBody
        var script = OpenElement(ElementNames.script, ElementNames.elementClass(ElementNames.script))
        script.namespace = namespace
        open.push(script)
    }
}
