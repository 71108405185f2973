// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The names of members a schema speaks of, numbered. Looking one up takes as long as the longest
// run of neighbours in the table, which whoever wrote the schema chose, not who sends the data.

/// An open-addressing table, at most half full.
struct NameTable: Sendable {
    private struct Slot: Sendable {
        var hash: UInt64
        var symbol: Int32
    }

    private(set) var names: [[UInt8]] = []
    private var slots: [Slot]

    init() {
        slots = Array(repeating: Slot(hash: 0, symbol: -1), count: 16)
    }

    /// The number of a name, which is new where it was not in the table.
    mutating func insert(_ name: [UInt8]) -> Int {
        let found = name.withUnsafeBufferPointer { find($0) }
        if found >= 0 { return found }
        names.append(name)
        if names.count * 2 > slots.count {
            slots = Array(repeating: Slot(hash: 0, symbol: -1), count: slots.count * 2)
            for symbol in names.indices { place(symbol) }
        } else {
            place(names.count - 1)
        }
        return names.count - 1
    }

    private mutating func place(_ symbol: Int) {
        let hash = names[symbol].withUnsafeBufferPointer { Self.hash($0) }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot].symbol >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Slot(hash: hash, symbol: Int32(symbol))
    }

    /// The number of a name, -1 where there is none.
    func find(_ name: UnsafeBufferPointer<UInt8>) -> Int {
        let hash = Self.hash(name)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot].symbol >= 0 {
            if slots[slot].hash == hash {
                let symbol = Int(slots[slot].symbol)
                if isEqual(symbol, name) { return symbol }
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return -1
    }

    private func isEqual(_ symbol: Int, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        names[symbol].withUnsafeBufferPointer { known in
            guard known.count == name.count else { return false }
            for index in 0..<known.count where known[index] != name[index] { return false }
            return true
        }
    }

    /// FNV-1a over the octets, its high half folded in.
    private static func hash(_ name: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash ^ hash >> 32
    }
}
