// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the dispatcher asks of a sink, and what a sink answers.

public import HookModel

/// How a sink fared with one delivery. Reasons are names from a closed set (plus numbers), fit for a metric label;
/// they never hold anything of the event or the address.
public enum DeliveryVerdict: Sendable, Hashable {
    /// The receiver has it.
    case delivered
    /// Try again by the schedule. `after` is what the receiver asked for; it holds for all its deliveries.
    case retry(reason: String, after: Duration? = nil)
    /// The receiver will never take it.
    case dead(reason: String)
    /// The attempt was called off by us (shutdown). It is tried again at once after the next start.
    case interrupted
    /// The receiver is gone for good and wants nothing any more: the delivery is dead, the subscription is disabled.
    case gone(reason: String)
    /// Not begun, for want of room in this call. The attempt does not count.
    case untried

    /// Whether the endpoint as a whole seems to be in trouble: it cannot be reached, or says so itself.
    var blamesEndpoint: Bool {
        guard case .retry(let reason, let after) = self else { return false }
        if after != nil { return true }
        guard reason.hasPrefix("http_") else { return reason != "no_thread" }
        return reason.hasPrefix("http_5") || reason == "http_429" || reason == "http_408"
    }
}

/// What a sink says about one delivery.
public struct SinkAnswer: Sendable, Hashable {
    public var verdict: DeliveryVerdict
    /// What the receiver said about a failure, for people; at most some hundred octets.
    public var detail = ""

    public init(_ verdict: DeliveryVerdict, detail: String = "") {
        self.verdict = verdict
        self.detail = detail
    }
}

/// A way out. A sink keeps what it needs between calls (connections, an open file) and can be called from several
/// tasks at once, up to `concurrency`.
public protocol Sink: Sendable {
    /// Deliveries one call may carry. At least 1.
    var maxBatch: Int { get }
    /// Calls that may be under way at the same time. At least 1.
    var concurrency: Int { get }
    /// No call takes longer than about this, whatever the receiver does.
    var timeout: Duration { get }

    /// Tries each delivery once. Returns one verdict for each, in the same order. Returns soon when the task is
    /// cancelled. `now` is when the attempt begins.
    func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict]

    /// The same with what the receiver said.
    func answers(_ batch: [ClaimedDelivery], now: Timestamp) async -> [SinkAnswer]

    /// Lets go of connections, files and threads. No `deliver` is under way, and none follows.
    func shutdown() async

    /// Takes deliveries ahead of time instead of by calls of `answers`; nil for a sink that is called.
    var queue: (any SinkQueue)? { get }
}

extension Sink {
    public var queue: (any SinkQueue)? { nil }

    public func answers(_ batch: [ClaimedDelivery], now: Timestamp) async -> [SinkAnswer] {
        await deliver(batch, now: now).map { SinkAnswer($0) }
    }
}

/// What became of a delivery that a queue was given.
public enum SinkReport: Sendable {
    case tried(LeasedDelivery, SinkAnswer, took: Duration)
    /// It was not begun, and is not in the queue any more.
    case returned(LeasedDelivery)
}

/// A sink's own queue, for receivers that take more than one turn of a subscription's loop for each delivery would
/// allow. It begins one after the other, `Sink.concurrency` at a time. Each is reported once.
///
/// What goes wrong ends the queue: all that were not begun are returned, and nothing more is begun until `add`.
public protocol SinkQueue: Sendable {
    /// Says what time it is and where reports go; called before anything else.
    func start(now: @escaping @Sendable () -> Timestamp, _ report: @escaping @Sendable ([SinkReport]) -> Void)
    func add(_ deliveries: [LeasedDelivery], now: Timestamp)
    /// Returns all that were not begun.
    func recall()
    /// The same, and ends attempts that are under way; they are reported as `interrupted`. Nothing is added later.
    func cancel()
    /// Returns when everything that was added has been reported, also in a task that is cancelled.
    func end() async
}
