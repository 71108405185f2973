// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The stack of open elements and the list of active formatting elements (HTML Standard 13.2.4.2, 13.2.4.3), without the
// elements: names and what decides about them. There is no tree, so what moves nodes about in it (foster parents, the
// moves of the adoption agency) is nothing here.

enum ElementNamespace: UInt8 {
    case html, svg, math
}

/// What HTML content inside foreign content begins with (13.2.6.5).
enum IntegrationPoint: UInt8 {
    case none
    /// mi, mo, mn, ms, mtext.
    case mathText
    /// foreignObject, desc, title; annotation-xml with an HTML encoding.
    case html
    /// annotation-xml with another encoding: an svg element is all it takes.
    case annotation
}

struct OpenElement {
    let name: ElementName
    let kind: ElementKind
    let traits: ElementTraits
    var namespace = ElementNamespace.html
    var integration = IntegrationPoint.none
    /// Slot of the active formatting element it is, or -1.
    var slot = -1
    /// Index of the script element it is, in a foreign namespace, or -1.
    var script = -1
    /// Told apart from others by number: the form element pointer needs it.
    var identity = 0

    init(_ name: ElementName, _ element: ElementClass) {
        self.name = name
        kind = element.kind
        traits = element.traits
    }

    func isHTML(_ kind: ElementKind) -> Bool { self.kind == kind && namespace == .html }
}

/// An element of the list of active formatting elements. It outlives its place on the stack, and the other way round.
struct FormattingElement {
    let name: ElementName
    let tag: Tag
    /// Read when it is first compared with another, which is seldom.
    var attributes: [ScriptElement.Attribute]?
    var isListed = true
    var isOpen = true
    /// Counts the clones the adoption agency made of it.
    var generation = 0
}

struct OpenElements {
    private(set) var stack: [OpenElement] = []
    /// Slots, and -1 for a marker.
    private(set) var formatting: [Int] = []
    private(set) var slots: [FormattingElement] = []
    private var freeSlots: [Int] = []
    /// How many HTML elements of a kind, and of a name, are open: most searches for one that is not open end here.
    private var kindCounts = [Int32](repeating: 0, count: Int(UInt8.max) + 1)
    private var nameCounts = [Int32](repeating: 0, count: ElementNames.knownCount)
    private var lastIdentity = 0
    let depth: Int
    /// Whether something could not be opened any more.
    private(set) var isOverflown = false
    /// Scripts in foreign namespaces that were popped, by index; the tracker empties it.
    var closedScripts: [Int] = []

    init(depth: Int) {
        // Fewer than these cannot hold a table.
        self.depth = max(16, depth)
    }

    var current: OpenElement? { stack.last }

    var templateCount: Int { count(.template) }

    func count(_ kind: ElementKind) -> Int { Int(kindCounts[Int(kind.rawValue)]) }

    /// For a name the standard does not know: how many elements of any such name.
    func count(name: ElementName) -> Int {
        // nameCounts has an entry for each known name.
        ElementNames.knownIndex(name).map { Int(nameCounts[$0]) } ?? count(.other)
    }

    private mutating func count(_ element: OpenElement, _ change: Int32) {
        guard element.namespace == .html else { return }
        kindCounts[Int(element.kind.rawValue)] += change
        if let index = ElementNames.knownIndex(element.name) { nameCounts[index] += change }
    }

    /// Says which script element the current node is; false where it is not one that was just opened.
    mutating func setScript(_ index: Int) -> Bool {
        guard let last = stack.last, last.namespace != .html, last.kind == .script, last.script < 0 else {
            return false
        }
        stack[stack.count - 1].script = index
        return true
    }

    // MARK: Stack

    /// Answers the element's identity, 0 at the limit of depth.
    @discardableResult mutating func push(_ element: OpenElement) -> Int {
        guard stack.count < depth else {
            isOverflown = true
            if element.slot >= 0 { slotClosed(element.slot) }
            return 0
        }
        lastIdentity += 1
        var element = element
        element.identity = lastIdentity
        count(element, 1)
        stack.append(element)
        return lastIdentity
    }

    mutating func pop() {
        // The html element stays.
        guard stack.count > 1 else { return }
        left(stack.removeLast())
    }

    private mutating func left(_ element: OpenElement) {
        count(element, -1)
        if element.slot >= 0 { slotClosed(element.slot) }
        if element.script >= 0 { closedScripts.append(element.script) }
    }

