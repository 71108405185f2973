// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Webhooks from outside: the real binary against a server that refuses, hangs, resets, answers by halves, asks for
// time, goes away and moves.

import Foundation
import TestSupport
import Testing

/// The server, and an installation whose only subscription is a webhook to it.
private final class Receiver {
    let server: Child
    let port: String

    init(_ behaviours: String...) throws {
        let script = Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/misbehaving.py").path
        server = try Child("python3", [script] + behaviours)
        try server.waitForOutput("prints its port") { !$0.isEmpty }
        port = server.lines[0]
    }

    deinit { server.closeInput() }

    var requests: [[String: Any]] { (try? Installation.objects(server.lines.dropFirst().joined(separator: "\n"))) ?? [] }
    var behaviours: [String] { requests.compactMap { $0["behaviour"] as? String } }
    var times: [Double] { requests.compactMap { $0["at"] as? Double } }

    func waitForRequests(_ count: Int, seconds: Double = 20) throws {
        try eventually("\(count) requests", seconds: seconds) { requests.count >= count }
    }
}

@Suite struct WebhookBehaviourTests {
    private static let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n"

    private func installation(
        _ receiver: Receiver, retry: String = "[200ms, 200ms, 200ms, 200ms]", webhook: String = "", more: String = "", host: String = "127.0.0.1",
        allowPrivate: Bool = true
    ) throws -> Installation {
        let installation = try Installation(
            """
            subscriptions:
              - name: erp
                events: ["kustomer.app.ecommstore.>"]
                allowPrivate: \(allowPrivate)
                webhook: { url: "http://\(host):\(receiver.port)/in", secretFile: erp.key, timeout: 2s\(webhook) }
                retry: \(retry)
            \(more)
            """)
        _ = try installation.write("erp.key", Self.secret)
        return installation
    }

    private func deliveries(_ installation: Installation, _ arguments: String...) throws -> [[String: Any]] {
        let result = try installation.command(["deliveries", "list", "--json"] + arguments)
        #expect(result.status == 0, "\(result.errors)")
        return try Installation.objects(result.output)
    }

    /// As its service runs it: no user of any rights.
    @Test func aDaemonWithoutRightsDelivers() throws {
        let receiver = try Receiver("200")
        let installation = try installation(receiver)
        var wrapper: [String] = []
        if geteuid() == 0 {
            #expect(try Child.run("chown", ["-R", "65534:65534", installation.folder.path]).status == 0)
            wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        }
        try installation.start(within: wrapper)
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(1)
        try eventually("delivered") { try deliveries(installation, "--state", "delivered").count == 1 }
        #expect(try installation.stop() == 0)
    }

    @Test func everyWayToFailIsTriedAgain() throws {
        let receiver = try Receiver("close", "reset", "half", "garbage", "200")
        let installation = try installation(receiver)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(5)
        try eventually("delivered") { try deliveries(installation, "--state", "delivered").count == 1 }
        #expect(receiver.behaviours == ["close", "reset", "half", "garbage", "200"])
        let ids = Set(receiver.requests.compactMap { ($0["headers"] as? [String: String])?["webhook-id"] })
        #expect(ids.count == 1)
        // The whole life of it by any of its names.
        let event = try #require(ids.first)
        let trace = try installation.command(["trace", event, "--json"])
        let life = try #require(try Installation.objects(trace.output).first)
        let events = try #require(life["events"] as? [[String: Any]])
        let delivery = try #require((events.first?["deliveries"] as? [[String: Any]])?.first)
        #expect(delivery["attempts"] as? Int == 5)
        let failures = try #require(delivery["failures"] as? [[String: Any]]).compactMap { $0["reason"] as? String }
        #expect(failures == ["connection_closed", "connection_reset", "connection_closed", "bad_response"])
        for name in [try #require(life["message"] as? String), "order-88-104.confirmation@fernleaf.example", "1"] {
            let same = try installation.command(["trace", name, "--json"])
            #expect(same.output == trace.output, "\(name)")
        }
        #expect(try installation.command(["trace", event]).output.contains("because I say so") == false)
        #expect(try installation.command(["trace", "evt_nothing"]).status == 1)
    }

    @Test func aHangingReceiverIsGivenUpAndNobodyListening() throws {
        let receiver = try Receiver("hang", "200")
        let installation = try installation(receiver)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(2)
        let times = receiver.times
        #expect(times.count == 2 && times[1] - times[0] > 1.9 && times[1] - times[0] < 8)
        try installation.stop()
        // Nobody listens: refused, and dead when the schedule is over.
        receiver.server.closeInput()
        usleep(200_000)
        try installation.start()
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        _ = try installation.swaks(try installation.write("other.eml", mail.replacingOccurrences(of: "88-104", with: "88-105")))
        try eventually("dead") { try deliveries(installation, "--reason", "connection_refused", "--state", "dead").count == 1 }
    }

