// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The alarm of a subscription's loop: in time, and with few sleeps, however often the loop waits.

import HookModel
import Synchronization
import Testing

@testable import HookDelivery

/// Counts sleeps; each ends when the time is set to its end or later.
private final class CountingClock: DeliveryClock {
    private let state = Mutex((now: Int64(0), sleeps: 0))
    var sleeps: Int { state.withLock { $0.sleeps } }

    func now() -> Timestamp { Timestamp(seconds: state.withLock { $0.now }) }
    var offset: Duration { .zero }
    func set(_ seconds: Int64) { state.withLock { $0.now = seconds } }

    func sleep(until deadline: Timestamp, offset: Duration) async throws {
        state.withLock { $0.sleeps += 1 }
        while now() < deadline { try await Task.sleep(for: .milliseconds(1)) }
    }
}

@Suite struct AlarmTests {
    private func eventually(_ condition: () -> Bool) async throws {
        for _ in 0..<1000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(condition())
    }

    @Test func oneSleepServesManyWaits() async throws {
        let clock = CountingClock()
        let rings = Mutex(0)
        var alarm = Alarm(clock: clock) { rings.withLock { $0 += 1 } }
        for second in 60..<2000 { alarm.set(Timestamp(seconds: Int64(second)), offset: .zero) }
        alarm.set(nil, offset: .zero)
        try await eventually { clock.sleeps == 1 }
        #expect(rings.withLock { $0 } == 0)
        // An earlier time takes the place of the later one.
        alarm.set(Timestamp(seconds: 30), offset: .zero)
        try await eventually { clock.sleeps == 2 }
        clock.set(30)
        try await eventually { rings.withLock { $0 } == 1 }
        clock.set(100)
        try await Task.sleep(for: .milliseconds(50))
        #expect(rings.withLock { $0 } == 1, "the one that was replaced rings no more")
        alarm.reset()
        alarm.set(Timestamp(seconds: 120), offset: .zero)
        clock.set(120)
        try await eventually { rings.withLock { $0 } == 2 }
        #expect(clock.sleeps == 3)
    }

    /// A time that was chosen by a clock which was set before the sleep began may be a year away.
    @Test func theSystemsClockDoesNotSleepOverAStep() async throws {
        let clock = SystemDeliveryClock()
        let start = ContinuousClock.now
        for step in [Duration.seconds(-5), .seconds(5)] {
            try await clock.sleep(until: clock.now().advanced(by: .seconds(3600)), offset: clock.offset + step)
        }
        #expect(ContinuousClock.now - start < .seconds(60))
        try await clock.sleep(until: clock.now().advanced(by: .milliseconds(300)), offset: clock.offset)
        #expect(ContinuousClock.now - start >= .milliseconds(290))
    }

    @Test func anAlarmThatIsGoneIsSilent() async throws {
        let clock = CountingClock()
        let rings = Mutex(0)
        do {
            var alarm = Alarm(clock: clock) { rings.withLock { $0 += 1 } }
            alarm.set(Timestamp(seconds: 5), offset: .zero)
            try await eventually { clock.sleeps == 1 }
        }
        clock.set(9)
        try await Task.sleep(for: .milliseconds(50))
        #expect(rings.withLock { $0 } == 0)
    }
}
