// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Time as the dispatcher sees it, so that tests can turn the hands.

internal import Glibc
public import HookModel

/// Wall-clock time: the store keeps due times over restarts, so a steady clock would not do.
public protocol DeliveryClock: Sendable {
    func now() -> Timestamp
    /// Returns at `deadline` or a little later; throws `CancellationError` when the task is cancelled.
    func sleep(until deadline: Timestamp) async throws
}

/// The system's clock.
public struct SystemDeliveryClock: DeliveryClock {
    /// A sleep is cut into pieces of this length, so that a clock that is set forward is noticed soon.
    private static let longestNap = Duration.seconds(30)

    public init() {}

    public func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    public func sleep(until deadline: Timestamp) async throws {
        while true {
            let left = deadline.duration(since: now())
            if left <= .zero { return }
            try await Task.sleep(for: min(left, Self.longestNap), tolerance: .zero)
        }
    }
}
