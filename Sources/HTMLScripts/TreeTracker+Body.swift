// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tree construction in the body (HTML Standard 13.2.6.4.7), with `select` as the standard has it since 2025: no mode of
// its own.

extension TreeTracker {
    mutating func startTagInBody(_ token: TagToken) -> Bool {
        switch token.kind {
        case .html, .caption, .column, .columnGroup, .frame, .head, .rowGroup, .cell, .row:
            break
        case .base, .voidHead, .noframes, .script, .style, .template, .title:
            return startTagInHead(token)
        case .body:
            if open.stack.count > 1, open.stack[1].isHTML(.body), open.templateCount == 0 { isFramesetOK = false }
        case .frameset:
            replaceBody(token)
        case .block, .heading, .preformatted, .form, .item, .definition, .plaintext, .paragraph, .table, .rule:
            blockStartTag(token)
        case .a, .font, .formatting, .nobr:
            formattingStartTag(token)
        case .svgRoot, .mathRoot:
            open.reconstruct()
            insertForeign(token, token.kind == .svgRoot ? .svg : .math)
        case .input, .select, .option, .optionGroup, .textarea, .button:
            formStartTag(token)
        case .rubyBase, .rubyText:
            if open.hasInScope(.ruby) {
                open.generateImpliedEndTags(except: token.kind == .rubyText ? ElementNames.rubyTextContainer : 0)
            }
            insert(token)
        case .xmp, .iframe, .noembed:
            textStartTag(token)
        case .lineBreak, .voidInline:
            open.reconstruct()
            isFramesetOK = false
        case .voidBlock:
            break
        case .marked:
            open.reconstruct()
            insert(token)
            open.pushMarker()
            isFramesetOK = false
        case .annotation, .description, .foreignObject, .mathGlyph, .mathText, .noscript, .ruby, .other:
            open.reconstruct()
            insert(token)
        }
        return false
    }

    private mutating func replaceBody(_ token: TagToken) {
        guard isFramesetOK, open.stack.count > 1, open.stack[1].isHTML(.body) else { return }
        open.pop(to: 1)
        insert(token)
        dropBody()
        mode = .frameset
    }

    mutating func closeParagraph() {
        guard open.hasInScope(.paragraph, .button) else { return }
        open.generateImpliedEndTags(except: ElementNames.paragraph)
        open.popUntil(.paragraph)
    }

    private mutating func blockStartTag(_ token: TagToken) {
        switch token.kind {
        case .item:
            isFramesetOK = false
            closeItem(.item)
        case .definition:
            isFramesetOK = false
            closeItem(.definition)
        case .form:
            guard form == 0 || open.templateCount > 0 else { return }
        case .table:
            if !isQuirky { closeParagraph() }
            insert(token)
            isFramesetOK = false
            mode = .inTable
            return
        default:
            break
        }
        closeParagraph()
        switch token.kind {
        case .heading:
            if open.current?.isHTML(.heading) == true { open.pop() }
        case .preformatted:
            isFramesetOK = false
        case .rule:
            if open.hasInScope(.select) { open.generateImpliedEndTags() }
            isFramesetOK = false
            return
        case .plaintext:
            ask(.plaintext)
        default:
            break
        }
        let identity = insert(token)
        if token.kind == .form, open.templateCount == 0 { form = identity }
    }

    /// The loop of `li`, `dd` and `dt`: closes an open one unless something special lies between.
    private mutating func closeItem(_ kind: ElementKind) {
        guard open.count(kind) > 0 else { return }
        for index in open.stack.indices.reversed() {
            let element = open.stack[index]
            if element.isHTML(kind) {
                open.generateImpliedEndTags(except: element.name)
                open.popUntil(name: element.name)
                return
            }
            if OpenElements.isSpecial(element), element.namespace != .html || !element.traits.contains(.passable) {
                return
            }
        }
    }

    private mutating func formattingStartTag(_ token: TagToken) {
        if token.kind == .a, let index = open.listed(name: ElementNames.a) { closeAnchor(open.formatting[index]) }
        open.reconstruct()
        if token.kind == .nobr, open.hasInScope(.nobr) {
            if !open.adopt(ElementNames.nobr) { endTagOfAnyOther(ElementNames.nobr) }
            open.reconstruct()
        }
        let (input, limits) = (input, limits)
        open.pushFormatting(OpenElement(token.name, token.element), token.tag) { tag in
            var list = AttributeList(input: input, limits: limits)
            list.addAll(of: tag)
            return list.attributes.sorted { $0.name < $1.name }
        }
    }

