// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The store in memory: the same answers as the durable one, for tests. Keeps everything, syncs
// nothing, and is forgotten with the process.

public import HookModel

/// Passes the same contract tests as `SQLiteStore`.
public final class MemoryStore: InspectableStore {
    let thread: MemoryThread
    private let lifetime = StoreLifetime()

    /// - Throws: `failed` if no thread can be started.
    public init() throws(StoreError) {
        let thread = MemoryThread()
        self.thread = thread
        try lifetime.start { thread.run() }
    }

    deinit { thread.queue.close() }

    public func commit(
        _ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void
    ) {
        let isTaken = thread.queue.add { thread in
            var tapped = TappedDeliveries(thread.taps)
            let (receipt, new) = thread.content.commit(entry, &tapped)
            completion(.success(receipt))
            tapped.handOver()
            if !new.isEmpty { thread.handler?(new) }
        }
        if !isTaken { completion(.failure(.closed)) }
    }

    public func claimDue(
        subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> [ClaimedDelivery] {
        try await ask { $0.claimDue(subscription, now, lease, limit, excluded) }
    }

    public func finish(_ results: [DeliveryResult], now: Timestamp) async throws(StoreError) {
        try await ask { content in results.forEach { content.finish($0, now) } }
    }

    public func finish(
        _ results: [DeliveryResult], now: Timestamp, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        let isTaken = thread.queue.add { thread in
            results.forEach { thread.content.finish($0, now) }
            completion(.success(()))
        }
        if !isTaken { completion(.failure(.closed)) }
    }

    public func nextDue(subscription: String, excluding excluded: Set<Int64>) async throws(StoreError) -> Timestamp? {
        try await ask { $0.pending(subscription, excluded).first?.due }
    }

    public func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] {
        try await ask { content in
            Array(content.events.drop { $0.stored.sequence <= sequence }.prefix(max(0, limit)).map(\.stored))
        }
    }

    public func onNewDeliveries(_ handler: @escaping @Sendable (Set<String>) -> Void) {
        _ = thread.queue.add { $0.handler = handler }
    }

    public func setTap(_ tap: (any DeliveryTap)?, of subscription: String) {
        _ = thread.queue.add { $0.taps[subscription] = tap }
    }

    public func event(id: String) async throws(StoreError) -> StoredEvent? {
        try await ask { content in content.eventIndex[id].map { content.events[$0].stored } }
    }

    public func lastSequence() async throws(StoreError) -> Int64 {
        try await ask { $0.events.last?.stored.sequence ?? 0 }
    }

    public func message(_ id: Int64) async throws(StoreError) -> StoredMessage? {
        try await ask { $0.message(id) }
    }

    public func message(ofEvent id: String) async throws(StoreError) -> StoredMessage? {
        try await ask { content in content.eventIndex[id].flatMap { content.message(content.events[$0].message) } }
    }

    public func messages(messageID: String, limit: Int) async throws(StoreError) -> [StoredMessage] {
        try await ask { content in
            content.messages.filter { $0.messageID == messageID }.prefix(max(0, limit))
                .compactMap { content.message($0.id) }
        }
    }

    public func counts() async throws(StoreError) -> StoreCounts { try await ask { $0.counts } }

    public func close() async {
        thread.queue.close()
        await lifetime.ended()
    }

    func ask<Value: Sendable>(
        _ body: @escaping @Sendable (inout MemoryContent) -> Value
    ) async throws(StoreError) -> Value {
        let result: Result<Value, StoreError> = await withCheckedContinuation { continuation in
            let isTaken = thread.queue.add { continuation.resume(returning: .success(body(&$0.content))) }
            if !isTaken { continuation.resume(returning: .failure(.closed)) }
        }
        return try result.get()
    }
}

/// Safe to share: everything but the queue is touched by the thread only.
final class MemoryThread: @unchecked Sendable {
    let queue = StoreQueue<@Sendable (MemoryThread) -> Void>()
    var content = MemoryContent()
    var handler: (@Sendable (Set<String>) -> Void)?
    var taps: [String: any DeliveryTap] = [:]

    func run() {
        while let jobs = queue.takeAll() { jobs.forEach { $0(self) } }
    }
}

/// What is stored, as plain arrays.
struct MemoryContent {
    struct EventRow {
        var stored: StoredEvent
        /// `StoredMessage.id`
        var message: Int64
    }

    struct DeliveryRow {
        var id: Int64
        /// Index in `events`.
        var event: Int
        var subscription: String
        var state = DeliveryState.waiting
        var attempts = 0
        var due: Timestamp
        var createdAt: Timestamp
        var changedAt: Timestamp
        var reason = ""
        var failures: [StoredAttempt] = []
    }

    var subscriptions: [String: StoredSubscription] = [:]
    var messages: [StoredMessage] = []
    var firstByDigest: [[UInt8]: Int64] = [:]
    var events: [EventRow] = []
    /// Index in `events` by event id.
    var eventIndex: [String: Int] = [:]
    /// The delivery with id n is at n - 1.
    var deliveries: [DeliveryRow] = []

