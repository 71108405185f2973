// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The working tree of one run: arrays and objects as chains of cells in one pool, with no
// allocation and no reference count for a single value. Members keep their order; an object with
// many members gets an index, so that none is ever searched from end to end.

/// Arrays and objects of one run, and the table of their strings. Used by one thread at a time; once handed out as
/// a result it is not changed any more.
final class Tree: @unchecked Sendable {
    /// An element of an array (its key means nothing), or a member of an object.
    struct Cell: BitwiseCopyable {
        var key: Symbol
        var next: Int32
        var value: Value
    }

    private struct Container: BitwiseCopyable {
        var first: Int32 = -1
        var last: Int32 = -1
        var count: Int32 = 0
        /// Place in `indexes`, or -1.
        var index: Int32 = -1
    }

    let symbols: SymbolTable
    private let cells: Pool<Cell>
    private let containers: Pool<Container>
    private var indexes: [SymbolMap] = []

    /// Objects with more members than this get an index.
    private static let indexedFrom: Int32 = 12

    init(symbols: SymbolTable, capacity: Int = 1024) {
        self.symbols = symbols
        cells = Pool(capacity: capacity)
        containers = Pool(capacity: capacity / 2)
    }

    deinit {
        cells.deallocate()
        containers.deallocate()
    }

    /// Cells in use or forgotten: what the tree costs, times sixteen octets.
    var cellCount: Int { cells.count + containers.count }

    // MARK: making

    func makeArray() -> ArrayID {
        ArrayID(index: Int32(truncatingIfNeeded: containers.append(Container())))
    }

    func makeArray(_ element: Value) -> ArrayID {
        let array = makeArray()
        append(element, to: array)
        return array
    }

    func makeObject() -> ObjectID {
        ObjectID(index: Int32(truncatingIfNeeded: containers.append(Container())))
    }

    func makeObject(_ key: Symbol, _ value: Value) -> ObjectID {
        let object = makeObject()
        add(key, value, to: object)
        return object
    }

    // MARK: arrays

    func append(_ value: Value, to array: ArrayID) {
        link(Symbol.empty, value, Int(array.index))
    }

    func append(contentsOf other: ArrayID, to array: ArrayID) {
        // The number of elements is taken first, so that an array can be appended to itself.
        var left = count(other)
        var cell = containers[Int(other.index)].first
        while left > 0 {
            append(cells[Int(cell)].value, to: array)
            cell = cells[Int(cell)].next
            left -= 1
        }
    }

    func count(_ array: ArrayID) -> Int { Int(containers[Int(array.index)].count) }

    func first(_ array: ArrayID) -> Value? {
        let first = containers[Int(array.index)].first
        return first < 0 ? nil : cells[Int(first)].value
    }

    /// The cells of an array; their keys mean nothing.
    func cells(_ array: ArrayID) -> Members {
        Members(cells: cells, cell: containers[Int(array.index)].first)
    }

    func elements(_ array: ArrayID) -> Elements {
        Elements(cells: cells, cell: containers[Int(array.index)].first)
    }

    // MARK: objects

    func count(_ object: ObjectID) -> Int { Int(containers[Int(object.index)].count) }

    /// Adds a member. The caller knows that there is none of this name.
    func add(_ key: Symbol, _ value: Value, to object: ObjectID) {
        link(key, value, Int(object.index))
        let container = containers[Int(object.index)]
        if container.index >= 0 {
            indexes[Int(container.index)].set(key, container.last)
        } else if container.count > Self.indexedFrom {
            makeIndex(object)
        }
    }

    /// Sets a member: replaces the value of the one of this name, or adds one.
    func set(_ key: Symbol, _ value: Value, in object: ObjectID) {
        let cell = find(key, object)
        if cell >= 0 { cells[Int(cell)].value = value } else { add(key, value, to: object) }
    }

    subscript(object: ObjectID, key: Symbol) -> Value? {
        let cell = find(key, object)
        return cell < 0 ? nil : cells[Int(cell)].value
    }

    /// Which keywords an object has, found in one pass.
    @inline(__always)
    func keywords(_ object: ObjectID) -> KeywordSet {
        var result = KeywordSet()
        for member in members(object) where member.key.isKeyword { result.insert(member.key) }
        return result
    }

    func has(_ key: Symbol, _ object: ObjectID) -> Bool { find(key, object) >= 0 }

    /// Takes a member out and returns its value.
    @discardableResult
    func remove(_ key: Symbol, from object: ObjectID) -> Value? {
        let target = find(key, object)
        guard target >= 0 else { return nil }
        var container = containers[Int(object.index)]
        if container.first == target {
            container.first = cells[Int(target)].next
            if container.last == target { container.last = -1 }
        } else {
            var before = container.first
            while cells[Int(before)].next != target { before = cells[Int(before)].next }
            cells[Int(before)].next = cells[Int(target)].next
            if container.last == target { container.last = before }
        }
        container.count -= 1
        containers[Int(object.index)] = container
        if container.index >= 0 { indexes[Int(container.index)].set(key, -1) }
        return cells[Int(target)].value
    }

    func members(_ object: ObjectID) -> Members {
        Members(cells: cells, cell: containers[Int(object.index)].first)
    }

    /// The members in the order of their names' code points.
    func sortedMembers(_ object: ObjectID) -> [Cell] {
        sortedByKey(Array(members(object)))
    }

    func sortedByKey(_ members: [Cell]) -> [Cell] {
        members.sorted { isOrderedBefore(symbols.bytes($0.key), symbols.bytes($1.key)) }
    }

    // MARK: cells

    private func link(_ key: Symbol, _ value: Value, _ index: Int) {
        let cell = Int32(truncatingIfNeeded: cells.append(Cell(key: key, next: -1, value: value)))
        var container = containers[index]
        if container.last < 0 { container.first = cell } else { cells[Int(container.last)].next = cell }
        container.last = cell
        container.count += 1
        containers[index] = container
    }

    private func find(_ key: Symbol, _ object: ObjectID) -> Int32 {
        let container = containers[Int(object.index)]
        if container.index >= 0 { return indexes[Int(container.index)][key] ?? -1 }
        var cell = container.first
        while cell >= 0 {
            let found = cells[Int(cell)]
            if found.key == key { return cell }
            cell = found.next
        }
        return -1
    }

    private func makeIndex(_ object: ObjectID) {
        var container = containers[Int(object.index)]
        var map = SymbolMap(minimumCapacity: Int(container.count) * 2)
        var cell = container.first
        while cell >= 0 {
            map.set(cells[Int(cell)].key, cell)
            cell = cells[Int(cell)].next
        }
        container.index = Int32(truncatingIfNeeded: indexes.count)
        indexes.append(map)
        containers[Int(object.index)] = container
    }
}

extension Tree {
    /// The elements of an array. What is appended meanwhile is visited too.
    struct Elements: Sequence, IteratorProtocol, BitwiseCopyable {
        fileprivate let cells: Pool<Cell>
        fileprivate var cell: Int32

        @inline(__always)
        mutating func next() -> Value? {
            guard cell >= 0 else { return nil }
            let found = cells[Int(cell)]
            cell = found.next
            return found.value
        }
    }

    /// The members of an object in their order.
    struct Members: Sequence, IteratorProtocol, BitwiseCopyable {
        fileprivate let cells: Pool<Cell>
        fileprivate var cell: Int32

        @inline(__always)
        mutating func next() -> Cell? {
            guard cell >= 0 else { return nil }
            let found = cells[Int(cell)]
            cell = found.next
            return found
        }
    }
}
