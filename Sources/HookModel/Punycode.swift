// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Punycode (RFC 3492), for labels of host names: 63 octets at most, so quadratic time is short.

package enum Punycode {
    private static let base = 36
    private static let minimumThreshold = 1
    private static let maximumThreshold = 26

    // Section 6.1.
    private static func adapted(_ delta: Int, _ count: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / 700 : delta / 2
        delta += delta / count
        var steps = 0
        while delta > (base - minimumThreshold) * maximumThreshold / 2 {
            delta /= base - minimumThreshold
            steps += base
        }
        return steps + (base - minimumThreshold + 1) * delta / (delta + 38)
    }

    private static func threshold(_ place: Int, _ bias: Int) -> Int {
        min(max(place - bias, minimumThreshold), maximumThreshold)
    }

    // Section 6.2.
    /// The code points of `text`, without the prefix, in lower case; nil where it is no Punycode.
    package static func decode(_ text: [UInt8]) -> [UInt32]? {
        guard text.count <= 63 else { return nil }
        let hyphen = text.lastIndex(of: UInt8(ascii: "-"))
        var points = text[..<(hyphen ?? 0)].map { UInt32($0) }
        var position = hyphen.map { $0 + 1 } ?? 0
        var point = 128
        var index = 0
        var bias = 72
        while position < text.count {
            let before = index
            var weight = 1
            var place = base
            while true {
                guard position < text.count, let digit = value(text[position]) else { return nil }
                position += 1
                let (product, productOverflow) = digit.multipliedReportingOverflow(by: weight)
                guard !productOverflow, index <= Int.max - product else { return nil }
                index += product
                let limit = threshold(place, bias)
                if digit < limit { break }
                let (next, overflow) = weight.multipliedReportingOverflow(by: base - limit)
                guard !overflow else { return nil }
                weight = next
                place += base
            }
            let count = points.count + 1
            bias = adapted(index - before, count, isFirst: before == 0)
            guard index / count <= 0x10FFFF else { return nil }
            point += index / count
            index %= count
            guard point <= 0x10FFFF, !(0xD800...0xDFFF).contains(point) else { return nil }
            points.insert(UInt32(point), at: index)
            index += 1
        }
        return points
    }

    private static func value(_ digit: UInt8) -> Int? {
        switch digit {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(digit - UInt8(ascii: "a"))
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(digit - UInt8(ascii: "0")) + 26
        default: nil
        }
    }

    // Section 6.3.
    /// The Punycode of a label, without the prefix; nil where it is much longer than a label may be.
    package static func encode(_ points: [UInt32]) -> [UInt8]? {
        guard points.count <= 63 else { return nil }
        var result = points.filter { $0 < 0x80 }.map { UInt8($0) }
        let basic = result.count
        if basic > 0 { result.append(UInt8(ascii: "-")) }
        var point: UInt32 = 128
        var delta = 0
        var bias = 72
        var handled = basic
        while handled < points.count {
            guard let next = points.filter({ $0 >= point }).min() else { return nil }
            delta += Int(next - point) * (handled + 1)
            point = next
            for other in points {
                if other < point { delta += 1 }
                guard other == point else { continue }
                append(delta, bias, to: &result)
                bias = adapted(delta, handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            point += 1
        }
        return result
    }

    private static func append(_ delta: Int, _ bias: Int, to result: inout [UInt8]) {
        var rest = delta
        var place = base
        while true {
            let limit = threshold(place, bias)
            if rest < limit { break }
            result.append(digit(limit + (rest - limit) % (base - limit)))
            rest = (rest - limit) / (base - limit)
            place += base
        }
        result.append(digit(rest))
    }

    private static func digit(_ value: Int) -> UInt8 {
        // Below 36 by construction.
        UInt8(value < 26 ? value + 97 : value - 26 + 48)
    }
}
