// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the daemon asks of a store. SQLite is the embedded one; a memory twin serves tests,
// and both pass the same contract tests.

/// A message with what came of it: stored wholly or not at all.
public struct MessageEntry: Sendable {
    public var message: ReceivedMessage
    public var verdict: Verdict
    /// For each event id of the verdict, the names of the subscriptions it is to be delivered to.
    public var deliveries: [String: [String]]

    public init(message: ReceivedMessage, verdict: Verdict, deliveries: [String: [String]]) {
        self.message = message
        self.verdict = verdict
        self.deliveries = deliveries
    }
}

/// What a commit did.
public struct CommitReceipt: Sendable, Hashable {
    /// True if a message of the same content was stored before.
    public var isDuplicate: Bool
    /// How many of the entry's events were new. The others exist already and make no new deliveries.
    public var newEvents: Int
    /// Whether one of the entry's events was there already and was made of other content, or of content that is not known
    /// any more.
    public var hasForeignEvents: Bool

    public init(isDuplicate: Bool, newEvents: Int, hasForeignEvents: Bool = false) {
        self.isDuplicate = isDuplicate
        self.newEvents = newEvents
        self.hasForeignEvents = hasForeignEvents
    }
}

/// An event as it is kept.
public struct StoredEvent: Sendable, Hashable {
    /// Position in the store, rising, never used twice.
    public var sequence: Int64
    public var event: Event

    public init(sequence: Int64, event: Event) {
        self.sequence = sequence
        self.event = event
    }
}

/// A delivery handed out to be tried now. The attempt is on disk before this value exists.
public struct ClaimedDelivery: Sendable, Hashable {
    public var id: Int64
    public var subscription: String
    public var event: Event
    /// How many attempts there are, this one included.
    public var attempt: Int
    /// When the delivery was first made.
    public var createdAt: Timestamp

    public init(id: Int64, subscription: String, event: Event, attempt: Int, createdAt: Timestamp) {
        self.id = id
        self.subscription = subscription
        self.event = event
        self.attempt = attempt
        self.createdAt = createdAt
    }
}

/// How an attempt ended. One at a delivery that was begun anew meanwhile (`events redrive`) changes nothing.
public struct DeliveryResult: Sendable, Hashable {
    public enum State: Sendable, Hashable {
        case delivered
        case retry(at: Timestamp)
        case dead
        /// Handed out and not tried: due again then, and the attempt does not count.
        case untried(at: Timestamp)
        /// Dead without having been handed out once more.
        case givenUp
    }

    public var id: Int64
    public var state: State
    /// A named reason such as `http_503` or `timeout`; empty when delivered.
    public var reason: String
    /// What the receiver said about a failure, at most some hundred octets.
    public var detail: String

    public init(id: Int64, state: State, reason: String, detail: String = "") {
        self.id = id
        self.state = state
        self.reason = reason
        self.detail = detail
    }
}

/// Why the store could not do what was asked. None of these is the message's fault.
public enum StoreError: Error, Sendable, Hashable {
    /// No room on the disk.
    case full(String)
    /// The file holds a schema newer than this program knows.
    case fromTheFuture(found: Int, known: Int)
    /// Another process holds the store.
    case busy(String)
    case failed(String)
    case closed
    /// No permission to write, or a file system that is read-only.
    case notWritable(String)
    /// The file is no database, or a damaged one.
    case corrupt(String)

    /// What a sender is told meanwhile.
    public var outcome: Outcome {
        switch self {
        case .full: .storeFull
        case .closed: .shuttingDown
        case .fromTheFuture, .busy, .failed, .notWritable, .corrupt: .storeFailed
        }
    }
}

/// Durable messages, events and deliveries.
public protocol EventStore: Sendable {
    /// Stores the entry. `completion` is called once, on a thread of the store's, after the data would survive a
    /// power cut, or with the reason why it would not; on the calling thread, before the call returns, where the store takes
    /// nothing at the moment (`busy`, `closed`). It must not block.
    func commit(_ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void)

    /// `commit` for a thread that may wait for the disk and has nothing else to do: where the store is at rest, it does
    /// the work itself, which spares waking the store's thread and being woken.
    func commitHere(
        _ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void)

    /// Hands out deliveries of `subscription` that are due at `now`, oldest first, and stores the attempt: until
    /// `now + lease` nobody else is handed the same delivery.
    ///
    /// - Parameter excluded: ids that the caller has under way. Those are not handed out, whatever became of their leases:
    ///   a clock that is set ahead, or a machine that slept, ends them while attempts go on.
    func claimDue(
        subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> [ClaimedDelivery]

    /// Stores how attempts ended.
    func finish(_ results: [DeliveryResult], now: Timestamp) async throws(StoreError)

    /// The same for callers that do not wait; `completion` is called once, as that of `commit`, and must not block.
    func finish(
        _ results: [DeliveryResult], now: Timestamp, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void)

    /// Returns once the store's threads have taken it up. Nothing is written for it: whether the store could write, those
    /// hear who ask it to.
    func probe() async

    /// When the earliest delivery of `subscription` can be claimed, but for those excluded; nil when there is none. One that
    /// is being tried counts with the end of its lease.
    func nextDue(subscription: String, excluding excluded: Set<Int64>) async throws(StoreError) -> Timestamp?

    /// Events after `sequence` in their order, at most `limit`.
    func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent]

    /// `handler` is called after each commit that made deliveries to be claimed, with the names of their subscriptions.
    func onNewDeliveries(_ handler: @escaping @Sendable (Set<String>) -> Void)

    /// From now on new deliveries of `subscription` are offered to `tap` first; nil ends that. Those it takes are not
    /// told of by `onNewDeliveries`.
    func setTap(_ tap: (any DeliveryTap)?, of subscription: String)
}

extension EventStore {
    public func commitHere(
        _ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void
    ) {
        commit(entry, completion: completion)
    }

    /// A store may have no threads of its own.
    public func probe() async {}

    public func finish(
        _ results: [DeliveryResult], now: Timestamp, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        Task {
            do throws(StoreError) {
                try await finish(results, now: now)
                completion(.success(()))
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// A store may leave all deliveries to be claimed.
    public func setTap(_ tap: (any DeliveryTap)?, of subscription: String) {}

    /// `commit` for callers that can wait.
    public func commit(_ entry: MessageEntry) async throws(StoreError) -> CommitReceipt {
        let result = await withCheckedContinuation { continuation in
            commit(entry) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}
