// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd deliveries`: which there are, and orders about them.

import HookModel
import HookStore
import JSONLD

/// Which deliveries are meant, as the command line says it.
public struct DeliverySelection: Sendable {
    public var states: [String] = []
    public var hook: String?
    public var subscription: String?
    public var reason: String?
    /// A moment (RFC 3339), or a time such as `24h` before now.
    public var since: String?
    public var ids: [String] = []

    public init() {}

    /// - Throws: what cannot be understood, with EX_USAGE.
    func filter(now: Timestamp) throws(SetupError) -> DeliveryFilter {
        var filter = DeliveryFilter()
        for text in states {
            guard let state = DeliveryState(rawValue: text) else {
                let known = DeliveryState.allCases.map(\.rawValue).joined(separator: ", ")
                throw SetupError("there is no state '\(text)'; states: \(known)", exitStatus: SysExit.usage)
            }
            filter.states.insert(state)
        }
        for text in ids {
            guard let id = Int64(text) else { throw SetupError("'\(text)' is no delivery's number", exitStatus: SysExit.usage) }
            filter.ids.append(id)
        }
        filter.eventType = hook
        filter.subscription = subscription
        filter.reason = reason
        filter.since = try since.map { text throws(SetupError) in try Self.moment(text, now: now) }
        return filter
    }

    static func moment(_ text: String, now: Timestamp) throws(SetupError) -> Timestamp {
        if let moment = Timestamp(rfc3339: text) { return moment }
        if let ago = Units.duration(text) { return now.advanced(by: .zero - ago) }
        throw SetupError("'\(text)' is neither a time such as 2026-11-25T09:00:00Z nor one such as 24h", exitStatus: SysExit.usage)
    }
}

public enum DeliveryListing {
    private static let pageSize = 500

    /// Shows each on one line: JSON, or words for people.
    public static func run(
        _ selection: DeliverySelection, setup: Setup, json: Bool, _ show: (String) -> Void
    ) async throws(SetupError) {
        let filter = try selection.filter(now: .now())
        let found = try await StorePath.read(setup.configuration.data) { store throws(StoreError) -> SetupError? in
            if let error = try await check(of: filter).finding(setup, store) { return error }
            var last: Int64 = 0
            while true {
                let page = try await store.deliveries(matching: filter, after: last, limit: pageSize)
                page.forEach { show(json ? jsonLine($0) : text($0)) }
                guard let end = page.last?.id else { return nil }
                last = end
            }
        }
        if let found { throw found }
    }

    private static func check(of filter: DeliveryFilter) -> SelectionCheck {
        SelectionCheck(subscription: filter.subscription, hook: filter.eventType, deliveries: filter.ids)
    }

    static func jsonLine(_ delivery: StoredDelivery) -> String {
        var writer = JSONWriter(capacity: 512)
        write(delivery, attempts: nil, to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    static func write(_ delivery: StoredDelivery, attempts: [StoredAttempt]?, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("id")
        writer.integer(Int(delivery.id))
        writer.member("subscription", delivery.subscription)
        writer.member("event", delivery.eventID)
        writer.member("hook", delivery.eventType)
        writer.member("state", delivery.state.rawValue)
        writer.member("reason", delivery.reason.isEmpty ? nil : delivery.reason)
        writer.name("attempts")
        writer.integer(delivery.attempts)
        writer.member("due", delivery.state.isFinal ? nil : delivery.due.rfc3339)
        writer.member("createdAt", delivery.createdAt.rfc3339)
        writer.member("changedAt", delivery.changedAt.rfc3339)
        if let attempts, !attempts.isEmpty {
            writer.name("failures")
            writer.beginArray()
            for attempt in attempts {
                writer.beginObject()
                writer.name("attempt")
                writer.integer(attempt.number)
                writer.member("at", attempt.at.rfc3339)
                writer.member("reason", attempt.reason)
                writer.member("answer", attempt.detail.isEmpty ? nil : attempt.detail)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    static func text(_ delivery: StoredDelivery) -> String {
        let reason = delivery.reason.isEmpty ? "" : " (\(delivery.reason))"
        let due = delivery.state.isFinal ? "" : " due \(delivery.due.rfc3339WholeSeconds)"
        return "\(delivery.id) \(delivery.state.rawValue)\(reason) \(delivery.subscription) \(delivery.eventType) "
            + "\(delivery.eventID) attempts \(delivery.attempts)\(due)"
    }

    // MARK: - Orders

    /// How many deliveries were changed. Without a state, redriving means those that are dead.
    public static func change(
        _ selection: DeliverySelection, redrive: Bool, setup: Setup
    ) async throws(SetupError) -> Int {
        var filter = try selection.filter(now: .now())
        let change: DeliveryChange = redrive ? .redrive : .cancel
        if filter.states.isEmpty, filter.ids.isEmpty { filter.states = redrive ? [.dead] : change.states }
        let useless = filter.states.subtracting(change.states)
        guard useless.isEmpty else {
            let words = useless.map(\.rawValue).sorted().joined(separator: ", ")
            throw SetupError("this cannot be done with deliveries that are \(words)", exitStatus: SysExit.usage)
        }
        try await check(of: filter).run(setup)
        let client = try await ControlClient(setup)
        let result: Result<ControlAnswer, SetupError>
        do throws(SetupError) { result = .success(try await client.send(.change(filter, change))) } catch { result = .failure(error) }
        await client.close()
        return try result.get().count
    }
}
