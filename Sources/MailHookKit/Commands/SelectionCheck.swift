// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Names and numbers on a command line that there are none of: mistyped ones would choose nothing, and look as if
// there was nothing to do.

import HookDelivery
import HookModel
import HookStore

struct SelectionCheck {
    private let setup: Setup
    private let store: SQLiteStore

    private static let pageSize = 500

    /// What is known of the configuration is looked up there; only for what is not, the store is opened.
    ///
    /// - Throws: EX_USAGE for a name, 1 for deliveries and events that there are none of, as `events show` and `trace`.
    static func check(
        subscription: String?, hook: String?, deliveries: [Int64] = [], events: [String] = [], _ setup: Setup
    ) async throws(SetupError) {
        let known = subscription.map { setup.subscriptionNames.contains($0) } ?? true
        let isDeclared = hook.map { setup.eventNames.contains($0) } ?? true
        guard !known || !isDeclared || !deliveries.isEmpty || !events.isEmpty else { return }
        var found: SetupError?
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(setup.configuration.data), as: .reader)
            let check = SelectionCheck(setup: setup, store: store)
            var errors: [SetupError?] = []
            if !known, let subscription { errors.append(try await check.subscription(subscription)) }
            if !isDeclared, let hook { errors.append(try await check.hook(hook)) }
            errors.append(try await check.deliveries(deliveries))
            errors.append(try await check.events(events))
            await store.close()
            found = errors.compactMap { $0 }.first
        } catch {
            throw SetupError(storeError: error, dataFolder: setup.configuration.data)
        }
        if let found { throw found }
    }

    /// One that is not configured any more may still have deliveries.
    private func subscription(_ name: String) async throws(StoreError) -> SetupError? {
        var filter = DeliveryFilter()
        filter.subscription = name
        if try await store.subscriptions().contains(where: { $0.name == name }) { return nil }
        guard try await store.deliveries(matching: filter, after: 0, limit: 1).isEmpty else { return nil }
        return .unknown("subscription", name, among: setup.subscriptionNames)
    }

    /// One that no app declares any more may still have events.
    private func hook(_ name: String) async throws(StoreError) -> SetupError? {
        var last: Int64? = 0
        while let start = last {
            let page = try await store.events(after: start, limit: Self.pageSize)
            if page.contains(where: { $0.event.type == name }) { return nil }
            last = page.last?.sequence
        }
        return .unknown("hook", name, among: setup.eventNames)
    }

    private func deliveries(_ ids: [Int64]) async throws(StoreError) -> SetupError? {
        for id in ids where try await store.delivery(id) == nil { return SetupError("no delivery \(id)", exitStatus: 1) }
        return nil
    }

    private func events(_ ids: [String]) async throws(StoreError) -> SetupError? {
        for id in ids where try await store.event(id: id) == nil { return SetupError("no event \(id)", exitStatus: 1) }
        return nil
    }
}

extension SetupError {
    static func unknown(_ what: String, _ name: String, among known: Set<String>) -> SetupError {
        let hint = nearest(to: name, among: known.sorted()).map { "; did you mean '\($0)'?" } ?? ""
        return SetupError("there is no \(what) '\(name)'\(hint)", exitStatus: 64)
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
