// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Sets of code points as regular expressions write them: ranges and Unicode properties, or all
// but those.

/// A property of code points that `\p{…}` can name.
enum CodePointProperty: Sendable {
    case categories(Set<Unicode.GeneralCategory>)
    case binary(@Sendable (Unicode.Scalar.Properties) -> Bool)
    case any, ascii, assigned

    func contains(_ point: UInt32) -> Bool {
        switch self {
        case .any: return true
        case .ascii: return point < 0x80
        case .assigned: return Unicode.Scalar(point).map { $0.properties.generalCategory != .unassigned } ?? true
        case .categories(let categories):
            // A lone surrogate is no Unicode.Scalar, but has a category of its own.
            guard let scalar = Unicode.Scalar(point) else { return categories.contains(.surrogate) }
            return categories.contains(scalar.properties.generalCategory)
        case .binary(let test):
            return Unicode.Scalar(point).map { test($0.properties) } ?? false
        }
    }
}

/// What one position of a pattern accepts.
struct CharacterSet: Sendable {
    private(set) var ranges: [ClosedRange<UInt32>] = []
    private(set) var properties: [(property: CodePointProperty, isNegated: Bool)] = []
    private(set) var isNegated = false
    /// Membership of ASCII, one bit each.
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    static let largestCodePoint: UInt32 = 0x10FFFF

    init(_ ranges: [ClosedRange<UInt32>] = []) {
        self.ranges = ranges
    }

    mutating func insert(_ range: ClosedRange<UInt32>) { ranges.append(range) }

    mutating func insert(_ property: CodePointProperty, isNegated: Bool) { properties.append((property, isNegated)) }

    /// Takes in the members of `other`, which has no properties where it is negated.
    mutating func formUnion(_ other: CharacterSet) {
        if other.isNegated {
            ranges += Self.complement(Self.merged(other.ranges))
        } else {
            ranges += other.ranges
            properties += other.properties
        }
    }

    mutating func negate() { isNegated.toggle() }

    /// Sorts and merges the ranges, takes the negation into them where that can be done, and fills the table of ASCII.
    mutating func finish() {
        ranges = Self.merged(ranges)
        if isNegated, properties.isEmpty {
            ranges = Self.complement(ranges)
            isNegated = false
        }
        guard properties.isEmpty else {
            for point in UInt32(0)..<128 where search(point) { note(point) }
            return
        }
        for range in ranges where range.lowerBound < 128 {
            for point in range.lowerBound...min(range.upperBound, 127) { note(point) }
        }
    }

    private mutating func note(_ point: UInt32) {
        if point < 64 { low |= 1 << UInt64(point) } else { high |= 1 << UInt64(point - 64) }
    }

    @inline(__always)
    func contains(_ point: UInt32) -> Bool {
        if point < 64 { return low >> UInt64(point) & 1 == 1 }
        if point < 128 { return high >> UInt64(point - 64) & 1 == 1 }
        return search(point)
    }

    private func search(_ point: UInt32) -> Bool {
        var lower = 0
        var upper = ranges.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if ranges[middle].upperBound < point { lower = middle + 1 } else { upper = middle }
        }
        let inRange = lower < ranges.count && ranges[lower].lowerBound <= point
        let isMember = inRange || properties.contains { $0.property.contains(point) != $0.isNegated }
        return isMember != isNegated
    }

    private static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }

    private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= largestCodePoint { result.append(next...largestCodePoint) }
        return result
    }
}

extension CharacterSet {
    // ECMA-262 section 22.2.2.9, CharacterClassEscape: \d and \w are ASCII, also in Unicode mode.
    static let digits = CharacterSet([0x30...0x39])
    static let wordCharacters = CharacterSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])

    // ECMA-262 sections 12.2 and 12.3: white space (with every Space_Separator) and line terminators.
    static let whiteSpace = CharacterSet([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ])

    // ECMA-262 section 12.3: what the dot leaves out.
    static let lineTerminators = CharacterSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029])

    static func isWordCharacter(_ point: UInt32) -> Bool {
        point < 0x80 && (UInt8(point).isASCIILetterOrDigit || point == 0x5F)
    }
}
