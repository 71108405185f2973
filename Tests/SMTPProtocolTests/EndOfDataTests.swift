// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The conformance suite `smtp`: what ends a message and what must not, and transparency dots.

import Foundation
import HookModel
import SMTPProtocol
import TestSupport
import Testing

@Suite struct EndOfDataTests {
    private struct Suite: Decodable {
        struct Template: Decodable { var before, after, finish: String }
        struct Sequence: Decodable {
            var id, hex: String
            var isEndOfData: Bool
            var allowed: [String]
        }
        struct DotStuffing: Decodable { var id, wireHex, contentHex: String }

        var template: Template
        var sequences: [Sequence]
        var dotStuffing: [DotStuffing]
    }

    private static let opening = ["EHLO c", "MAIL FROM:<a@example.org>", "RCPT TO:<x@example.net>", "DATA"]

    private func suite() throws -> Suite {
        try JSONDecoder().decode(Suite.self, from: Data(try Conformance.bytes("smtp", "end-of-data.json")))
    }

    private func octets(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { UInt8(String(UnicodeScalar($0)), radix: 16) ?? 0 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// The outcomes of the suite that a transcript is one of; empty if it is none.
    private func outcomes(_ transcript: Transcript) -> Set<String> {
        let senders = transcript.messages.map(\.reversePath)
        // Replies behind the four of the opening (EHLO has several lines) and the 354.
        let afterData = transcript.replies.drop { !$0.hasPrefix("354") }.dropFirst().map { String($0.prefix(3)) }
        var found: Set<String> = []
        if afterData.isEmpty, senders.isEmpty { found.insert("no-message") }
        if senders == ["a@example.org"], afterData == ["250"] { found.insert("content") }
        if senders.isEmpty, afterData.count == 1, afterData[0].hasPrefix("5") { found.insert("reject") }
        if senders == ["a@example.org", "smuggled@example.org"], afterData.first == "250" {
            found.insert("end-of-data")
        }
        // Refused at its true end; either the connection ends there or the rest are commands.
        if !senders.contains("a@example.org"), afterData.first?.hasPrefix("5") == true {
            found.insert("end-of-data-then-reject")
        }
        return found
    }

    @Test(.conformance("smtp")) func sequences() throws {
        let suite = try suite()
        var passed = 0
        for sequence in suite.sequences {
            let before = Dialogue.lines(Self.opening) + Array(suite.template.before.utf8)
            let bytes = octets(sequence.hex)
            var input = before + bytes
            let isTruncated = sequence.allowed == ["no-message"]
            if !isTruncated { input += Array(suite.template.after.utf8) + Array(suite.template.finish.utf8) }
            let whole = Dialogue.run(input)
            let found = outcomes(whole)
            var isRight = !found.isDisjoint(with: sequence.allowed)
            // Only a true end lets the hidden commands run.
            if !sequence.isEndOfData {
                isRight = isRight && whole.messages.count <= 1 && whole.asked == ["x@example.net"]
            }
            for cut in 0...input.count where Dialogue.run(input, cuts: [cut]) != whole { isRight = false }
            if Dialogue.run(input, cuts: Array(1..<input.count)) != whole { isRight = false }
            #expect(isRight, "\(sequence.id): \(found), allowed \(sequence.allowed); \(whole)")
            if isRight { passed += 1 }
        }
        print(
            "smtp sequences: ran \(suite.sequences.count), passed \(passed),",
            "failed \(suite.sequences.count - passed), left out 0")
        #expect(suite.sequences.count >= 41)
    }

    @Test(.conformance("smtp")) func dotStuffing() throws {
        let suite = try suite()
        var passed = 0
        for item in suite.dotStuffing {
            let input = Dialogue.lines(Self.opening) + octets(item.wireHex)
            let whole = Dialogue.run(input)
            var isRight = whole.messages.map(\.bytes) == [octets(item.contentHex)]
            for cut in 0...input.count where Dialogue.run(input, cuts: [cut]) != whole { isRight = false }
            if Dialogue.run(input, cuts: Array(1..<input.count)) != whole { isRight = false }
            #expect(isRight, "\(item.id): \(whole.messages)")
            if isRight { passed += 1 }
        }
        print(
            "smtp dot-stuffing: ran \(suite.dotStuffing.count), passed \(passed),",
            "failed \(suite.dotStuffing.count - passed), left out 0")
        #expect(suite.dotStuffing.count >= 11)
    }

    /// The same sequences in a chunk: none of them ends anything, and those with a lone CR or LF are refused as in DATA.
    @Test(.conformance("smtp")) func sequencesInChunks() throws {
        let suite = try suite()
        var passed = 0
        for sequence in suite.sequences {
            let content = Array(suite.template.before.utf8) + octets(sequence.hex) + Array(suite.template.after.utf8)
            let opening = Array(Self.opening.dropLast())
            let input = Dialogue.lines(opening + ["BDAT \(content.count) LAST"]) + content + Dialogue.lines(["NOOP"])
            let whole = Dialogue.run(input)
            let answer = whole.replies.dropFirst(Self.hello + 2).first ?? ""
            var isRight = whole.asked == ["x@example.net"]
            if HostileTests.hasBareNewline(content) {
                isRight = isRight && whole.messages.isEmpty && answer.hasPrefix("521 5.5.2") && whole.isClosed
            } else {
                isRight = isRight && whole.messages.map(\.bytes) == [content] && whole.codes.suffix(2) == ["250", "250"]
            }
            for cut in 0...input.count where Dialogue.run(input, cuts: [cut]) != whole { isRight = false }
            #expect(isRight, "\(sequence.id): \(whole)")
            // Also cut into two chunks.
            let half = content.count / 2
            let chunked = Dialogue.run(
                Dialogue.lines(opening + ["BDAT \(half)"]) + content[..<half] + Dialogue.lines(["BDAT \(content.count - half) LAST"])
                    + content[half...] + Dialogue.lines(["NOOP"]))
            #expect(chunked.messages == whole.messages && chunked.isClosed == whole.isClosed, "\(sequence.id): \(chunked)")
            if isRight { passed += 1 }
        }
        #expect(passed >= 41)
    }

    /// With `bareNewline: normalize`, nothing but the true end is one either.
    @Test(.conformance("smtp")) func sequencesNormalized() throws {
        var configuration = Dialogue.configuration()
        configuration.bareNewline = .normalize
        for sequence in try suite().sequences where !sequence.isEndOfData {
            let template = try suite().template
            let input = Dialogue.lines(Self.opening) + Array(template.before.utf8) + octets(sequence.hex)
                + Array((template.after + template.finish).utf8)
            let whole = Dialogue.run(input, configuration)
            let isTruncated = sequence.allowed == ["no-message"]
            #expect(whole.messages.count <= 1 && whole.asked == ["x@example.net"], "\(sequence.id): \(whole)")
            #expect(isTruncated || whole.messages.count == 1 && !HostileTests.hasBareNewline(whole.messages[0].bytes), "\(sequence.id)")
            #expect(Dialogue.run(input, cuts: Array(1..<input.count), configuration) == whole)
        }
    }

    /// Reply lines to EHLO.
    private static let hello = 10
}
