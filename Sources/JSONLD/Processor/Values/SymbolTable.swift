// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Gives every different string one number. A table can stand on a finished one, which many runs
// then share: numbers below `baseCount` are those of the base. The hash is keyed anew in every
// process, so a document can't be written to make its strings collide.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Strings by number, and numbers by string. Not to be changed any more once another table stands on it.
final class SymbolTable: @unchecked Sendable {
    /// What is known of a string once it has been looked at.
    struct Traits: OptionSet, BitwiseCopyable {
        var rawValue: UInt32
        /// Holds a quotation mark, a reverse solidus or a control character (U+007F counts, for N-Quads).
        static let needsEscape = Traits(rawValue: 1)
        /// Matches `"@"1*ALPHA` (JSON-LD API, section 5.2.2 step 2).
        static let keywordForm = Traits(rawValue: 2)
        /// Begins with `_:`.
        static let blankNode = Traits(rawValue: 4)
        /// Has a colon after its first character.
        static let colon = Traits(rawValue: 8)
        /// Has the form of an IRI, so that it can stand in RDF.
        static let iri = Traits(rawValue: 16)
    }

    private struct Entry: BitwiseCopyable {
        var start: UnsafePointer<UInt8>
        var length: UInt32
        var traits: Traits
    }

    /// The hash table and the room for octets: outside of exclusivity checks, like the pools.
    private struct State: BitwiseCopyable {
        /// Hash in the upper half, own index plus one in the lower; zero is a free place.
        var slots: UnsafeMutablePointer<UInt64>
        var mask: Int
        var chunkNext: UnsafeMutablePointer<UInt8>
        var chunkFree: Int
        /// Octets of all strings of this table, not counting the base.
        var byteCount: Int
    }

    let base: SymbolTable?
    let baseCount: Int
    private let entries: Pool<Entry>
    private let state: UnsafeMutablePointer<State>
    /// The same of the base, which is not changed any more.
    private let baseEntries: Pool<Entry>?
    private let baseState: UnsafeMutablePointer<State>?
    private var chunks: [UnsafeMutablePointer<UInt8>] = []
    private let scratch: Pool<UInt8>

    init(base: SymbolTable? = nil, capacity: Int = 512) {
        self.base = base
        baseCount = base?.count ?? 0
        baseEntries = base?.entries
        baseState = base?.state
        entries = Pool(capacity: capacity)
        scratch = Pool(capacity: 256)
        var places = 16
        while places < capacity * 2 { places *= 2 }
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: places)
        slots.initialize(repeating: 0, count: places)
        let first = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.chunkSize)
        chunks = [first]
        state = .allocate(capacity: 1)
        state.initialize(
            to: State(slots: slots, mask: places - 1, chunkNext: first, chunkFree: Self.chunkSize, byteCount: 0))
        if base == nil {
            for text in WellKnownText.allCases { intern(text.text) }
        }
    }

    private static let chunkSize = 16 * 1024

    deinit {
        entries.deallocate()
        scratch.deallocate()
        state.pointee.slots.deallocate()
        state.deallocate()
        for chunk in chunks { chunk.deallocate() }
    }

    @inline(__always)
    var byteCount: Int { state.pointee.byteCount }

    var count: Int { baseCount + entries.count }

    @inline(__always)
    private func entry(_ symbol: Symbol) -> Entry {
        let index = Int(symbol.index)
        if index >= baseCount { return entries[index &- baseCount] }
        // Only a table with a base has a `baseCount` above zero.
        return baseEntries.unsafelyUnwrapped[index]
    }

    /// The octets of a string, in UTF-8. They stay where they are as long as the table lives.
    @inline(__always)
    func bytes(_ symbol: Symbol) -> UnsafeBufferPointer<UInt8> {
        let entry = entry(symbol)
        return UnsafeBufferPointer(start: entry.start, count: Int(entry.length))
    }

    @inline(__always)
    func traits(_ symbol: Symbol) -> Traits {
        entry(symbol).traits
    }

    func text(_ symbol: Symbol) -> String {
        String(decoding: bytes(symbol), as: UTF8.self)
    }

    // MARK: from string to number

    @discardableResult
    func intern(_ text: String) -> Symbol {
        var text = text
        return text.withUTF8 { intern($0) }
    }

    func intern(_ bytes: UnsafeBufferPointer<UInt8>) -> Symbol {
        let hash = Self.hash(bytes)
        return lookUp(bytes, hash) ?? insert(bytes, hash)
    }

    /// The number of a string that is in the table already.
    func find(_ bytes: UnsafeBufferPointer<UInt8>) -> Symbol? {
        lookUp(bytes, Self.hash(bytes))
    }

    func find(_ text: String) -> Symbol? {
        var text = text
        return text.withUTF8 { find($0) }
    }

    /// Two strings, one after the other.
    func concatenate(_ first: UnsafeBufferPointer<UInt8>, _ second: UnsafeBufferPointer<UInt8>) -> Symbol {
        scratch.removeAll()
        scratch.append(contentsOf: first)
        scratch.append(contentsOf: second)
        return intern(scratch.elements)
    }

    @inline(__always)
    private func lookUp(_ bytes: UnsafeBufferPointer<UInt8>, _ hash: UInt32) -> Symbol? {
        if let baseState, let baseEntries,
            let index = Self.lookUp(bytes, hash, baseState.pointee, baseEntries)
        {
            return Symbol(index: UInt32(truncatingIfNeeded: index))
        }
        guard let index = Self.lookUp(bytes, hash, state.pointee, entries) else { return nil }
        return Symbol(index: UInt32(truncatingIfNeeded: index &+ baseCount))
    }

    @inline(__always)
    private static func lookUp(
        _ bytes: UnsafeBufferPointer<UInt8>, _ hash: UInt32, _ state: State, _ entries: Pool<Entry>
    ) -> Int? {
        var place = Int(hash) & state.mask
        while true {
            let slot = state.slots[place]
            if slot == 0 { return nil }
            if UInt32(truncatingIfNeeded: slot &>> 32) == hash {
                let index = Int(slot & 0xFFFF_FFFF) &- 1
                let entry = entries[index]
                if Int(entry.length) == bytes.count,
                    bytes.count == 0 || memcmp(entry.start, bytes.baseAddress.unsafelyUnwrapped, bytes.count) == 0
                {
                    return index
                }
            }
            place = (place &+ 1) & state.mask
        }
    }

    private func insert(_ bytes: UnsafeBufferPointer<UInt8>, _ hash: UInt32) -> Symbol {
        if (entries.count + 1) * 2 > state.pointee.mask + 1 { growSlots() }
        let start = store(bytes)
        let index = entries.append(
            Entry(start: start, length: UInt32(truncatingIfNeeded: bytes.count), traits: Self.traits(bytes)))
        place(hash, index)
        return Symbol(index: UInt32(truncatingIfNeeded: index + baseCount))
    }

    private func place(_ hash: UInt32, _ index: Int) {
        let slots = state.pointee.slots
        let mask = state.pointee.mask
        var place = Int(hash) & mask
        while slots[place] != 0 { place = (place &+ 1) & mask }
        slots[place] = UInt64(hash) << 32 | UInt64(index + 1)
    }

    private func store(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafePointer<UInt8> {
        if bytes.count > state.pointee.chunkFree {
            let size = max(Self.chunkSize, bytes.count)
            let chunk = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
            chunks.append(chunk)
            state.pointee.chunkNext = chunk
            state.pointee.chunkFree = size
        }
        let start = state.pointee.chunkNext
        if let source = bytes.baseAddress { start.update(from: source, count: bytes.count) }
        state.pointee.chunkNext += bytes.count
        state.pointee.chunkFree -= bytes.count
        state.pointee.byteCount += bytes.count
        return UnsafePointer(start)
    }

    private func growSlots() {
        let old = UnsafeBufferPointer(start: state.pointee.slots, count: state.pointee.mask + 1)
        let places = old.count * 2
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: places)
        slots.initialize(repeating: 0, count: places)
        state.pointee.slots = slots
        state.pointee.mask = places - 1
        for slot in old where slot != 0 {
            place(UInt32(truncatingIfNeeded: slot >> 32), Int(slot & 0xFFFF_FFFF) - 1)
        }
        old.deallocate()
    }
}

