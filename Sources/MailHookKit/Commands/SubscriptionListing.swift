// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd subscriptions`: who hears what and how it goes, and holding one back.

import HookDelivery
import HookModel
import HookStore
import JSONLD

public enum SubscriptionListing {
    private struct Row {
        var subscription: Subscription?
        var name: String
        var stored: StoredSubscription?
        var activity: SubscriptionActivity?
        var key: String?
        var status: SubscriptionStatus { stored?.status ?? .active }
    }

    /// One line each: JSON, or words for people.
    ///
    /// - Parameter keys: whether signing keys of outbound webhooks are shown.
    /// - Returns: the lines, and why a daemon that runs does not say how it goes; nil where it does, or none runs.
    public static func lines(
        _ setup: Setup, json: Bool, keys: Bool = false
    ) async throws(SetupError) -> (lines: [String], notice: String?) {
        let folder = setup.configuration.data
        let stored: [StoredSubscription]
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(folder), as: .reader)
            stored = try await store.subscriptions()
            await store.close()
        } catch {
            throw SetupError(storeError: error, dataFolder: folder)
        }
        var activities: [String: SubscriptionActivity]?
        var notice: String?
        do throws(SetupError) {
            activities = try ControlClient.daemonAnswer(.activity, dataFolder: folder)?.activities
        } catch {
            notice = "how deliveries go is not shown: \(error)"
        }
        let configured = try setup.allSubscriptions()
        var rows = configured.map { Row(subscription: $0, name: $0.name) }
        // Those that were held back once and are not configured any more are shown as well.
        for state in stored where state.status != .active && !configured.contains(where: { $0.name == state.name }) {
            rows.append(Row(subscription: nil, name: state.name))
        }
        let tokens = keys ? try setup.outboundKeys() : [:]
        let lines = rows.map { row in
            var row = row
            row.key = tokens[row.name]
            row.stored = stored.first { $0.name == row.name }
            row.activity = activities?[row.name]
            return json ? jsonLine(row) : text(row)
        }
        return (lines, notice)
    }

    private static func text(_ row: Row) -> String {
        var words = ["\(row.name) \(row.status.rawValue)"]
        if let stored = row.stored, stored.status != .active {
            words.append("since \(stored.changedAt.rfc3339WholeSeconds)" + (stored.reason.isEmpty ? "" : " (\(stored.reason))"))
        }
        if let subscription = row.subscription {
            words.append(subscription.sink.name + " " + subscription.events.map(\.description).joined(separator: " "))
        } else {
            words.append("not configured")
        }
        if let key = row.key { words.append("key \(key)") }
        if let activity = row.activity {
            if activity.breaker != .closed {
                words.append("breaker \(activity.breaker.rawValue)" + (activity.openUntil.map { " until \($0.rfc3339WholeSeconds)" } ?? ""))
            }
            words.append("delivered \(activity.delivered), failed \(activity.failed), dead \(activity.dead)")
            if let reason = activity.lastReason { words.append("last failure \(reason)") }
        }
        return words.joined(separator: "  ")
    }

    private static func jsonLine(_ row: Row) -> String {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("name", row.name)
        writer.member("status", row.status.rawValue)
        writer.member("reason", row.stored.flatMap { $0.reason.isEmpty ? nil : $0.reason })
        writer.member("since", row.stored?.changedAt.rfc3339)
        writer.member("sink", row.subscription?.sink.name)
        writer.member("key", row.key)
        if let subscription = row.subscription {
            writer.member("payload", subscription.payload.rawValue)
            writer.name("events")
            writer.beginArray()
            subscription.events.forEach { writer.string($0.description) }
            writer.endArray()
        }
        if let activity = row.activity {
            writer.member("breaker", activity.breaker.rawValue)
            writer.member("openUntil", activity.openUntil?.rfc3339)
            for (name, count) in [("delivered", activity.delivered), ("failed", activity.failed), ("dead", activity.dead)] {
                writer.name(name)
                writer.integer(count)
            }
            writer.member("lastReason", activity.lastReason)
        }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Holds deliveries of a subscription back, or lets them go on.
    public static func set(_ name: String, isPaused: Bool, setup: Setup) async throws(SetupError) {
        let names = Set(try setup.allSubscriptions().map(\.name))
        guard names.contains(name) else { throw SetupError.unknown("subscription", name, among: names) }
        let client = try await ControlClient(setup)
        let result: Result<ControlAnswer, SetupError>
        do throws(SetupError) {
            result = .success(
                try await client.send(.set(name: name, isPaused ? .paused : .active, reason: isPaused ? "by hand" : "")))
        } catch { result = .failure(error) }
        await client.close()
        _ = try result.get()
    }
}
