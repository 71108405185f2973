// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Retention and a clock that leaps: what it erases does not come back.

import Glibc
import HookModel
import Synchronization
import Testing

@testable import HookStore

private let day: Int64 = 86_400

@Suite struct ClockTrustTests {
    private func steady(_ seconds: Int64) -> Duration { .seconds(seconds) }

    @Test func aClockThatGoesAsItShouldIsBelieved() {
        var trust = ClockTrust(last: nil, steady: steady(0))
        for hour in Int64(0)..<100 { #expect(trust.judge(at(hour * 3600), steady: steady(hour * 3600)) == .believed) }
        // Set by less than an hour, in either direction.
        #expect(trust.judge(at(100 * 3600 + 3500), steady: steady(100 * 3600)) == .believed)
        #expect(trust.judge(at(101 * 3600), steady: steady(101 * 3600)) == .believed)
    }

    @Test func aLeapIsBelievedAfterADay() {
        var trust = ClockTrust(last: nil, steady: steady(0))
        #expect(trust.judge(at(0), steady: steady(0)) == .believed)
        let leap = 366 * day
        #expect(trust.judge(at(leap + 60), steady: steady(60)) == .ahead)
        #expect(trust.judge(at(leap + day), steady: steady(day)) == .ahead)
        #expect(trust.judge(at(leap + day + 60), steady: steady(day + 60)) == .believed)
        #expect(trust.judge(at(leap + day + 120), steady: steady(day + 120)) == .believed)
    }

    @Test func aLeapThatIsTakenBackWasNone() {
        var trust = ClockTrust(last: nil, steady: steady(0))
        #expect(trust.judge(at(0), steady: steady(0)) == .believed)
        #expect(trust.judge(at(366 * day), steady: steady(60)) == .ahead)
        #expect(trust.judge(at(120), steady: steady(120)) == .believed)
        // The next one waits for a day of its own.
        #expect(trust.judge(at(366 * day), steady: steady(day)) == .ahead)
        #expect(trust.judge(at(367 * day - 60), steady: steady(2 * day - 60)) == .ahead)
        #expect(trust.judge(at(367 * day), steady: steady(2 * day)) == .believed)
    }

    /// The day counts from when the clock came to be what it is, not from the first doubt.
    @Test func eachLeapHasADayOfItsOwn() {
        var trust = ClockTrust(last: at(400 * day), steady: steady(0))
        #expect(trust.judge(at(0), steady: steady(0)) == .behind)
        #expect(trust.judge(at(day - 3600), steady: steady(day - 3600)) == .behind)
        // A day after the first doubt, and an hour after the leap.
        #expect(trust.judge(at(800 * day), steady: steady(day - 1800)) == .ahead)
        #expect(trust.judge(at(800 * day + 3600), steady: steady(day + 1800)) == .ahead)
        // To yet another time, first seen when the day of the last one is over.
        #expect(trust.judge(at(1200 * day), steady: steady(2 * day)) == .ahead)
        #expect(trust.judge(at(1201 * day - 60), steady: steady(3 * day - 60)) == .ahead)
        #expect(trust.judge(at(1201 * day), steady: steady(3 * day)) == .believed)
    }

    @Test func aNoteOfNobodysTimeIsNone() throws {
        let folder = try TemporaryFolder()
        let note = ClockNote(of: folder.path("store.db"))
        #expect(note.read() == nil)
        note.write(at(5))
        #expect(note.read() == at(5))
        for seconds in [Int.max / 4, -(Int.max / 4)] {
            var times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
            // File systems differ in what they keep of such a time.
            #expect(utimensat(AT_FDCWD, note.path, &times, 0) == 0)
            if let read = note.read() { #expect(abs(read.microseconds) < Int64.max / 4) }
        }
    }

    /// It makes nothing old, and is not taken for the time until it has gone on for a day.
    @Test func aClockThatIsBehindStopsNothing() {
        var trust = ClockTrust(last: at(400 * day), steady: steady(0))
        #expect(trust.judge(at(0), steady: steady(1)) == .behind)
        #expect(trust.judge(at(400 * day + 300), steady: steady(300)) == .believed)
    }

    @Test func aMachineMayHaveBeenOffForAWeek() {
        var short = ClockTrust(last: at(0), steady: steady(5))
        #expect(short.judge(at(7 * day), steady: steady(5)) == .believed)
        var long = ClockTrust(last: at(0), steady: steady(5))
        #expect(long.judge(at(8 * day), steady: steady(5)) == .ahead)
        #expect(long.judge(at(9 * day), steady: steady(5 + day)) == .believed)
    }

    /// The store itself: nothing goes while the clock is doubted, one report says so, and what was believed is known after a
    /// restart.
    @Test func nothingIsErasedByAClockThatLeaps() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let times = Mutex((now: at(10 * day), steady: Int64(0)))
        let passes = Mutex(0)
        let reports = Tally<RetentionReport>()
        let policy = RetentionPolicy(
            ages: .init(messages: .seconds(20), events: .seconds(20)), delivered: nil, dead: nil, duplicates: nil, size: nil)
        func open() throws -> SQLiteStore {
            let store = try SQLiteStore.open(path, as: .owner)
            try store.keep(
                policy,
                now: {
                    passes.withLock { $0 += 1 }
                    return times.withLock { $0.now }
                },
                steady: { .seconds(times.withLock { $0.steady }) },
                report: { reports.add($0) })
            return store
        }
        var store = try open()
        #expect(try await eventually { ClockNote(of: path).read() == at(10 * day) })
        _ = try await store.commit(entry("m", events: ["e"], at: at(10 * day)))
        times.withLock { $0 = (at(400 * day), 60) }
        #expect(try await eventually { reports.all.contains { $0.isClockDoubted } })
        await store.close()
        store = try open()
        #expect(try await eventually { reports.all.count { $0.isClockDoubted } == 2 })
        let seen = passes.withLock { $0 }
        #expect(try await eventually { passes.withLock { $0 } > seen + 1 })
        #expect(reports.all.count == 2 && reports.all.allSatisfy { $0.messages == 0 && $0.events == 0 })
        #expect(try await store.message(ofEvent: "e")?.bytes != nil && ClockNote(of: path).read() == at(10 * day))
        // It has gone on for a day: it was right.
        times.withLock { $0 = (at(401 * day), 60 + day) }
        #expect(try await eventually { reports.all.contains { $0.messages == 1 } })
        #expect(ClockNote(of: path).read() == at(401 * day))
        await store.close()
    }
}
