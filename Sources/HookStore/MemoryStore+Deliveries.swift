// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The history of deliveries and orders about them, in memory.

public import HookModel

extension MemoryStore: HistoryStore {
    public func deliveries(
        matching filter: DeliveryFilter, after id: Int64, limit: Int
    ) async throws(StoreError) -> [StoredDelivery] {
        try await ask { content in Array(content.deliveries(matching: filter, after: id).prefix(max(0, limit))) }
    }

    public func deliveries(ofEvent id: String) async throws(StoreError) -> [StoredDelivery] {
        try await ask { content in content.deliveries(matching: DeliveryFilter(), after: 0).filter { $0.eventID == id } }
    }

    public func attempts(ofDelivery id: Int64) async throws(StoreError) -> [StoredAttempt] {
        try await ask { content in content.deliveries.first { $0.id == id }?.failures ?? [] }
    }

    public func events(ofMessage id: Int64) async throws(StoreError) -> [StoredEvent] {
        try await ask { content in content.events.filter { $0.message == id }.map(\.stored) }
    }

    public func messageAndEvents(_ id: Int64) async throws(StoreError) -> (message: StoredMessage, events: [StoredEvent])? {
        try await ask { content in
            content.message(id).map { message in (message, content.events.filter { $0.message == id }.map(\.stored)) }
        }
    }

    public func messages(digestPrefix: [UInt8], limit: Int) async throws(StoreError) -> [StoredMessage] {
        guard digestPrefix.count >= 8 else { return [] }
        return try await ask { content in
            content.messages.filter { $0.contentDigest.starts(with: digestPrefix) }.prefix(max(0, limit))
                .compactMap { content.message($0.id) }
        }
    }

    public func firstMessage(since time: Timestamp) async throws(StoreError) -> Int64? {
        try await ask { content in content.messages.first { $0.receivedAt >= time.advanced(by: .seconds(-900)) }?.id }
    }

    public func messageNumber(ofEvent id: String) async throws(StoreError) -> Int64? {
        try await ask { content in content.eventIndex[id].map { content.events[$0].message }.flatMap { $0 > 0 ? $0 : nil } }
    }

    public func messageNumbers(
        from number: Int64, since time: Timestamp, limit: Int
    ) async throws(StoreError) -> [Int64] {
        try await ask { content in
            let makers = Set(content.events.map(\.message))
            let found = content.messages.lazy.filter {
                $0.id >= number && $0.receivedAt >= time && ($0.duplicateOf == nil || makers.contains($0.id))
            }
            return Array(found.map(\.id).prefix(max(0, limit)))
        }
    }

    public func hasHook(named eventName: String) async throws(StoreError) -> Bool {
        try await ask { content in
            content.messages.contains { $0.verdicts.contains { $0.eventName == eventName } }
                || content.events.contains { $0.message > 0 && $0.stored.event.type == eventName }
                || content.deliveries.contains { content.events[$0.event].stored.event.type == eventName }
        }
    }

    public func change(
        _ filter: DeliveryFilter, _ change: DeliveryChange, after id: Int64, limit: Int, now: Timestamp
    ) async throws(StoreError) -> (changed: Int, last: Int64?) {
        let (count, last, new) = try await ask { content in content.change(filter, change, after: id, limit, now) }
        await signal(new)
        return (count, last)
    }

    public func hasten(
        subscription: String, dueAfter due: Timestamp, untried: Bool, limit: Int, now: Timestamp
    ) async throws(StoreError) -> Int {
        let count = try await ask { content in content.hasten(subscription, dueAfter: due, untried, limit, now) }
        await signal(count > 0 ? [subscription] : [])
        return count
    }

    public func finish(
        _ results: [DeliveryResult], adding events: [AddedEvent], now: Timestamp
    ) async throws(StoreError) {
        let new = try await ask { content in
            results.forEach { content.finish($0, now) }
            return content.add(events, now).new
        }
        await signal(new)
    }

    public func add(_ events: [AddedEvent], now: Timestamp) async throws(StoreError) -> Int {
        let (count, new) = try await ask { content in content.add(events, now) }
        await signal(new)
        return count
    }

    public func subscriptions() async throws(StoreError) -> [StoredSubscription] {
        try await ask { content in content.subscriptions.values.sorted { $0.name < $1.name } }
    }

    public func set(_ subscription: StoredSubscription, adding events: [AddedEvent]) async throws(StoreError) {
        let new = try await ask { content in
            content.subscriptions[subscription.name] = subscription
            return content.add(events, subscription.changedAt).new
        }
        await signal(new.union([subscription.name]))
    }

