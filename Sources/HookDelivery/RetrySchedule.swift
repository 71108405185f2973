// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// When a failed delivery is tried again. Pure: time and randomness come in as parameters.

public import HookModel

/// Delays between the attempts of one delivery.
public struct RetrySchedule: Sendable, Hashable {
    /// What follows a failed attempt.
    public enum Next: Sendable, Hashable {
        case retry(at: Timestamp)
        /// Every attempt the schedule allows has failed.
        case exhausted
    }

    /// The example of Standard Webhooks 1.0.0: ten attempts over about 76 hours.
    public static let standardDelays: [Duration] = [
        .seconds(5), .seconds(5 * 60), .seconds(30 * 60), .seconds(2 * 3600), .seconds(5 * 3600),
        .seconds(10 * 3600), .seconds(14 * 3600), .seconds(20 * 3600), .seconds(24 * 3600),
    ]

    /// Delay after the first, second, … failed attempt. There is one attempt more than there are delays.
    public let delays: [Duration]
    /// A delay is multiplied with a number drawn evenly from `1 - jitter ... 1 + jitter`, so that deliveries that
    /// failed together do not come back together. 0 to 1.
    public let jitter: Double
    /// No wait is longer than this. Applied after the jitter, or it would be no maximum.
    public let maximumDelay: Duration

    /// Values outside of their range are brought into it; delays are at most a year.
    public init(
        delays: [Duration] = standardDelays, jitter: Double = 0.2, maximumDelay: Duration = .seconds(30 * 3600)
    ) {
        let longest = Duration.seconds(366 * 24 * 3600)
        self.delays = delays.map { min(max($0, .zero), longest) }
        self.jitter = jitter.isNaN ? 0 : min(max(jitter, 0), 1)
        self.maximumDelay = min(max(maximumDelay, .zero), longest)
    }

    /// From the first attempt to the last, as long as it can be.
    public var length: Duration {
        delays.reduce(.zero) { $0 + min($1 * (1 + jitter), maximumDelay) }
    }

    /// When to try again after attempt number `attempt` (from 1) failed at `now`.
    ///
    /// `retryAfter` is what the receiver asked for: the wait is not shorter than that, up to `maximumDelay`, but
    /// may be longer. A receiver that asks for one second each time would otherwise use up three days of attempts
    /// in ten seconds.
    public func next(
        afterAttempt attempt: Int, retryAfter: Duration? = nil, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) -> Next {
        guard attempt <= delays.count else { return .exhausted }
        var wait = delays[max(attempt, 1) - 1] * Double.random(in: (1 - jitter)...(1 + jitter), using: &generator)
        if let retryAfter {
            // Later than asked is polite, earlier is not: this jitter only adds.
            let asked = min(max(retryAfter, .zero), maximumDelay)
            wait = max(wait, asked * Double.random(in: 1...(1 + jitter / 4), using: &generator))
        }
        return .retry(at: now.advanced(by: min(wait, maximumDelay)))
    }
}