    private mutating func slotClosed(_ slot: Int) {
        slots[slot].isOpen = false
        if !slots[slot].isListed { freeSlots.append(slot) }
    }

    mutating func remove(at index: Int) {
        left(stack.remove(at: index))
    }

    mutating func pop(to index: Int) {
        while stack.count > max(1, index) { left(stack.removeLast()) }
    }

    /// "Pop until an X element has been popped"; nothing where none is open.
    mutating func popUntil(_ kind: ElementKind) {
        if count(kind) > 0, let index = stack.lastIndex(where: { $0.isHTML(kind) }) { pop(to: index) }
    }

    mutating func popUntil(name: ElementName) {
        if count(name: name) > 0, let index = stack.lastIndex(where: { $0.namespace == .html && $0.name == name }) {
            pop(to: index)
        }
    }

    /// "Clear the stack back to a table (table body, table row) context": `kind`, template and html stay.
    mutating func clear(to kind: ElementKind) {
        while let last = stack.last, stack.count > 1,
            !(last.namespace == .html && (last.kind == kind || last.kind == .template || last.kind == .html))
        {
            pop()
        }
    }

    // MARK: Scope (13.2.4.2)

    enum Scope { case normal, item, button, table }

    @inline(__always) func hasInScope(_ scope: Scope = .normal, _ matches: (OpenElement) -> Bool) -> Bool {
        for index in stack.indices.reversed() {
            let element = stack[index]
            if element.namespace == .html {
                if matches(element) { return true }
                if ends(scope, element) { return false }
            } else if scope != .table, element.integration != .none {
                // The foreign elements of the list: mi, mo, mn, ms, mtext, annotation-xml, foreignObject, desc, title.
                return false
            }
        }
        return false
    }

    func hasInScope(_ kind: ElementKind, _ scope: Scope = .normal) -> Bool {
        count(kind) > 0 && hasInScope(scope) { $0.kind == kind }
    }

    func hasInScope(name: ElementName, _ scope: Scope = .normal) -> Bool {
        count(name: name) > 0 && hasInScope(scope) { $0.name == name }
    }

    private func ends(_ scope: Scope, _ element: OpenElement) -> Bool {
        switch scope {
        case .table: element.kind == .table || element.kind == .template || element.kind == .html
        case .normal: element.traits.contains(.scope)
        case .item: !element.traits.isDisjoint(with: [.scope, .itemScope])
        case .button: element.traits.contains(.scope) || element.kind == .button
        }
    }

    mutating func generateImpliedEndTags(except name: ElementName = 0) {
        while let last = stack.last, last.namespace == .html, last.traits.contains(.implied), last.name != name {
            pop()
        }
    }

    mutating func generateImpliedEndTagsThoroughly() {
        while let last = stack.last, last.namespace == .html, last.traits.contains(.impliedThoroughly) { pop() }
    }

    // MARK: Active formatting elements (13.2.4.3)

    /// Bounds what one tag can reopen.
    private static let formattingLimit = 128

    /// Pushes an element onto the stack and onto the list; of four with the same name and attributes since the last
    /// marker the first leaves the list.
    mutating func pushFormatting(
        _ element: OpenElement, _ tag: Tag, _ attributes: (Tag) -> [ScriptElement.Attribute]
    ) {
        guard formatting.count < Self.formattingLimit else {
            isOverflown = true
            push(element)
            return
        }
        var added = FormattingElement(name: element.name, tag: tag)
        var same = listedIndices(name: element.name)
        if same.count >= 3 {
            let own = attributes(tag)
            added.attributes = own
            same.removeAll { index in
                let slot = formatting[index]
                let other = slots[slot].attributes ?? attributes(slots[slot].tag)
                slots[slot].attributes = other
                return other != own
            }
            if same.count >= 3 { unlist(at: same[2]) }
        }
        let slot = newSlot(added)
        formatting.append(slot)
        var element = element
        element.slot = slot
        push(element)
    }

    /// After the last marker, the last one first.
    private func listedIndices(name: ElementName) -> [Int] {
        var indices: [Int] = []
        for index in formatting.indices.reversed() {
            let slot = formatting[index]
            if slot < 0 { break }
            if slots[slot].name == name { indices.append(index) }
        }
        return indices
    }

