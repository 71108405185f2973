// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Retry schedules with their jitter, and what Retry-After may ask for.

import HookModel
import TestSupport
import Testing

@testable import HookDelivery

@Suite struct RetryScheduleTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    @Test func withoutJitterTheDelaysAreTheSchedule() {
        let schedule = RetrySchedule(delays: [.seconds(5), .seconds(60)], jitter: 0)
        var generator = SplitMix64(state: 1)
        #expect(schedule.next(afterAttempt: 1, now: now, using: &generator) == .retry(at: now.advanced(by: .seconds(5))))
        #expect(schedule.next(afterAttempt: 2, now: now, using: &generator) == .retry(at: now.advanced(by: .seconds(60))))
        #expect(schedule.next(afterAttempt: 3, now: now, using: &generator) == .exhausted)
    }

    @Test func jitterStaysInItsBoundsAndSpreads() {
        let schedule = RetrySchedule(delays: [.seconds(100)], jitter: 0.2)
        var generator = SplitMix64(state: 7)
        var waits: Set<Int64> = []
        for _ in 0..<500 {
            guard case .retry(let due) = schedule.next(afterAttempt: 1, now: now, using: &generator) else {
                Issue.record("a first failure is retried")
                return
            }
            let wait = due.duration(since: now)
            #expect(wait >= .seconds(80) && wait <= .seconds(120))
            waits.insert(due.microseconds)
        }
        #expect(waits.count > 400)
    }

    @Test func theMaximumHoldsAfterTheJitter() {
        let schedule = RetrySchedule(delays: [.seconds(100)], jitter: 1, maximumDelay: .seconds(110))
        var generator = SplitMix64(state: 3)
        for _ in 0..<200 {
            guard case .retry(let due) = schedule.next(afterAttempt: 1, now: now, using: &generator) else { return }
            #expect(due.duration(since: now) <= .seconds(110))
        }
    }

    @Test func retryAfterMakesLaterButNeverEarlier() {
        let schedule = RetrySchedule(delays: [.seconds(100)], jitter: 0, maximumDelay: .seconds(1000))
        var generator = SplitMix64(state: 3)
        func due(_ asked: Duration) -> RetrySchedule.Next {
            schedule.next(afterAttempt: 1, retryAfter: asked, now: now, using: &generator)
        }
        #expect(due(.seconds(1)) == .retry(at: now.advanced(by: .seconds(100))))
        #expect(due(.seconds(300)) == .retry(at: now.advanced(by: .seconds(300))))
        #expect(due(.seconds(1_000_000)) == .retry(at: now.advanced(by: .seconds(1000))))
        #expect(due(.seconds(-5)) == .retry(at: now.advanced(by: .seconds(100))))
    }

    @Test func theStandardScheduleLastsThreeDays() {
        #expect(RetrySchedule.standardDelays.reduce(.zero, +) > .seconds(3 * 86_400))
        #expect(RetrySchedule().delays.count == 9)
    }
}

@Suite struct RetryAfterTests {
    /// 1994-11-06T08:49:00Z
    private let now = Timestamp(seconds: 784_111_740)

    @Test(arguments: [
        ("120", 120), (" 0 ", 0), ("99999999999999999999", 366 * 86_400),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37), ("Sunday, 06-Nov-94 08:49:37 GMT", 37), ("Sun Nov  6 08:49:37 1994", 37),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0), ("Sat, 06 Nov 2094 08:49:37 GMT", 366 * 86_400),
        ("soon", nil), ("", nil), ("-1", nil), ("1.5", nil), ("Sun, 32 Nov 1994 08:49:37 GMT", nil),
        ("Sun, 06 Nov 1994 25:49:37 GMT", nil), ("Sun, 06 Nov 1994 08:49:37 CET", nil), ("a b c d e f", nil),
    ] as [(String, Int?)])
    func delay(value: String, seconds: Int?) {
        #expect(RetryAfter.delay(value, now: now) == seconds.map { .seconds($0) })
    }
}

@Suite struct AnswerTests {
    private let now = Timestamp(seconds: 784_111_740)

    @Test(arguments: [200, 201, 202, 204, 226, 299]) func anyTwoHundredIsSuccess(status: Int) {
        #expect(WebhookResponse.verdict(status: status, retryAfter: nil, now: now) == .delivered)
    }

    @Test(arguments: [301, 302, 307, 400, 401, 403, 404, 422, 500, 501, 599]) func othersAreRetried(status: Int) {
        #expect(WebhookResponse.verdict(status: status, retryAfter: "9", now: now) == .retry(reason: "http_\(status)"))
    }

    @Test(arguments: [429, 502, 503, 504]) func retryAfterIsHeard(status: Int) {
        #expect(
            WebhookResponse.verdict(status: status, retryAfter: "9", now: now)
                == .retry(reason: "http_\(status)", after: .seconds(9)))
    }

    @Test func goneIsFinal() {
        #expect(WebhookResponse.verdict(status: 410, retryAfter: nil, now: now) == .gone(reason: "http_410"))
    }

    @Test(arguments: [
        (ProgramEnd.exited(0), DeliveryVerdict.delivered), (.exited(75), .retry(reason: "exit_75")),
        (.exited(1), .retry(reason: "exit_1")), (.exited(65), .dead(reason: "exit_65")),
        (.exited(77), .dead(reason: "exit_77")), (.exited(69), .retry(reason: "exit_69")),
        (.signalled(9), .retry(reason: "signal_9")), (.timedOut, .retry(reason: "timeout")), (.interrupted, .interrupted),
        (.notStarted(2), .retry(reason: "exec_not_found")), (.notStarted(13), .retry(reason: "exec_not_executable")),
    ])
    func programEnds(end: ProgramEnd, verdict: DeliveryVerdict) { #expect(end.verdict == verdict) }

    @Test func waitStatusIsRead() {
        #expect(ProgramEnd(waitStatus: 75 << 8) == .exited(75))
        #expect(ProgramEnd(waitStatus: 9) == .signalled(9))
        #expect(ProgramEnd(waitStatus: 0x8B) == .signalled(11))
    }
}
