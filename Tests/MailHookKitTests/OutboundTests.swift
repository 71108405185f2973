// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Outbound webhooks of app definitions as subscriptions.

import Foundation
import HookDelivery
import HookModel
import Testing

@testable import MailHookKit

@Suite struct OutboundTests {
    @Test func areSubscriptionsWithTheDocumentedSchedule() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-outbound-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("apps"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let hook = #"{"eventName":"kustomer.app.p.moved","type":"email"}"#
        let definition = """
            {"app":"p","version":"1.0.0","title":"P","hooks":[\(hook)],"outboundWebhooks":[
              {"name":"to us","url":"https://h.example/in","events":["kustomer.app.p.moved","mailhookd.delivery.dead"],
               "headers":[{"name":"X-Tenant","value":"7"}]},
              {"name":"off","url":"https://h.example/off","events":["kustomer.app.p.moved"],"enabled":false}]}
            """
        try definition.write(to: folder.appendingPathComponent("apps/p.json"), atomically: true, encoding: .utf8)
        let file = folder.appendingPathComponent("mailhookd.yaml")
        try "hostname: h.example\ndata: data\napps: apps\nsubscriptions: [{ name: a, events: [x], stdout: {} }]\n".write(
            to: file, atomically: true, encoding: .utf8)
        let setup = try Setup.load(SetupRequest(configurationFile: file.path)).get()
        let subscriptions = try setup.subscriptions()
        #expect(subscriptions.map(\.name) == ["a", "p/to us"])
        let outbound = try #require(subscriptions.last)
        #expect(outbound.schedule.delays == [60, 60, 120, 300, 600, 900, 1800].map { .seconds($0) })
        #expect(outbound.isDisabledWhenExhausted && outbound.events.map(\.description) == ["kustomer.app.p.moved", "mailhookd.delivery.dead"])
        guard case .webhook(let webhook) = outbound.sink else {
            Issue.record("a webhook")
            return
        }
        #expect(!webhook.allowsPrivate && webhook.headers.map(\.name) == ["X-Tenant"])
        // The key is derived: the same each time, another for each webhook.
        let tokens = try setup.outboundTokens()
        #expect(try setup.outboundTokens() == tokens && Set(tokens.values).count == 2)
        let key = try #require(tokens["p/to us"])
        #expect(key.hasPrefix("tok_") && key.utf8.count == 36)
        #expect(webhook.signing == .kustomer(WebhookToken(key)))
    }
}
