// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a subscription's loop asks of its store and its sink. Each call posts to the loop's mailbox how it ended.

internal import HookModel
internal import Logging

extension SubscriptionLoop {
    /// Deliveries that are given up in one transaction.
    private static let expiryPage = 200
    /// Deliveries that are made due in one transaction.
    private static let hastenPage = 2000

    func claim(_ limit: Int, _ lease: Duration, excluding underWay: Set<Int64>) async {
        let now = clock.now()
        do throws(StoreError) {
            let deliveries =
                subscription.isOrdered
                ? try await store.claimInOrder(subscription: name, now: now, lease: lease, limit: limit, excluding: underWay)
                : try await store.claimDue(subscription: name, now: now, lease: lease, limit: limit, excluding: underWay)
            mailbox.post(.claimed(deliveries, limit: limit, at: now))
        } catch {
            mailbox.post(.claimFailed(error))
        }
    }

    func deliver(_ batch: [ClaimedDelivery]) async {
        let begun = clock.now()
        let answers = await sink.answers(batch, now: begun)
        mailbox.post(.tried(batch, answers, took: clock.now().duration(since: begun)))
    }

    func disable(_ reason: String) async {
        let status = StoredSubscription(name: name, status: .disabled, reason: reason, changedAt: clock.now())
        do throws(StoreError) {
            try await store.set(status, adding: reporter().disabled(status).map { [$0] } ?? [])
            logger.warning("subscription disabled", metadata: ["subscription": "\(name)", "reason": "\(reason)"])
            held[name] = .disabled
            mailbox.post(.disabled)
        } catch {
            mailbox.post(.disableFailed(error))
        }
    }

    /// Gives up deliveries of an endpoint that has not worked for as long as their schedule lasts: they would have
    /// used it up, had each of them been tried.
    func expire(before time: Timestamp) async {
        defer { mailbox.post(.expired) }
        var filter = DeliveryFilter()
        filter.states = [.waiting]
        filter.subscription = name
        filter.before = time
        filter.dueBy = clock.now()
        var last: Int64 = 0
        do throws(StoreError) {
            while true {
                let page = try await store.deliveries(matching: filter, after: last, limit: Self.expiryPage)
                guard let end = page.last else { return }
                last = end.id
                let now = clock.now()
                let reason = "endpoint_down"
                try await store.finish(
                    page.map { DeliveryResult(id: $0.id, state: .givenUp, reason: reason) },
                    adding: page.compactMap {
                        reporter().dead(
                            $0.id, event: $0.eventID, type: $0.eventType, attempts: $0.attempts, subscription: name,
                            reason: reason, at: now)
                    }, now: now)
                logger.warning(
                    "deliveries are dead", metadata: ["subscription": "\(name)", "count": "\(page.count)", "reason": "\(reason)"])
            }
        } catch {
            log("giving up old deliveries failed", error)
        }
    }

    func hasten(dueAfter time: Timestamp, _ untried: Bool) async {
        defer { mailbox.post(.hastened) }
        let now = clock.now()
        do throws(StoreError) {
            var total = 0
            while true {
                let count = try await store.hasten(
                    subscription: name, dueAfter: time, untried: untried, limit: Self.hastenPage, now: now)
                total += count
                if count < Self.hastenPage { break }
            }
            guard total > 0 else { return }
            logger.warning(
                "deliveries were put off by a clock that was wrong, and are due now",
                metadata: ["subscription": "\(name)", "count": "\(total)"])
        } catch {
            log("looking for deliveries that were put off for too long failed", error)
        }
    }

    func finish(_ results: [DeliveryResult]) {
        store.finish(results, now: clock.now()) { [mailbox] stored in
            switch stored {
            case .success: mailbox.post(.finished(results))
            case .failure(let error): mailbox.post(.finishFailed(results, [], error))
            }
        }
    }

    func finish(_ results: [DeliveryResult], _ events: [AddedEvent]) async {
        do throws(StoreError) {
            if events.isEmpty {
                try await store.finish(results, now: clock.now())
            } else {
                try await store.finish(results, adding: events, now: clock.now())
            }
            mailbox.post(.finished(results))
        } catch {
            mailbox.post(.finishFailed(results, events, error))
        }
    }

    func lookUpNextDue(excluding underWay: Set<Int64>) async {
        do throws(StoreError) {
            mailbox.post(
                .foundNextDue(
                    subscription.isOrdered
                        ? try await store.nextDueInOrder(subscription: name, excluding: underWay)
                        : try await store.nextDue(subscription: name, excluding: underWay)))
        } catch {
            mailbox.post(.lookUpFailed(error))
        }
    }
}
