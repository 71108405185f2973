// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What commands ask of a running daemon, and its answers, as one line of JSON each.

import HookDelivery
import HookModel
import HookStore
import JSONLD

enum ControlRequest: Sendable, Hashable {
    case change(DeliveryFilter, DeliveryChange)
    case set(name: String, SubscriptionStatus, reason: String)
    case add([AddedEvent])
    /// What the loops are doing.
    case activity
    case erase(ErasureSubject)
    /// Read everything again. Only `withoutApps` may that leave a daemon without any app that had some.
    case reload(withoutApps: Bool)

    static func path(_ dataFolder: String) -> String { dataFolder + "/control.sock" }

    // MARK: - Writing

    var line: [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        switch self {
        case .change(let filter, let change):
            writer.member("op", change == .redrive ? "redrive" : "cancel")
            Self.write(filter, &writer)
        case .set(let name, let status, let reason):
            writer.member("op", "subscription")
            writer.member("name", name)
            writer.member("status", status.rawValue)
            writer.member("reason", reason)
        case .add(let events):
            writer.member("op", "add")
            writer.name("events")
            writer.beginArray()
            for event in events { Self.write(event, &writer) }
            writer.endArray()
        case .activity: writer.member("op", "activity")
        case .reload(let withoutApps):
            writer.member("op", "reload")
            writer.name("withoutApps")
            writer.boolean(withoutApps)
        case .erase(let subject):
            writer.member("op", "erase")
            switch subject {
            case .messageID(let id): writer.member("messageID", id)
            case .event(let id): writer.member("event", id)
            }
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ filter: DeliveryFilter, _ writer: inout JSONWriter) {
        func list(_ name: String, _ values: [String]) {
            guard !values.isEmpty else { return }
            writer.name(name)
            writer.beginArray()
            values.forEach { writer.string($0) }
            writer.endArray()
        }
        list("states", filter.states.map(\.rawValue).sorted())
        list("ids", filter.ids.map(String.init))
        writer.member("eventType", filter.eventType)
        writer.member("subscription", filter.subscription)
        writer.member("reason", filter.reason)
        writer.member("since", filter.since?.rfc3339)
        writer.member("before", filter.before?.rfc3339)
    }

    private static func write(_ added: AddedEvent, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", added.event.id)
        writer.member("type", added.event.type)
        writer.name("replaces")
        writer.boolean(added.replaces)
        if let message = added.message {
            writer.name("message")
            writer.integer(Int(message))
        }
        writer.name("subscriptions")
        writer.beginArray()
        added.subscriptions.forEach { writer.string($0) }
        writer.endArray()
        // Events are on one line each.
        writer.name("json")
        writer.raw(added.event.json)
        writer.endObject()
    }

    // MARK: - Reading

    /// An event stands two levels deep.
    private static let limits = JSONLimits(depth: 200)

    /// nil for a line that is none of these.
    init?(line: [UInt8]) {
        guard let root = try? JSONDocument(line, limits: Self.limits).root, let operation = root["op"]?.string else { return nil }
        switch operation {
        case "redrive", "cancel":
            guard let filter = Self.filter(root) else { return nil }
            self = .change(filter, operation == "redrive" ? .redrive : .cancel)
        case "subscription":
            guard let name = root["name"]?.string,
                let status = (root["status"]?.string).flatMap(SubscriptionStatus.init(rawValue:))
            else { return nil }
            self = .set(name: name, status, reason: root["reason"]?.string ?? "")
        case "add":
            guard let list = root["events"], list.kind == .array else { return nil }
            let events = list.elements.map(Self.event)
            guard !events.contains(nil) else { return nil }
            self = .add(events.compactMap { $0 })
        case "activity": self = .activity
        case "reload": self = .reload(withoutApps: root["withoutApps"]?.booleanValue ?? false)
        case "erase":
            // Both, or none, is no order to erase anything.
            switch (root["messageID"]?.string, root["event"]?.string) {
            case (let id?, nil): self = .erase(.messageID(id))
            case (nil, let id?): self = .erase(.event(id))
            default: return nil
            }
        default: return nil
        }
    }

    private static func filter(_ root: JSONValue) -> DeliveryFilter? {
        var filter = DeliveryFilter()
        for value in root["states"]?.elements ?? [] {
            guard let state = value.string.flatMap(DeliveryState.init(rawValue:)) else { return nil }
            filter.states.insert(state)
        }
        for value in root["ids"]?.elements ?? [] {
            guard let id = value.string.flatMap({ Int64($0) }) else { return nil }
            filter.ids.append(id)
        }
        filter.eventType = root["eventType"]?.string
        filter.subscription = root["subscription"]?.string
        filter.reason = root["reason"]?.string
        // A time that cannot be read must not mean all times.
        for (name, path) in [("since", \DeliveryFilter.since), ("before", \DeliveryFilter.before)] {
            guard let value = root[name] else { continue }
            guard let time = value.string.flatMap(Timestamp.init(rfc3339:)) else { return nil }
            filter[keyPath: path] = time
        }
        return filter
    }

    private static func event(_ value: JSONValue) -> AddedEvent? {
        guard let id = value["id"]?.string, let type = value["type"]?.string, let json = value["json"], json.kind == .object
        else { return nil }
        return AddedEvent(
            event: Event(id: id, type: type, json: Array(json.text)),
            subscriptions: value["subscriptions"]?.elements.compactMap(\.string) ?? [],
            message: (value["message"]?.integerValue).map(Int64.init), replaces: value["replaces"]?.booleanValue ?? false)
    }
}

/// What came of a request.
struct ControlAnswer: Sendable {
    /// Deliveries that were changed or made, or messages that were erased.
    var count = 0
    /// Events that were erased.
    var events: Int?
    /// By subscription; nil where no daemon runs.
    var activities: [String: SubscriptionActivity]?
    /// Why it was not done.
    var error: String?