    mutating func commit(_ entry: MessageEntry, _ tapped: inout TappedDeliveries) -> (receipt: CommitReceipt, new: Set<String>) {
        let message = insert(entry)
        var new: Set<String> = []
        var newEvents = 0
        var hasForeignEvents = false
        for event in entry.verdict.hooks.flatMap(\.events) {
            if let known = eventIndex[event.id] {
                let owner = self.message(events[known].message)
                if owner?.contentDigest != message.contentDigest { hasForeignEvents = true }
                continue
            }
            newEvents += 1
            eventIndex[event.id] = events.count
            events.append(
                EventRow(stored: StoredEvent(sequence: Int64(events.count + 1), event: event), message: message.id))
            for subscription in entry.deliveries[event.id] ?? [] {
                let time = entry.message.receivedAt
                insertDelivery(ofEvent: events.count - 1, to: subscription, at: time)
                let place = deliveries.count - 1
                if let end = tapped.offer(event, to: subscription, id: Int64(place + 1), createdAt: time) {
                    deliveries[place].state = .leased
                    deliveries[place].attempts = 1
                    deliveries[place].due = end
                } else {
                    new.insert(subscription)
                }
            }
        }
        let receipt = CommitReceipt(
            isDuplicate: message.duplicateOf != nil, newEvents: newEvents, hasForeignEvents: hasForeignEvents)
        return (receipt, new)
    }

    mutating func insertDelivery(ofEvent event: Int, to subscription: String, at time: Timestamp) {
        deliveries.append(
            DeliveryRow(
                id: Int64(deliveries.count + 1), event: event, subscription: subscription, due: time, createdAt: time,
                changedAt: time))
    }

    private mutating func insert(_ entry: MessageEntry) -> StoredMessage {
        let first = firstByDigest[entry.verdict.contentDigest]
        let verdicts = entry.verdict.hooks.map {
            StoredVerdict(
                eventName: $0.eventName, recipient: $0.recipient, outcome: $0.outcome, answer: $0.answer,
                events: $0.events.count)
        }
        let message = StoredMessage(
            id: Int64(messages.count + 1), envelope: entry.message.envelope, receivedAt: entry.message.receivedAt,
            bytes: first == nil ? entry.message.bytes : nil, size: entry.message.bytes.count,
            contentDigest: entry.verdict.contentDigest, messageID: entry.verdict.messageID, duplicateOf: first,
            answer: entry.verdict.answer, verdicts: verdicts)
        messages.append(message)
        if first == nil { firstByDigest[message.contentDigest] = message.id }
        return message
    }

    func message(_ id: Int64) -> StoredMessage? {
        guard id >= 1, id <= messages.count else { return nil }
        var message = messages[Int(id) - 1]
        if let first = message.duplicateOf { message.bytes = messages[Int(first) - 1].bytes }
        return message
    }

    /// Deliveries still to be done, first due first.
    func pending(_ subscription: String, _ excluded: Set<Int64>) -> [DeliveryRow] {
        deliveries.filter { $0.subscription == subscription && !$0.state.isFinal && !excluded.contains($0.id) }
            .sorted { ($0.due, $0.id) < ($1.due, $1.id) }
    }

    mutating func claimDue(
        _ subscription: String, _ now: Timestamp, _ lease: Duration, _ limit: Int, _ excluded: Set<Int64>
    ) -> [ClaimedDelivery] {
        pending(subscription, excluded).prefix { $0.due <= now }.prefix(max(0, limit)).map { row in
            self.lease(row, now, lease)
        }
    }

    mutating func finish(_ result: DeliveryResult, _ now: Timestamp) {
        guard result.id >= 1, result.id <= deliveries.count else { return }
        let index = Int(result.id) - 1
        guard deliveries[index].state == .leased || result.state == .givenUp && deliveries[index].state == .waiting else { return }
        deliveries[index].changedAt = now
        if case .untried(let due) = result.state {
            deliveries[index].state = .waiting
            deliveries[index].attempts = max(0, deliveries[index].attempts - 1)
            deliveries[index].due = due
            return
        }
        deliveries[index].reason = result.reason
        if result.state != .delivered {
            deliveries[index].failures.append(
                StoredAttempt(number: deliveries[index].attempts, at: now, reason: result.reason, detail: result.detail))
            deliveries[index].failures = deliveries[index].failures.suffix(StoredAttempt.limit)
        }
        switch result.state {
        case .delivered: deliveries[index].state = .delivered
        case .dead, .givenUp: deliveries[index].state = .dead
        case .retry(let due):
            deliveries[index].state = .waiting
            deliveries[index].due = due
        case .untried: return
        }
    }

    var counts: StoreCounts {
        var counts = StoreCounts()
        counts.messages = messages.count
        counts.duplicates = messages.count { $0.duplicateOf != nil }
        counts.events = events.count
        for delivery in deliveries {
            switch delivery.state {
            case .waiting: counts.deliveriesWaiting += 1
            case .leased: counts.deliveriesLeased += 1
            case .delivered: counts.deliveriesDelivered += 1
            case .dead: counts.deliveriesDead += 1
            case .cancelled: counts.deliveriesCancelled += 1
            }
        }
        return counts
    }
}
