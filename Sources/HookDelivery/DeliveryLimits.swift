// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The bounds within which deliveries run.

/// Limits of the dispatcher. Each is per subscription unless it says otherwise.
public struct DeliveryLimits: Sendable, Hashable {
    /// Deliveries held in memory, claimed or under way. Memory follows this, never the backlog.
    public var window = 2048
    /// Octets of claimed events held in memory, as far as recent events tell: a run of big events makes claims
    /// smaller. At least one delivery is always claimed.
    public var windowOctets = 16 * 1024 * 1024
    /// Deliveries are claimed ahead of time for no longer than this, by the pace of recent ones. What is claimed
    /// and not yet tried has to wait for its lease when the daemon is killed.
    public var lookAhead = Duration.seconds(1)
    /// A claim lasts this much longer than an attempt can take.
    public var leaseMargin = Duration.seconds(10)
    /// First wait after the store failed; doubles up to `storeBackoffMaximum`.
    public var storeBackoff = Duration.milliseconds(100)
    public var storeBackoffMaximum = Duration.seconds(30)
    /// The store is asked anew after this long, even if nothing was said to be due: another process may have
    /// changed it, or somebody the clock.
    public var longestSleep = Duration.seconds(60)
    /// A receiver that asks for a pause (`Retry-After`) silences its subscription for at most this long. Single
    /// deliveries wait longer if it asked for that.
    public var longestPause = Duration.seconds(3600)
    /// How long attempts that are under way may go on after shutdown began.
    public var shutdownGrace = Duration.seconds(10)

    public init() {}
}
