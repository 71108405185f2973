// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Time as the dispatcher sees it, so that tests can turn the hands.

internal import Glibc
public import HookModel

/// Wall-clock time: the store keeps due times over restarts, so a steady clock would not do.
public protocol DeliveryClock: Sendable {
    func now() -> Timestamp
    /// How far `now` is ahead of a clock that nobody sets. Only its changes mean something.
    var offset: Duration { get }
    /// Returns at `deadline` or a little later, or when the clock was set; throws `CancellationError` when the task is
    /// cancelled.
    ///
    /// - Parameter offset: what it was when `deadline` was chosen: the clock may have been set since.
    func sleep(until deadline: Timestamp, offset: Duration) async throws
}

/// Finds out that somebody set a clock, which NTP and virtual machines that are resumed do as well.
public struct ClockSteps: Sendable {
    /// Less is how clocks are brought in step, or the time between two readings.
    private static let least = Duration.seconds(1)

    /// When the clock was last asked, but for less than a step.
    public private(set) var offset: Duration

    public init(_ clock: some DeliveryClock) { offset = clock.offset }

    /// By how much the clock was set since the last answer; nil if it was not.
    public mutating func next(_ clock: some DeliveryClock) -> Duration? {
        let (new, old) = (clock.offset, offset)
        guard Self.isStep(from: old, to: new) else { return nil }
        offset = new
        return new - old
    }

    static func isStep(from old: Duration, to new: Duration) -> Bool { max(new - old, old - new) > least }
}

/// The system's clock.
public struct SystemDeliveryClock: DeliveryClock {
    /// A sleep is cut into pieces of this length, so that a clock that is set forward is noticed soon.
    private static let longestNap = Duration.seconds(30)

    public init() {}

    public func now() -> Timestamp { Self.read(CLOCK_REALTIME) }

    /// Since the start of the system, its sleep included.
    public var steady: Duration { Self.read(CLOCK_BOOTTIME).duration(since: Timestamp(microseconds: 0)) }

    public var offset: Duration { now().duration(since: Self.read(CLOCK_BOOTTIME)) }

    private static func read(_ clock: clockid_t) -> Timestamp {
        var time = timespec()
        clock_gettime(clock, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    public func sleep(until deadline: Timestamp, offset: Duration) async throws {
        while true {
            let left = deadline.duration(since: now())
            if left <= .zero || ClockSteps.isStep(from: offset, to: self.offset) { return }
            try await Task.sleep(for: min(left, Self.longestNap), tolerance: .zero)
        }
    }
}
