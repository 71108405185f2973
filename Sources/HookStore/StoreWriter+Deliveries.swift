// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Results, orders and additions about deliveries in SQL, on the connection that writes.

internal import HookModel

/// Statements about deliveries that the writer keeps.
struct DeliveryStatements {
    let redrive: SQLiteStatement
    let end: SQLiteStatement
    let hasten: SQLiteStatement
    let replaceEvent: SQLiteStatement
    let insertLater: SQLiteStatement
    let findOfEvent: SQLiteStatement
    let setStatus: SQLiteStatement
    let markOrdered: SQLiteStatement
    let findOrdered: SQLiteStatement
    let claimed: SQLiteStatement
    let rows: DeliveryRows

    init(_ connection: SQLiteConnection) throws(StoreError) {
        redrive = try connection.prepare(
            "UPDATE deliveries SET state = 0, attempts = 0, due = ?2, changed_at = ?2, ordered = ?3 WHERE id = ?1")
        end = try connection.prepare("UPDATE deliveries SET state = ?2, reason = ?3, changed_at = ?4 WHERE id = ?1")
        hasten = try connection.prepare(
            """
            UPDATE deliveries SET due = ?4 WHERE id IN (
                SELECT id FROM deliveries INDEXED BY deliveries_due
                WHERE subscription = ?1 AND state < 2 AND state = 0 AND due > ?2 AND (due > ?5 OR attempts = 0) LIMIT ?3)
            """)
        replaceEvent = try connection.prepare("UPDATE events SET json = ?2, type = ?3 WHERE sequence = ?1")
        insertLater = try connection.prepare("INSERT INTO later_events VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        findOfEvent = try connection.prepare("SELECT id FROM deliveries WHERE event = ?1 AND subscription = ?2")
        setStatus = try connection.prepare(
            """
            INSERT INTO subscription_states VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name)
            DO UPDATE SET status = excluded.status, reason = excluded.reason, changed_at = excluded.changed_at
            """)
        markOrdered = try connection.prepare(
            "UPDATE deliveries INDEXED BY deliveries_due SET ordered = 1 WHERE subscription = ?1 AND state < 2 AND ordered = 0")
        findOrdered = try connection.prepare(StoreReader.inOrder)
        claimed = try connection.prepare(
            """
            SELECT d.id, d.attempts, d.created_at, e.id, e.type, e.json
            FROM deliveries d JOIN events e ON e.sequence = d.event WHERE d.id = ?1
            """)
        rows = try DeliveryRows(connection)
    }
}

extension StoreWriter {
    func perform(_ operation: DeliveryOperation) throws(StoreError) -> DeliveryOperation.Answer {
        switch operation {
        case .finish(let results, let events, let now):
            for result in results { try store(result, now: now) }
            _ = try add(events, now: now)
            return .done
        case .change(let filter, let change, let id, let limit, let now):
            let (changed, last) = try self.change(filter, change, after: id, limit: limit, now: now)
            return .changed(changed, last: last)
        case .hasten(let subscription, let due, let untried, let limit, let now):
            return .changed(try hasten(subscription, dueAfter: due, untried, limit: limit, now: now), last: nil)
        case .add(let events, let now): return .changed(try add(events, now: now), last: nil)
        case .set(let subscription, let events):
            try set(subscription)
            _ = try add(events, now: subscription.changedAt)
            return .done
        case .claimInOrder(let claim): return .claimed(try claimInOrder(claim))
        }
    }

    // MARK: - Orders

    private func change(
        _ filter: DeliveryFilter, _ change: DeliveryChange, after id: Int64, limit: Int, now: Timestamp
    ) throws(StoreError) -> (changed: Int, last: Int64?) {
        var filter = filter
        filter.states = filter.states.isEmpty ? change.states : filter.states.intersection(change.states)
        guard !filter.states.isEmpty else { return (0, nil) }
        let (found, end) = try deliveryStatements.rows.step(filter, after: id, limit: limit)
        for delivery in found {
            switch change {
            case .redrive: try redrive(delivery.id, to: delivery.subscription, now: now)
            case .cancel: try self.end(delivery.id, as: .cancelled, reason: delivery.reason, now: now)
            }
        }
        return (found.count, end)
    }

