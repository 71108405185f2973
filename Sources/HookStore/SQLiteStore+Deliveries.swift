// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The history of deliveries and orders about them, handed to the store's threads.

public import HookModel

extension SQLiteStore: HistoryStore {
    public func deliveries(
        matching filter: DeliveryFilter, after id: Int64, limit: Int
    ) async throws(StoreError) -> [StoredDelivery] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in
            try reader.deliveries(matching: filter, after: id, limit: limit)
        }
    }

    public func deliveries(ofEvent id: String) async throws(StoreError) -> [StoredDelivery] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in try reader.deliveries(ofEvent: id) }
    }

    public func attempts(ofDelivery id: Int64) async throws(StoreError) -> [StoredAttempt] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in try reader.attempts(ofDelivery: id) }
    }

    public func events(ofMessage id: Int64) async throws(StoreError) -> [StoredEvent] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in try reader.events(ofMessage: id) }
    }

    public func messageAndEvents(_ id: Int64) async throws(StoreError) -> (message: StoredMessage, events: [StoredEvent])? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in
            guard let message = try reader.message(id) else { return nil }
            return (message, try reader.events(ofMessage: id))
        }
    }

    public func messages(digestPrefix: [UInt8], limit: Int) async throws(StoreError) -> [StoredMessage] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in
            try reader.messages(digestPrefix: digestPrefix, limit: limit)
        }
    }

    public func firstMessage(since time: Timestamp) async throws(StoreError) -> Int64? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in try reader.firstMessage(since: time) }
    }

    public func messageNumber(ofEvent id: String) async throws(StoreError) -> Int64? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in try reader.messageNumber(ofEvent: id) }
    }

    public func messageNumbers(
        from number: Int64, since time: Timestamp, limit: Int
    ) async throws(StoreError) -> [Int64] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in
            try reader.messageNumbers(from: number, since: time, limit: limit)
        }
    }

    public func hasHook(named eventName: String) async throws(StoreError) -> Bool {
        try await reads.read(ifAbsent: false) { reader throws(StoreError) in try reader.hasHook(named: eventName) }
    }

    public func subscriptions() async throws(StoreError) -> [StoredSubscription] {
        try await reads.read(ifAbsent: []) { reader throws(StoreError) in try reader.subscriptions() }
    }

    public func nextDueInOrder(
        subscription: String, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> Timestamp? {
        try await reads.read(ifAbsent: nil) { reader throws(StoreError) in
            try reader.nextDueInOrder(subscription: subscription, excluding: excluded)
        }
    }

    public func change(
        _ filter: DeliveryFilter, _ change: DeliveryChange, after id: Int64, limit: Int, now: Timestamp
    ) async throws(StoreError) -> (changed: Int, last: Int64?) {
        guard case .changed(let count, let last) = try await write(
            .change(filter, change, after: id, limit: limit, now: now))
        else { return (0, nil) }
        return (count, last)
    }

    public func hasten(
        subscription: String, dueAfter due: Timestamp, untried: Bool, limit: Int, now: Timestamp
    ) async throws(StoreError) -> Int {
        let operation = DeliveryOperation.hasten(
            subscription: subscription, dueAfter: due, untried: untried, limit: limit, now: now)
        guard case .changed(let count, _) = try await write(operation) else { return 0 }
        return count
    }

    public func finish(
        _ results: [DeliveryResult], adding events: [AddedEvent], now: Timestamp
    ) async throws(StoreError) {
        _ = try await write(.finish(results, adding: events, now: now))
    }

    public func add(_ events: [AddedEvent], now: Timestamp) async throws(StoreError) -> Int {
        guard case .changed(let count, _) = try await write(.add(events, now: now)) else { return 0 }
        return count
    }

    public func set(_ subscription: StoredSubscription, adding events: [AddedEvent]) async throws(StoreError) {
        _ = try await write(.set(subscription, adding: events))
    }

    public func claimInOrder(
        subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> [ClaimedDelivery] {
        let claim = WriteJob.Claim(
            subscription: subscription, now: now, lease: lease, limit: limit, excluded: excluded)
        guard case .claimed(let deliveries) = try await write(.claimInOrder(claim)) else { return [] }
        return deliveries
    }

    private func write(_ operation: DeliveryOperation) async throws(StoreError) -> DeliveryOperation.Answer {
        guard let writer, let journal else { throw Self.readOnly }
        return try await withCheckedContinuation { continuation in
            if operation.makesEvents {
                journal.perform(operation) { continuation.resume(returning: $0) }
            } else {
                writer.add(.deliveries(operation) { continuation.resume(returning: $0) })
            }
        }.get()
    }
}
