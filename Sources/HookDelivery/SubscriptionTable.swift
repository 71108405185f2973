// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Answers, for each event that is about to be stored, which subscriptions it is for.

public import HookModel
internal import JSONLD
internal import Synchronization

/// The subscriptions of one configuration, asked once an event. Safe to share between threads.
public final class SubscriptionTable: Sendable {
    /// Event names that are remembered. They come from app definitions, so this is a bound nobody meets; past it
    /// the patterns are compared each time, and a flood of made-up names cannot fill the memory.
    private static let cacheLimit = 4096

    private struct Entry: Sendable {
        var name: String
        var patterns: [EventPattern]
        var filter: EventFilter?
    }

    private let entries: [Entry]
    /// Indices of `entries` by event type.
    private let cache = Mutex<[String: [Int]]>([:])

    public init(_ subscriptions: [Subscription]) {
        entries = subscriptions.map { Entry(name: $0.name, patterns: $0.events, filter: $0.filter) }
    }

    /// Names of the subscriptions that hear events of this type, in the order of the configuration, each once. Those
    /// that filter hear some of them.
    public func names(matching eventType: String) -> [String] { indices(eventType).map { entries[$0].name } }

    /// Names of the subscriptions that hear this event.
    public func names(for event: Event) -> [String] {
        let indices = indices(event.type)
        guard indices.contains(where: { entries[$0].filter != nil }) else { return indices.map { entries[$0].name } }
        let data = try? JSONDocument(event.json, limits: EventEnvelope.limits).root["data"]
        return indices.filter { entries[$0].filter?.matches(data: data) ?? true }.map { entries[$0].name }
    }

    private func indices(_ eventType: String) -> [Int] {
        if let known = cache.withLock({ $0[eventType] }) { return known }
        let indices = entries.indices.filter { index in entries[index].patterns.contains { $0.matches(eventType) } }
        cache.withLock { if $0.count < Self.cacheLimit { $0[eventType] = indices } }
        return indices
    }
}
