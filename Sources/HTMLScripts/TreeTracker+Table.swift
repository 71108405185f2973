// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tree construction in tables (HTML Standard 13.2.6.4.9 to 13.2.6.4.15). Where the standard puts nodes before the table
// (foster parenting), nothing is different here: the stack is the same.

extension TreeTracker {
    private static let ignoredInTable: Set<ElementKind> = [
        .body, .caption, .column, .columnGroup, .html, .rowGroup, .cell, .row,
    ]

    mutating func startTagInTable(_ token: TagToken) -> Bool {
        switch token.kind {
        case .caption:
            open.clear(to: .table)
            open.pushMarker()
            insert(token)
            mode = .inCaption
        case .columnGroup:
            open.clear(to: .table)
            insert(token)
            mode = .inColumnGroup
        case .column:
            open.clear(to: .table)
            insert(ElementNames.columnGroup)
            mode = .inColumnGroup
            return true
        case .rowGroup:
            open.clear(to: .table)
            insert(token)
            mode = .inTableBody
        case .cell, .row:
            open.clear(to: .table)
            insert(ElementNames.rowGroup)
            mode = .inTableBody
            return true
        case .table:
            guard closeTable() else { return false }
            return true
        case .style, .script, .template:
            return startTagInHead(token)
        case .input:
            guard attributes(token).first(where: { $0.name == "type" })?.value.lowercased() == "hidden" else {
                return startTagInBody(token)
            }
        case .form:
            guard open.templateCount == 0, form == 0 else { return false }
            form = insert(token)
            open.pop()
        default:
            return startTagInBody(token)
        }
        return false
    }

    mutating func endTagInTable(_ token: TagToken) -> Bool {
        if token.kind == .table {
            _ = closeTable()
            return false
        }
        if Self.ignoredInTable.contains(token.kind) { return false }
        return token.kind == .template ? closeTemplate() : endTagInBody(token)
    }

    private mutating func closeTable() -> Bool {
        guard open.hasInScope(.table, .table) else { return false }
        open.popUntil(.table)
        resetMode()
        return true
    }

    // MARK: Caption

    private mutating func closeCaption() -> Bool {
        guard open.hasInScope(.caption, .table) else { return false }
        open.generateImpliedEndTags()
        open.popUntil(.caption)
        open.clearToMarker()
        mode = .inTable
        return true
    }

    mutating func startTagInCaption(_ token: TagToken) -> Bool {
        switch token.kind {
        case .caption, .column, .columnGroup, .rowGroup, .cell, .row: closeCaption()
        default: startTagInBody(token)
        }
    }

    mutating func endTagInCaption(_ token: TagToken) -> Bool {
        switch token.kind {
        case .caption:
            _ = closeCaption()
            return false
        case .table: return closeCaption()
        case .body, .column, .columnGroup, .html, .rowGroup, .cell, .row: return false
        default: return endTagInBody(token)
        }
    }

    // MARK: Column group

    private mutating func closeColumnGroup() -> Bool {
        guard open.current?.isHTML(.columnGroup) == true else { return false }
        open.pop()
        mode = .inTable
        return true
    }

    /// Only a template can be in this mode without a colgroup; then even a script is ignored.
    mutating func startTagInColumnGroup(_ token: TagToken) -> Bool {
        switch token.kind {
        case .html, .column: false
        case .template: startTagInHead(token)
        default: closeColumnGroup()
        }
    }

    mutating func endTagInColumnGroup(_ token: TagToken) -> Bool {
        switch token.kind {
        case .columnGroup:
            _ = closeColumnGroup()
            return false
        case .column: return false
        case .template: return closeTemplate()
        default: return closeColumnGroup()
        }
    }

    // MARK: Table body

    private mutating func closeRowGroup() -> Bool {
        guard open.hasInScope(.rowGroup, .table) else { return false }
        open.clear(to: .rowGroup)
        open.pop()
        mode = .inTable
        return true
    }

    mutating func startTagInTableBody(_ token: TagToken) -> Bool {
        switch token.kind {
        case .row:
            open.clear(to: .rowGroup)
            insert(token)
            mode = .inRow
            return false
        case .cell:
            open.clear(to: .rowGroup)
            insert(ElementNames.row)
            mode = .inRow
            return true
        case .caption, .column, .columnGroup, .rowGroup: return closeRowGroup()
        default: return startTagInTable(token)
        }
    }

    mutating func endTagInTableBody(_ token: TagToken) -> Bool {
        switch token.kind {
        case .rowGroup:
            guard open.hasInScope(name: token.name, .table) else { return false }
            open.clear(to: .rowGroup)
            open.pop()
            mode = .inTable
            return false
        case .table: return closeRowGroup()
        case .body, .caption, .column, .columnGroup, .html, .cell, .row: return false
        default: return endTagInTable(token)
        }
    }

    // MARK: Row

    private mutating func closeRow() -> Bool {
        guard open.hasInScope(.row, .table) else { return false }
        open.clear(to: .row)
        open.pop()
        mode = .inTableBody
        return true
    }

    mutating func startTagInRow(_ token: TagToken) -> Bool {
        switch token.kind {
        case .cell:
            open.clear(to: .row)
            insert(token)
            mode = .inCell
            open.pushMarker()
            return false
        case .caption, .column, .columnGroup, .rowGroup, .row: return closeRow()
        default: return startTagInTable(token)
        }
    }

    mutating func endTagInRow(_ token: TagToken) -> Bool {
        switch token.kind {
        case .row:
            _ = closeRow()
            return false
        case .table: return closeRow()
        case .rowGroup: return open.hasInScope(name: token.name, .table) ? closeRow() : false
        case .body, .caption, .column, .columnGroup, .html, .cell: return false
        default: return endTagInTable(token)
        }
    }

    // MARK: Cell

    private mutating func closeCell() -> Bool {
        guard open.hasInScope(.cell, .table) else { return false }
        open.generateImpliedEndTags()
        open.popUntil(.cell)
        open.clearToMarker()
        mode = .inRow
        return true
    }

    mutating func startTagInCell(_ token: TagToken) -> Bool {
        switch token.kind {
        case .caption, .column, .columnGroup, .rowGroup, .cell, .row: closeCell()
        default: startTagInBody(token)
        }
    }

    mutating func endTagInCell(_ token: TagToken) -> Bool {
        switch token.kind {
        case .cell:
            guard open.hasInScope(name: token.name, .table) else { return false }
            open.generateImpliedEndTags()
            open.popUntil(name: token.name)
            open.clearToMarker()
            mode = .inRow
            return false
        case .body, .caption, .column, .columnGroup, .html: return false
        case .table, .rowGroup, .row: return open.hasInScope(name: token.name, .table) ? closeCell() : false
        default: return endTagInBody(token)
        }
    }
}
