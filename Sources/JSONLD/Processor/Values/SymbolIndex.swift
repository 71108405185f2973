// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A `SymbolMap` outside of ARC and exclusivity checks, for what every value of a document is looked
// up in: the terms of a context, and what was worked out before.

/// Maps the number of a symbol to an `Int32` that is not negative. A reference; its owner calls `deallocate` once.
struct SymbolIndex: @unchecked Sendable, BitwiseCopyable {
    private struct Header {
        /// Keys and values in turn; a key of `vacant` is a free place.
        var slots: UnsafeMutablePointer<UInt32>
        var mask: Int
        var count: Int
    }

    private let header: UnsafeMutablePointer<Header>

    private static let vacant = UInt32.max

    init(minimumCapacity: Int = 0) {
        var places = 8
        while places * 3 < minimumCapacity * 4 { places *= 2 }
        header = .allocate(capacity: 1)
        header.initialize(to: Header(slots: Self.allocate(places), mask: places - 1, count: 0))
    }

    private static func allocate(_ places: Int) -> UnsafeMutablePointer<UInt32> {
        let slots = UnsafeMutablePointer<UInt32>.allocate(capacity: places * 2)
        slots.initialize(repeating: vacant, count: places * 2)
        return slots
    }

    func deallocate() {
        header.pointee.slots.deallocate()
        header.deallocate()
    }

    @inline(__always)
    private static func place(_ key: UInt32, _ mask: Int) -> Int {
        Int(truncatingIfNeeded: (UInt64(key) &* 0x9E37_79B9_7F4A_7C15) &>> 32) & mask
    }

    @inline(__always)
    subscript(symbol: Symbol) -> Int32? {
        let header = header.pointee
        var place = Self.place(symbol.index, header.mask)
        while true {
            let found = header.slots[place &* 2]
            if found == symbol.index { return Int32(bitPattern: header.slots[place &* 2 &+ 1]) }
            if found == Self.vacant { return nil }
            place = (place &+ 1) & header.mask
        }
    }

    /// Adds a symbol or replaces its number.
    func set(_ symbol: Symbol, _ value: Int32) {
        if (header.pointee.count + 1) * 4 > (header.pointee.mask + 1) * 3 { grow() }
        let slots = header.pointee.slots
        let mask = header.pointee.mask
        var place = Self.place(symbol.index, mask)
        while slots[place &* 2] != Self.vacant, slots[place &* 2] != symbol.index { place = (place &+ 1) & mask }
        if slots[place &* 2] == Self.vacant {
            slots[place &* 2] = symbol.index
            header.pointee.count += 1
        }
        slots[place &* 2 &+ 1] = UInt32(bitPattern: value)
    }

    private func grow() {
        let old = header.pointee
        let places = (old.mask + 1) * 2
        header.pointee = Header(slots: Self.allocate(places), mask: places - 1, count: 0)
        for place in stride(from: 0, to: (old.mask + 1) * 2, by: 2) where old.slots[place] != Self.vacant {
            set(Symbol(index: old.slots[place]), Int32(bitPattern: old.slots[place + 1]))
        }
        old.slots.deallocate()
    }
}
