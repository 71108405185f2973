// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether the time is likely to be right, before something is erased because of its age. No I/O: times come in.

internal import HookModel

/// A clock that leaps ahead (a wrong RTC, a machine that is resumed, somebody's mistake) makes everything old at once,
/// and what retention erases does not come back. So a leap is believed only after the clock has gone on from there for
/// a day: time enough for NTP, or for whoever reads the log.
struct ClockTrust: Sendable {
    enum Verdict: Sendable {
        case believed
        /// It makes nothing old, but is not the time to remember.
        case behind
        case ahead
    }

    /// A doubt of a clock that is ahead, for the next run to go on with.
    struct Doubt: Sendable, Equatable {
        /// What the clock said when it was looked at last.
        var time: Timestamp
        /// For how long it has gone on from where it leapt to, as far as somebody watched it: not while nothing ran.
        var passed: Duration
    }

    /// How far the clock may be from where it is expected while the daemon runs.
    static let largestStep = Duration.seconds(3600)
    /// And at the start: for how long a machine may have been off.
    static let longestDowntime = Duration.seconds(7 * 24 * 3600)
    /// How long a clock that is ahead has to go on from there.
    static let probation = Duration.seconds(24 * 3600)
    /// And one that is behind. To believe it makes nothing old: it only has a later leap ahead be doubted.
    static let settling = Duration.seconds(3600)

    /// The last time that was believed, by the clock and by one that nobody sets.
    private var believed: (time: Timestamp, steady: Duration)?
    private var slack = longestDowntime
    /// When the clock came to be what it is, or this run began, where that is not believed; and what had passed before.
    private var doubted: (time: Timestamp, steady: Duration, passed: Duration, isAhead: Bool)?

    /// - Parameter last: the last time that was believed before; nil if that is not known.
    init(last: Timestamp?, steady: Duration) { believed = last.map { ($0, steady) } }

    /// What to remember for the next run: the time that was believed last.
    var last: Timestamp? { believed?.time }

    /// Goes on with the doubt of the run before, where the clock may have gone on from there. Where it has not, and where
    /// nobody can tell what the doubt was (nil), it begins anew: the clock is no better for a restart.
    mutating func resume(_ doubt: Doubt?, now: Timestamp, steady: Duration) {
        guard let believed else { return }
        // It is over.
        if let doubt, doubt.time <= believed.time { return }
        // Or a leap of less than a week would be believed.
        slack = Self.largestStep
        guard let doubt, (.zero..<Self.probation).contains(doubt.passed),
            (.zero - Self.largestStep...Self.longestDowntime).contains(now.duration(since: doubt.time))
        else { return }
        doubted = (now, steady, doubt.passed, isAhead: true)
    }

    /// What to keep for the next run after `judge`; nil where the clock is not ahead.
    func doubt(_ now: Timestamp, steady: Duration) -> Doubt? {
        guard let doubted, doubted.isAhead else { return nil }
        return Doubt(time: now, passed: doubted.passed + steady - doubted.steady)
    }

    /// Whether it may be `now`.
    ///
    /// - Parameter steady: by a clock that nobody sets and that does not stop while the system sleeps.
    mutating func judge(_ now: Timestamp, steady: Duration) -> Verdict {
        guard let believed else { return believe(now, steady) }
        let ahead = Self.lead(of: now, over: believed, steady)
        if max(ahead, .zero - ahead) <= slack { return believe(now, steady) }
        guard let doubted else { return doubt(now, steady, isAhead: ahead > .zero) }
        let moved = Self.lead(of: now, over: (doubted.time, doubted.steady), steady)
        if max(moved, .zero - moved) <= Self.largestStep {
            let passed = doubted.passed + steady - doubted.steady
            if passed >= (doubted.isAhead ? Self.probation : Self.settling) { return believe(now, steady) }
            return doubted.isAhead ? .ahead : .behind
        }
        // Another leap has a day of its own. Where it leads up from a time before the one that was believed, that one may
        // have been the error: the earlier makes less old.
        guard !doubted.isAhead, moved > .zero else { return doubt(now, steady, isAhead: ahead > .zero) }
        self.believed = (doubted.time, doubted.steady)
        return doubt(now, steady, isAhead: true)
    }

    private mutating func doubt(_ now: Timestamp, _ steady: Duration, isAhead: Bool) -> Verdict {
        doubted = (now, steady, .zero, isAhead)
        return isAhead ? .ahead : .behind
    }

    private mutating func believe(_ now: Timestamp, _ steady: Duration) -> Verdict {
        (believed, slack, doubted) = ((now, steady), Self.largestStep, nil)
        return .believed
    }

    /// How far `now` is from where the clock would be had it gone on from `start`.
    private static func lead(
        of now: Timestamp, over start: (time: Timestamp, steady: Duration), _ steady: Duration
    ) -> Duration {
        now.duration(since: start.time.advanced(by: steady - start.steady))
    }
}