    var line: [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("error", error)
        writer.name("count")
        writer.integer(count)
        if let events {
            writer.name("events")
            writer.integer(events)
        }
        if let activities {
            writer.name("subscriptions")
            writer.beginObject()
            for (name, activity) in activities.sorted(by: { $0.key < $1.key }) {
                writer.name(name)
                Self.write(activity, &writer)
            }
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }

    /// Of a daemon that is older than the command.
    static let unknownRequest = "no request this version knows"
    /// Of a daemon that did not look at the request.
    static let tooManyConnections = "the daemon has too many control connections and has done nothing; try again later"

    init(count: Int = 0, activities: [String: SubscriptionActivity]? = nil, error: String? = nil) {
        self.count = count
        self.activities = activities
        self.error = error
    }

    init?(line: [UInt8]) {
        guard let root = try? JSONDocument(line).root, let count = root["count"]?.integerValue else { return nil }
        self.count = count
        error = root["error"]?.string
        events = root["events"]?.integerValue
        guard let members = root["subscriptions"]?.members else { return }
        activities = Dictionary(members.map { ($0.name, Self.activity($0.value)) }) { first, _ in first }
    }

    private static func write(_ activity: SubscriptionActivity, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("breaker", activity.breaker.rawValue)
        writer.member("openUntil", activity.openUntil?.rfc3339)
        writer.member("downSince", activity.downSince?.rfc3339)
        for (name, count) in [("delivered", activity.delivered), ("failed", activity.failed), ("dead", activity.dead)] {
            writer.name(name)
            writer.integer(count)
        }
        writer.member("lastDeliveredAt", activity.lastDeliveredAt?.rfc3339)
        writer.member("lastFailedAt", activity.lastFailedAt?.rfc3339)
        writer.member("lastReason", activity.lastReason)
        writer.endObject()
    }

    private static func activity(_ value: JSONValue) -> SubscriptionActivity {
        func time(_ name: String) -> Timestamp? { (value[name]?.string).flatMap(Timestamp.init(rfc3339:)) }
        var activity = SubscriptionActivity()
        activity.breaker = (value["breaker"]?.string).flatMap(SubscriptionActivity.Breaker.init(rawValue:)) ?? .closed
        activity.openUntil = time("openUntil")
        activity.downSince = time("downSince")
        activity.delivered = value["delivered"]?.integerValue ?? 0
        activity.failed = value["failed"]?.integerValue ?? 0
        activity.dead = value["dead"]?.integerValue ?? 0
        activity.lastDeliveredAt = time("lastDeliveredAt")
        activity.lastFailedAt = time("lastFailedAt")
        activity.lastReason = value["lastReason"]?.string
        return activity
    }
}
