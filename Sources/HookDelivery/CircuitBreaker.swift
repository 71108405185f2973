// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether an endpoint is worth trying. After a row of failures it is left alone for a while, then one delivery finds
// out whether it works again. No I/O, no clock.

internal import HookModel

struct CircuitBreaker: Sendable {
    /// closed -> open -> halfOpen -> probing -> closed | open
    enum State: Sendable, Hashable {
        /// Attempts that failed one after the other.
        case closed(failures: Int)
        case open(until: Timestamp, pause: Duration)
        /// One delivery may be tried.
        case halfOpen(pause: Duration)
        /// It is being tried.
        case probing(pause: Duration)
    }

    private(set) var state = State.closed(failures: 0)
    /// When the row of failures began; nil while all is well.
    private(set) var downSince: Timestamp?
    /// nil: never opens.
    private let settings: BreakerSettings?

    init(_ settings: BreakerSettings?) { self.settings = settings }

    /// How many more deliveries may begin; nil for any number.
    var allowance: Int? {
        switch state {
        case .closed: nil
        case .halfOpen: 1
        case .open, .probing: 0
        }
    }

    /// Until when nothing may begin.
    var openUntil: Timestamp? {
        if case .open(let until, _) = state { until } else { nil }
    }

    mutating func tick(now: Timestamp) {
        if case .open(let until, let pause) = state, until <= now { state = .halfOpen(pause: pause) }
    }

    mutating func began() {
        if case .halfOpen(let pause) = state { state = .probing(pause: pause) }
    }

    /// An attempt has ended. Those that began before the breaker opened count as well: what shows that the endpoint
    /// lives closes it, and a failure while it rests is no news.
    mutating func ended(_ verdict: DeliveryVerdict, now: Timestamp, using generator: inout some RandomNumberGenerator) {
        guard let settings else { return }
        switch verdict {
        case .interrupted, .untried:
            if case .probing(let pause) = state { state = .halfOpen(pause: pause) }
        case .delivered, .dead, .gone, .retry:
            guard verdict.blamesEndpoint else { return reset() }
            downSince = downSince ?? now
            switch state {
            case .closed(let failures):
                state = .closed(failures: failures + 1)
                if failures + 1 >= settings.failures { open(settings.pause, now, using: &generator) }
            case .probing(let pause): open(min(pause * 2, settings.longestPause), now, using: &generator)
            case .open, .halfOpen: break
            }
        }
    }

    mutating func reset() {
        state = .closed(failures: 0)
        downSince = nil
    }

    /// The clock was set; what was measured by it moves along.
    mutating func clockWasSet(by step: Duration) {
        if case .open(let until, let pause) = state { state = .open(until: until.advanced(by: step), pause: pause) }
        downSince = downSince?.advanced(by: step)
    }

    /// With a jitter of a fifth, so that many daemons do not probe at the same moment.
    private mutating func open(_ pause: Duration, _ now: Timestamp, using generator: inout some RandomNumberGenerator) {
        let wait = pause * Double.random(in: 0.8...1.2, using: &generator)
        state = .open(until: now.advanced(by: wait), pause: pause)
    }
}

/// Spaces the beginnings of deliveries. No clock.
struct RateGate: Sendable {
    /// Beginnings may be this much early, or short sleeps of the system would make the rate lower than asked for.
    private static let slack = Duration.milliseconds(100)

    private let interval: Duration?
    private var next: Timestamp?

    init(_ rate: DeliveryRate?) { interval = rate?.interval }

    /// When the next delivery may begin; nil for now.
    func opens(now: Timestamp) -> Timestamp? {
        guard let next else { return nil }
        let opens = next.advanced(by: .zero - Self.slack)
        return opens > now ? opens : nil
    }

    mutating func clockWasSet(by step: Duration) { next = next?.advanced(by: step) }

    mutating func began(_ count: Int, now: Timestamp) {
        guard let interval else { return }
        next = max(next ?? now, now).advanced(by: interval * count)
    }

    /// How many may begin within `time`; nil for any number.
    func room(in time: Duration) -> Int? {
        interval.map { $0 > .zero ? Int(min(time / $0, 1_000_000)) + 1 : 1_000_000 }
    }
}
