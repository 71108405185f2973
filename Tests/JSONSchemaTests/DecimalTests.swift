// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Exact numbers: order, integers and multiples, against integers scaled by hand.

import TestSupport
import Testing

@testable import JSONSchema

@Suite("Decimals")
struct DecimalTests {
    private func decimal(_ text: String) -> Decimal {
        Array(text.utf8).withUnsafeBufferPointer { Decimal($0) }
    }

    /// Ascending, equal ones together.
    static let ladder: [[String]] = [
        ["-1e400"], ["-123456789012345678901.5"], ["-123456789012345678901"], ["-10", "-1e1", "-10.0"], ["-9.99"], ["-1"],
        ["-1e-400"], ["0", "-0", "0.000", "0e5", "-0e-5"], ["1e-99999999999999999999"], ["1e-400"], ["0.1", "1e-1", "0.10"],
        ["0.10000000000000000000000001"], ["0.11"], ["1", "1.0", "10e-1", "0.01e2"], ["1.0000000000000000001"], ["2"], ["9"],
        ["10"], ["9999999999999999999"], ["10000000000000000000", "1e19"], ["18446744073709551615"], ["18446744073709551616"],
        ["123456789012345678901234567890"], ["123456789012345678901234567890.1"], ["1e400"], ["1e401"],
    ]

    @Test func order() {
        for (left, leftTexts) in Self.ladder.enumerated() {
            for (right, rightTexts) in Self.ladder.enumerated() {
                for leftText in leftTexts {
                    for rightText in rightTexts {
                        let relation = decimal(leftText).compare(decimal(rightText)).signum()
                        #expect(relation == (left - right).signum(), "\(leftText) \(rightText)")
                    }
                }
            }
        }
    }

    @Test func integers() {
        for text in ["0", "1", "1.0", "10e-1", "1.5e1", "123456789012345678901234567890.0", "-0.0", "1e308"] {
            #expect(decimal(text).isInteger, "\(text)")
        }
        for text in ["0.5", "1e-1", "15e-2", "1.00000000000000000000000000001"] { #expect(!decimal(text).isInteger, "\(text)") }
    }

    @Test func multiples() {
        var generator = SplitMix64(state: 3)
        for _ in 0..<3000 {
            let value = Int.random(in: -100_000...100_000, using: &generator)
            let divisor = Int.random(in: 1...500, using: &generator)
            let valueScale = Int.random(in: 0...4, using: &generator)
            let divisorScale = Int.random(in: 0...4, using: &generator)
            // value · 10^-valueScale / (divisor · 10^-divisorScale), both sides times 10^(sum of the scales).
            var numerator = value
            for _ in 0..<divisorScale { numerator *= 10 }
            var denominator = divisor
            for _ in 0..<valueScale { denominator *= 10 }
            let found = decimal("\(value)e-\(valueScale)").isMultiple(of: decimal("\(divisor)e-\(divisorScale)"))
            #expect(found == (numerator % denominator == 0), "\(value)e-\(valueScale) \(divisor)e-\(divisorScale)")
        }
    }
}