    /// An `a` start tag while one is active.
    private mutating func closeAnchor(_ slot: Int) {
        let generation = open.slots[slot].generation
        if !open.adopt(ElementNames.a) { endTagOfAnyOther(ElementNames.a) }
        // A clone is another element.
        guard open.slots[slot].generation == generation else { return }
        if let place = open.stack.lastIndex(where: { $0.slot == slot }) { open.remove(at: place) }
        if let index = open.formatting.lastIndex(of: slot) { open.unlist(at: index) }
    }

    private mutating func formStartTag(_ token: TagToken) {
        switch token.kind {
        case .button:
            if open.hasInScope(.button) {
                open.generateImpliedEndTags()
                open.popUntil(.button)
            }
            open.reconstruct()
            insert(token)
            isFramesetOK = false
        case .input:
            if open.hasInScope(.select) { open.popUntil(.select) }
            open.reconstruct()
            if attributes(token).first(where: { $0.name == "type" })?.value.lowercased() != "hidden" {
                isFramesetOK = false
            }
        case .textarea:
            isFramesetOK = false
            ask(.text("textarea"))
        case .select:
            if open.hasInScope(.select) { return open.popUntil(.select) }
            open.reconstruct()
            insert(token)
            isFramesetOK = false
        default:  // option, optgroup
            if open.hasInScope(.select) {
                open.generateImpliedEndTags(except: token.kind == .option ? ElementNames.optionGroup : 0)
            } else if open.current?.isHTML(.option) == true {
                open.pop()
            }
            open.reconstruct()
            insert(token)
        }
    }

    private mutating func textStartTag(_ token: TagToken) {
        switch token.kind {
        case .xmp:
            closeParagraph()
            open.reconstruct()
            isFramesetOK = false
            ask(.text("xmp"))
        case .iframe:
            isFramesetOK = false
            ask(.text("iframe"))
        default:
            ask(.text("noembed"))
        }
    }

    // MARK: End tags

    mutating func endTagInBody(_ token: TagToken) -> Bool {
        switch token.kind {
        case .template:
            return closeTemplate()
        case .body, .html:
            break  // "after body": nothing but comments is different there
        case .block, .button, .preformatted, .select:
            guard open.hasInScope(name: token.name) else { return false }
            open.generateImpliedEndTags()
            open.popUntil(name: token.name)
        case .form:
            closeForm()
        case .paragraph:
            closeParagraph()
        case .item:
            guard open.hasInScope(.item, .item) else { return false }
            open.generateImpliedEndTags(except: ElementNames.item)
            open.popUntil(.item)
        case .definition:
            guard open.hasInScope(name: token.name) else { return false }
            open.generateImpliedEndTags(except: token.name)
            open.popUntil(name: token.name)
        case .heading:
            guard open.hasInScope(.heading) else { return false }
            open.generateImpliedEndTags()
            open.popUntil(.heading)
        case .a, .font, .formatting, .nobr:
            if !open.adopt(token.name) { endTagOfAnyOther(token.name) }
        case .marked:
            guard open.hasInScope(name: token.name) else { return false }
            open.generateImpliedEndTags()
            open.popUntil(name: token.name)
            open.clearToMarker()
        case .lineBreak:
            open.reconstruct()
            isFramesetOK = false
        default:
            endTagOfAnyOther(token.name)
        }
        return false
    }

    private mutating func closeForm() {
        if open.templateCount > 0 {
            guard open.hasInScope(.form) else { return }
            open.generateImpliedEndTags()
            return open.popUntil(.form)
        }
        let identity = form
        form = 0
        guard identity != 0, open.hasInScope(.normal, { $0.identity == identity }) else { return }
        open.generateImpliedEndTags()
        if let place = open.stack.lastIndex(where: { $0.identity == identity }) { open.remove(at: place) }
    }

    private mutating func endTagOfAnyOther(_ name: ElementName) {
        guard open.count(name: name) > 0 else { return }
        for index in open.stack.indices.reversed() {
            let element = open.stack[index]
            if element.namespace == .html, element.name == name {
                open.generateImpliedEndTags(except: name)
                return open.pop(to: index)
            }
            if OpenElements.isSpecial(element) { return }
        }
    }
}
