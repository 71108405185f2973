// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether the time is likely to be right, before something is erased because of its age. No I/O: times come in.

internal import HookModel

/// A clock that leaps ahead (a wrong RTC, a machine that is resumed, somebody's mistake) makes everything old at once,
/// and what retention erases does not come back. So a leap is believed only after the clock has gone on from there for
/// a day: time enough for NTP, or for whoever reads the log.
struct ClockTrust: Sendable {
    /// How far the clock may be from where it is expected while the daemon runs.
    static let largestStep = Duration.seconds(3600)
    /// And at the start: for how long a machine may have been off.
    static let longestRest = Duration.seconds(7 * 24 * 3600)
    static let probation = Duration.seconds(24 * 3600)

    /// The last time that was believed, by the clock and by one that nobody sets.
    private var believed: (time: Timestamp, steady: Duration)?
    private var slack = longestRest
    private var doubtedSince: Duration?

    /// - Parameter last: the last time that was believed before; nil if that is not known.
    init(last: Timestamp?, steady: Duration) { believed = last.map { ($0, steady) } }

    /// Whether it may be `now`.
    ///
    /// - Parameter steady: by a clock that nobody sets and that does not stop while the system sleeps.
    mutating func believes(_ now: Timestamp, steady: Duration) -> Bool {
        guard let last = believed else { return believe(now, steady) }
        let ahead = now.duration(since: last.time.advanced(by: steady - last.steady))
        if max(ahead, .zero - ahead) <= slack { return believe(now, steady) }
        if let doubtedSince, steady - doubtedSince >= Self.probation { return believe(now, steady) }
        doubtedSince = doubtedSince ?? steady
        // One that is behind makes nothing old.
        return ahead < .zero
    }

    private mutating func believe(_ now: Timestamp, _ steady: Duration) -> Bool {
        (believed, slack, doubtedSince) = ((now, steady), Self.largestStep, nil)
        return true
    }

    var isDoubted: Bool { doubtedSince != nil }
}
