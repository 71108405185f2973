// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A hash table from symbols to small numbers. Symbols are dense numbers that a document can't
// choose freely, so multiplying by an odd constant spreads them well enough.

/// Maps the number of a symbol to an `Int32` that is not negative.
struct SymbolMap: Sendable {
    /// Keys and values in turn; a key of `vacant` is a free place.
    private var slots: [UInt32]
    private var mask: Int
    private(set) var count = 0

    private static let vacant = UInt32.max

    init(minimumCapacity: Int = 0) {
        var places = 8
        while places * 3 < minimumCapacity * 4 { places *= 2 }
        slots = [UInt32](repeating: Self.vacant, count: places * 2)
        mask = places - 1
    }

    @inline(__always)
    private func place(_ key: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(key) &* 0x9E37_79B9_7F4A_7C15) &>> 32) & mask
    }

    @inline(__always)
    subscript(symbol: Symbol) -> Int32? {
        let key = symbol.index
        return slots.withUnsafeBufferPointer { slots in
            var place = place(key)
            while true {
                let found = slots[place &* 2]
                if found == key { return Int32(bitPattern: slots[place &* 2 &+ 1]) }
                if found == Self.vacant { return nil }
                place = (place &+ 1) & mask
            }
        }
    }

    /// Adds a symbol or replaces its number.
    mutating func set(_ symbol: Symbol, _ value: Int32) {
        if (count + 1) * 4 > (mask + 1) * 3 { grow() }
        var place = place(symbol.index)
        while slots[place * 2] != Self.vacant, slots[place * 2] != symbol.index { place = (place + 1) & mask }
        if slots[place * 2] == Self.vacant {
            slots[place * 2] = symbol.index
            count += 1
        }
        slots[place * 2 + 1] = UInt32(bitPattern: value)
    }

    private mutating func grow() {
        let old = slots
        var larger = SymbolMap(minimumCapacity: (mask + 1) * 2)
        for place in stride(from: 0, to: old.count, by: 2) where old[place] != Self.vacant {
            larger.set(Symbol(index: old[place]), Int32(bitPattern: old[place + 1]))
        }
        self = larger
    }
}
