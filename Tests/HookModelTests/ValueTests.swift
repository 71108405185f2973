// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The small values: outcomes, timestamps, encodings.

import Foundation
import HookModel
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"), (4_107_542_400_000_001, "2100-03-01T00:00:00.000001Z"),
        (1_795_512_600_000_125, "2026-11-24T09:30:00.000125Z"), (253_402_300_800_000_000, "10000-01-01T00:00:00.000000Z"),
        (.max, "294247-01-10T04:00:54.775807Z"), (.min, "-290308-12-21T19:59:05.224192Z"),
    ])
    func writesRFC3339(microseconds: Int64, expected: String) {
        #expect(Timestamp(microseconds: microseconds).rfc3339 == expected)
    }

    /// Foundation's calendar is the oracle, over four centuries.
    @Test func agreesWithFoundation() {
        let formatter = ISO8601DateFormatter()
        for seconds in stride(from: Int64(-6_000_000_000), to: 6_000_000_000, by: 86_399 * 97) {
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds))).dropLast()
            #expect(Timestamp(seconds: seconds).rfc3339 == "\(expected).000000Z")
        }
    }

    @Test(arguments: [
        ("2026-11-24T09:30:00Z", 1_795_512_600_000_000), ("2026-11-24T10:30:00.000125+01:00", 1_795_512_600_000_125),
        ("2026-11-24t04:00:00.1234567-05:30", 1_795_512_600_123_456), ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
    ])
    func readsRFC3339(text: String, expected: Int64) {
        #expect(Timestamp(rfc3339: text)?.microseconds == expected)
    }

    @Test(arguments: [
        "", "2026-11-24", "2026-11-24T09:30:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-24 09:30:00Z",
        "2026-11-24T24:00:00Z", "2026-11-24T09:30:00.Z", "2026-11-24T09:30:00Zx", "2026-11-24T09:30:00+0100",
    ])
    func refusesOtherTimes(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func measuresDurations() {
        let start = Timestamp(seconds: 10)
        let end = start.advanced(by: .milliseconds(1500))
        #expect(end.microseconds == 11_500_000)
        #expect(end.duration(since: start) == .milliseconds(1500))
        #expect(start < end)
        #expect(Timestamp(microseconds: -1).seconds == -1)
    }
}

@Suite struct OutcomeTests {
    /// Every row of the one table: classes agree, and a temporary failure is temporary on every road.
    @Test(arguments: Outcome.allCases)
    func rowIsConsistent(_ outcome: Outcome) throws {
        let reply = outcome.smtpReply
        let status = try #require(reply.enhancedStatus)
        #expect((200...599).contains(reply.code))
        #expect(status.first == String(reply.code).first)
        #expect(status.split(separator: ".").count == 3)
        #expect(!reply.text.isEmpty && reply.text.utf8.allSatisfy { (32...126).contains($0) })
        #expect(outcome.isPositive == (outcome.exitStatus == 0))
        #expect(outcome.isPositive == (200...299).contains(outcome.httpStatus))
        #expect(reply.isTemporary == (outcome.exitStatus == 75))
        if !outcome.isPositive { #expect([65, 67, 75, 77].contains(outcome.exitStatus)) }
        if reply.isTemporary { #expect([408, 429, 503].contains(outcome.httpStatus)) }
    }

    /// Whatever the order of the recipients: who takes it decides, then who wants it later.
    @Test(arguments: [
        ([.hookPaused, .accepted], .accepted), ([.recipientUnknown, .hookPaused], .hookPaused),
        ([.keyMissing, .jsonInvalid], .keyMissing), ([.duplicate, .storeFull], .accepted), ([], .recipientUnknown),
    ] as [([Outcome], Outcome)])
    func oneAnswerForSeveral(outcomes: [Outcome], expected: Outcome) {
        #expect(Outcome.answer(of: outcomes) == expected)
        if outcomes != [.keyMissing, .jsonInvalid] { #expect(Outcome.answer(of: outcomes.reversed()) == expected) }
    }

    @Test func keyFailuresLookTheSame() {
        #expect(Outcome.keyMissing.smtpReply == Outcome.keyWrong.smtpReply)
    }

    @Test func rawValuesAreSnakeCase() {
        for outcome in Outcome.allCases {
            #expect(outcome.rawValue.allSatisfy { $0.isLowercase || $0 == "_" })
        }
    }
}

@Suite struct Base32Tests {
    /// RFC 4648 section 10, without padding and in lower case.
    @Test(arguments: [
        ("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"),
        ("foobar", "mzxw6ytboi"),
    ])
    func encodes(text: String, expected: String) {
        #expect(Base32.lowerCase(text.utf8) == expected)
    }
}

@Suite struct VerdictTests {
    private func hook(_ answer: Outcome) -> HookVerdict {
        HookVerdict(eventName: "e", recipient: "r", outcome: answer, answer: answer, events: [])
    }

    @Test func oneAcceptingHookAcceptsTheMessage() {
        let verdict = Verdict(contentDigest: [], messageID: nil, hooks: [hook(.jsonInvalid), hook(.accepted)])
        #expect(verdict.answer == .accepted)
    }

    @Test func otherwiseTheFirstAnswerCounts() {
        #expect(Verdict(contentDigest: [], messageID: nil, hooks: [hook(.keyWrong)]).answer == .keyWrong)
        #expect(Verdict(contentDigest: [], messageID: nil, hooks: []).answer == .recipientUnknown)
    }
}
