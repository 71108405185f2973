// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Raw or shaped by the trigger: what subscribers of every kind get from a real daemon, now, with an output that fails
// its schema, and when the same mail is put through another version of the trigger.

import Foundation
import TestSupport
import Testing

@Suite struct PayloadTests {
    private static let name = "kustomer.app.parcels.shipment.moved"

    private func line(_ installation: Installation, _ file: String, _ index: Int) throws -> [String: Any] {
        try eventually("line \(index) of \(file)") {
            installation.file(file).split(separator: "\n").count > index
        }
        return try Installation.objects(installation.file(file))[index]
    }

    private func install(_ installation: Installation, _ verb: String, _ version: String, _ trigger: String) throws {
        let file = try installation.write("app-\(version).json", AppTests.definition(version, triggers: trigger))
        let result = try installation.command(["apps", verb, file.path])
        #expect(result.status == 0, "\(result.errors)")
    }

    private func send(_ installation: Installation, _ json: String) throws {
        let mail = try installation.write("m.eml", "Subject: x\n\n\(json)\n")
        let hooks = try Installation.objects(installation.command(["hooks", "--json"]).output)
        let address = try #require(hooks.first { $0["eventName"] as? String == Self.name }?["address"] as? String)
        let sent = try installation.swaks(mail, to: address)
        #expect(sent.status == 0, "\(sent.output)")
    }

    private func text(_ value: Any?) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: try #require(value), options: .sortedKeys), as: UTF8.self)
    }

    @Test func linesOfEachKindNowLaterAndWithAViolation() throws {
        let installation = try Installation()
        let script = try installation.write("take.sh", "cat >> program.ndjson\n")
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + """

            subscriptions:
              - { name: raw, events: [kustomer.app.>], file: { path: raw.ndjson } }
              - { name: shaped, events: [kustomer.app.>], file: { path: shaped.ndjson }, payload: trigger }
              - name: program
                events: [kustomer.app.>]
                payload: trigger
                exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)" }
              - { name: console, events: [kustomer.app.>], stdout: {}, payload: trigger }
            """).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        try install(installation, "install", "1.0.0", AppTests.trigger)
        try installation.start()

        try send(installation, #"{"trackingNumber":"FL-1","weight":1.50,"customer":{"email":"i@x.test"}}"#)
        let raw = try line(installation, "raw.ndjson", 0)
        #expect((raw["data"] as? [String: Any])?["trackingNumber"] as? String == "FL-1")
        #expect(raw["output"] as? String == #"{"tracking":"FL-1","who":"i@x.test"}"#)
        for file in ["shaped.ndjson", "program.ndjson"] {
            let shaped = try line(installation, file, 0)
            #expect(try text(shaped["data"]) == #"{"tracking":"FL-1","who":"i@x.test"}"#)
            #expect(shaped["output"] == nil && shaped["datacontenttype"] as? String == "application/json")
            for name in ["id", "source", "type", "time", "messageid", "trust"] {
                #expect(shaped[name] as? String == raw[name] as? String, "\(name)")
            }
        }
        try installation.daemon?.waitForOutput("prints the shaped event") { lines in
            lines.contains { $0.contains(#""data":{"tracking":"FL-1","who":"i@x.test"}"#) }
        }

        // The schema wants a text: nothing of another shape is handed on, and the event says why.
        try send(installation, #"{"trackingNumber":7}"#)
        #expect((try line(installation, "raw.ndjson", 1)["data"] as? [String: Any])?["trackingNumber"] as? Int == 7)
        for file in ["shaped.ndjson", "program.ndjson"] {
            let failed = try line(installation, file, 1)
            #expect(failed["data"] == nil && failed["datacontenttype"] == nil && failed["output"] == nil)
            #expect((failed["outputfailure"] as? String)?.hasPrefix("output_invalid: /tracking") == true)
        }

        // A hook without a trigger has no other shape.
        #expect(try installation.swaks().status == 0)
        #expect(try text(line(installation, "shaped.ndjson", 2)) == text(line(installation, "raw.ndjson", 2)))

        // The stored mails once more, through a trigger that lets both be.
        let trigger = #"{"eventName": "\#(Self.name)", "outputTemplate": {"n": "/#data.trackingNumber"}}"#
        try install(installation, "upgrade", "1.1.0", trigger)
        let replayed = try installation.command(["events", "replay", "--since", "1h", "--hook", Self.name])
        #expect(replayed.status == 0, "\(replayed)")
        let again = try [3, 4].map { try line(installation, "shaped.ndjson", $0) }
        #expect(try Set(again.map { try text($0["data"]) }) == [#"{"n":"FL-1"}"#, #"{"n":7}"#])
        #expect(again.allSatisfy { $0["replayed"] != nil && $0["outputfailure"] == nil })

        let listed = try Installation.objects(installation.command(["subscriptions", "list", "--json"]).output)
        #expect(listed.map { $0["payload"] as? String } == ["event", "trigger", "trigger", "trigger"])
        #expect(try installation.stop() == 0)
    }

    @Test(.enabled(if: DeliveryTests.python != nil, "skipped: the PyPI package standardwebhooks is not installed; run scripts/test"))
    func webhooksOfEachModeAreSignedAsTheyAreSent() throws {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
        let receiver = try Child(
            try #require(DeliveryTests.python),
            [Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/receiver.py").path, secret])
        try receiver.waitForOutput("prints its port") { !$0.isEmpty }
        let modes = ["structured", "binary", "batch"]
        let subscriptions = modes.map { mode in
            """
              - name: \(mode)
                events: ["kustomer.app.>"]
                payload: trigger
                allowPrivate: true
                webhook: { url: "http://127.0.0.1:\(receiver.lines[0])/\(mode)", secretFile: erp.key, mode: \(mode) }
            """
        }
        let installation = try Installation("subscriptions:\n" + subscriptions.joined(separator: "\n"))
        _ = try installation.write("erp.key", secret + "\n")
        try install(installation, "install", "1.0.0", AppTests.trigger)
        // What `try` shows is what is sent.
        let mail = try installation.write("t.eml", "Subject: x\n\n{\"trackingNumber\":\"FL-1\"}\n")
        let trial = try Installation.objects(installation.command(["try", mail.path, "--to", Self.name, "--json"]).output)
        let requests = try #require(trial.first?["deliveries"] as? [[String: Any]])
        let binary = try #require(requests.first { $0["subscription"] as? String == "binary" }?["headers"] as? [String: Any])
        #expect(binary["content-type"] as? String == "application/json" && binary["ce-output"] == nil)

        try installation.start()
        try send(installation, #"{"trackingNumber":"FL-1"}"#)
        try receiver.waitForOutput("gets one request a mode") { $0.count >= 4 }
        let got = try Installation.objects(receiver.lines.dropFirst().joined(separator: "\n"))
        #expect(got.allSatisfy { $0["verified"] as? Bool == true })
        let bodies = try Set(got.map { try #require($0["body"] as? String) })
        #expect(bodies.contains(#"{"tracking":"FL-1"}"#), "binary")
        #expect(bodies.contains { $0.hasPrefix("{\"specversion\"") && $0.hasSuffix(#""data":{"tracking":"FL-1"}}"#) })
        #expect(bodies.contains { $0.hasPrefix("[{") && $0.hasSuffix(#""data":{"tracking":"FL-1"}}]"#) })
        receiver.closeInput()
        #expect(try installation.stop() == 0)
    }
}
