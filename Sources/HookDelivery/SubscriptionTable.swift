// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Answers, for each event that is about to be stored, which subscriptions it is for.

internal import Synchronization

/// The subscriptions of one configuration, asked once an event. Safe to share between threads.
public final class SubscriptionTable: Sendable {
    /// Event names that are remembered. They come from app definitions, so this is a bound nobody meets; past it
    /// the patterns are compared each time, and a flood of made-up names cannot fill the memory.
    private static let cacheLimit = 4096

    private let entries: [(name: String, patterns: [EventPattern])]
    private let cache = Mutex<[String: [String]]>([:])

    public init(_ subscriptions: [Subscription]) {
        entries = subscriptions.map { ($0.name, $0.events) }
    }

    /// Names of the subscriptions that hear events of this type, in the order of the configuration, each once.
    public func names(matching eventType: String) -> [String] {
        if let known = cache.withLock({ $0[eventType] }) { return known }
        let names = entries.filter { $0.patterns.contains { $0.matches(eventType) } }.map(\.name)
        cache.withLock { if $0.count < Self.cacheLimit { $0[eventType] = names } }
        return names
    }
}
