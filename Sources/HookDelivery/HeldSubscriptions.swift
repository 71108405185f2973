// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which subscriptions are not active, for loops that take the place of others when the configuration changes. The
// store has the same, durably.

internal import HookModel
internal import Synchronization

final class HeldSubscriptions: Sendable {
    private let held = Mutex<[String: SubscriptionStatus]>([:])

    subscript(name: String) -> SubscriptionStatus {
        get { held.withLock { $0[name] ?? .active } }
        set { held.withLock { $0[name] = newValue == .active ? nil : newValue } }
    }
}
