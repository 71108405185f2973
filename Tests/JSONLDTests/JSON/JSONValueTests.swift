// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What cursors say about values: strings, numbers, members, duplicate names; and the writer.

import JSONLD
import TestSupport
import Testing

@Suite("JSON values")
struct JSONValueTests {
    private func root(_ text: String, duplicateNames: JSONDuplicateNames = .keep) throws -> JSONValue {
        try JSONDocument(Array(text.utf8), duplicateNames: duplicateNames).root
    }

    struct StringCase: CustomTestStringConvertible, Sendable {
        var json: String
        var scalars: [UInt32]
        var isLone = false
        var testDescription: String { json }
    }

    @Test(arguments: [
        StringCase(json: #""""#, scalars: []),
        StringCase(json: #""abc""#, scalars: [0x61, 0x62, 0x63]),
        StringCase(json: #""\"\\\/\b\f\n\r\t""#, scalars: [0x22, 0x5C, 0x2F, 8, 12, 10, 13, 9]),
        StringCase(json: #""\u0041\u00e9\u20AC""#, scalars: [0x41, 0xE9, 0x20AC]),
        StringCase(json: #""\ud83d\ude00x""#, scalars: [0x1F600, 0x78]),
        StringCase(json: #""\ud83dx""#, scalars: [0xFFFD, 0x78], isLone: true),
        StringCase(json: #""\ude00\ud83d""#, scalars: [0xFFFD, 0xFFFD], isLone: true),
        StringCase(json: #""\ud83d\ud83d\ude00""#, scalars: [0xFFFD, 0x1F600], isLone: true),
        StringCase(json: #""\ud83d\\ude00""#, scalars: [0xFFFD] + #"\ude00"#.unicodeScalars.map(\.value), isLone: true),
        StringCase(json: #""\u0000""#, scalars: [0]),
        StringCase(json: #""é\n😀""#, scalars: [0xE9, 10, 0x1F600]),
    ])
    func strings(_ testCase: StringCase) throws {
        let value = try root("[" + testCase.json + "]").elements[0]
        #expect(value.string?.unicodeScalars.map(\.value) == testCase.scalars)
        #expect(value.hasLoneSurrogate == testCase.isLone)
    }

    struct NumberCase: CustomTestStringConvertible, Sendable {
        var text: String
        var double: Double
        var integer: Int?
        var testDescription: String { text }
    }

    @Test(arguments: [
        NumberCase(text: "0", double: 0, integer: 0),
        NumberCase(text: "-0", double: -0.0, integer: 0),
        NumberCase(text: "9223372036854775807", double: 0x1p63, integer: .max),
        NumberCase(text: "-9223372036854775808", double: -0x1p63, integer: .min),
        NumberCase(text: "9223372036854775808", double: 0x1p63, integer: nil),
        NumberCase(text: "1.0", double: 1, integer: nil),
        NumberCase(text: "1e2", double: 100, integer: nil),
        NumberCase(text: "0.1", double: 0.1, integer: nil),
        NumberCase(text: "-123.456", double: -123.456, integer: nil),
        NumberCase(text: "9007199254740993", double: 9_007_199_254_740_992, integer: 9_007_199_254_740_993),
        NumberCase(text: "2.2250738585072011e-308", double: .leastNormalMagnitude.nextDown, integer: nil),
        NumberCase(text: "1.7976931348623157e308", double: .greatestFiniteMagnitude, integer: nil),
        NumberCase(text: "1e400", double: .infinity, integer: nil),
        NumberCase(text: "-1e400", double: -.infinity, integer: nil),
        NumberCase(text: "1e-400", double: 0, integer: nil),
        NumberCase(text: "7205759403792793199999e-5", double: 0x1p56.nextDown, integer: nil),
        NumberCase(text: "0.000000000000000000000000012345", double: 1.2345e-26, integer: nil),
    ])
    func numbers(_ testCase: NumberCase) throws {
        let value = try root("[" + testCase.text + "]").elements[0]
        let number = try #require(value.number)
        #expect(number.text == testCase.text)
        #expect(value.doubleValue?.bitPattern == testCase.double.bitPattern)
        #expect(number.doubleValue.bitPattern == testCase.double.bitPattern)
        #expect(value.integerValue == testCase.integer)
    }

    /// The short way to a double gives what the long one gives.
    @Test func doublesAreTheNearest() throws {
        var generator = SplitMix64(state: 11)
        for _ in 0..<2_000 {
            let whole = UInt64.random(in: 0...UInt64(1) << Int.random(in: 1..<60, using: &generator), using: &generator)
            let fraction = UInt64.random(in: 0..<1_000_000, using: &generator)
            let text = "\(Bool.random(using: &generator) ? "-" : "")\(whole).\(fraction)"
            #expect(try root("[\(text)]").elements[0].doubleValue == Double(text), "\(text)")
        }
    }

    @Test func membersKeepTheirOrder() throws {
        let value = try root(#"{"z":1,"a":{"n":[true,false,null]},"\u0061":2,"z":3}"#)
        #expect(value.members.map(\.name) == ["z", "a", "a", "z"])
        #expect(value["z"]?.integerValue == 1)
        #expect(value["a"]?["n"]?.elements.map(\.kind) == [.true, .false, .null])
        #expect(value["a"]?["n"]?.elements.map(\.booleanValue) == [true, false, nil])
        #expect(value["b"] == nil)
        #expect(value.elements.isEmpty)
        #expect(value.members[1].nameRange == 7..<10)
    }

    /// Names are compared by code points: Swift's strings would take these two for one.
    @Test func namesAreNotNormalized() throws {
        let value = try root("{\"e\u{301}\":1,\"\u{E9}\":2,\"\\u00e9\":3}", duplicateNames: .first)
        #expect(value.members.count == 2)
        #expect(value["\u{E9}"]?.integerValue == 2)
        #expect(value["e\u{301}"]?.integerValue == 1)
    }

    @Test func duplicateNamesByPolicy() throws {
        let text = #"{"a":{"x":1,"x":[{"y":0,"y":1}]},"b":1,"\u0061":{"q":1,"q":2},"b":2,"\ud800":1,"\udc00":2}"#
        #expect(throws: JSONError(.duplicateName, at: 39)) { try root(text, duplicateNames: .reject) }
        let first = try JSONDocument(Array(text.utf8), duplicateNames: .first)
        #expect(try String(decoding: JSONValueTests.flat(first.root), as: UTF8.self) == #"{"a":{"x":1},"b":1,"\ud800":1,"\udc00":2}"#)
        let last = try JSONDocument(Array(text.utf8), duplicateNames: .last)
        #expect(try String(decoding: JSONValueTests.flat(last.root), as: UTF8.self) == #"{"\u0061":{"q":2},"b":2,"\ud800":1,"\udc00":2}"#)
        #expect(last.droppedNames.map { String(decoding: last.bytes[$0], as: UTF8.self) }.contains(#""b""#))
    }

    /// The value written anew from its tokens.
    private static func flat(_ value: JSONValue) throws -> [UInt8] {
        switch value.kind {
        case .object:
            let members = try value.memberCursors.map { try Array($0.name.text) + [0x3A] + flat($0.value) }
            return [0x7B] + Array(members.joined(separator: [0x2C])) + [0x7D]
        case .array: return [0x5B] + Array(try value.elements.map(flat).joined(separator: [0x2C])) + [0x5D]
        case .string, .number, .true, .false, .null: return Array(value.text)
        }
    }

    @Test func lineEndsBetweenTokensBecomeSpaces() {
        #expect(JSONDocument.onOneLine(Array("{\n\"a\":\r\n1}".utf8)[...]) == Array("{ \"a\":  1}".utf8))
    }

    /// They are looked for eight octets at a time: each octet at each place, and beside another line end.
    @Test func onlyLineEndsBecomeSpaces() {
        for length in 1...20 {
            for place in 0..<length {
                for octet in UInt8.min...UInt8.max {
                    var text = Array(repeating: UInt8(0x0B), count: length)
                    text[length - 1] = 0x0A
                    text[place] = octet
                    let expected = text.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
                    guard JSONDocument.onOneLine(text[...]) != expected else { continue }
                    Issue.record("octet \(octet) at \(place) of \(length)")
                }
            }
        }
    }
}

@Suite("JSON writer")
struct JSONWriterTests {
    @Test func everyShape() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("a", "x")
        writer.member("left out", nil)
        writer.name("b")
        writer.beginArray()
        writer.integer(-1)
        writer.boolean(true)
        writer.null()
        writer.raw("1.50".utf8)
        writer.beginObject()
        writer.endObject()
        writer.endArray()
        writer.name("c")
        writer.string("")
        writer.endObject()
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #"{"a":"x","b":[-1,true,null,1.50,{}],"c":""}"#)
    }

    /// What the writer writes reads back the same, wherever in the words the escapes fall.
    @Test func stringsReadBack() throws {
        for scalar in (0...0x100).map({ UInt32($0) }) + [0x2028, 0xFFFF, 0x1F600] {
            guard let scalar = Unicode.Scalar(scalar) else { continue }
            for length in 0..<18 {
                let text = String(repeating: "é", count: length / 3) + String(repeating: "a", count: length) + String(scalar) + "\"\\"
                var writer = JSONWriter()
                writer.string(text)
                let value = try JSONDocument(writer.bytes).root
                #expect(value.string?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
            }
        }
    }

    @Test func controlsHaveTheirShortEscapes() {
        var writer = JSONWriter()
        writer.string("\u{0}\u{1}\u{8}\t\n\u{B}\u{C}\r\u{1F}\u{7F}\"\\/")
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #""\u0000\u0001\b\t\n\u000b\f\r\u001f"# + "\u{7F}" + #"\"\\/""#)
    }
}
