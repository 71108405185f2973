// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// RFC 8785: its own examples, numbers as an ECMAScript engine writes them, and what has no
// canonical form.

import TestSupport
import Testing

@testable import JSONLD

@Suite("JSON canonical form")
struct JCSTests {
    private func canonical(_ text: String) throws -> String {
        try String(decoding: JCS.canonicalize(JSONDocument(Array(text.utf8)).root), as: UTF8.self)
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var text: String
        var canonical: String
        var testDescription: String { text }
    }

    @Test(arguments: [
        // RFC 8785 section 3.2.2
        Case(
            text: #"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"#
                + #""string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
            canonical: #"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#
                + #""string":"€$\u000f\nA'B\"\\\\\"/"}"#),
        // Section 3.2.3: UTF-16 code units, not code points
        Case(
            text: #"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","#
                + #""\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
            canonical: #"{"\r":"Carriage Return","1":"One","# + "\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\","
                + "\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{FB33}\":\"Hebrew Letter Dalet With Dagesh\"}"),
        Case(text: " [ ] ", canonical: "[]"),
        Case(text: "{ }", canonical: "{}"),
        Case(text: #""a""#, canonical: #""a""#),
        Case(text: "-0", canonical: "0"),
        Case(text: "-0.0e5", canonical: "0"),
        Case(text: "1e-400", canonical: "0"),
        Case(text: "10000000000000000999", canonical: "10000000000000000000"),
        Case(text: #"{"a":{"d":[{"z":1,"y":2},[]],"c":{}},"":0}"#, canonical: #"{"":0,"a":{"c":{},"d":[{"y":2,"z":1},[]]}}"#),
        // Neither spelling of a character is changed.
        Case(text: "[\"e\u{301}\",\"\u{E9}\"]", canonical: "[\"e\u{301}\",\"\u{E9}\"]"),
    ])
    func examples(_ testCase: Case) throws {
        let result = try canonical(testCase.text)
        #expect(Array(result.utf8) == Array(testCase.canonical.utf8), "\(result)")
    }

    struct Number: CustomTestStringConvertible, Sendable {
        var bits: UInt64
        var text: String?
        var testDescription: String { String(bits, radix: 16) }
    }

    // RFC 8785 appendix B
    @Test(arguments: [
        Number(bits: 0x0000_0000_0000_0000, text: "0"),
        Number(bits: 0x8000_0000_0000_0000, text: "0"),
        Number(bits: 0x0000_0000_0000_0001, text: "5e-324"),
        Number(bits: 0x8000_0000_0000_0001, text: "-5e-324"),
        Number(bits: 0x7FEF_FFFF_FFFF_FFFF, text: "1.7976931348623157e+308"),
        Number(bits: 0xFFEF_FFFF_FFFF_FFFF, text: "-1.7976931348623157e+308"),
        Number(bits: 0x4340_0000_0000_0000, text: "9007199254740992"),
        Number(bits: 0xC340_0000_0000_0000, text: "-9007199254740992"),
        Number(bits: 0x4430_0000_0000_0000, text: "295147905179352830000"),
        Number(bits: 0x7FFF_FFFF_FFFF_FFFF, text: nil),
        Number(bits: 0x7FF0_0000_0000_0000, text: nil),
        Number(bits: 0x44B5_2D02_C7E1_4AF5, text: "9.999999999999997e+22"),
        Number(bits: 0x44B5_2D02_C7E1_4AF6, text: "1e+23"),
        Number(bits: 0x44B5_2D02_C7E1_4AF7, text: "1.0000000000000001e+23"),
        Number(bits: 0x444B_1AE4_D6E2_EF4E, text: "999999999999999700000"),
        Number(bits: 0x444B_1AE4_D6E2_EF4F, text: "999999999999999900000"),
        Number(bits: 0x444B_1AE4_D6E2_EF50, text: "1e+21"),
        Number(bits: 0x3EB0_C6F7_A0B5_ED8C, text: "9.999999999999997e-7"),
        Number(bits: 0x3EB0_C6F7_A0B5_ED8D, text: "0.000001"),
        Number(bits: 0x41B3_DE43_5555_5553, text: "333333333.3333332"),
        Number(bits: 0x41B3_DE43_5555_5554, text: "333333333.33333325"),
        Number(bits: 0x41B3_DE43_5555_5555, text: "333333333.3333333"),
        Number(bits: 0x41B3_DE43_5555_5556, text: "333333333.3333334"),
        Number(bits: 0x41B3_DE43_5555_5557, text: "333333333.33333343"),
        Number(bits: 0xBECB_F647_612F_3696, text: "-0.0000033333333333333333"),
        Number(bits: 0x4314_3FF3_C1CB_0959, text: "1424953923781206.2"),
    ])
    func numbers(_ number: Number) {
        #expect(JCS.number(Double(bitPattern: number.bits)) == number.text)
    }

    /// The digest is that of what `String(number)` of an ECMAScript engine (V8) gives for the same doubles.
    @Test func numbersAsAnotherEngineWritesThem() {
        var generator = SplitMix64(state: 2026)
        var lines: [UInt8] = []
        var count = 0
        for index in 0..<10_000 {
            var bits = generator.next()
            if index % 2 == 1 {
                let exponent = 1023 - 80 + (bits >> 52 & 0x7FF) % 160
                bits = bits & ~(0x7FF << 52) | exponent << 52
            }
            guard let text = JCS.number(Double(bitPattern: bits)) else { continue }
            lines.append(contentsOf: (text + "\n").utf8)
            count += 1
        }
        #expect(count == 9999)
        #expect(String(decoding: SHA2.hexadecimal(lines, .sha256), as: UTF8.self) == "be3f45b5ca05892629e1a3dc2d288a35c990a0fb4b3e9a661bcfb7f14f67ca17")
    }

    @Test(arguments: [
        ("[1e400]", JSONError(.numberOutOfRange, at: 1)),
        ("[-1e400]", JSONError(.numberOutOfRange, at: 1)),
        (#"["\ud800"]"#, JSONError(.loneSurrogate, at: 1)),
        (#"{"a":1,"\udc00":1}"#, JSONError(.loneSurrogate, at: 7)),
        (#"{"a":1,"b":2,"\u0061":3}"#, JSONError(.duplicateName, at: 13)),
    ])
    func whatHasNoCanonicalForm(_ text: String, _ error: JSONError) {
        #expect(throws: error) { try canonical(text) }
    }
}
