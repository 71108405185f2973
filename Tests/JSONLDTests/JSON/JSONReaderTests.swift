// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The JSON reader on its own texts: errors and their places, both readers against a plain one,
// and texts made to cost time, memory or a stack.

import TestSupport
import Testing

@testable import JSONLD

/// What the two readers make of a text.
private func fastTape(_ bytes: [UInt8], depth: Int = 128) -> [UInt64]? {
    let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    return bytes.withUnsafeBufferPointer { JSONFastReader.tape($0, in: start..<bytes.count, depth: depth)?.map(\.bits) }
}

private func exactTape(_ bytes: [UInt8], depth: Int = 128) -> [UInt64]? {
    bytes.withUnsafeBufferPointer {
        try? JSONReader.readExactly($0, in: 0..<bytes.count, limits: JSONLimits(depth: depth)).map(\.bits)
    }
}

private func isContainer(_ bytes: [UInt8]) -> Bool {
    let first = (bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...])
        .first { ![0x20, 0x0A, 0x0D, 0x09].contains($0) }
    return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
}

/// Both readers, the validator and the plain one agree.
private func check(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
    let isJSON = JSONReference.accepts(bytes)
    let exact = exactTape(bytes)
    let text = { "\(String(decoding: bytes, as: UTF8.self)) = \(bytes)" }
    #expect((exact != nil) == isJSON, "exact reader: \(text())", sourceLocation: sourceLocation)
    let expected = isContainer(bytes) ? exact : nil
    #expect(fastTape(bytes) == expected, "fast reader: \(text())", sourceLocation: sourceLocation)
    let outline = bytes.withUnsafeBufferPointer { try? JSONValidator.check($0) }
    #expect((outline != nil) == isJSON, "validator: \(text())", sourceLocation: sourceLocation)
    if let outline, let root = try? JSONDocument(bytes).root {
        #expect(outline == JSONOutline(kind: root.kind, range: root.range), sourceLocation: sourceLocation)
    }
}

@Suite("JSON reader")
struct JSONReaderTests {
    struct Failure: CustomTestStringConvertible, Sendable {
        var text: String
        var code: JSONError.Code
        var offset: Int
        var testDescription: String { text }
    }

    @Test(arguments: [
        Failure(text: "", code: .unexpectedEnd, offset: 0),
        Failure(text: "  ", code: .unexpectedEnd, offset: 2),
        Failure(text: "{", code: .unexpectedEnd, offset: 1),
        Failure(text: "[1,", code: .unexpectedEnd, offset: 3),
        Failure(text: "[1,]", code: .unexpectedCharacter, offset: 3),
        Failure(text: "{\"a\":1,}", code: .unexpectedCharacter, offset: 7),
        Failure(text: "{\"a\" 1}", code: .unexpectedCharacter, offset: 5),
        Failure(text: "{a:1}", code: .unexpectedCharacter, offset: 1),
        Failure(text: "[1 2]", code: .unexpectedCharacter, offset: 3),
        Failure(text: "[1}", code: .unexpectedCharacter, offset: 2),
        Failure(text: "{} {}", code: .trailingContent, offset: 3),
        Failure(text: "[tru]", code: .unexpectedCharacter, offset: 4),
        Failure(text: "[\"a\u{1}\"]", code: .controlCharacter, offset: 3),
        Failure(text: "[\"\\x\"]", code: .invalidEscape, offset: 3),
        Failure(text: "[\"\\u12g4\"]", code: .invalidEscape, offset: 6),
        Failure(text: "[-]", code: .invalidNumber, offset: 2),
        Failure(text: "[1.]", code: .invalidNumber, offset: 3),
        Failure(text: "[1e]", code: .invalidNumber, offset: 3),
        Failure(text: "[01]", code: .unexpectedCharacter, offset: 2),
        Failure(text: "[\"abc", code: .unexpectedEnd, offset: 5),
        Failure(text: "\u{FEFF}[1", code: .unexpectedEnd, offset: 5),
    ])
    func errorsHaveTheirPlace(_ failure: Failure) {
        let error = #expect(throws: JSONError.self) { try JSONDocument(Array(failure.text.utf8)) }
        #expect(error == JSONError(failure.code, at: failure.offset))
    }

    @Test func positionsCountCharacters() {
        let bytes = Array("{\n \"é€\": x}".utf8)
        let error = #expect(throws: JSONError.self) { try JSONDocument(bytes) }
        #expect(error?.position(in: bytes).line == 2)
        #expect(error?.position(in: bytes).column == 8)
    }

