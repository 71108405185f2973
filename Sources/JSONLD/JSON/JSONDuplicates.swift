// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds names that an object says twice. Names are sorted, not hashed: whoever chooses the names
// chooses no collisions, and the time is n log n comparisons whatever they are.

struct JSONDuplicates {
    private let bytes: UnsafeBufferPointer<UInt8>
    /// Decoded forms of names that have escapes.
    private var decoded: [UInt8] = []
    private var names: [Name] = []
    /// Tape indices of the names of members that the policy drops.
    private var dropped: [Int] = []

    /// A member's name, its escapes resolved.
    private struct Name {
        var tapeIndex: Int
        /// The first eight octets, big-endian, zeros after a shorter name: decides most comparisons.
        var prefix: UInt64
        var start: Int
        var count: Int
        var isDecoded: Bool
    }

    /// Applies the policy to a tape. Returns where the names of dropped members stand.
    static func apply(
        _ policy: JSONDuplicateNames, to tape: inout [JSONToken], of bytes: [UInt8]
    ) throws(JSONError) -> [Range<Int>] {
        guard policy != .keep else { return [] }
        let found = bytes.withUnsafeBufferPointer { bytes in
            Result { () throws(JSONError) in
                var search = JSONDuplicates(bytes: bytes)
                for index in tape.indices where tape[index].kindBits == JSONToken.Kind.object.rawValue {
                    try search.examine(tape, object: index, policy: policy)
                }
                return search.dropped.sorted()
            }
        }
        let dropped = try found.get()
        guard !dropped.isEmpty else { return [] }
        let ranges = dropped.map { tape[$0].start..<(tape[$0].start + tape[$0].payload) }
        tape = without(dropped, tape)
        return ranges
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    private mutating func examine(_ tape: [JSONToken], object: Int, policy: JSONDuplicateNames) throws(JSONError) {
        names.removeAll(keepingCapacity: true)
        decoded.removeAll(keepingCapacity: true)
        var position = object + 1
        while position < tape[object].payload - 1 {
            names.append(name(tape[position], at: position))
            position = tape[position + 1].next(at: position + 1)
        }
        guard names.count > 1 else { return }
        var order = names
        decoded.withUnsafeBufferPointer { decoded in
            order.sort { left, right in
                let relation = compare(left, right, decoded)
                return relation == 0 ? left.tapeIndex < right.tapeIndex : relation < 0
            }
            let firstDropped = dropped.count
            for index in order.indices.dropFirst() where compare(order[index - 1], order[index], decoded) == 0 {
                dropped.append(order[policy == .last ? index - 1 : index].tapeIndex)
            }
            dropped[firstDropped...].sort()
        }
        if policy == .reject, let first = dropped.first { throw JSONError(.duplicateName, at: tape[first].start) }
    }

    private mutating func name(_ token: JSONToken, at tapeIndex: Int) -> Name {
        // A name's token spans its two quotation marks.
        let content = UnsafeBufferPointer(rebasing: bytes[(token.start + 1)..<(token.start + token.payload - 1)])
        guard token.hasEscapes else {
            return Name(
                tapeIndex: tapeIndex, prefix: leadingOctets(content), start: token.start + 1, count: content.count,
                isDecoded: false)
        }
        let start = decoded.count
        JSONEscapes.append(content, to: &decoded, loneSurrogates: .keep)
        let prefix = decoded.withUnsafeBufferPointer { leadingOctets(UnsafeBufferPointer(rebasing: $0[start...])) }
        return Name(tapeIndex: tapeIndex, prefix: prefix, start: start, count: decoded.count - start, isDecoded: true)
    }

    private func leadingOctets(_ content: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var prefix: UInt64 = 0
        for offset in 0..<8 {
            prefix = prefix << 8 | (offset < content.count ? UInt64(content[offset]) : 0)
        }
        return prefix
    }

    /// Negative, zero or positive: an order of names in which equal ones stand together.
    private func compare(_ left: Name, _ right: Name, _ decoded: UnsafeBufferPointer<UInt8>) -> Int {
        guard left.prefix == right.prefix else { return left.prefix < right.prefix ? -1 : 1 }
        guard left.count == right.count else { return left.count < right.count ? -1 : 1 }
        guard left.count > 8 else { return 0 }
        // Both ranges lie in the buffer they were made from.
        let leftContent = (left.isDecoded ? decoded : bytes)[left.start..<(left.start + left.count)]
        let rightContent = (right.isDecoded ? decoded : bytes)[right.start..<(right.start + right.count)]
        for (leftByte, rightByte) in zip(leftContent, rightContent) where leftByte != rightByte {
            return leftByte < rightByte ? -1 : 1
        }
        return 0
    }

    /// The tape without the members whose names stand at `dropped` (ascending).
    private static func without(_ dropped: [Int], _ tape: [JSONToken]) -> [JSONToken] {
        var kept: [JSONToken] = []
        kept.reserveCapacity(tape.count)
        var open: [Int] = []
        var remaining = dropped[...]
        var position = 0
        while position < tape.count {
            // Members inside a dropped one went with it.
            while let next = remaining.first, next < position { remaining.removeFirst() }
            if remaining.first == position {
                position = tape[position + 1].next(at: position + 1)
                continue
            }
            let token = tape[position]
            if token.isContainer { open.append(kept.count) }
            if token.kindBits == JSONToken.Kind.end.rawValue, let opener = open.popLast(),
                let kind = JSONToken.Kind(rawValue: kept[opener].kindBits)
            {
                kept[opener] = JSONToken(kind, start: kept[opener].start, payload: kept.count + 1)
                kept.append(JSONToken(.end, start: token.start, payload: opener))
            } else {
                kept.append(token)
            }
            position += 1
        }
        return kept
    }
}
