// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What `mailhookd check` says of the machine. Its cases stand in MailHookKitTests; here is what only
// another user sees.

import Foundation
import TestSupport
import Testing

@Suite struct CheckTests {
    /// Whoever asks a form for a key believes it closed.
    @Test func whatDoesNotHoldForTheTypeIsToldOf() throws {
        let installation = try Installation("  kustomer.app.ecommstore.contact.request: { key: required, senders: [a@b.example] }")
        let checked = try installation.command(["check"])
        #expect(checked.status == 0, "\(checked.errors)")
        for name in ["key", "senders"] {
            #expect(
                checked.errors.contains("hooks.kustomer.app.ecommstore.contact.request.\(name): has no effect: this is a hook of type form"),
                "\(checked.errors)")
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can become somebody else"))
    func withoutTheCapabilityLowPortsAreToldOf() throws {
        let installation = try Installation()
        try installation.edit("[\"127.0.0.1:0\"]", "[\"127.0.0.1:0\", \"127.0.0.1:25\"]")
        chmod(installation.folder.path, 0o755)
        func check(_ arguments: [String]) throws -> Child.Result {
            try Child.run(
                "setpriv",
                arguments + [Installation.binary, "check", "--config", installation.configurationFile.path])
        }
        let without = try check(["--reuid=65534", "--regid=65534", "--clear-groups"])
        #expect(without.status == 0, "\(without.errors)")
        #expect(
            without.errors.contains("mailhookd.yaml:4:33: warning: listen.smtp[1]: port 25 needs the capability"),
            "\(without.errors)")
        #expect(without.errors.split(separator: "\n").count == 1, "\(without.errors)")
        let with = try check([
            "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+net_bind_service",
            "--ambient-caps=+net_bind_service",
        ])
        #expect(with.status == 0 && with.errors.isEmpty, "\(with.errors)")
    }
}
