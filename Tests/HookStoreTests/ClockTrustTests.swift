// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Retention and a clock that leaps: what it erases does not come back.

import HookModel
import Synchronization
import Testing

@testable import HookStore

private let day: Int64 = 86_400

@Suite struct ClockTrustTests {
    private func steady(_ seconds: Int64) -> Duration { .seconds(seconds) }

    @Test func aClockThatGoesAsItShouldIsBelieved() {
        var trust = ClockTrust(last: nil, steady: steady(0))
        for hour in Int64(0)..<100 { #expect(trust.believes(at(hour * 3600), steady: steady(hour * 3600)) == true) }
        // Set by less than an hour, in either direction.
        #expect(trust.believes(at(100 * 3600 + 3500), steady: steady(100 * 3600)) == true)
        #expect(trust.believes(at(101 * 3600), steady: steady(101 * 3600)) == true)
        #expect(!trust.isDoubted)
    }

    @Test func aLeapIsBelievedAfterADay() {
        var trust = ClockTrust(last: nil, steady: steady(0))
        #expect(trust.believes(at(0), steady: steady(0)) == true)
        let leap = 366 * day
        #expect(trust.believes(at(leap + 60), steady: steady(60)) == false)
        #expect(trust.believes(at(leap + day), steady: steady(day)) == false)
        #expect(trust.isDoubted)
        #expect(trust.believes(at(leap + day + 60), steady: steady(day + 60)) == true)
        #expect(!trust.isDoubted)
        #expect(trust.believes(at(leap + day + 120), steady: steady(day + 120)) == true)
    }

    @Test func aLeapThatIsTakenBackWasNone() {
        var trust = ClockTrust(last: nil, steady: steady(0))
        #expect(trust.believes(at(0), steady: steady(0)) == true)
        #expect(trust.believes(at(366 * day), steady: steady(60)) == false)
        #expect(trust.believes(at(120), steady: steady(120)) == true)
        #expect(!trust.isDoubted)
        // The next one waits for a day of its own.
        #expect(trust.believes(at(366 * day), steady: steady(day)) == false)
        #expect(trust.believes(at(367 * day - 60), steady: steady(2 * day - 60)) == false)
        #expect(trust.believes(at(367 * day), steady: steady(2 * day)) == true)
    }

    /// It makes nothing old, and is not taken for the time until it has gone on for a day.
    @Test func aClockThatIsBehindStopsNothing() {
        var trust = ClockTrust(last: at(400 * day), steady: steady(0))
        #expect(trust.believes(at(0), steady: steady(1)) == true)
        #expect(trust.isDoubted)
        #expect(trust.believes(at(400 * day + 300), steady: steady(300)) == true)
        #expect(!trust.isDoubted)
    }

    @Test func aMachineMayHaveBeenOffForAWeek() {
        var short = ClockTrust(last: at(0), steady: steady(5))
        #expect(short.believes(at(7 * day), steady: steady(5)) == true)
        var long = ClockTrust(last: at(0), steady: steady(5))
        #expect(long.believes(at(8 * day), steady: steady(5)) == false)
        #expect(long.believes(at(9 * day), steady: steady(5 + day)) == true)
    }

    /// The store itself: nothing goes while the clock is doubted, one report says so, and what was believed is known after a
    /// restart.
    @Test func nothingIsErasedByAClockThatLeaps() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let times = Mutex((now: at(10 * day), steady: Int64(0)))
        let reports = Tally<RetentionReport>()
        let policy = RetentionPolicy(
            ages: .init(messages: .seconds(20), events: .seconds(20)), delivered: nil, dead: nil, duplicates: nil, size: nil)
        func open() throws -> SQLiteStore {
            let store = try SQLiteStore.open(path, as: .owner)
            try store.keep(
                policy, now: { times.withLock { $0.now } }, steady: { .seconds(times.withLock { $0.steady }) },
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
        try await Task.sleep(for: .milliseconds(2500))
        #expect(reports.all.count == 2 && reports.all.allSatisfy { $0.messages == 0 && $0.events == 0 })
        #expect(try await store.message(ofEvent: "e")?.bytes != nil && ClockNote(of: path).read() == at(10 * day))
        // It has gone on for a day: it was right.
        times.withLock { $0 = (at(401 * day), 60 + day) }
        #expect(try await eventually { reports.all.contains { $0.messages == 1 } })
        #expect(ClockNote(of: path).read() == at(401 * day))
        await store.close()
    }
}
