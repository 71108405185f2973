// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The framing between `mailhookd receive` and the daemon.

import HookModel
import TestSupport
import Testing

@testable import HookIntake

@Suite struct PipeRequestTests {
    private let request = PipeRequest(
        message: Array("Subject: x\n\na\rb\n.\n".utf8) + [0, 0xFF], sender: "", recipients: ["a@b.example", "ü@b.example"])

    private func decode(_ bytes: [UInt8]) -> PipeRequest? {
        var rest = bytes[...]
        guard let content = Netstring.take(from: &rest), rest.isEmpty else { return nil }
        return PipeRequest(content: content)
    }

    @Test func roundTrip() { #expect(decode(request.encoded) == request) }

    @Test func noTruncationIsTaken() {
        let bytes = request.encoded
        for count in 0..<bytes.count { #expect(decode(Array(bytes[..<count])) == nil) }
    }

    /// Any octet changed: a request of other content or none, never a crash.
    @Test func mutations() {
        var generator = SplitMix64(state: 7)
        let bytes = request.encoded
        var taken = 0
        for _ in 0..<20_000 {
            var changed = bytes
            for _ in 0...Int(generator.next() % 3) {
                changed[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            if decode(changed) != nil { taken += 1 }
        }
        #expect(taken > 0 && taken < 20_000)
    }

    @Test(arguments: [
        ("0:", Netstring.Length.known(0, start: 2)), ("12:", .known(12, start: 3)), ("", .needsMore), ("12", .needsMore),
        (":", .malformed), ("01:", .malformed), ("x:", .malformed), ("-1:", .malformed), ("1234567890:", .malformed),
        ("123456789:", .known(123_456_789, start: 10)),
    ])
    func lengths(text: String, expected: Netstring.Length) { #expect(Netstring.length(Array(text.utf8)) == expected) }

    @Test func withoutRecipientsThereIsNoRequest() {
        #expect(decode(PipeRequest(message: [1], sender: "a@b", recipients: []).encoded) == nil)
    }

    @Test(arguments: Outcome.allCases)
    func answersRoundTrip(outcome: Outcome) throws {
        let answer = PipeAnswer(outcome: outcome, detail: "msg_1 and more")
        #expect(PipeAnswer(answer.encoded) == answer)
        let letter = try #require(answer.encoded.drop { $0 != UInt8(ascii: ":") }.dropFirst().first)
        #expect(letter == UInt8(ascii: outcome.isPositive ? "K" : outcome.exitStatus == 75 ? "Z" : "D"))
    }

    @Test(arguments: [("Ksomething_new x", Outcome.accepted), ("Zsomething_new", .storeFailed), ("Dsomething_new ", .limitExceeded)])
    func answersOfAnotherVersion(text: String, expected: Outcome) {
        #expect(PipeAnswer(Netstring.encoded(Array(text.utf8)))?.outcome == expected)
    }

    @Test(arguments: ["", "3:", "0:,", "1:x,", "2:Kx"])
    func noAnswers(text: String) { #expect(PipeAnswer(Array(text.utf8)) == nil) }
}