    private mutating func newSlot(_ formatting: FormattingElement) -> Int {
        if let slot = freeSlots.popLast() {
            slots[slot] = formatting
            return slot
        }
        slots.append(formatting)
        return slots.count - 1
    }

    mutating func pushMarker() {
        guard formatting.count < depth + Self.formattingLimit else {
            isOverflown = true
            return
        }
        formatting.append(-1)
    }

    mutating func clearToMarker() {
        while let slot = formatting.last {
            unlist(at: formatting.count - 1)
            if slot < 0 { return }
        }
    }

    mutating func unlist(at index: Int) {
        let slot = formatting.remove(at: index)
        guard slot >= 0 else { return }
        slots[slot].isListed = false
        if !slots[slot].isOpen { freeSlots.append(slot) }
    }

    /// Opens again what was closed by force.
    mutating func reconstruct() {
        var index = formatting.count
        while index > 0, formatting[index - 1] >= 0, !slots[formatting[index - 1]].isOpen { index -= 1 }
        while index < formatting.count {
            reopen(formatting[index])
            index += 1
        }
    }

    private mutating func reopen(_ slot: Int) {
        guard stack.count < depth else {
            isOverflown = true
            return
        }
        slots[slot].isOpen = true
        push(open(slot))
    }

    private func open(_ slot: Int) -> OpenElement {
        let name = slots[slot].name
        var element = OpenElement(name, ElementNames.elementClass(name))
        element.slot = slot
        return element
    }

    /// Index in the list of the last one of this name after the last marker.
    func listed(name: ElementName) -> Int? {
        for index in formatting.indices.reversed() {
            let slot = formatting[index]
            if slot < 0 { return nil }
            if slots[slot].name == name { return index }
        }
        return nil
    }

    // MARK: Adoption agency (13.2.6.4.7)

    /// False: "act as described in the any other end tag entry".
    mutating func adopt(_ name: ElementName) -> Bool {
        if let last = stack.last, last.namespace == .html, last.name == name,
            last.slot < 0 || !slots[last.slot].isListed
        {
            pop()
            return true
        }
        for _ in 0..<8 {
            guard let listIndex = listed(name: name) else { return false }
            let slot = formatting[listIndex]
            guard let place = stack.lastIndex(where: { $0.slot == slot }) else {
                unlist(at: listIndex)
                return true
            }
            guard hasInScope(.normal, { $0.slot == slot }) else { return true }
            guard let furthest = stack[place...].firstIndex(where: { Self.isSpecial($0) }) else {
                pop(to: place)
                unlist(at: listIndex)
                return true
            }
            moveBelow(furthest, formattingAt: place, listIndex)
        }
        return true
    }

    /// Steps 11 to 20 of a round: what lies between the formatting element and the furthest block is replaced by clones
    /// (at most three, the others leave the stack), and the formatting element goes on directly above the furthest
    /// block on the stack.
    private mutating func moveBelow(_ furthest: Int, formattingAt place: Int, _ listIndex: Int) {
        let subject = formatting[listIndex]
        // The bookmark: its slot is put after the entry with this slot, or stays where the subject was.
        var bookmark: Int?
        var kept: [OpenElement] = []
        var counter = 0
        for index in ((place + 1)..<furthest).reversed() {
            counter += 1
            let slot = stack[index].slot
            if counter > 3, slot >= 0, slots[slot].isListed, let listed = formatting.firstIndex(of: slot) {
                unlist(at: listed)
            }
            guard slot >= 0, slots[slot].isListed else {
                left(stack[index])
                continue
            }
            // Cloned: the entry in the list and the one on the stack are the new element, which is what they are here
            // already.
            if kept.isEmpty { bookmark = slot }
            kept.append(stack[index])
        }
        let block = stack[furthest]
        let moved = stack[place]
        let above = Array(stack[(furthest + 1)...])
        stack.removeSubrange(place...)
        stack.append(contentsOf: kept.reversed())
        stack.append(block)
        slots[subject].generation += 1
        stack.append(moved)
        stack.append(contentsOf: above)
        if let bookmark, let from = formatting.firstIndex(of: subject) {
            formatting.remove(at: from)
            if let after = formatting.firstIndex(of: bookmark) { formatting.insert(subject, at: after + 1) }
        }
    }

    /// The special category has foreign members too.
    static func isSpecial(_ element: OpenElement) -> Bool {
        element.namespace == .html ? element.traits.contains(.special) : element.integration != .none
    }
}