extension SymbolTable {
    /// Differs from process to process: the standard library seeds its hasher at random.
    private static let seed = UInt64(bitPattern: Int64("symbols".hashValue)) | 1

    /// A folded-multiply hash over words of eight octets.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let seed = seed
        guard let start = UnsafeRawPointer(bytes.baseAddress), bytes.count > 0 else { return 1 }
        var state = seed ^ UInt64(truncatingIfNeeded: bytes.count)
        var offset = 0
        while offset &+ 8 <= bytes.count {
            state = mix(state ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self), seed)
            offset &+= 8
        }
        let left = bytes.count &- offset
        if left > 0 {
            var word: UInt64 = 0
            if bytes.count >= 8 {
                // The last eight octets, some of them for the second time.
                word = start.loadUnaligned(fromByteOffset: bytes.count &- 8, as: UInt64.self)
            } else {
                for index in 0..<left { word = word &<< 8 | UInt64(bytes[offset &+ index]) }
            }
            state = mix(state ^ word, seed &+ 0x9E37_79B9_7F4A_7C15)
        }
        state = mix(state, 0xD6E8_FEB8_6659_FD93)
        return UInt32(truncatingIfNeeded: state ^ state &>> 32)
    }

    @inline(__always)
    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    private static func traits(_ bytes: UnsafeBufferPointer<UInt8>) -> Traits {
        var traits: Traits = []
        guard let first = bytes.first else { return traits }
        for byte in bytes where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F {
            traits.insert(.needsEscape)
            break
        }
        if let start = bytes.baseAddress, memchr(start + 1, Int32(UInt8(ascii: ":")), bytes.count - 1) != nil {
            traits.insert(.colon)
            if IRIReference.isWellFormed(bytes) { traits.insert(.iri) }
        }
        if first == UInt8(ascii: "@") {
            let isForm = bytes.count > 1 && bytes.dropFirst().allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A }
            if isForm { traits.insert(.keywordForm) }
        } else if first == UInt8(ascii: "_"), bytes.count > 1, bytes[1] == UInt8(ascii: ":") {
            traits.insert(.blankNode)
        }
        return traits
    }
}

/// Order of code points, which in UTF-8 is the order of octets.
func isOrderedBefore(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
    let common = min(left.count, right.count)
    if common > 0, let first = left.baseAddress, let second = right.baseAddress {
        let order = memcmp(first, second, common)
        if order != 0 { return order < 0 }
    }
    return left.count < right.count
}