    private func hasten(
        _ name: String, dueAfter due: Timestamp, _ untried: Bool, limit: Int, now: Timestamp
    ) throws(StoreError) -> Int {
        guard let subscription = try subscriptions.find(name) else { return 0 }
        let statement = deliveryStatements.hasten
        statement.bind(1, subscription)
        // What was made due is not met again, whatever the clock does meanwhile.
        statement.bind(2, (untried ? now : max(due, now)).microseconds)
        statement.bind(3, max(0, limit))
        statement.bind(4, now.microseconds)
        statement.bind(5, due.microseconds)
        try statement.run()
        let count = connection.changes
        if count > 0 { signalled.insert(name) }
        return count
    }

    private func redrive(_ id: Int64, to subscription: String, now: Timestamp) throws(StoreError) {
        let statement = deliveryStatements.redrive
        statement.bind(1, id)
        statement.bind(2, now.microseconds)
        statement.bind(3, subscriptions.ordered.contains(subscription) ? 1 : 0)
        try statement.run()
        claimsUnderWay.renew(id)
        signalled.insert(subscription)
    }

    private func end(_ id: Int64, as state: DeliveryState, reason: String, now: Timestamp) throws(StoreError) {
        let statement = deliveryStatements.end
        statement.bind(1, id)
        statement.bind(2, state.stored)
        statement.bind(3, reason)
        statement.bind(4, now.microseconds)
        try statement.run()
    }

    private func set(_ subscription: StoredSubscription) throws(StoreError) {
        let statement = deliveryStatements.setStatus
        statement.bind(1, subscription.name)
        statement.bind(2, subscription.status.rawValue)
        statement.bind(3, subscription.reason)
        statement.bind(4, subscription.changedAt.microseconds)
        try statement.run()
        signalled.insert(subscription.name)
    }

    // MARK: - Additions

    /// How many deliveries were made or begun anew.
    private func add(_ events: [AddedEvent], now: Timestamp) throws(StoreError) -> Int {
        var count = 0
        for added in events {
            let sequence: Int64
            if let known = try indexer.sequence(ofEvent: added.event.id) {
                guard added.replaces else { continue }
                sequence = known
                let replace = deliveryStatements.replaceEvent
                replace.bind(1, sequence)
                replace.bind(3, added.event.type)
                try replace.run(borrowing: added.event.json, as: 2)
            } else {
                // Of no message; the negative number of the last one tells its age.
                let last = try lastNumbers()
                sequence = try indexer.insertNew(
                    added.event, message: added.message ?? -last.message, sequence: last.event + 1)
                if let message = added.message { try linkLater(sequence, to: message) }
            }
            for subscription in added.subscriptions {
                try deliver(sequence, to: subscription, now: now)
                count += 1
            }
        }
        return count
    }

    private func linkLater(_ event: Int64, to message: Int64) throws(StoreError) {
        let statement = deliveryStatements.insertLater
        statement.bind(1, message)
        statement.bind(2, event)
        try statement.run()
    }

    private func deliver(_ event: Int64, to subscription: String, now: Timestamp) throws(StoreError) {
        let find = deliveryStatements.findOfEvent
        find.bind(1, event)
        find.bind(2, try subscriptions.make(subscription))
        guard try find.step() else {
            signalled.insert(subscription)
            return try indexer.insertDelivery(event: event, to: subscription, at: now.microseconds)
        }
        let id = find.integer(0)
        find.reset()
        try redrive(id, to: subscription, now: now)
    }

    // MARK: - Order

    private func claimInOrder(_ claim: WriteJob.Claim) throws(StoreError) -> [ClaimedDelivery] {
        guard claim.limit > 0 else { return [] }
        let subscription = try subscriptions.make(claim.subscription)
        if subscriptions.beginOrder(claim.subscription) {
            deliveryStatements.markOrdered.bind(1, subscription)
            try deliveryStatements.markOrdered.run()
        }
        let ids = try StoreReader.heads(
            deliveryStatements.findOrdered, subscription, dueBy: claim.now, limit: claim.limit, excluding: claim.excluded
        ).ids
        var claimed: [ClaimedDelivery] = []
        for id in ids {
            let row = deliveryStatements.claimed
            row.bind(1, id)
            guard try row.step() else { continue }
            claimed.append(
                ClaimedDelivery(
                    id: row.integer(0), subscription: claim.subscription,
                    event: Event(id: row.text(3), type: row.text(4), json: row.octets(5)),
                    attempt: Int(row.integer(1)) + 1, createdAt: Timestamp(microseconds: row.integer(2))))
            row.reset()
            try leaseDelivery(id, claim)
        }
        return claimed
    }
}