    @Test(arguments: ["429:2", "503:date+3"]) func retryAfterIsHeard(_ behaviour: String) throws {
        let receiver = try Receiver(behaviour, "200")
        let installation = try installation(receiver)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(2)
        let times = receiver.times
        // A date has whole seconds.
        #expect(times[1] - times[0] >= 1.9, "\(times)")
    }

    @Test func goneDisablesUntilSomebodyResumes() throws {
        let receiver = try Receiver("410", "200")
        let installation = try installation(
            receiver, more: "  - { name: ops, events: [\"mailhookd.>\"], file: { path: ops.ndjson } }")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("told") { installation.file("ops.ndjson").split(separator: "\n").count == 2 }
        let told = try Installation.objects(installation.file("ops.ndjson"))
        #expect(Set(told.compactMap { $0["type"] as? String }) == ["mailhookd.delivery.dead", "mailhookd.subscription.disabled"])
        // Also over a restart; what comes meanwhile waits.
        try installation.stop()
        try installation.start()
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        _ = try installation.swaks(try installation.write("other.eml", mail.replacingOccurrences(of: "88-104", with: "88-105")))
        usleep(500_000)
        #expect(receiver.requests.count == 1)
        let list = try Installation.objects(try installation.command(["subscriptions", "list", "--json"]).output)
        #expect(list.first?["status"] as? String == "disabled" && list.first?["reason"] as? String == "http_410")
        #expect(try installation.command(["subscriptions", "resume", "erp"]).status == 0)
        try receiver.waitForRequests(2)
        // The dead one as well, where somebody asks for it.
        #expect(try installation.command(["deliveries", "redrive", "--reason", "http_410"]).output == "1\n")
        try receiver.waitForRequests(3)
        try eventually("all delivered") { try deliveries(installation, "--subscription", "erp", "--state", "delivered").count == 2 }
    }

    @Test func redirectsAreNotFollowed() throws {
        let inside = try Receiver("200")
        let receiver = try Receiver("redirect:http://127.0.0.1:\(inside.port)/in", "200")
        let installation = try installation(receiver)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(2)
        usleep(200_000)
        #expect(inside.requests.isEmpty)
    }

    @Test(arguments: ["127.0.0.1", "localhost", "[::1]", "0x7f.0.0.1"])
    func privateAddressesAreRefused(_ host: String) throws {
        let receiver = try Receiver("200")
        let installation = try installation(receiver, retry: "[100ms]", host: host, allowPrivate: false)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try eventually("dead") { try deliveries(installation, "--reason", "address_refused", "--state", "dead").count == 1 }
        #expect(receiver.requests.isEmpty)
    }

    @Test func ordersWorkWithAndWithoutADaemon() throws {
        let receiver = try Receiver("200")
        let installation = try installation(receiver)
        try installation.start()
        #expect(try installation.command(["subscriptions", "pause", "erp"]).status == 0)
        #expect(try installation.command(["subscriptions", "pause", "epr"]).errors.contains("did you mean 'erp'?"))
        #expect(try installation.swaks().status == 0)
        usleep(300_000)
        #expect(try deliveries(installation, "--state", "waiting").count == 1)
        #expect(receiver.requests.isEmpty)
        let attributes = try FileManager.default.attributesOfItem(atPath: installation.folder.path + "/data/control.sock")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        try installation.stop()
        #expect(!FileManager.default.fileExists(atPath: installation.folder.path + "/data/control.sock"))
        #expect(try installation.command(["deliveries", "cancel"]).output == "1\n")
        #expect(try deliveries(installation).map { $0["state"] as? String } == ["cancelled"])
        #expect(try installation.command(["deliveries", "redrive"]).output == "0\n")
        #expect(try installation.command(["deliveries", "redrive", "--state", "cancelled", "--since", "1h"]).output == "1\n")
        #expect(try installation.command(["deliveries", "redrive", "--state", "waiting"]).status == 64)
        #expect(try installation.command(["deliveries", "list", "--since", "soon"]).status == 64)
        #expect(try installation.command(["subscriptions", "resume", "erp"]).status == 0)
        try installation.start()
        try receiver.waitForRequests(1)
        // Stored events once more, as they are.
        #expect(try installation.command(["events", "redrive", "--since", "1h"]).output == "1\n")
        try receiver.waitForRequests(2)
        let bodies = receiver.requests.compactMap { $0["body"] as? String }
        #expect(Set(bodies).count == 1)
    }