    @Test func aPartOfABufferIsReadInPlace() throws {
        let bytes = Array("<script>{\"a\": [1, \"\\n\"]} </script>".utf8)
        let document = try JSONDocument(bytes, in: 8..<25)
        #expect(document.root.range == 8..<24)
        #expect(document.root["a"]?.elements[1].string == "\n")
        let error = #expect(throws: JSONError.self) { try JSONDocument(bytes, in: 8..<23) }
        #expect(error == JSONError(.unexpectedEnd, at: 23))
    }

    /// Every beginning of a text, with the place where blocks end moved through it.
    @Test func everyTruncation() {
        let text =
            "[{\"@type\":\"Order\",\"n\":[-12.5e+3, 0.25,1234567890123456789, true,false,null],\"\\\"\\\\\":\"\\ud83d\\ude00é\\\\\"},"
            + " [ [ ] , { } ], 17, \"[]{}:,\" ]\n"
        for shift in [0, 1, 7, 30, 53, 62, 63] {
            let bytes = Array((String(repeating: " ", count: shift) + text).utf8)
            for end in 0...bytes.count { check(Array(bytes[..<end])) }
        }
    }

    @Test(arguments: [1, 2, 3, 4])
    func randomTexts(_ seed: UInt64) {
        var texts = JSONTexts(seed: seed)
        for _ in 0..<350 {
            let text = texts.valid()
            check(Array(text.utf8))
            for _ in 0..<3 { check(texts.mutated(text)) }
        }
    }

    /// Longer than a chunk, so that entries are carried over; strings and runs of solidi across block borders.
    @Test func longTexts() {
        var texts = JSONTexts(seed: 99)
        for length in [60, 200, 700] {
            let elements = (0..<length).map { _ in texts.valid(depth: 2) }
            let text = "[" + elements.joined(separator: ",") + "]"
            check(Array(text.utf8))
            for _ in 0..<4 { check(texts.mutated(text)) }
        }
        for length in [4_000, 4_095, 4_096, 4_097, 9_000] {
            check(Array(("[\"" + String(repeating: "x", count: length) + "\\n\",\"y\",1]").utf8))
            check(Array(("[\"" + String(repeating: "\\", count: length) + "\"]").utf8))
            check(Array(("[\"" + String(repeating: "é", count: length) + "\"]").utf8))
            check(Array(("[" + String(repeating: "1,", count: length) + "1]").utf8))
            check(Array(("[" + String(repeating: "[],", count: length) + "{}]").utf8))
            check(Array((String(repeating: " ", count: length) + "[1]" + String(repeating: "\n", count: length)).utf8))
            check(Array((String(repeating: " ", count: length) + "[1]" + String(repeating: "\n", count: length) + "1").utf8))
            check(Array(("\"" + String(repeating: "\\n", count: length) + "\"").utf8))
        }
    }

    /// Every octet alone in the places where one may stand.
    @Test func everyOctetEverywhere() {
        for octet in UInt8.min...UInt8.max {
            for (before, after) in [("", ""), ("[", "]"), ("[\"", "\"]"), ("[\"\\", "\"]"), ("[1", "]"), ("[1,", "2]"), ("{\"a\"", "1}")] {
                check(Array(before.utf8) + [octet] + Array(after.utf8))
                check(Array((String(repeating: " ", count: 60) + before).utf8) + [octet] + Array(after.utf8))
            }
        }
    }

    /// Sequences of every length, whole, cut and with each second octet wrong, at each place of a block.
    @Test func sequencesAcrossBlocks() {
        let sequences: [[UInt8]] = [
            [0xC3, 0xA9], [0xC2, 0x80], [0xC1, 0xBF], [0xE0, 0xA0, 0x80], [0xE0, 0x9F, 0xBF], [0xED, 0x9F, 0xBF], [0xED, 0xA0, 0x80],
            [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0x80], [0xC3, 0xC3, 0xA9], [0xFF],
        ]
        for sequence in sequences {
            for shift in [0, 1, 57, 58, 59, 60, 61, 62, 63, 64] {
                let padding = [UInt8](repeating: 0x78, count: shift)
                check([0x5B, 0x22] + padding + sequence + [0x22, 0x5D])
                check([0x5B, 0x22] + padding + sequence)
            }
        }
    }

