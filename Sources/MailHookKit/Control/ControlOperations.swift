// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Does what a request asks for, the same inside of the daemon and, where none runs, inside of the command.

import HookDelivery
import HookModel
import HookStore
import Logging

struct ControlOperations: Sendable {
    /// Deliveries that are changed in one transaction, so that mail does not wait for it.
    private static let page = 500

    let store: any DeliveryStore
    /// nil where no daemon runs.
    let dispatcher: Dispatcher?
    let logger: Logger
    let now: @Sendable () -> Timestamp
    /// nil where no daemon runs.
    var reload: ReloadLink?

    /// One line to another.
    func answer(_ line: [UInt8]) async -> [UInt8] {
        guard let request = ControlRequest(line: line) else { return ControlAnswer(error: ControlAnswer.unknownRequest).line }
        return await answer(request).line
    }

    func answer(_ request: ControlRequest) async -> ControlAnswer {
        do throws(StoreError) {
            switch request {
            case .change(let filter, let change): return try await self.change(filter, change)
            case .set(let name, let status, let reason): return try await set(name, status, reason)
            case .add(let events): return ControlAnswer(count: try await store.add(events, now: now()))
            case .activity: return ControlAnswer(activities: dispatcher?.monitor.all)
            case .erase(let subject): return try await erase(subject)
            case .reload(let withoutApps): return await reloaded(withoutApps)
            }
        } catch {
            return ControlAnswer(error: "\(error)")
        }
    }

    private func change(_ filter: DeliveryFilter, _ change: DeliveryChange) async throws(StoreError) -> ControlAnswer {
        var filter = filter
        let now = now()
        // What is made meanwhile is not meant, or this might never end.
        filter.before = min(filter.before ?? .init(microseconds: .max), now.advanced(by: .microseconds(1)))
        var count = 0
        var next: Int64? = 0
        while let start = next {
            let (changed, last) = try await store.change(filter, change, after: start, limit: Self.page, now: now)
            count += changed
            next = last
        }
        logger.notice("deliveries changed", metadata: ["order": "\(change)", "count": "\(count)"])
        return ControlAnswer(count: count)
    }

    private func reloaded(_ withoutApps: Bool) async -> ControlAnswer {
        guard case .failure(let failure) = await reload?(withoutApps: withoutApps) else { return ControlAnswer(count: reload == nil ? 0 : 1) }
        let errors = failure.diagnostics.filter { $0.severity == .error }.map(\.description)
        return ControlAnswer(error: errors.joined(separator: "\n"))
    }

    private func erase(_ subject: ErasureSubject) async throws(StoreError) -> ControlAnswer {
        guard let store = store as? SQLiteStore else { return ControlAnswer(error: "this store erases nothing") }
        let receipt = try await store.erase(subject)
        var answer = ControlAnswer(count: receipt.messages)
        answer.events = receipt.events
        guard receipt.messages > 0 else { return answer }
        logger.notice("erased", metadata: ["messages": "\(receipt.messages)", "events": "\(receipt.events)"])
        do throws(StoreError) {
            try await store.emptyJournal()
        } catch {
            answer.error = "erased, but its octets are still in journal or log (\(error)); "
                + "stop the daemon and erase it again by the id of an event"
        }
        return answer
    }

    private func set(
        _ name: String, _ status: SubscriptionStatus, _ reason: String
    ) async throws(StoreError) -> ControlAnswer {
        let stored = StoredSubscription(name: name, status: status, reason: reason, changedAt: now())
        try await store.set(stored, adding: [])
        dispatcher?.apply(status, to: name)
        logger.notice("subscription changed", metadata: ["subscription": "\(name)", "status": "\(status)"])
        return ControlAnswer(count: 1)
    }
}
