// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tree construction without the tree (HTML Standard 13.2.6): which elements are open, and in which insertion mode the
// parser is. That is all that decides whether a `script` start tag makes an element, in which namespace, and whether
// its text is markup. Used for documents that hold svg, math, template or frameset; no other document needs it (see
// ScriptScanner).

/// 13.2.4.1. "Text" is no mode here, because the reader passes over such text at once; "after body" and "after after
/// body" differ from "in body" only in where comments go; the three frameset modes take the same tags.
enum InsertionMode {
    case initial, beforeHTML, beforeHead, inHead, inHeadNoscript, afterHead
    case inBody, inTable, inCaption, inColumnGroup, inTableBody, inRow, inCell, inTemplate, frameset
}

/// A tag with its name looked up.
struct TagToken {
    let tag: Tag
    let name: ElementName
    let element: ElementClass

    var kind: ElementKind { element.kind }

    init(_ tag: Tag, _ input: Input, _ names: inout ElementNames) {
        self.tag = tag
        name = names.number(tag.name, in: input)
        element = ElementNames.elementClass(name)
    }
}

struct TreeTracker {
    let input: Input
    let limits: ScriptLimits
    private var names = ElementNames()
    var open: OpenElements
    var mode = InsertionMode.initial
    var templateModes: [InsertionMode] = []
    var hasHead = false
    /// Identity of the form element pointer's element, or 0.
    var form = 0
    var isFramesetOK = true
    var isQuirky = true
    /// What the last start tag asks the reader to do.
    private(set) var outcome = StartTagOutcome.none {
        didSet {
            switch outcome {
            case .script, .foreignScript: scripts += 1
            case .none, .text, .plaintext: break
            }
        }
    }
    /// Script elements so far, and those of them that came before the body.
    private var scripts = 0
    private var scriptsBeforeBody = 0
    /// A frameset took the place of the body: only so many of the script elements before it are still in the document.
    var remainingScripts: Int?

    init(_ input: Input, _ limits: ScriptLimits) {
        self.input = input
        self.limits = limits
        open = OpenElements(depth: limits.depth)
    }

    enum StartTagOutcome {
        case none
        case text(StaticString)
        case script
        case plaintext
        /// A script element in a foreign namespace; it is the current node, unless its tag is self-closing or the stack
        /// is full.
        case foreignScript(ElementNamespace)
    }

    // MARK: Dispatcher (13.2.6)

    mutating func startTag(_ tag: Tag) -> StartTagOutcome {
        let token = token(tag)
        outcome = .none
        if startTagIsForeign(token) {
            foreignStartTag(token)
        } else {
            processStartTag(token)
        }
        return outcome
    }

    mutating func endTag(_ tag: Tag) {
        let token = token(tag)
        if let current = open.current, current.namespace != .html {
            foreignEndTag(token)
        } else {
            processEndTag(token)
        }
    }

    private mutating func token(_ tag: Tag) -> TagToken {
        // First, so that the name of this tag is not forgotten before its element is open.
        names.forget(except: open)
        return TagToken(tag, input, &names)
    }

    private func startTagIsForeign(_ token: TagToken) -> Bool {
        guard let current = open.current, current.namespace != .html else { return false }
        return switch current.integration {
        case .none: true
        case .html: false
        case .mathText: token.kind == .mathGlyph
        case .annotation: token.kind != .svgRoot
        }
    }

    /// Each rule answers whether the token is to be looked at again in the mode it has set. The standard's rules end;
    /// the bound is for stacks that a limit has cut.
    mutating func processStartTag(_ token: TagToken) {
        for _ in 0..<32 where !startTagInMode(token) { return }
    }

    mutating func processEndTag(_ token: TagToken) {
        for _ in 0..<32 where !endTagInMode(token) { return }
    }

    private mutating func startTagInMode(_ token: TagToken) -> Bool {
        switch mode {
        case .initial, .beforeHTML, .beforeHead, .inHead, .inHeadNoscript, .afterHead: startTagBeforeBody(token)
        case .inBody: startTagInBody(token)
        case .inTable: startTagInTable(token)
        case .inCaption: startTagInCaption(token)
        case .inColumnGroup: startTagInColumnGroup(token)
        case .inTableBody: startTagInTableBody(token)
        case .inRow: startTagInRow(token)
        case .inCell: startTagInCell(token)
        case .inTemplate: startTagInTemplate(token)
        case .frameset: startTagInFrameset(token)
        }
    }

    private mutating func endTagInMode(_ token: TagToken) -> Bool {
        switch mode {
        case .initial, .beforeHTML, .beforeHead, .inHead, .inHeadNoscript, .afterHead: endTagBeforeBody(token)
        case .inBody: endTagInBody(token)
        case .inTable: endTagInTable(token)
        case .inCaption: endTagInCaption(token)
        case .inColumnGroup: endTagInColumnGroup(token)
        case .inTableBody: endTagInTableBody(token)
        case .inRow: endTagInRow(token)
        case .inCell: endTagInCell(token)
        case .inTemplate: endTagInTemplate(token)
        case .frameset: false
        }
    }

    // MARK: Insertion

    mutating func ask(_ outcome: StartTagOutcome) {
        self.outcome = outcome
    }

    mutating func enterBody() {
        scriptsBeforeBody = scripts
        mode = .inBody
    }

    /// 13.2.6.4.7, a frameset start tag: the body leaves the document, with all that is in it.
    mutating func dropBody() {
        remainingScripts = scriptsBeforeBody
    }

