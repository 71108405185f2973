// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Names and numbers on a command line that there are none of: mistyped ones would choose nothing, and look as if
// there was nothing to do.

import HookDelivery
import HookModel
import HookStore

struct SelectionCheck {
    var subscription: String?
    var hook: String?
    var deliveries: [Int64] = []
    var events: [String] = []

    /// What is known of the configuration is looked up there; only for what is not, the store is opened.
    ///
    /// - Throws: EX_USAGE for a name, 1 for deliveries and events that there are none of, as `events show` and `trace`.
    func run(_ setup: Setup) async throws(SetupError) {
        guard needsStore(setup) else { return }
        let found = try await StorePath.read(setup.configuration.data) { store throws(StoreError) in
            try await finding(setup, store)
        }
        if let found { throw found }
    }

    /// The same for who has a store open.
    ///
    /// - Returns: what to throw; nil where everything is there.
    func finding(_ setup: Setup, _ store: SQLiteStore) async throws(StoreError) -> SetupError? {
        if let subscription, !setup.subscriptionNames.contains(subscription),
            try await !Self.isSubscription(subscription, store)
        {
            return .unknown("subscription", subscription, among: setup.subscriptionNames)
        }
        // One that no app declares any more may still have messages and events.
        if let hook, !setup.eventNames.contains(hook), try await !store.hasHook(named: hook) {
            return .unknown("hook", hook, among: setup.eventNames)
        }
        for id in deliveries where try await store.delivery(id) == nil {
            return SetupError("no delivery \(id)", exitStatus: 1)
        }
        for id in events where try await store.event(id: id) == nil { return SetupError("no event \(id)", exitStatus: 1) }
        return nil
    }

    private func needsStore(_ setup: Setup) -> Bool {
        let isConfigured = subscription.map { setup.subscriptionNames.contains($0) } ?? true
        let isDeclared = hook.map { setup.eventNames.contains($0) } ?? true
        return !isConfigured || !isDeclared || !deliveries.isEmpty || !events.isEmpty
    }

    /// One that is not configured any more may still have deliveries.
    private static func isSubscription(_ name: String, _ store: SQLiteStore) async throws(StoreError) -> Bool {
        if try await store.subscriptions().contains(where: { $0.name == name }) { return true }
        var filter = DeliveryFilter()
        filter.subscription = name
        return try await !store.deliveries(matching: filter, after: 0, limit: 1).isEmpty
    }
}

extension SetupError {
    static func unknown(_ what: String, _ name: String, among known: Set<String>) -> SetupError {
        let hint = suggestion(for: name, among: known).map { "; \($0)" } ?? ""
        return SetupError("there is no \(what) '\(name)'\(hint)", exitStatus: SysExit.usage)
    }
}

extension Setup {
    /// Of the configuration and of the apps; those included that are left out for want of their secrets.
    var subscriptionNames: Set<String> {
        let outbound = definitions.flatMap { definition in
            definition.outboundWebhooks.map { Self.outboundName($0, of: definition.app) }
        }
        return configuration.subscriptionNames.union(outbound)
    }

    /// Of hooks, and of the daemon's own events.
    var eventNames: Set<String> { Set(declarations.map(\.hook.eventName) + OwnEvents.names) }
}
