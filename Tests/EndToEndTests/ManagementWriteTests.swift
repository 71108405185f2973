// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Hooks made and changed over the management interface of a running daemon: what was answered
// holds at once, and after a restart.

import Foundation
import TestSupport
import Testing

@Suite struct ManagementWriteTests {
    /// A daemon with the management interface, and keys for it.
    private final class Place {
        let web: WebInstallation
        private(set) var key = ""

        init() throws { web = try WebInstallation(listen: #"admin: ["127.0.0.1:0"]"#) }

        func start() throws {
            try web.start()
            if key.isEmpty { key = try web.key("org.admin.hook.write", "org.admin.hook.read", "org.permission.event.read", "org.permission.message.read", "org.hooks") }
        }

        func call(_ method: String, _ path: String, _ body: String? = nil, key: String? = nil) throws -> WebInstallation.Answer {
            let arguments = ["-X", method, "-H", "Authorization: Bearer \(key ?? self.key)"]
                + (body.map { ["-H", "Content-Type: application/json", "-d", $0] } ?? [])
            return try WebInstallation.curl("http://\(try web.listener("admin"))\(path)", arguments)
        }

        func attributes(_ answer: WebInstallation.Answer) throws -> [String: Any] {
            try #require((answer.object["data"] as? [String: Any])?["attributes"] as? [String: Any])
        }

        /// Posts to a hook's URL as the interface shows it.
        func post(_ url: Any?, _ body: String) throws -> WebInstallation.Answer {
            let text = try #require(url as? String)
            let path = try #require(text.range(of: "/v1/")).lowerBound
            return try web.curl(String(text[path...]), ["-d", body])
        }
    }

    /// A folder backup is the whole installation beside its configuration: hooks made here, and apps with what became of them.
    @Test func hooksAndAppsAreInABackup() throws {
        let place = try Place()
        try place.start()
        #expect(try place.call("POST", "/v1/hooks/form", #"{"title":"Returns"}"#).status == 201)
        let installation = place.web.installation
        let definition = try installation.write(
            "parcels.json",
            #"{"app":"parcels","version":"1.0.0","title":"P","hooks":[{"eventName":"kustomer.app.parcels.a","type":"email"}]}"#)
        #expect(try installation.command(["apps", "install", definition.path]).status == 0)
        #expect(try installation.command(["apps", "disable", "parcels"]).status == 0)
        // Without the address, which only a running daemon has.
        func hooks() throws -> String { try installation.command(["hooks"]).output.replacing(/http:\/\/127\.0\.0\.1:\d+/, with: "") }
        let (before, apps) = (try hooks(), try installation.command(["apps", "list"]).output)
        #expect(before.contains("kustomer.hooks.form.") && apps.contains("parcels"))
        let saved = installation.folder.path + "/saved/"
        let backup = try installation.command(["store", "backup", saved])
        #expect(backup.status == 0 && backup.output.contains("hooks.json"), "\(backup)")
        #expect(try installation.stop() == 0)
        try FileManager.default.removeItem(at: installation.folder.appendingPathComponent("data"))
        #expect(try installation.command(["apps", "list"]).output != apps)
        let restored = try installation.command(["store", "restore", saved])
        #expect(restored.status == 0, "\(restored)")
        let after = try hooks()
        #expect(after == before, "\(before)\n\(after)")
        #expect(try installation.command(["apps", "list"]).output == apps)
        try installation.start()
        #expect(try installation.stop() == 0)
    }

    @Test func hooksAreMadeChangedAndRemoved() throws {
        let place = try Place()
        try place.start()
        let made = try place.call(
            "POST", "/v1/hooks/form",
            #"{"title":"Returns","outputTemplate":{"no":"/#data.order"},"outputSchema":{"type":"object","required":["no"]}}"#)
        #expect(made.status == 201, "\(made.text)")
        let id = try #require(made.id)
        #expect(made.fields["location"] == "/v1/hooks/form/\(id)")
        let first = try place.attributes(made)
        #expect(first["eventName"] as? String == "kustomer.hooks.form.\(id).receive")
        // It takes what comes at once, and shapes it.
        #expect(try place.post(first["url"], #"{"order":"88-104"}"#).status == 202)
        let event = try #require(try place.web.installation.events().last)
        #expect(event["type"] as? String == "kustomer.hooks.form.\(id).receive")
        #expect(event["output"] as? String == #"{"no":"88-104"}"#)

        // Paused, and after a restart still so.
        #expect(try place.call("PATCH", "/v1/hooks/form/\(id)", #"{"state":"paused","title":"Parcels back"}"#).status == 200)
        #expect(try place.post(first["url"], "a=1").status == 503)
        try place.web.installation.stop()
        try place.start()
        #expect(try place.post(first["url"], "a=1").status == 503)
        #expect(try place.attributes(place.call("GET", "/v1/hooks/form/\(id)"))["title"] as? String == "Parcels back")
        #expect(try place.call("PATCH", "/v1/hooks/form/\(id)", #"{"state":"active"}"#).status == 200)

        // A new address beside the old one, then instead of it.
        let rotated = try place.attributes(place.call("POST", "/v1/hooks/form/\(id)/rotate", #"{"overlap":3600}"#))
        #expect(rotated["url"] as? String != first["url"] as? String)
        #expect(rotated["previousAddress"] != nil && rotated["previousUntil"] != nil)
        for url in [first["url"], rotated["url"]] { #expect(try place.post(url, "a=1").status == 202) }
        let again = try place.attributes(place.call("POST", "/v1/hooks/form/\(id)/rotate", #"{"overlap":0}"#))
        #expect(again["previousAddress"] == nil)
        #expect(try place.post(rotated["url"], "a=1").status == 404)
        #expect(try place.post(again["url"], "a=1").status == 202)

        #expect(try place.call("DELETE", "/v1/hooks/form/\(id)").status == 204)
        #expect(try place.post(again["url"], "a=1").status == 404)
        #expect(try place.call("GET", "/v1/hooks/form/\(id)").status == 404)
        #expect(try place.web.installation.stop() == 0)
    }

    /// Nothing, what came since somebody watches, and nothing again.
    @Test func transactionsAreReadWhileDebugIsSet() throws {
        let place = try Place()
        try place.start()
        let form = "/v1/hooks/form/\(WebInstallation.contact)"
        let url = try #require(try place.attributes(place.call("GET", form))["url"])
        func transactions() throws -> [String] {
            let answer = try place.call("GET", form + "/transactions")
            #expect(answer.status == 200)
            let list = try #require(answer.object["data"] as? [[String: Any]])
            return list.map { ($0["attributes"] as? [String: Any])?["data"] as? [String: String] ?? [:] }.map { $0["n"] ?? "" }
        }
        #expect(try place.post(url, "n=before").status == 202)
        #expect(try transactions().isEmpty)
        #expect(try place.call("PATCH", form, #"{"debug":true}"#).status == 200)
        for text in ["first", "second"] { #expect(try place.post(url, "n=\(text)").status == 202) }
        #expect(try transactions() == ["second", "first"])
        // Set again it goes on.
        #expect(try place.call("PATCH", form, #"{"debug":true}"#).status == 200)
        #expect(try transactions() == ["second", "first"])
        #expect(try place.call("PATCH", form, #"{"debug":false}"#).status == 200)
        #expect(try place.post(url, "n=after").status == 202)
        #expect(try transactions().isEmpty)
    }

    @Test func hooksOfAppsAreChangedToo() throws {
        let place = try Place()
        try place.start()
        let mail = "/v1/hooks/email/\(Installation.orderUpdate)"
        #expect(try place.call("DELETE", mail).code == "hook_of_app")
        let before = try place.attributes(place.call("GET", mail))
        let address = try #require(before["email"] as? String)
        #expect(try place.web.installation.swaks(to: address).status == 0)
        #expect(try place.call("PATCH", mail, #"{"state":"disabled"}"#).status == 200)
        let refused = try place.web.installation.swaks(to: address)
        #expect(refused.status == 24 && refused.output.contains("550 5.2.1"))
        #expect(try place.call("PATCH", mail, #"{"state":"active","debug":true}"#).status == 200)
        #expect(try place.web.installation.swaks(to: address).status == 0)
        #expect(try place.attributes(place.call("GET", mail))["debug"] as? Bool == true)
        let transactions = try place.call("GET", mail + "/transactions")
        // The mail came before, and coming again it is the same event.
        #expect((transactions.object["data"] as? [Any])?.isEmpty == true)

        // The event, its message, and the mail as it came.
        let events = try place.call("GET", "/v1/events?hook=\(Installation.orderUpdate)&since=2020-01-01T00:00:00Z")
        let id = try #require((events.object["data"] as? [[String: Any]])?.first?["id"] as? String)
        let message = try place.call("GET", "/v1/events/\(id)/message")
        let raw = try #require(((message.object["data"] as? [String: Any])?["links"] as? [String: Any])?["raw"] as? String)
        let mailText = try place.call("GET", raw)
        #expect(mailText.fields["content-type"] == "message/rfc822" && mailText.text.contains("application/ld+json"))
        let reader = try place.web.key("org.permission.event.read")
        #expect(try place.call("GET", raw, key: reader).status == 403)
        #expect(try place.call("POST", "/v1/hooks/form", #"{"title":"x"}"#, key: reader).status == 403)
    }

    /// While the configuration has an error nothing can be taken over: the change is undone and not kept for later.
    @Test func changesThatCannotHoldAreUndone() throws {
        let place = try Place()
        try place.start()
        let good = place.web.installation.file("mailhookd.yaml")
        _ = try place.web.installation.write("mailhookd.yaml", good + "\nnonsense: 1\n")
        #expect(try place.call("POST", "/v1/hooks/form", #"{"title":"x","eventName":"e"}"#).status == 503)
        _ = try place.web.installation.write("mailhookd.yaml", good)
        #expect((try place.call("GET", "/v1/hooks/form").object["data"] as? [Any])?.count == 1)
        #expect(try place.call("POST", "/v1/hooks/form", #"{"title":"x","eventName":"e"}"#).status == 201)
        #expect(try place.call("POST", "/v1/hooks/web", #"{"title":"x","eventName":"e"}"#).code == "event_name_taken")
        #expect(try place.call("POST", "/v1/hooks/web", #"{"title":"x","outputTemplate":{},"outputSchema":{"type":7}}"#).code == "schema_unusable")
    }
}
