// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tree construction before the body (HTML Standard 13.2.6.4.1 to 13.2.6.4.6), templates (13.2.6.4.18), and the
// insertion mode after something was closed (13.2.4.1).

extension TreeTracker {
    /// "Anything else" of the modes before the body: what is missing is there, the next mode is set.
    mutating func advanceBeforeBody() {
        switch mode {
        case .initial:
            mode = .beforeHTML
        case .beforeHTML:
            insert(ElementNames.html)
            mode = .beforeHead
        case .beforeHead:
            insert(ElementNames.head)
            hasHead = true
            mode = .inHead
        case .inHead:
            open.pop()
            mode = .afterHead
        case .inHeadNoscript:
            open.pop()
            mode = .inHead
        case .afterHead:
            insert(ElementNames.body)
            enterBody()
        case .inBody, .inTable, .inCaption, .inColumnGroup, .inTableBody, .inRow, .inCell, .inTemplate, .frameset:
            break
        }
    }

    mutating func startTagBeforeBody(_ token: TagToken) -> Bool {
        if token.kind == .html {
            if mode == .initial || mode == .beforeHTML {
                insert(token)
                mode = .beforeHead
            }
            return false
        }
        switch (mode, token.kind) {
        case (.beforeHead, .head):
            advanceBeforeBody()
            return false
        case (.inHead, .head), (.inHeadNoscript, .head), (.afterHead, .head), (.inHeadNoscript, .noscript):
            return false
        case (.inHead, .noscript):
            insert(token)
            mode = .inHeadNoscript
            return false
        case (.inHeadNoscript, .voidHead):
            return false
        case (.inHeadNoscript, .noframes), (.inHeadNoscript, .style):
            return startTagInHead(token)
        case (.inHead, .base), (.inHead, .voidHead), (.inHead, .title), (.inHead, .noframes), (.inHead, .style),
            (.inHead, .script), (.inHead, .template),
            (.afterHead, .base), (.afterHead, .voidHead), (.afterHead, .title), (.afterHead, .noframes),
            (.afterHead, .style), (.afterHead, .script),
            (.afterHead, .template):
            return startTagInHead(token)
        case (.afterHead, .body):
            insert(token)
            isFramesetOK = false
            enterBody()
            return false
        case (.afterHead, .frameset):
            insert(token)
            mode = .frameset
            return false
        default:
            break
        }
        advanceBeforeBody()
        return true
    }

    mutating func endTagBeforeBody(_ token: TagToken) -> Bool {
        switch (mode, token.kind) {
        case (.inHead, .head), (.inHeadNoscript, .noscript):
            advanceBeforeBody()
            return false
        case (.inHead, .template), (.afterHead, .template):
            return closeTemplate()
        case (.initial, _), (.inHeadNoscript, .lineBreak):
            break
        case (.inHeadNoscript, _):
            return false
        case (.inHead, .body), (.inHead, .html), (.inHead, .lineBreak), (.afterHead, .body), (.afterHead, .html),
            (.afterHead, .lineBreak),
            (.beforeHTML, .head), (.beforeHTML, .body), (.beforeHTML, .html), (.beforeHTML, .lineBreak),
            (.beforeHead, .head),
            (.beforeHead, .body), (.beforeHead, .html), (.beforeHead, .lineBreak):
            break
        default:
            return false
        }
        advanceBeforeBody()
        return true
    }

    /// "Using the rules for in head", for the start tags that other modes send here.
    mutating func startTagInHead(_ token: TagToken) -> Bool {
        switch token.kind {
        case .title: ask(.text("title"))
        case .style: ask(.text("style"))
        case .noframes: ask(.text("noframes"))
        case .script: ask(.script)
        case .template: openTemplate(token)
        default: break  // base, basefont, bgsound, link, meta: opened and closed at once
        }
        return false
    }

    // MARK: Templates

    private mutating func openTemplate(_ token: TagToken) {
        guard insert(token) != 0 else { return }
        open.pushMarker()
        isFramesetOK = false
        mode = .inTemplate
        templateModes.append(.inTemplate)
    }

    mutating func closeTemplate() -> Bool {
        guard open.templateCount > 0 else { return false }
        open.generateImpliedEndTagsThoroughly()
        open.popUntil(.template)
        open.clearToMarker()
        templateModes.removeLast()  // one for each open template
        resetMode()
        return false
    }

    mutating func startTagInTemplate(_ token: TagToken) -> Bool {
        let next: InsertionMode
        switch token.kind {
        case .base, .voidHead, .noframes, .script, .style, .template, .title: return startTagInHead(token)
        case .caption, .columnGroup, .rowGroup: next = .inTable
        case .column: next = .inColumnGroup
        case .row: next = .inTableBody
        case .cell: next = .inRow
        default: next = .inBody
        }
        // One mode for each open template, so there is one.
        templateModes[templateModes.count - 1] = next
        mode = next
        return true
    }

    mutating func endTagInTemplate(_ token: TagToken) -> Bool {
        token.kind == .template ? closeTemplate() : false
    }

    /// 13.2.4.1, reset the insertion mode appropriately.
    mutating func resetMode() {
        for (index, element) in open.stack.enumerated().reversed() where element.namespace == .html {
            switch element.kind {
            case .cell where index > 0: mode = .inCell
            case .row: mode = .inRow
            case .rowGroup: mode = .inTableBody
            case .caption: mode = .inCaption
            case .columnGroup: mode = .inColumnGroup
            case .table: mode = .inTable
            case .template: mode = templateModes.last ?? .inTemplate
            case .head where index > 0: mode = .inHead
            case .body: mode = .inBody
            case .frameset: mode = .frameset
            case .html: mode = hasHead ? .afterHead : .beforeHead
            default: continue
            }
            return
        }
        mode = .inBody
    }
}
