// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Memory in which a group of records is laid out before it is written; used again and again.

/// Used by one thread at a time.
final class JournalBuffer: @unchecked Sendable {
    /// What is kept from one group to the next.
    private static let kept = 512 << 10
    private static let alignment = DirectAccess.alignment

    private var start: UnsafeMutableRawPointer
    private var capacity = JournalBuffer.kept
    private(set) var count = 0

    init() { start = .allocate(byteCount: Self.kept, alignment: Self.alignment) }

    deinit { start.deallocate() }

    var octets: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// Empties the buffer, and gives back what one large group took.
    func clear() {
        count = 0
        guard capacity > Self.kept else { return }
        start.deallocate()
        capacity = Self.kept
        start = .allocate(byteCount: capacity, alignment: Self.alignment)
    }

    /// Takes away octets that were written; what is left moves to the beginning.
    func removeFirst(_ length: Int) {
        let rest = count - length
        if rest > 0 { start.copyMemory(from: start + length, byteCount: rest) }
        count = rest
    }

    private func makeRoom(_ length: Int) {
        guard count + length > capacity else { return }
        let larger = max(capacity * 2, count + length)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: Self.alignment)
        moved.copyMemory(from: start, byteCount: count)
        start.deallocate()
        start = moved
        capacity = larger
    }

    func append(_ octets: UnsafeRawBufferPointer) {
        makeRoom(octets.count)
        guard let source = octets.baseAddress else { return }
        (start + count).copyMemory(from: source, byteCount: octets.count)
        count += octets.count
    }

    func append<Number: FixedWidthInteger>(_ number: Number) {
        let length = MemoryLayout<Number>.size
        makeRoom(length)
        (start + count).storeBytes(of: number.littleEndian, as: Number.self)
        count += length
    }

    func appendZeros(_ length: Int) {
        makeRoom(length)
        (start + count).initializeMemory(as: UInt8.self, repeating: 0, count: length)
        count += length
    }

    /// Overwrites octets that are there; `offset` is one of them, and so is the number's end.
    func set<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        guard offset >= 0, offset + MemoryLayout<Number>.size <= count else { return }
        (start + offset).storeBytes(of: number.littleEndian, as: Number.self)
    }
}
