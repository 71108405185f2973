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
        #expect(trust.judge(at(3599), steady: steady(3599)) == .behind)
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
        let note = try note(in: folder)
        #expect(note.read() == nil && note.readDoubt() == nil)
        note.write(at(5))
        #expect(note.read() == at(5) && note.readDoubt() == nil)
        for passed in [Int64(0), 7200, 60] {
            let doubt = ClockTrust.Doubt(time: at(9 * day + passed), passed: .seconds(passed))
            note.write(doubt)
            #expect(note.readDoubt() == doubt && note.read() == at(5))
        }
        note.write(nil)
        #expect(note.readDoubt() == nil && access(note.doubtPath, F_OK) != 0)
        for seconds in [Int.max / 4, -(Int.max / 4)] {
            var times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
            // File systems differ in what they keep of such a time.
            #expect(utimensat(AT_FDCWD, note.path, &times, 0) == 0)
            if let read = note.read() { #expect(abs(read.microseconds) < Int64.max / 4) }
        }
    }

    private func note(in folder: TemporaryFolder) throws -> ClockNote {
        let database = folder.path("store.db")
        let descriptor = creat(database, 0o600)
        #expect(descriptor >= 0 && close(descriptor) == 0)
        return ClockNote(of: database)
    }

    @Test func onlyAFileOfTheStoresOwnIsANote() throws {
        let folder = try TemporaryFolder()
        let note = try note(in: folder)
        for path in [note.path, note.doubtPath] {
            #expect(mkdir(path, 0o700) == 0)
            #expect(note.read() == nil && note.readDoubt() == nil)
            #expect(note.hasDoubt == (path == note.doubtPath))
            #expect(rmdir(path) == 0)
        }
        #expect(mkdir(note.doubtPath, 0o700) == 0)
        note.write(ClockTrust.Doubt(time: at(5), passed: .seconds(1)))
        #expect(note.readDoubt()?.passed == .seconds(1))
        note.write(nil)
        #expect(!note.hasDoubt)
        // A link is neither read nor followed.
        let other = folder.path("other")
        #expect(close(creat(other, 0o600)) == 0)
        var times = [timespec(tv_sec: 77, tv_nsec: 0), timespec(tv_sec: 77, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, other, &times, 0) == 0)
        #expect(symlink(other, note.path) == 0)
        #expect(note.read() == nil)
        note.write(at(5))
        var status = stat()
        #expect(note.read() == at(5) && stat(other, &status) == 0 && status.st_mtim.tv_sec == 77)
        // Only root can give a file away.
        guard geteuid() == 0 else { return }
        #expect(chown(note.path, 65534, 65534) == 0)
        #expect(note.read() == nil)
        note.write(at(6))
        #expect(note.read() == at(6))
    }

    // MARK: - Doubts that outlive a run

    /// Off for ten days, and from then on used for nine hours a day: each time the steady clock begins anew.
    @Test func theDayMayBeThatOfSeveralRuns() throws {
        var doubt: ClockTrust.Doubt?
        for run in Int64(0)..<3 {
            var trust = ClockTrust(last: at(0), steady: .zero)
            let begin = (10 + run) * day
            if let doubt { trust.resume(doubt, now: at(begin), steady: .zero) }
            for hour in Int64(0)...9 {
                let verdict = trust.judge(at(begin + hour * 3600), steady: steady(hour * 3600))
                #expect(verdict == (run * 9 + hour < 24 ? .ahead : .believed), "run \(run), hour \(hour)")
                doubt = trust.doubt(at(begin + hour * 3600), steady: steady(hour * 3600))
                #expect(doubt?.passed == (run * 9 + hour < 24 ? steady((run * 9 + hour) * 3600) : nil))
            }
        }
        #expect(doubt == nil)
    }

    /// A leap of three days is doubted by who saw it. A start allows for a week; but not where it was seen before.
    @Test func aRestartEndsNoDoubt() throws {
        var trust = ClockTrust(last: at(0), steady: .zero)
        #expect(trust.judge(at(0), steady: .zero) == .believed)
        #expect(trust.judge(at(3 * day), steady: steady(60)) == .ahead)
        let doubt = try #require(trust.doubt(at(3 * day), steady: steady(60)))
        var next = ClockTrust(last: at(0), steady: .zero)
        next.resume(doubt, now: at(3 * day + 60), steady: .zero)
        #expect(next.judge(at(3 * day + 60), steady: .zero) == .ahead)
        #expect(next.judge(at(4 * day + 60), steady: steady(day)) == .believed)
        // It was set right while nothing ran.
        var right = ClockTrust(last: at(0), steady: .zero)
        right.resume(doubt, now: at(1800), steady: .zero)
        #expect(right.judge(at(1800), steady: .zero) == .believed)
        // It was set, to which time nobody knows, or nobody can read what the doubt was.
        for unclear in [doubt, nil] {
            var other = ClockTrust(last: at(0), steady: .zero)
            other.resume(unclear, now: at(2 * day), steady: .zero)
            #expect(other.judge(at(2 * day), steady: .zero) == .ahead)
            #expect(other.judge(at(3 * day - 60), steady: steady(day - 60)) == .ahead)
            #expect(other.judge(at(3 * day), steady: steady(day)) == .believed)
        }
    }

    /// A clock that starts 400 days ahead each time, and is set right soon: a time that was believed wrongly once makes no
    /// other wrong time right.
    @Test func aWrongTimeThatWasBelievedOnceDoesNoHarm() throws {
        var trust = ClockTrust(last: at(400 * day), steady: .zero)
        #expect(trust.judge(at(0), steady: .zero) == .behind)
        #expect(trust.judge(at(300 * day), steady: steady(60)) == .ahead)
        var next = ClockTrust(last: try #require(trust.last), steady: .zero)
        next.resume(try #require(trust.doubt(at(300 * day), steady: steady(60))), now: at(300 * day + 60), steady: .zero)
        #expect(next.judge(at(300 * day + 60), steady: .zero) == .ahead)
        #expect(next.judge(at(400 * day), steady: steady(120)) == .ahead)
        #expect(next.judge(at(180), steady: steady(180)) == .believed)
        // What goes on for an hour is what the next run goes by.
        var settled = ClockTrust(last: at(400 * day), steady: .zero)
        #expect(settled.judge(at(0), steady: .zero) == .behind)
        #expect(settled.judge(at(3600), steady: steady(3600)) == .believed)
        var later = ClockTrust(last: try #require(settled.last), steady: .zero)
        #expect(later.judge(at(400 * day), steady: .zero) == .ahead)
    }

    @Test(arguments: [
        ClockTrust.Doubt(time: at(30 * day), passed: .seconds(-1)), ClockTrust.Doubt(time: at(30 * day), passed: .seconds(day)),
        ClockTrust.Doubt(time: at(30 * day), passed: .seconds(Int64.max)), ClockTrust.Doubt(time: at(22 * day), passed: .seconds(day - 1)),
        ClockTrust.Doubt(time: at(31 * day), passed: .seconds(day - 1)), ClockTrust.Doubt(time: at(-9 * day), passed: .seconds(day - 1)),
    ])
    func aDoubtThatMakesNoSenseIsNone(_ doubt: ClockTrust.Doubt) {
        var trust = ClockTrust(last: at(0), steady: .zero)
        trust.resume(doubt, now: at(30 * day), steady: .zero)
        #expect(trust.judge(at(30 * day), steady: .zero) == .ahead)
        #expect(trust.judge(at(31 * day - 60), steady: steady(day - 60)) == .ahead)
        #expect(trust.judge(at(31 * day), steady: steady(day)) == .believed)
    }

    /// What is left of a doubt that is over: it is from before what was believed last.
    @Test func aDoubtThatIsOverIsNotTakenUp() {
        var trust = ClockTrust(last: at(30 * day), steady: .zero)
        trust.resume(ClockTrust.Doubt(time: at(29 * day), passed: .seconds(60)), now: at(32 * day), steady: .zero)
        #expect(trust.judge(at(32 * day), steady: .zero) == .believed)
    }

    /// A clock that is behind stops nothing, and what follows a leap from there is measured by it.
    @Test func onlyADoubtOfAClockThatIsAheadIsKept() {
        var trust = ClockTrust(last: at(40 * day), steady: .zero)
        #expect(trust.judge(at(30 * day), steady: .zero) == .behind)
        #expect(trust.doubt(at(30 * day), steady: .zero) == nil)
        #expect(trust.judge(at(90 * day), steady: steady(60)) == .ahead)
        #expect(trust.doubt(at(90 * day), steady: steady(60)) == ClockTrust.Doubt(time: at(90 * day), passed: .zero))
        #expect(trust.judge(at(40 * day), steady: steady(120)) == .ahead)
        #expect(trust.judge(at(30 * day), steady: steady(180)) == .believed)
        #expect(trust.doubt(at(30 * day), steady: steady(180)) == nil)
    }

    /// It makes nothing old, and is not taken for the time until it has gone on for an hour.
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

    /// The store itself: nothing goes while the clock is doubted, one report says so, and what was believed and how long it
    /// was doubted is known after a restart.
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
        // Half a day, and the other half after the system started anew: it was right.
        let half = day / 2
        times.withLock { $0 = (at(400 * day + half), 60 + half) }
        let doubt = ClockTrust.Doubt(time: at(400 * day + half), passed: .seconds(half))
        #expect(try await eventually { ClockNote(of: path).readDoubt() == doubt })
        await store.close()
        times.withLock { $0 = (at(402 * day), 5) }
        store = try open()
        #expect(try await eventually { reports.all.count { $0.isClockDoubted } == 3 })
        #expect(reports.all.count == 3 && reports.all.allSatisfy { $0.messages == 0 && $0.events == 0 })
        times.withLock { $0 = (at(402 * day + half), 5 + half) }
        #expect(try await eventually { reports.all.contains { $0.messages == 1 } })
        #expect(ClockNote(of: path).read() == at(402 * day + half) && ClockNote(of: path).readDoubt() == nil)
        await store.close()
    }
}
