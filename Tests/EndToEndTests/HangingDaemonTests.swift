// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Commands beside a daemon that hangs: they give it up soon and say so, and what nobody waits for any more is not begun.

import Foundation
import TestSupport
import Testing

@Suite struct HangingDaemonTests {
    private func states(_ installation: Installation) throws -> [String] {
        try Installation.objects(installation.command(["deliveries", "list", "--json"]).output).compactMap { $0["state"] as? String }
    }

    @Test func commandsGiveItUpAndNothingIsBegun() throws {
        let installation = try Installation(
            "subscriptions:\n  - { name: late, events: [\">\"], retry: [1h], file: { path: no/such/folder/events.ndjson } }")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("the first attempt") { try states(installation) == ["waiting"] }
        let daemon = try #require(installation.daemon)
        daemon.signal(SIGSTOP)
        defer { daemon.signal(SIGCONT) }
        let begin = Date()
        let cancelled = try installation.command(["deliveries", "cancel"])
        #expect(cancelled.status == 75 && cancelled.output.isEmpty, "\(cancelled)")
        #expect(cancelled.errors.contains("gives no sign of life; what it was asked for may still be done"), "\(cancelled.errors)")
        let disabled = try installation.command(["apps", "disable", "ecommstore"])
        #expect(disabled.status == 75, "\(disabled)")
        #expect(disabled.errors.contains("the files are changed") && disabled.errors.contains("systemctl reload mailhookd"), "\(disabled.errors)")
        #expect(Date().timeIntervalSince(begin) < 40)
        let listed = try installation.command(["subscriptions", "list"])
        #expect(listed.status == 0 && listed.output.hasPrefix("late active") && !listed.output.contains("delivered"), "\(listed)")
        #expect(listed.errors.contains("how deliveries go is not shown: the daemon gives no sign of life\n"), "\(listed.errors)")

        daemon.signal(SIGCONT)
        // Connections are taken up in their order, but each is served by a task of its own: orders that came later and were
        // answered say that the daemon had its time for those of before.
        for _ in 0..<2 { #expect(try installation.command(["subscriptions", "pause", "late"]).status == 0) }
        usleep(500_000)
        #expect(try states(installation) == ["waiting"])
        #expect(!daemon.errors.contains("reloading"), "\(daemon.errors)")
        #expect(try installation.swaks().status == 0)
        // What the message says brings it about.
        #expect(try installation.reload().contains(" reloaded "))
        let refused = try installation.swaks()
        #expect(refused.status == 24 && refused.output.contains("550 5.2.1"), "\(refused.output)")
        #expect(try installation.stop() == 0)
    }

    @Test func commandsSayThatThereAreTooMany() throws {
        let installation = try Installation("subscriptions:\n  - { name: s, events: [\">\"], file: { path: events.ndjson } }")
        try installation.start()
        let path = installation.folder.appendingPathComponent("data/control.sock").path
        let clients = (0..<32).map { _ in socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) }
        for client in clients { #expect(withUnixAddress(path) { connect(client, $0, $1) } == 0, "errno \(errno)") }
        let paused = try installation.command(["subscriptions", "pause", "s"])
        #expect(paused.status == 75 && paused.errors.contains("too many control connections and has done nothing"), "\(paused)")
        #expect(!paused.errors.contains("may still be done"), "\(paused.errors)")
        let disabled = try installation.command(["apps", "disable", "ecommstore"])
        #expect(disabled.status == 75 && disabled.errors.contains("has not taken it over"), "\(disabled)")
        let listed = try installation.command(["subscriptions", "list"])
        #expect(listed.status == 0 && listed.output.hasPrefix("s active") && listed.errors.contains("is not shown"), "\(listed)")
        clients.forEach { close($0) }
        try eventually("a place") { try installation.command(["subscriptions", "list"]).errors.isEmpty }
        #expect(try installation.command(["subscriptions", "pause", "s"]).status == 0)
        #expect(try installation.stop() == 0)
    }
}
