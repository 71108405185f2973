// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From a real SMTP client to each kind of subscriber.

import Foundation
import TestSupport
import Testing

@Suite struct DeliveryTests {
    @Test func mailBySwaksBecomesAnEventInTheFile() throws {
        let installation = try Installation(
            """
            subscriptions:
              - { name: log, events: [">"], file: { path: events.ndjson } }
            """)
        try installation.start()
        let sent = try installation.swaks()
        #expect(sent.status == 0, "\(sent.output)")
        #expect(sent.output.contains("250 2.0.0 "))

        try eventually("an event in events.ndjson") { installation.file("events.ndjson").hasSuffix("\n") }
        let event = try #require(try Installation.objects(installation.file("events.ndjson")).first)
        #expect(event["specversion"] as? String == "1.0")
        #expect(event["type"] as? String == Installation.orderUpdate)
        #expect(event["datacontenttype"] as? String == "application/ld+json")
        #expect(event["subject"] as? String == "https://fernleaf.example/orders/88-104")
        #expect(event["hooktype"] as? String == "email")
        #expect(event["messageid"] as? String == "order-88-104.confirmation@fernleaf.example")
        #expect(event["mailfrom"] as? String == "orders@fernleaf.example")
        #expect(event["mailsubject"] as? String == "Your order 88-104 – thank you!")
        #expect(event["partpath"] as? String == "2")
        let data = try #require(event["data"] as? [String: Any])
        #expect(data["orderNumber"] as? String == "88-104")
        let item = try #require((data["orderedItem"] as? [String: Any])?["orderedItem"] as? [String: Any])
        #expect(item["name"] as? String == "Pruning shears \"Primär\"")
        // Spliced in as it was sent: 34.90 stays 34.90.
        #expect(installation.file("events.ndjson").contains(#""price": 34.90,"#))
        #expect(try installation.stop() == 0)
    }

    @Test func theSameMailTwiceIsOneEvent() throws {
        let installation = try Installation(
            """
            subscriptions:
              - { name: log, events: [">"], file: { path: events.ndjson } }
            """)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        // By another road: other trace fields, and the hook's own address instead of its alias.
        let address = try #require(
            try Installation.objects(installation.command(["hooks", "--json"]).output).first?["address"] as? String)
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let relayed = try installation.write(
            "relayed.eml",
            "Return-Path: <orders@fernleaf.example>\nReceived: from a by b; Tue, 24 Nov 2026 09:31:00 +0100\n" + mail)
        let second = try installation.swaks(relayed, to: address)
        #expect(second.status == 0, "\(second.output)")
        #expect(try installation.events().count == 1)
        try eventually("one line in the file") { installation.file("events.ndjson").hasSuffix("\n") }
        usleep(300_000)
        #expect(installation.file("events.ndjson").split(separator: "\n").count == 1)
    }

    @Test func smtpSourceWithManySessions() throws {
        let installation = try Installation()
        try installation.start()
        let (host, port) = try installation.smtp
        let sent = try Child.run(
            "smtp-source",
            ["-s", "20", "-m", "400", "-l", "4096", "-f", "a@shop.example", "-t", Installation.alias, "\(host):\(port)"])
        #expect(sent.status == 0, "\(sent.errors)")
        // Plain text: accepted and kept, without an event.
        #expect(try installation.events().isEmpty)
        // Those that were stored together have their lines written together: each is there, and whole.
        func lines() -> [Substring] { (installation.daemon?.errors ?? "").split(separator: "\n") }
        func ended() -> Int { lines().count { $0.hasSuffix(" outcome=no_structured_data") } }
        try eventually("a line of each") { ended() >= 400 }
        #expect(ended() == 400)
        #expect(lines().allSatisfy { $0.starts(with: #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [a-z]+ /#) }, "\(lines().prefix(5))")
        #expect(try installation.stop() == 0)
    }

    @Test func killedBetweenAcceptanceAndDelivery() throws {
        // The script holds its delivery back until the folder has a file `go`, so the kill comes before delivery.
        let installation = try Installation()
        let script = try installation.write(
            "hold.sh", "cat > event.tmp; [ -e go ] || exec sleep 60; cat event.tmp >> delivered.ndjson\n")
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + """

            subscriptions:
              - name: script
                events: [">"]
                exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)", timeout: 50s }
            """).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try installation.kill()
        #expect(installation.file("delivered.ndjson").isEmpty)
        #expect(try installation.events().count == 1)

        _ = try installation.write("go", "")
        try installation.start()
        try eventually("the delivery after the restart") { !installation.file("delivered.ndjson").isEmpty }
        let delivered = try Installation.objects(installation.file("delivered.ndjson"))
        #expect(delivered.count == 1)
        #expect(delivered.first?["id"] as? String == (try installation.events().first?["id"] as? String))
        try installation.stop()
    }

    @Test func execRetriesOnTemporaryFailure() throws {
        let installation = try Installation()
        let script = try installation.write(
            "twice.sh", "cat > last.json; echo \"$MAILHOOKD_ATTEMPT $MAILHOOKD_EVENT_ID\" >> attempts\n"
                + "[ $(wc -l < attempts) -ge 2 ] || exit 75\n")
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + """

            subscriptions:
              - name: script
                events: [">"]
                exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)" }
                retry: [200ms, 200ms]
            """).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("two attempts") { installation.file("attempts").split(separator: "\n").count == 2 }
        usleep(600_000)
        let attempts = installation.file("attempts").split(separator: "\n").map { $0.split(separator: " ") }
        #expect(attempts.map { $0[0] } == ["1", "2"])
        #expect(Set(attempts.map { $0[1] }).count == 1)
        let event = try #require(try Installation.objects(installation.file("last.json")).first)
        #expect(event["type"] as? String == Installation.orderUpdate)
    }

    /// The package `standardwebhooks` from PyPI judges the signatures.
    static let python: String? = ProcessInfo.processInfo.environment["MAILHOOKD_TEST_PYTHON"].flatMap {
        let probe = try? Child.run($0, ["-c", "import standardwebhooks"])
        return probe?.status == 0 ? $0 : nil
    }

    @Test(.enabled(if: python != nil, "skipped: the PyPI package standardwebhooks is not installed; run scripts/test"))
    func webhookIsSignedAndRetried() throws {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
        let receiver = try Child(
            try #require(Self.python),
            [Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/receiver.py").path, secret, "503", "301"])
        try receiver.waitForOutput("prints its port") { !$0.isEmpty }
        let installation = try Installation(
            """
            subscriptions:
              - name: erp
                events: ["kustomer.app.ecommstore.>"]
                allowPrivate: true
                webhook: { url: "http://127.0.0.1:\(receiver.lines[0])/in", secretFile: erp.key }
                retry: [200ms, 200ms, 200ms]
            """)
        _ = try installation.write("erp.key", secret + "\n")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForOutput("gets three attempts") { $0.count >= 4 }
        usleep(600_000)
        let requests = try Installation.objects(receiver.lines.dropFirst().joined(separator: "\n"))
        #expect(requests.map { $0["status"] as? Int } == [503, 301, 200])
        #expect(requests.allSatisfy { $0["verified"] as? Bool == true })
        let stored = try #require(try installation.events().first)
        for request in requests {
            let headers = try #require(request["headers"] as? [String: String])
            #expect(headers["webhook-id"] == stored["id"] as? String)
            #expect(headers["content-type"]?.hasPrefix("application/cloudevents+json") == true)
            let body = try Installation.objects(try #require(request["body"] as? String))
            #expect(body.first?["id"] as? String == stored["id"] as? String)
        }
        receiver.closeInput()
    }
}
