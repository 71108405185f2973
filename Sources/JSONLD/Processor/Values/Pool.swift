// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A growing row of plain values outside of ARC and exclusivity checks: what the working tree and
// the symbol table are made of. Indices are made by the pool's owner, never by a document.

/// A growable buffer with reference semantics. Its owner calls `deallocate` once, when it ends.
struct Pool<Element: BitwiseCopyable>: @unchecked Sendable, BitwiseCopyable {
    private struct Header {
        var base: UnsafeMutablePointer<Element>
        var count: Int
        var capacity: Int
    }

    private let header: UnsafeMutablePointer<Header>

    init(capacity: Int) {
        let capacity = max(capacity, 8)
        header = .allocate(capacity: 1)
        header.initialize(to: Header(base: .allocate(capacity: capacity), count: 0, capacity: capacity))
    }

    func deallocate() {
        header.pointee.base.deallocate()
        header.deallocate()
    }

    @inline(__always)
    var count: Int { header.pointee.count }

    /// The first `count` elements. Valid until the next `append`.
    var elements: UnsafeBufferPointer<Element> {
        UnsafeBufferPointer(start: header.pointee.base, count: header.pointee.count)
    }

    @inline(__always)
    subscript(index: Int) -> Element {
        get {
            // Compared as unsigned numbers, one check covers both ends.
            precondition(UInt(bitPattern: index) < UInt(bitPattern: header.pointee.count))
            return header.pointee.base[index]
        }
        nonmutating set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: header.pointee.count))
            header.pointee.base[index] = newValue
        }
    }

    /// Appends an element; its index is the former `count`.
    @inline(__always)
    @discardableResult
    func append(_ element: Element) -> Int {
        let index = header.pointee.count
        if index == header.pointee.capacity { grow() }
        header.pointee.base[index] = element
        header.pointee.count = index + 1
        return index
    }

    @inline(__always)
    var last: Element? {
        header.pointee.count == 0 ? nil : header.pointee.base[header.pointee.count &- 1]
    }

    @inline(__always)
    func removeLast() {
        precondition(header.pointee.count > 0)
        header.pointee.count &-= 1
    }

    @inline(__always)
    func append(contentsOf bytes: UnsafeBufferPointer<Element>) {
        let count = header.pointee.count
        while count &+ bytes.count > header.pointee.capacity { grow() }
        guard let start = bytes.baseAddress else { return }
        (header.pointee.base + count).update(from: start, count: bytes.count)
        header.pointee.count = count &+ bytes.count
    }

    /// Forgets all elements but the first `count`, if there are more.
    func truncate(to count: Int) {
        header.pointee.count = min(header.pointee.count, max(count, 0))
    }

    /// Forgets all elements and keeps the memory.
    func removeAll() {
        header.pointee.count = 0
    }

    @inline(never)
    private func grow() {
        let old = header.pointee
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: old.capacity * 2)
        larger.update(from: old.base, count: old.count)
        old.base.deallocate()
        header.pointee.base = larger
        header.pointee.capacity = old.capacity * 2
    }
}
