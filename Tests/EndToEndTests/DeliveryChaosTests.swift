// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Receivers fail at random while the daemon is killed at random: each event arrives at each of them at least once,
// what comes twice carries the same id, nothing is given up, and the states add up. 300 events; 10,000 with
// MAILHOOKD_LONG=1 (`scripts/test --long`).

import Foundation
import Synchronization
import TestSupport
import Testing

/// Sends numbered mails until each is acknowledged, wherever the daemon is at the moment.
private final class Sender: Sendable {
    let address = Mutex<(host: String, port: String)?>(nil)
    let acknowledged = Mutex(0)
    private let group = DispatchGroup()

    func start(_ names: [String]) {
        group.enter()
        Thread.detachNewThread { [self] in
            var session: Connection?
            for name in names {
                while !attempt(name, &session) {
                    session = nil
                    usleep(2000)
                }
                acknowledged.withLock { $0 += 1 }
            }
            group.leave()
        }
    }

    func wait(seconds: Double) -> Bool { group.wait(timeout: .now() + seconds) == .success }

    private func attempt(_ name: String, _ session: inout Connection?) -> Bool {
        do {
            if session == nil {
                guard let address = address.withLock({ $0 }) else { return false }
                let new = try Connection(address)
                _ = try new.reply()
                _ = try new.command("EHLO client.example")
                session = new
            }
            guard let session else { return false }
            session.send("MAIL FROM:<shop@fernleaf.example>\r\nRCPT TO:<\(Installation.alias)>\r\nDATA\r\n")
            for _ in 0..<2 { guard try session.reply().hasPrefix("250 ") else { return false } }
            guard try session.reply().hasPrefix("354 ") else { return false }
            session.send(numberedMail(name).replacingOccurrences(of: "\n", with: "\r\n") + ".\r\n")
            return try session.reply().hasPrefix("250 2.0.0 ")
        } catch {
            return false
        }
    }
}

@Suite struct DeliveryChaosTests {
    private static let isLong = ProcessInfo.processInfo.environment["MAILHOOKD_LONG"] == "1"

    @Test func everythingArrivesAtReceiversThatFail() throws {
        let (count, kills) = Self.isLong ? (10_000, 40) : (300, 6)
        let seed = UInt64(ProcessInfo.processInfo.environment["MAILHOOKD_SEED"] ?? "") ?? UInt64.random(in: 1...UInt64.max)
        var random = seed
        func next(below bound: UInt64) -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (random >> 33) % bound
        }
        let script = Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/misbehaving.py").path
        let receivers = try (1...2).map { try Child("python3", [script, "random:0.3:\($0)"]) }
        for receiver in receivers { try receiver.waitForOutput("prints its port") { !$0.isEmpty } }
        defer { receivers.forEach { $0.closeInput() } }
        let retry = Array(repeating: "100ms", count: 80).joined(separator: ", ")
        let subscriptions = receivers.enumerated().map { index, receiver in
            """
              - name: receiver\(index)
                events: [">"]
                allowPrivate: true
                webhook: { url: "http://127.0.0.1:\(receiver.lines[0])/in", secretFile: key, timeout: 5s }
                retry: [\(retry)]
                breaker: { failures: 10, pause: 100ms, longestPause: 200ms }
            """
        }
        let installation = try Installation("subscriptions:\n" + subscriptions.joined(separator: "\n"))
        _ = try installation.write("key", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n")

        let sender = Sender()
        let names = (0..<count).map { "n\($0)" }
        for client in 0..<4 { sender.start(names.enumerated().filter { $0.offset % 4 == client }.map(\.element)) }
        for _ in 1...kills {
            try installation.start()
            let address = try installation.smtp
            sender.address.withLock { $0 = address }
            usleep(UInt32(100_000 + next(below: 700_000)))
            try installation.kill()
            sender.address.withLock { $0 = nil }
        }
        try installation.start()
        let address = try installation.smtp
        sender.address.withLock { $0 = address }
        #expect(sender.wait(seconds: 240), "mail is still being sent (seed \(seed))")

        let events = try installation.events()
        let ids = Set(events.compactMap { $0["id"] as? String })
        #expect(events.count == count && ids.count == count, "seed \(seed)")
        func states() throws -> [String: Int] {
            let result = try installation.command(["deliveries", "list", "--json"])
            let states = try Installation.objects(result.output).compactMap { $0["state"] as? String }
            return Dictionary(states.map { ($0, 1) }, uniquingKeysWith: +)
        }
        try eventually("all is delivered (seed \(seed))", seconds: 240) {
            usleep(300_000)
            return try states()["delivered"] == 2 * count
        }
        #expect(try states() == ["delivered": 2 * count], "seed \(seed)")
        var repeated = 0
        for receiver in receivers {
            let requests = try Installation.objects(receiver.lines.dropFirst().joined(separator: "\n"))
            let taken = requests.filter { $0["behaviour"] as? String == "200" }.compactMap { request in
                (request["headers"] as? [String: String])?["webhook-id"]
            }
            #expect(Set(taken) == ids, "seed \(seed)")
            repeated += taken.count - count
            // Of one mail there is one id, however often it came.
            var idOfOrder: [String: Set<String>] = [:]
            for request in requests {
                let body = try Installation.objects(request["body"] as? String ?? "").first
                let number = (body?["data"] as? [String: Any])?["orderNumber"] as? String ?? ""
                idOfOrder[number, default: []].insert(body?["id"] as? String ?? "")
            }
            #expect(idOfOrder.count == count && idOfOrder.values.allSatisfy { $0.count == 1 }, "seed \(seed)")
        }
        #expect(try installation.stop() == 0)
        print("delivery chaos: \(kills) kills, \(count) events to 2 receivers, \(repeated) came again after a positive answer (seed \(seed))")
    }
}
