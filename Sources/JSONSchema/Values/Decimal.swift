// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Numbers as JSON writes them, compared and divided by their decimal digits. No doubles: nothing
// is rounded, however many digits there are.

/// sign · digits · 10^exponent, the last digit not zero; zero has no digits.
struct Decimal: Sendable {
    var isNegative: Bool
    /// Power of ten of the last digit.
    var exponent: Int
    /// Number of significant digits.
    var length: Int
    /// The digits as a number, where there are 19 at most.
    var small: UInt64
    /// The digits (0 to 9), where there are more than 19.
    var digits: [UInt8]

    /// An exponent beyond this is taken for this: such numbers differ in nothing that a schema can ask for, unless two
    /// of them are compared.
    private static let largestExponent = 1 << 55

    /// Reads a number that has been checked against the grammar (RFC 8259 section 6).
    init(_ text: UnsafeBufferPointer<UInt8>) {
        isNegative = text.first == UInt8(ascii: "-")
        exponent = 0
        length = 0
        small = 0
        digits = []
        var position = isNegative ? 1 : 0
        var seenPoint = false
        let start = position
        while position < text.count, text[position] | 0x20 != UInt8(ascii: "e") {
            let digit = text[position] &- UInt8(ascii: "0")
            if digit < 10 {
                if seenPoint { exponent -= 1 }
                if length > 0 || digit != 0 {
                    if length < 19 { small = small &* 10 &+ UInt64(digit) }
                    length += 1
                }
            } else {
                seenPoint = true
            }
            position += 1
        }
        if length > 19 { readDigits(UnsafeBufferPointer(rebasing: text[start..<position])) }
        if position < text.count { readExponent(UnsafeBufferPointer(rebasing: text[(position + 1)...])) }
        normalize()
    }

    private mutating func readDigits(_ text: UnsafeBufferPointer<UInt8>) {
        digits.reserveCapacity(length)
        for byte in text where byte.isASCIIDigit {
            if digits.isEmpty, byte == UInt8(ascii: "0") { continue }
            digits.append(byte - UInt8(ascii: "0"))
        }
    }

    private mutating func readExponent(_ text: UnsafeBufferPointer<UInt8>) {
        var value = 0
        for byte in text where byte.isASCIIDigit {
            value = min(value * 10 + Int(byte - UInt8(ascii: "0")), Self.largestExponent)
        }
        exponent += text.first == UInt8(ascii: "-") ? -value : value
    }

    /// Moves zeros at the end into the exponent.
    private mutating func normalize() {
        if length == 0 {
            self = Decimal.zero
        } else if length > 19 {
            let zeros = digits.reversed().prefix { $0 == 0 }.count
            digits.removeLast(zeros)
            length -= zeros
            exponent += zeros
            guard length <= 19 else { return }
            small = digits.reduce(0) { $0 &* 10 &+ UInt64($1) }
            digits = []
        } else {
            while small % 10 == 0 {
                small /= 10
                length -= 1
                exponent += 1
            }
        }
    }

    private init() {
        isNegative = false
        exponent = 0
        length = 0
        small = 0
        digits = []
    }

    static let zero = Decimal()

    var isZero: Bool { length == 0 }

    // JSON Schema Validation 2020-12, section 6.1.1, and draft 7: a number without a fraction is an integer, 1.0 too.
    var isInteger: Bool { exponent >= 0 }

    /// The digits one by one, most significant first.
    var allDigits: [UInt8] {
        guard digits.isEmpty else { return digits }
        var rest = small
        var result: [UInt8] = []
        while rest > 0 {
            result.append(UInt8(rest % 10))
            rest /= 10
        }
        return result.reversed()
    }

    /// Negative, zero or positive, as `self` is less than, equal to or greater than `other`.
    func compare(_ other: Decimal) -> Int {
        if isZero || other.isZero || isNegative != other.isNegative {
            return sign - other.sign
        }
        let relation = compareMagnitude(other)
        return isNegative ? -relation : relation
    }

    private var sign: Int { isZero ? 0 : isNegative ? -1 : 1 }

    private func compareMagnitude(_ other: Decimal) -> Int {
        let size = length + exponent
        let otherSize = other.length + other.exponent
        if size != otherSize { return size < otherSize ? -1 : 1 }
        if digits.isEmpty, other.digits.isEmpty {
            // Same size, so the shorter one scaled to the length of the longer one has 19 digits at most.
            let left = small &* Self.power(max(0, other.length - length))
            let right = other.small &* Self.power(max(0, length - other.length))
            return left == right ? 0 : left < right ? -1 : 1
        }
        let left = allDigits
        let right = other.allDigits
        for (leftDigit, rightDigit) in zip(left, right) where leftDigit != rightDigit {
            return leftDigit < rightDigit ? -1 : 1
        }
        return left.count - right.count
    }

    private static func power(_ exponent: Int) -> UInt64 {
        var result: UInt64 = 1
        for _ in 0..<min(exponent, 19) { result = result &* 10 }
        return result
    }

    // JSON Schema Validation section 6.2.1: valid if division by the value results in an integer.
    /// Whether this is a multiple of `divisor`, which is positive and has 19 significant digits at most. Time is linear
    /// in the digits, whatever the exponents.
    func isMultiple(of divisor: Decimal) -> Bool {
        if isZero { return true }
        // The last digit is not zero, so no power of ten can be taken out of the digits.
        guard exponent >= divisor.exponent else { return false }
        let modulus = UInt128(divisor.small)
        var remainder: UInt128 = 0
        if digits.isEmpty {
            remainder = UInt128(small) % modulus
        } else {
            for digit in digits { remainder = (remainder * 10 + UInt128(digit)) % modulus }
        }
        var factor: UInt128 = 10 % modulus
        var power = exponent - divisor.exponent
        while power > 0, remainder != 0 {
            if power & 1 == 1 { remainder = remainder * factor % modulus }
            factor = factor * factor % modulus
            power >>= 1
        }
        return remainder == 0
    }
}
