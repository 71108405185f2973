// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Apps and triggers from outside: the commands, and what senders and subscribers see of them.

import Foundation
import TestSupport
import Testing

@Suite struct AppTests {
    static func definition(_ version: String, hooks: String = "", triggers: String = "") -> String {
        """
        {"app": "parcels", "version": "\(version)", "title": "Fernleaf Parcels",
         "hooks": [{"eventName": "kustomer.app.parcels.shipment.moved", "type": "email"},
                   {"eventName": "kustomer.app.parcels.pickup", "type": "form"}\(hooks)],
         "triggers": [\(triggers)]}
        """
    }

    static let trigger = """
        {"eventName": "kustomer.app.parcels.shipment.moved", "description": "A parcel changed state",
         "outputTemplate": {"tracking": "/#data.trackingNumber", "who": "/#data.customer.email"},
         "outputSchema": {"type": "object", "properties": {"tracking": {"type": "string"}, "who": {"type": "string"}},
                          "required": ["tracking"], "additionalProperties": false}}
        """

    private func hooks(_ installation: Installation) throws -> [String: [String: Any]] {
        var found: [String: [String: Any]] = [:]
        for hook in try Installation.objects(installation.command(["hooks", "--json"]).output) {
            found[try #require(hook["eventName"] as? String)] = hook
        }
        return found
    }

    private func mail(_ installation: Installation, _ json: String) throws -> URL {
        try installation.write("m.eml", "Subject: x\n\n\(json)\n")
    }

    @Test func installedUpgradedDisabledRemoved() throws {
        let installation = try Installation()
        let first = try installation.write("first.json", Self.definition("1.0.0"))
        let installed = try installation.command(["apps", "install", first.path])
        #expect(installed.status == 0, "\(installed.errors)")
        #expect(installed.output.contains("parcels 1.0.0"))
        let address = try #require(try hooks(installation)["kustomer.app.parcels.shipment.moved"]?["address"] as? String)

        let changed = try installation.write("changed.json", Self.definition("1.0.0", triggers: Self.trigger))
        let refused = try installation.command(["apps", "upgrade", changed.path])
        #expect(refused.status == 65 && refused.errors.contains("a version never changes"))
        let next = try installation.write("next.json", Self.definition("1.1.0", triggers: Self.trigger))
        #expect(try installation.command(["apps", "upgrade", "--dry-run", next.path]).status == 0)
        #expect(try Installation.objects(installation.command(["apps", "list", "--json"]).output).map { $0["version"] as? String } == ["1.0.0", "1.0.0"])
        #expect(try installation.command(["apps", "upgrade", next.path]).status == 0)
        #expect(try hooks(installation)["kustomer.app.parcels.shipment.moved"]?["address"] as? String == address)

        try installation.start()
        let sent = try installation.swaks(mail(installation, #"{"trackingNumber":"FL-1","customer":{"email":"i@x.test"}}"#), to: address)
        #expect(sent.status == 0, "\(sent.output)")
        let event = try #require(try installation.events().first)
        #expect(event["output"] as? String == #"{"tracking":"FL-1","who":"i@x.test"}"#)

        // The running daemon knows of each change, and goes on.
        let disabled = try installation.command(["apps", "disable", "parcels"])
        #expect(disabled.status == 0 && disabled.errors.contains("has taken it over"), "\(disabled.errors)")
        let refusal = try installation.swaks(mail(installation, "{}"), to: address)
        #expect(refusal.status == 24 && refusal.output.contains("550 5.2.1"), "\(refusal.output)")
        #expect(try installation.swaks().status == 0)
        #expect(try installation.command(["apps", "enable", "parcels"]).status == 0)
        #expect(try installation.swaks(mail(installation, #"{"trackingNumber":"FL-2"}"#), to: address).status == 0)
        let last = try installation.write("last.json", Self.definition("1.2.0"))
        #expect(try installation.command(["apps", "upgrade", last.path]).status == 0)
        #expect(try installation.swaks(mail(installation, #"{"trackingNumber":"FL-3"}"#), to: address).status == 0)
        #expect(try installation.events().last?["output"] == nil)
        #expect(try installation.command(["apps", "uninstall", "parcels"]).status == 0)
        #expect(try hooks(installation)["kustomer.app.parcels.shipment.moved"] == nil)
        let unknown = try installation.swaks(mail(installation, "{}"), to: address)
        #expect(unknown.status == 24 && unknown.output.contains("550 5.1.1"))
        #expect(try installation.command(["apps", "uninstall", "parcels"]).status == 1)
        #expect(try installation.stop() == 0)
    }

    /// The daemon goes on without apps when it is told so, and takes one again.
    @Test func theLastAppIsTakenAwayBesideTheDaemon() throws {
        let installation = try Installation()
        try installation.start()
        #expect(try installation.swaks().status == 0)
        let definition = installation.folder.appendingPathComponent("apps/ecommstore.json")
        let copy = try installation.write("copy.json", String(contentsOf: definition, encoding: .utf8))
        let uninstalled = try installation.command(["apps", "uninstall", "ecommstore"])
        #expect(uninstalled.status == 0 && uninstalled.errors.contains("has taken it over"), "\(uninstalled)")
        let refusal = try installation.swaks()
        #expect(refusal.status == 24 && refusal.output.contains("550 5.1.1"), "\(refusal.output)")
        #expect(try installation.reload().contains(" reloaded "))
        let installed = try installation.command(["apps", "install", copy.path])
        #expect(installed.status == 0 && installed.errors.contains("has taken it over"), "\(installed)")
        #expect(try installation.swaks().status == 0)
        #expect(try installation.stop() == 0)
    }

    /// A reload by itself would be refused for having no app: only a restart helps.
    @Test func howTheLastAppGoesAfterARefusal() throws {
        let installation = try Installation()
        try installation.start()
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + "\nstopTimeout: 31s\n").write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        let uninstalled = try installation.command(["apps", "uninstall", "ecommstore"])
        #expect(uninstalled.status == 69 && uninstalled.errors.contains("stopTimeout"), "\(uninstalled)")
        #expect(uninstalled.errors.contains("restart it") && !uninstalled.errors.contains("SIGHUP"), "\(uninstalled.errors)")
        #expect(try installation.stop() == 0)
        try installation.start()
        #expect(try installation.swaks().output.contains("550 5.1.1"))
        #expect(try installation.stop() == 0)
    }

    /// The reason comes at once, from the daemon that refuses.
    @Test func aRefusedReloadIsTold() throws {
        let installation = try Installation()
        try installation.start()
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + "\nstopTimeout: 31s\n").write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        let file = try installation.write("first.json", Self.definition("1.0.0"))
        let start = Date()
        let installed = try installation.command(["apps", "install", file.path])
        #expect(Date().timeIntervalSince(start) < 5)
        #expect(installed.status == 69 && installed.errors.contains("the files are changed"), "\(installed)")
        #expect(installed.errors.contains("refused") && installed.errors.contains("stopTimeout"), "\(installed.errors)")
        try configuration.write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        let disabled = try installation.command(["apps", "disable", "parcels"])
        #expect(disabled.errors.contains("has taken it over"), "\(disabled.errors)")
    }

    @Test func pausedAndDisabledHooks() throws {
        let web = try WebInstallation(
            """
              \(WebInstallation.contact): { state: paused }
              \(WebInstallation.stock): { state: disabled }
            """)
        try web.start()
        let paused = try web.curl(web.path(WebInstallation.contact), ["-d", "a=1"])
        #expect(paused.status == 503 && paused.code == "hook_paused")
        let key = try web.key("org.hooks")
        let disabled = try web.curl(web.path(WebInstallation.stock), ["-d", "a=1", "-H", "Authorization: Bearer \(key)"])
        #expect(disabled.status == 410 && disabled.code == "hook_disabled")
        #expect(try web.installation.events().isEmpty)
    }

    @Test func violationsAreShown() throws {
        let installation = try Installation(
            """
            subscriptions:
              - { name: failures, events: [mailhookd.trigger.failed], file: { path: failures.ndjson } }
            """)
        let file = try installation.write("first.json", Self.definition("1.0.0", triggers: Self.trigger))
        #expect(try installation.command(["apps", "install", file.path]).status == 0)
        let mail = try mail(installation, #"{"trackingNumber": 7}"#)
        let name = "kustomer.app.parcels.shipment.moved"
        let trial = try installation.command(["try", mail.path, "--to", name])
        #expect(trial.status == 0)
        #expect(trial.output.contains("outcome    output_invalid"))
        #expect(trial.output.contains("/tracking"))
        let shown = try Installation.objects(installation.command(["try", mail.path, "--to", name, "--json"]).output)
        #expect(shown[0]["outcome"] as? String == "output_invalid")
        let failure = try #require((shown[0]["failures"] as? [[String: Any]])?.first)
        #expect(failure["code"] as? String == "output_invalid")
        try installation.start()
        let address = try #require(try hooks(installation)[name]?["address"] as? String)
        #expect(try installation.swaks(mail, to: address).status == 0)
        let event = try #require(try installation.events().first)
        #expect(event["output"] == nil)
        #expect((event["outputfailure"] as? String)?.hasPrefix("output_invalid: /tracking") == true)
        // Whoever subscribes to failures hears of it.
        try eventually("an event about it") { !installation.file("failures.ndjson").isEmpty }
        let told = try #require(try Installation.objects(installation.file("failures.ndjson")).first)
        #expect(told["type"] as? String == "mailhookd.trigger.failed")
        #expect((told["data"] as? [String: Any])?["event"] as? String == event["id"] as? String)
    }

    @Test func examplesGoTheWholeWay() throws {
        let web = try WebInstallation()
        let file = try web.installation.write("first.json", Self.definition("1.0.0", triggers: Self.trigger))
        #expect(try web.installation.command(["apps", "install", file.path]).status == 0)
        let sample = try web.installation.command(["hooks", "sample", "kustomer.app.parcels.shipment.moved"])
        #expect(sample.status == 0 && sample.errors.isEmpty, "\(sample.errors)")
        let example = try #require(try Installation.objects(sample.output).first)
        #expect(example["output"] as? String == #"{"tracking":"tracking","who":"who"}"#)
        #expect((example["data"] as? [String: Any])?["trackingNumber"] as? String == "tracking")
        #expect(try web.installation.command(["hooks", "sample", "nothing"]).status == 66)

        try web.start()
        let names = ["kustomer.app.parcels.shipment.moved", WebInstallation.contact, WebInstallation.stock]
        for name in names {
            let sent = try web.installation.command(["send-test", name])
            #expect(sent.status == 0, "\(name): \(sent.output) \(sent.errors)")
        }
        let body = try web.installation.write("body.json", #"{"n": 7}"#)
        #expect(try web.installation.command(["send-test", try web.url(web.path(WebInstallation.contact)), body.path]).status == 0)
        let events = try web.installation.events()
        #expect(events.map { $0["type"] as? String } == names + [WebInstallation.contact])
        #expect(events[2]["trust"] as? String == "signature")
        #expect((events[3]["data"] as? [String: Any])?["n"] as? Int == 7)
        #expect(try web.installation.command(["send-test", "kustomer.app.nothing"]).status == 66)

        let trial = try web.installation.command(["try", body.path, "--to", try web.url(web.path(WebInstallation.contact)), "--json"])
        #expect(trial.status == 0)
        #expect(try Installation.objects(trial.output).first?["hook"] as? String == WebInstallation.contact)
        #expect(try web.installation.stop() == 0)
        let late = try web.installation.command(["send-test", WebInstallation.contact])
        #expect(late.status == 75 && late.errors.contains("no daemon listens"))
    }
}