    @Test func bothBlockReadersSayTheSame() {
        var generator = SplitMix64(state: 5)
        for round in 0..<150 {
            // All octets, then any, then rarely one that is not a letter.
            let block = (0..<64).map { index in
                let octet = UInt8.random(in: 0...255, using: &generator)
                return round < 4 ? UInt8(round * 64 + index) : round < 50 || Int.random(in: 0..<64, using: &generator) == 0 ? octet : 0x61
            }
            block.withUnsafeBytes { octets in
                guard let base = octets.baseAddress else { return }
                let vectors = JSONBlock(base)
                let words = JSONBlockInWords.block(base)
                #expect(vectors.quotationMarks == words.quotationMarks)
                #expect(vectors.operators == words.operators)
                #expect(vectors.blanks == words.blanks)
                #expect(vectors.hasSpecials == words.hasSpecials)
                #expect(JSONBlock.bits(of: 0x5C, in: base) == JSONBlockInWords.bits(of: 0x5C, in: base))
                #expect(JSONBlock.beyondASCII(in: base) == JSONBlockInWords.beyondASCII(in: base))
                for value in [UInt8](0x80...0xFF) {
                    #expect(JSONBlock.bits(from: value, in: base) == JSONBlockInWords.bits(from: value, in: base))
                }
                #expect(JSONBlock.hasForbiddenControl(in: base) == JSONBlockInWords.hasForbiddenControl(in: base))
                #expect(JSONBlock.isMoreThanWhite(base) == JSONBlockInWords.isMoreThanWhite(base))
                #expect(JSONBlock.points(in: base) == JSONBlockInWords.points(in: base))
                #expect(JSONBlock.digits(in: base) == JSONBlockInWords.digits(in: base))
            }
        }
    }
}

@Suite("JSON traps")
struct JSONTrapTests {
    @Test func deepNestingCostsNoStack() throws {
        let depth = 1_000_000
        let bytes = [UInt8](repeating: UInt8(ascii: "["), count: depth) + [UInt8](repeating: UInt8(ascii: "]"), count: depth)
        let error = #expect(throws: JSONError.self) { try JSONDocument(bytes) }
        #expect(error == JSONError(.tooDeep, at: 128))
        let document = try JSONDocument(bytes, limits: JSONLimits(depth: depth))
        #expect(document.root.range == 0..<(2 * depth))
        #expect(try JCS.canonicalize(document.root).count == 2 * depth)
        let outline = try bytes.withUnsafeBufferPointer { buffer throws(JSONError) in
            try JSONValidator.check(buffer, limits: JSONLimits(depth: depth))
        }
        #expect(outline.range == 0..<(2 * depth))
        #expect(throws: JSONError(.unexpectedEnd, at: depth)) {
            try JSONDocument(Array(bytes[..<depth]), limits: JSONLimits(depth: depth))
        }
    }

    @Test func hugeNumbersStayText() throws {
        let digits = String(repeating: "9", count: 100_000)
        let root = try JSONDocument(Array("[\(digits), 0.\(digits), 1e\(digits), -1e-\(digits)]".utf8)).root
        #expect(root.elements.map { $0.range.count } == [100_000, 100_002, 100_002, 100_004])
        #expect(root.elements.map { $0.doubleValue } == [.infinity, 1, .infinity, -0.0])
        #expect(root.elements[0].integerValue == nil)
    }

    @Test(arguments: [JSONDuplicateNames.reject, .first, .last])
    func manyNamesAreComparedInTime(_ policy: JSONDuplicateNames) throws {
        // Long common beginnings, and only the last name stands twice.
        let names = (0..<20_000).map { "\"urn:example:a-long-common-prefix:\($0)\":\($0)" } + ["\"urn:example:a-long-common-prefix:7\":-1"]
        let bytes = Array(("{" + names.joined(separator: ",") + "}").utf8)
        let clock = ContinuousClock()
        let start = clock.now
        if policy == .reject {
            let error = #expect(throws: JSONError.self) { try JSONDocument(bytes, duplicateNames: policy) }
            #expect(error?.code == .duplicateName)
            #expect(error?.offset == bytes.count - "\"urn:example:a-long-common-prefix:7\":-1}".utf8.count)
        } else {
            let document = try JSONDocument(bytes, duplicateNames: policy)
            #expect(document.droppedNames.count == 1)
            #expect(document.root.members.count == 20_000)
            #expect(document.root["urn:example:a-long-common-prefix:7"]?.integerValue == (policy == .first ? 7 : -1))
        }
        // Comparing each name with each other takes more than ten times as long, even without optimization.
        #expect(clock.now - start < .seconds(10))
    }
}
