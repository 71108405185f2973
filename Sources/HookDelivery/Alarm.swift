// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Wakes a subscription's loop at a time. One sleep serves many waits: a task that sleeps and is
// cancelled keeps its timer until that would have fired, so one for each wait would add up.

internal import HookModel

/// Used by one task.
struct Alarm: ~Copyable {
    private let clock: any DeliveryClock
    private let ring: @Sendable () -> Void
    private var task: Task<Void, Never>?
    private var time: Timestamp?

    /// - Parameter ring: called when it is time; may come early, as for a wait that ended before.
    init(clock: any DeliveryClock, ring: @escaping @Sendable () -> Void) {
        self.clock = clock
        self.ring = ring
    }

    deinit { task?.cancel() }

    /// Rings at `wanted` at the latest, or when the clock was set.
    ///
    /// - Parameter offset: the clock's when `wanted` was chosen.
    mutating func set(_ wanted: Timestamp?, offset: Duration) {
        guard let wanted else { return }
        if let time, time <= wanted { return }
        task?.cancel()
        time = wanted
        task = Task { [clock, ring] in
            guard (try? await clock.sleep(until: wanted, offset: offset)) != nil, !Task.isCancelled else { return }
            ring()
        }
    }

    /// It has rung.
    mutating func reset() { time = nil }
}
