// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `try`, `hooks` and `send-test` on a configuration in a temporary folder.

import Foundation
import HookModel
import JSONLD
import MIMEParser
import Testing

@testable import MailHookKit

@Suite struct TrialTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func withSetup(_ more: String = "", _ body: (Setup) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-kit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try #"{"app":"s","version":"1.0.0","title":"S","hooks":[{"eventName":"kustomer.app.s.a","type":"email"},"#
            .appending(#"{"eventName":"kustomer.app.s.b","type":"email"},{"eventName":"kustomer.app.s.f","type":"form"}]}"#)
            .write(to: folder.appendingPathComponent("app.json"), atomically: true, encoding: .utf8)
        try "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".write(
            to: folder.appendingPathComponent("k"), atomically: true, encoding: .utf8)
        let configuration = "hostname: h.example\ndata: data\napps: app.json\nhooks:\n  kustomer.app.s.a:\n    aliases: [a@h.example]\n" + more
        let file = folder.appendingPathComponent("m.yaml")
        try configuration.write(to: file, atomically: true, encoding: .utf8)
        try body(try Setup.load(SetupRequest(configurationFile: file.path)).get())
    }

    private let mail = Array("To: <a@h.example>\r\nContent-Type: application/json\r\n\r\n{\"n\":1.10}\r\n".utf8)

    @Test func explainsAMailThatIsTaken() throws {
        let subscriptions = """
            subscriptions:
              - { name: erp, events: [">"], webhook: { url: "https://erp.example/in", secretFile: k } }
              - { name: other, events: [x], file: { path: y } }
            """
        try withSetup(subscriptions) { setup in
            let trial = try Trial.run(mail, to: nil, setup: setup, now: now)
            #expect(trial.exitStatus == 0)
            let root = try JSONDocument(Array(trial.json.utf8)).root
            #expect(root["recipient"]?.string == "a@h.example")
            #expect(root["outcome"]?.string == "accepted")
            #expect(root["reply"]?.string?.hasPrefix("250 2.0.0 Accepted msg_") == true)
            #expect(root["candidates"]?.elements.map { $0["decision"]?.string } == ["taken"])
            let event = try #require(root["events"]?.elements.first)
            #expect(event["data"]?.text.elementsEqual("{\"n\":1.10}".utf8) == true)
            let delivery = try #require(root["deliveries"]?.elements.first)
            #expect(root["deliveries"]?.elements.count == 1)
            #expect(delivery["subscription"]?.string == "erp" && delivery["url"]?.string == "https://erp.example/in")
            #expect(delivery["headers"]?["webhook-id"]?.string == event["id"]?.string)
            #expect(delivery["headers"]?["webhook-signature"]?.string?.hasPrefix("v1,") == true)
            for word in ["part 1 json -> taken", "250 2.0.0", "POST https://erp.example/in"] { #expect(trial.text.contains(word)) }
        }
    }

    @Test func explainsWhyNothingComes() throws {
        try withSetup { setup in
            let plain = Array("To: a@h.example\r\n\r\nhello\r\n".utf8)
            let accepted = try Trial.run(plain, to: nil, setup: setup, now: now)
            #expect(accepted.exitStatus == 0 && accepted.outcome == .noStructuredData)
            #expect(accepted.text.contains("none: no JSON part"))
            let unknown = try Trial.run(mail, to: "x@h.example", setup: setup, now: now)
            #expect(unknown.exitStatus == 67 && unknown.reply.description.hasPrefix("550 5.1.1"))
            let foreign = try Trial.run(mail, to: "x@elsewhere.example", setup: setup, now: now)
            #expect(foreign.exitStatus == 77 && foreign.reply.description.hasPrefix("550 5.7.1"))
            // Two email hooks, and the mail names neither.
            let lost = try Trial.run(Array("To: x@y\r\n\r\n".utf8), to: nil, setup: setup, now: now)
            #expect(lost.exitStatus == 67 && lost.text.contains("name one with --to"))
        }
    }

    @Test(arguments: [
        ("Subject: Fwd: order\r\n\r\nx", "looks forwarded"),
        ("Content-Type: text/html\r\n\r\n<div class=\"gmail_quote\">x", "looks forwarded"),
        ("Content-Type: text/html\r\n\r\n<p itemscope itemtype=\"http://schema.org/Order\">", "microdata"),
        ("Content-Type: message/rfc822\r\n\r\nContent-Type: application/json\r\n\r\n1", "attached message"),
        ("Subject: order\r\n\r\nx", ""),
    ])
    func hints(mail: String, word: String) throws {
        try withSetup { setup in
            let trial = try Trial.run(Array(mail.utf8), to: "a@h.example", setup: setup, now: now)
            #expect(trial.hints.isEmpty == word.isEmpty)
            #expect(word.isEmpty || trial.text.contains(word) && trial.json.contains(word))
        }
    }

    @Test func terminalIsSafe() throws {
        try withSetup { setup in
            let mail = Array("To: a@h.example\r\nContent-Type: application/json; name=\"\u{1B}[2J.json\"\r\n\r\n{\"@id\":\"\\u001b[31m\"}".utf8)
            let trial = try Trial.run(mail, to: nil, setup: setup, now: now)
            #expect(!trial.text.utf8.contains(0x1B))
        }
    }

    @Test func hooksAreListed() throws {
        try withSetup { setup in
            let directory = try setup.directory()
            let lines = try HookListing.json(directory, setup).split(separator: "\n")
            #expect(lines.count == 3)
            let first = try JSONDocument(Array(try #require(lines.first).utf8)).root
            let address = try #require(first["address"]?.string)
            #expect(address.hasSuffix("@h.example") && address.count == 32 + 10)
            #expect(first["key"]?.string?.hasPrefix("k_") == true)
            #expect(try HookListing.text(directory, setup).contains(address))
            // By event name, too.
            #expect(try Trial.run(mail, to: "kustomer.app.s.b", setup: setup, now: now).exitStatus == 0)
        }
    }

    @Test func exampleMailCarriesTheKey() throws {
        try withSetup("    key: required\n") { setup in
            let addressed = try #require(try setup.directory().hooks.first)
            let mail = TestMail.example(for: addressed, recipient: "a@h.example", now: now)
            #expect(try Trial.run(mail, to: "a@h.example", setup: setup, now: now).outcome == .accepted)
        }
    }

    @Test func wireFormIsTransparent() {
        let wire = SMTPTestClient.transparent(Array(".a\nb\r\n..c".utf8))
        #expect(String(decoding: wire, as: UTF8.self) == "..a\r\nb\r\n...c\r\n.\r\n")
    }

    @Test func postsAreTried() throws {
        try withSetup { setup in
            let name = "kustomer.app.s.f"
            // The only form or web hook there is; by name, URL, path and token.
            let only = try #require(try PostTrial.run(Array("{}".utf8), file: "a.json", mediaType: nil, to: nil, setup: setup, now: now))
            #expect(only.exitStatus == 0)
            let lines = try HookListing.json(setup.directory(), setup).split(separator: "\n")
            let url = try #require(try JSONDocument(Array(lines[2].utf8)).root["url"]?.string)
            for way in [name, url, "https://elsewhere.example" + url + "?a=1", String(url.split(separator: "/").last ?? "")] {
                let trial = try #require(try PostTrial.run(Array("a=1".utf8), file: "x.form", mediaType: nil, to: way, setup: setup, now: now))
                let root = try JSONDocument(Array(trial.json.utf8)).root
                #expect(root["hook"]?.string == name && root["status"]?.integerValue == 202)
                #expect(root["events"]?.elements.first?["data"]?["a"]?.string == "1")
                #expect(trial.text.contains("status     202") && trial.text.contains(url))
            }
            // Mails stay mails.
            #expect(try PostTrial.run(mail, file: "a.eml", mediaType: nil, to: nil, setup: setup, now: now) == nil)
            #expect(try PostTrial.run(mail, file: "a.json", mediaType: nil, to: "a@h.example", setup: setup, now: now) == nil)
            let large = [UInt8](repeating: 32, count: 400_001)
            let refused = try #require(try PostTrial.run(large, file: "a.json", mediaType: nil, to: name, setup: setup, now: now))
            #expect(refused.exitStatus == 65 && refused.json.contains("message_too_large"))
        }
    }

    @Test func examplesOfHooks() throws {
        try withSetup { setup in
            let event = try SampleEvent.make("kustomer.app.s.a", onlyData: false, setup: setup, now: now)
            let root = try JSONDocument(Array(event.line.utf8)).root
            #expect(root["type"]?.string == "kustomer.app.s.a" && root["data"]?["@type"]?.string == "Order" && event.notes.isEmpty)
            let data = try SampleEvent.make("kustomer.app.s.f", onlyData: true, setup: setup, now: now)
            #expect(data.line.hasPrefix(#"{"name":"#))
            #expect(throws: SetupError.self) { try SampleEvent.make("kustomer.app.s.x", onlyData: false, setup: setup, now: now) }
        }
    }
}
