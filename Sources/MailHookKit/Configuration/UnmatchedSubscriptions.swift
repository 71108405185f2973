// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Subscriptions to names that no hook has: mistyped ones would never hear anything, and that looks like lost
// mail. Warnings, because the app with the hook may be installed later.

import HookDelivery

enum UnmatchedSubscriptions {
    /// - Parameter hooks: names of all hooks; without any there is nothing to compare with.
    static func check(_ configuration: Configuration, hooks: [String], into diagnostics: inout Diagnostics) {
        guard !hooks.isEmpty else { return }
        let names = hooks + OwnEvents.names
        for (index, subscription) in configuration.subscriptions.enumerated() {
            for pattern in subscription.events where !names.contains(where: pattern.matches) {
                let hint = suggestion(for: pattern.description, among: names)
                diagnostics.add(
                    Diagnostic(
                        .warning, file: configuration.file ?? "configuration", place: "subscriptions[\(index)].events",
                        reason: "'\(pattern)' matches no hook of any app", hint: hint))
            }
        }
    }
}
