// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Compares JSON values by what they say: members in any order, numbers by their exact decimal
// value, strings by their characters.

import JSONLD

func isSameValue(_ a: JSONValue, _ b: JSONValue) -> Bool {
    guard a.kind == b.kind else { return false }
    switch a.kind {
    case .true, .false, .null: return true
    case .string: return a.string == b.string
    case .number: return ExactDecimal(a.text) == ExactDecimal(b.text)
    case .array:
        let (left, right) = (a.elements, b.elements)
        return left.count == right.count && zip(left, right).allSatisfy { isSameValue($0, $1) }
    case .object:
        let (left, right) = (a.members, b.members)
        guard left.count == right.count else { return false }
        let byName = Dictionary(right.map { ($0.name, $0.value) }) { first, _ in first }
        return left.allSatisfy { member in byName[member.name].map { isSameValue(member.value, $0) } ?? false }
    }
}

/// A JSON number as sign, digits without zeros at both ends, and a power of ten.
private struct ExactDecimal: Equatable {
    var isNegative = false
    var digits: [UInt8] = []
    var exponent = 0

    init(_ text: ArraySlice<UInt8>) {
        var behindPoint = false
        var rest = text
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): behindPoint = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                digits.append(byte)
                if behindPoint { exponent -= 1 }
            default:
                exponent += Int(String(decoding: rest.drop { $0 == UInt8(ascii: "+") }, as: UTF8.self)) ?? 0
                rest = []
            }
        }
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            exponent += 1
        }
        digits = Array(digits.drop { $0 == UInt8(ascii: "0") })
        if digits.isEmpty { (isNegative, exponent) = (false, 0) }
    }
}