    @Test func replayShowsWhatWouldBeDifferentAndSendsIt() throws {
        let receiver = try Receiver("200")
        let installation = try installation(receiver)
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(1)
        let id = try #require(try installation.events().first?["id"] as? String)
        let unchanged = try installation.command(["events", "replay", "--since", "1h", "--dry-run"])
        #expect(unchanged.output.hasPrefix("same ") && unchanged.errors.contains("nothing was sent"), "\(unchanged)")
        // Another form makes another event of the same mail.
        try installation.stop()
        let text = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try text.replacingOccurrences(of: "    aliases:", with: "    form: expanded\n    aliases:").write(
            to: installation.configurationFile, atomically: true, encoding: .utf8)
        try installation.start()
        let dry = try installation.command(["events", "replay", "--since", "1h", "--dry-run", "--json"])
        #expect(try Installation.objects(dry.output).map { $0["difference"] as? String } == ["changed"])
        #expect(receiver.requests.count == 1)
        #expect(try installation.command(["events", "replay", "--since", "1h", "--hook", "other"]).output.isEmpty)
        #expect(try installation.command(["events", "replay", "--since", "1h"]).errors.contains("1 deliveries"))
        try receiver.waitForRequests(2)
        #expect(try installation.command(["events", "replay", "--since", "1h", "--ids", "new", "--unchanged"]).status == 0)
        try receiver.waitForRequests(3)
        let bodies = try receiver.requests.map { try #require(try Installation.objects($0["body"] as? String ?? "").first) }
        #expect(bodies[1]["id"] as? String == id && bodies[1]["replayed"] != nil && bodies[1]["replayof"] == nil)
        #expect(bodies[2]["id"] as? String != id && bodies[2]["replayof"] as? String == id)
        #expect(bodies[1]["data"] is [Any] && bodies[0]["data"] is [String: Any])
        #expect(try installation.events().count == 2)
    }

    @Test func refusedMailAndSilenceAreTold() throws {
        let installation = try Installation(
            """
            subscriptions:
              - { name: ops, events: ["mailhookd.>"], file: { path: ops.ndjson } }
            """, hook: "onNoData: reject\nexpectEvery: 2s")
        try installation.start()
        let empty = try installation.write("empty.eml", "Subject: nothing\n\nplain text\n")
        #expect(try installation.swaks(empty).status != 0)
        try eventually("both") { installation.file("ops.ndjson").split(separator: "\n").count >= 2 }
        let told = try Installation.objects(installation.file("ops.ndjson"))
        let rejected = try #require(told.first { $0["type"] as? String == "mailhookd.message.rejected" })
        #expect((rejected["data"] as? [String: Any])?["outcome"] as? String == "no_structured_data")
        let silent = try #require(told.first { $0["type"] as? String == "mailhookd.hook.silent" })
        #expect((silent["data"] as? [String: Any])?["hook"] as? String == Installation.orderUpdate)
        // Told once, and again only after the hook was heard.
        usleep(2_500_000)
        #expect(try Installation.objects(installation.file("ops.ndjson")).count == 2)
        #expect(try installation.swaks().status == 0)
        try eventually("another silence") { installation.file("ops.ndjson").split(separator: "\n").count == 3 }
    }

    /// PyPI's `cloudevents` reads what was sent, in each mode.
    static let python: String? = ProcessInfo.processInfo.environment["MAILHOOKD_TEST_PYTHON"].flatMap {
        let probe = try? Child.run($0, ["-c", "import cloudevents.core.bindings.http"])
        return probe?.status == 0 ? $0 : nil
    }

    @Test(
        .enabled(if: python != nil, "skipped: the PyPI package cloudevents is not installed; run scripts/test"),
        arguments: ["structured", "binary", "batch"])
    func theReferenceLibraryReadsEachMode(_ mode: String) throws {
        let receiver = try Receiver("200")
        let installation = try installation(receiver, webhook: ", mode: \(mode)")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        try receiver.waitForRequests(1)
        let request = try #require(receiver.requests.first)
        let record = try JSONSerialization.data(withJSONObject: request)
        let script = """
            import json, sys
            from cloudevents.core.bindings.http import HTTPMessage, from_http_event
            r = json.load(sys.stdin)
            headers, body = r["headers"], r["body"]
            if headers["content-type"].startswith("application/cloudevents-batch+json"):
                events = json.loads(body); assert len(events) == 1
                headers, body = {"content-type": "application/cloudevents+json"}, json.dumps(events[0])
            e = from_http_event(HTTPMessage(headers=headers, body=body.encode()))
            data = e.get_data()
            data = data if isinstance(data, dict) else json.loads(data)
            print(json.dumps({"id": e.get_id(), "type": e.get_type(), "subject": e.get_subject(),
                              "mailsubject": e.get_extension("mailsubject"), "order": data["orderNumber"]}))
            """
        let read = try Child.run(try #require(Self.python), ["-c", script], input: String(decoding: record, as: UTF8.self))
        #expect(read.status == 0, "\(read.errors)")
        let event = try #require(try Installation.objects(read.output).first)
        let stored = try #require(try installation.events().first)
        #expect(event["id"] as? String == stored["id"] as? String)
        #expect(event["type"] as? String == Installation.orderUpdate)
        #expect(event["order"] as? String == "88-104")
        for name in ["subject", "mailsubject"] { #expect(event[name] as? String == stored[name] as? String) }
    }
}