    public func claimInOrder(
        subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> [ClaimedDelivery] {
        try await ask { content in
            content.heads(subscription, excluded).filter { $0.due <= now }.prefix(max(0, limit)).map {
                content.lease($0, now, lease)
            }
        }
    }

    public func nextDueInOrder(
        subscription: String, excluding excluded: Set<Int64>
    ) async throws(StoreError) -> Timestamp? {
        try await ask { content in content.heads(subscription, excluded).map(\.due).min() }
    }

    private func signal(_ new: Set<String>) async {
        guard !new.isEmpty else { return }
        _ = thread.queue.add { $0.handler?(new) }
    }
}

extension MemoryContent {
    func deliveries(matching filter: DeliveryFilter, after id: Int64) -> [StoredDelivery] {
        deliveries.lazy.filter { $0.id > id }.map(stored).filter { delivery in
            (filter.ids.isEmpty || filter.ids.contains(delivery.id))
                && (filter.states.isEmpty || filter.states.contains(delivery.state))
                && filter.eventType.map { $0 == delivery.eventType } ?? true
                && filter.subscription.map { $0 == delivery.subscription } ?? true
                && filter.reason.map { $0 == delivery.reason } ?? true
                && filter.since.map { delivery.createdAt >= $0 } ?? true
                && filter.before.map { delivery.createdAt < $0 } ?? true
                && filter.dueBy.map { delivery.due <= $0 } ?? true
        }
    }

    private func stored(_ row: DeliveryRow) -> StoredDelivery {
        let event = events[row.event].stored.event
        return StoredDelivery(
            id: row.id, subscription: row.subscription, eventID: event.id, eventType: event.type, state: row.state,
            attempts: row.attempts, due: row.due, createdAt: row.createdAt, changedAt: row.changedAt, reason: row.reason)
    }

    mutating func change(
        _ filter: DeliveryFilter, _ change: DeliveryChange, after id: Int64, _ limit: Int, _ now: Timestamp
    ) -> (count: Int, last: Int64?, new: Set<String>) {
        var filter = filter
        filter.states = filter.states.isEmpty ? change.states : filter.states.intersection(change.states)
        guard !filter.states.isEmpty else { return (0, nil, []) }
        let found = deliveries(matching: filter, after: id).prefix(max(0, limit))
        var new: Set<String> = []
        for delivery in found {
            let index = Int(delivery.id) - 1
            deliveries[index].changedAt = now
            switch change {
            case .redrive:
                redrive(index, now)
                new.insert(delivery.subscription)
            case .cancel: deliveries[index].state = .cancelled
            }
        }
        return (found.count, found.count < limit ? nil : found.last?.id, new)
    }

    mutating func hasten(
        _ subscription: String, dueAfter due: Timestamp, _ untried: Bool, _ limit: Int, _ now: Timestamp
    ) -> Int {
        let found = deliveries.indices.filter { index in
            let row = deliveries[index]
            return row.subscription == subscription && row.state == .waiting && row.due > now
                && (row.due > due || untried && row.attempts == 0)
        }.prefix(max(0, limit))
        for index in found { deliveries[index].due = now }
        return found.count
    }

    private mutating func redrive(_ index: Int, _ now: Timestamp) {
        deliveries[index].state = .waiting
        deliveries[index].attempts = 0
        deliveries[index].due = now
        deliveries[index].changedAt = now
    }

    mutating func add(_ added: [AddedEvent], _ now: Timestamp) -> (count: Int, new: Set<String>) {
        var (count, new): (Int, Set<String>) = (0, [])
        for added in added {
            let index: Int
            if let known = eventIndex[added.event.id] {
                guard added.replaces else { continue }
                index = known
                events[index].stored.event = added.event
            } else {
                index = events.count
                eventIndex[added.event.id] = index
                let stored = StoredEvent(sequence: Int64(index + 1), event: added.event)
                events.append(EventRow(stored: stored, message: added.message ?? 0))
            }
            for subscription in added.subscriptions {
                let known = deliveries.firstIndex { $0.event == index && $0.subscription == subscription }
                if let known { redrive(known, now) } else { insertDelivery(ofEvent: index, to: subscription, at: now) }
                new.insert(subscription)
                count += 1
            }
        }
        return (count, new)
    }

    /// The oldest delivery of each event type that is still to be done; of a type of which one is excluded, none.
    func heads(_ subscription: String, _ excluded: Set<Int64>) -> [DeliveryRow] {
        let pending = deliveries.filter { $0.subscription == subscription && !$0.state.isFinal }
        var seen = Set(pending.filter { excluded.contains($0.id) }.map { events[$0.event].stored.event.type })
        return pending.filter { seen.insert(events[$0.event].stored.event.type).inserted }
    }

    mutating func lease(_ row: DeliveryRow, _ now: Timestamp, _ lease: Duration) -> ClaimedDelivery {
        let index = Int(row.id) - 1
        deliveries[index].state = .leased
        deliveries[index].attempts += 1
        deliveries[index].due = now.advanced(by: lease)
        deliveries[index].changedAt = now
        return ClaimedDelivery(
            id: row.id, subscription: row.subscription, event: events[row.event].stored.event,
            attempt: row.attempts + 1, createdAt: row.createdAt)
    }
}