    @discardableResult mutating func insert(_ token: TagToken) -> Int {
        open.push(OpenElement(token.name, token.element))
    }

    @discardableResult mutating func insert(_ name: ElementName) -> Int {
        open.push(OpenElement(name, ElementNames.elementClass(name)))
    }

    func attributes(_ token: TagToken) -> [ScriptElement.Attribute] {
        var list = AttributeList(input: input, limits: limits)
        list.addAll(of: token.tag)
        return list.attributes
    }

    // MARK: Foreign content (13.2.6.5)

    mutating func insertForeign(_ token: TagToken, _ namespace: ElementNamespace) {
        if token.kind == .script { ask(.foreignScript(namespace)) }
        guard !token.tag.isSelfClosing else { return }
        var element = OpenElement(token.name, token.element)
        element.namespace = namespace
        element.integration = integration(token, namespace)
        open.push(element)
    }

    private func integration(_ token: TagToken, _ namespace: ElementNamespace) -> IntegrationPoint {
        switch (namespace, token.kind) {
        case (.svg, .foreignObject), (.svg, .description), (.svg, .title): return .html
        case (.math, .mathText): return .mathText
        case (.math, .annotation):
            let encoding = attributes(token).first { $0.name == "encoding" }?.value.lowercased()
            return encoding == "text/html" || encoding == "application/xhtml+xml" ? .html : .annotation
        default: return .none
        }
    }

    private mutating func foreignStartTag(_ token: TagToken) {
        if token.element.traits.contains(.breakout) || (token.kind == .font && fontLeavesForeignContent(token)) {
            leaveForeignContent()
            processStartTag(token)
        } else if let current = open.current {
            insertForeign(token, current.namespace)
        }
    }

    private func fontLeavesForeignContent(_ token: TagToken) -> Bool {
        attributes(token).contains { $0.name == "color" || $0.name == "face" || $0.name == "size" }
    }

    private mutating func leaveForeignContent() {
        while let current = open.current, current.namespace != .html, current.integration != .mathText,
            current.integration != .html
        {
            open.pop()
        }
    }

    private mutating func foreignEndTag(_ token: TagToken) {
        if token.kind == .lineBreak || token.kind == .paragraph {
            leaveForeignContent()
            processEndTag(token)
            return
        }
        for index in open.stack.indices.reversed() {
            let element = open.stack[index]
            if element.namespace == .html { break }
            if element.name == token.name { return open.pop(to: index) }
        }
        processEndTag(token)
    }

    private mutating func startTagInFrameset(_ token: TagToken) -> Bool {
        if token.kind == .noframes { ask(.text("noframes")) }
        return false
    }
}

extension TreeTracker: MarkupSink {
    var allowsCDATA: Bool { open.current.map { $0.namespace != .html } ?? false }

    mutating func literalText(_ range: Range<Int>) {
        characters(foreign: TextClass(input, range, hasReferences: false))
    }

    mutating func text(_ range: Range<Int>) {
        let text = TextClass(input, range, hasReferences: true)
        if let current = open.current, current.namespace != .html,
            current.integration == .none || current.integration == .annotation
        {
            characters(foreign: text)
            return
        }
        if text.beginsWithSpace { characters(.space) }
        if text.hasNull { characters(.null) }
        if text.hasOther { characters(.other) }
    }

    private mutating func characters(foreign text: TextClass) {
        if text.hasOther { isFramesetOK = false }
    }

    private enum CharacterKind { case space, null, other }

    private mutating func characters(_ kind: CharacterKind) {
        while true {
            switch mode {
            case .initial, .beforeHTML, .beforeHead, .inHead, .inHeadNoscript, .afterHead:
                if kind == .space { return }
                advanceBeforeBody()
            case .inColumnGroup:
                guard kind != .space, open.current?.isHTML(.columnGroup) == true else { return }
                open.pop()
                mode = .inTable
            case .inTable, .inTableBody, .inRow:
                // 13.2.6.4.10: white space alone goes into the table as it is, anything else goes by "in body".
                if kind == .space, currentTakesTableText { return }
                return charactersInBody(kind)
            case .inBody, .inCaption, .inCell, .inTemplate:
                return charactersInBody(kind)
            case .frameset:
                return
            }
        }
    }

    private var currentTakesTableText: Bool {
        guard let current = open.current, current.namespace == .html else { return false }
        return [.table, .rowGroup, .row, .template].contains(current.kind)
    }

    private mutating func charactersInBody(_ kind: CharacterKind) {
        if kind == .null { return }
        open.reconstruct()
        if kind == .other { isFramesetOK = false }
    }

    mutating func documentType(_ range: Range<Int>) {
        guard mode == .initial else { return }
        isQuirky = DocumentType(input, range).isQuirky
        mode = .beforeHTML
    }
}

/// What tree construction asks about a run of text.
struct TextClass {
    var beginsWithSpace = false
    var hasNull = false
    var hasOther = false

    /// Stops at the first character that is neither white space nor NUL.
    init(_ input: Input, _ range: Range<Int>, hasReferences: Bool) {
        var index = range.lowerBound
        beginsWithSpace = input[index].isSpace
        while index < range.upperBound {
            let byte = input[index]
            if byte == 0x26, hasReferences {
                var resolved: [UInt8] = []
                index = TextResolver(input: input, context: .text).appendReference(
                    index, range.upperBound, to: &resolved)
                if resolved.count == 1, resolved[0].isSpace { continue }
                hasOther = true
                return
            }
            if byte == 0 {
                hasNull = true
            } else if !byte.isSpace {
                hasOther = true
                return
            }
            index += 1
        }
    }
}
