// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The promise behind 250 and 202: several clients send mail and post forms without a pause, the daemon is killed with
// SIGKILL at random moments and started again on the same data, and in the end the clients' own
// log of replies is compared with the stored events. 20 kills; 200 with MAILHOOKD_LONG=1
// (`scripts/test --long`).

import Foundation
import Synchronization
import TestSupport
import Testing

/// Where the daemon listens at the moment, what was acknowledged, and when to end.
final class Load: Sendable {
    struct State {
        var address: (host: String, port: String)?
        /// The same for HTTP.
        var web: (host: String, port: String)?
        var isOver = false
        /// Numbers with a 250 behind them, in the order they came, by client.
        var acknowledged: [String] = []
        /// Connections that ended without an answer to a message that was sent whole.
        var unanswered = 0
        /// Connections that nobody took.
        var refused = 0
        var failures: [String] = []
    }

    let state = Mutex(State())
    private let group = DispatchGroup()

    var acknowledgedCount: Int { state.withLock { $0.acknowledged.count } }

    func start(_ body: @escaping @Sendable (Load) -> Void) {
        group.enter()
        Thread.detachNewThread { [self] in
            body(self)
            group.leave()
        }
    }

    /// Every thread finishes the message it is at.
    func finish() -> Bool {
        state.withLock { $0.isOver = true }
        return group.wait(timeout: .now() + 60) == .success
    }

    /// As a mail server does: a message that was not acknowledged is sent again, until it is.
    func sendMail(client: Int) {
        var number = 0
        var session: Connection?
        while !state.withLock({ $0.isOver }) {
            number += 1
            // Not even the last message stays in doubt.
            while !attempt("c\(client)-\(number)", &session) {
                session = nil
                usleep(2000)
            }
        }
        _ = try? session?.command("QUIT")
    }

    private func attempt(_ name: String, _ session: inout Connection?) -> Bool {
        var isSent = false
        do {
            if session == nil {
                guard let address = state.withLock({ $0.address }) else { return false }
                let new = try Connection(address)
                _ = try new.reply()
                _ = try new.command("EHLO client.example")
                session = new
            }
            guard let session else { return false }
            // Pipelined, so that the kill meets every stage of several messages.
            session.send("MAIL FROM:<shop@fernleaf.example>\r\nRCPT TO:<\(Installation.alias)>\r\nDATA\r\n")
            for _ in 0..<2 { guard try session.reply().hasPrefix("250 ") else { return false } }
            guard try session.reply().hasPrefix("354 ") else { return false }
            session.send(numberedMail(name).replacingOccurrences(of: "\n", with: "\r\n") + ".\r\n")
            isSent = true
            let reply = try session.reply()
            if reply.hasPrefix("250 2.0.0 ") {
                state.withLock { $0.acknowledged.append(name) }
                return true
            }
            if !reply.hasPrefix("4") { state.withLock { $0.failures.append("\(name): \(reply)") } }
            return false
        } catch {
            state.withLock { state in
                if isSent { state.unanswered += 1 }
                if "\(error)".contains("errno \(ECONNREFUSED)") { state.refused += 1 }
            }
            return false
        }
    }

    /// As a careful client of a form hook does: the same post with the same key, until it is acknowledged.
    func sendPosts(client: Int, to path: String) {
        var number = 0
        while !state.withLock({ $0.isOver }) {
            number += 1
            while !post("p\(client)-\(number)", path) { usleep(2000) }
        }
    }

    private func post(_ name: String, _ path: String) -> Bool {
        guard let address = state.withLock({ $0.web }), let connection = try? Connection(address) else { return false }
        let body = "{\"orderNumber\":\"\(name)\"}"
        connection.send(
            "POST \(path) HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\nContent-Type: application/json\r\n"
                + "Idempotency-Key: \(name)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        let answer = connection.rest()
        if answer.hasPrefix("HTTP/1.1 202 ") {
            state.withLock { $0.acknowledged.append(name) }
            return true
        }
        state.withLock { state in
            if answer.isEmpty { state.unanswered += 1 }
            // Else it is about to end: 503.
            if !answer.isEmpty, !answer.hasPrefix("HTTP/1.1 5") { state.failures.append("\(name): \(answer.prefix(60))") }
        }
        return false
    }

    func deliver(to maildir: TestMaildir) {
        var number = 0
        while !state.withLock({ $0.isOver }) {
            number += 1
            let name = "m-\(number)"
            do {
                try maildir.deliver(name, numberedMail(name))
                // Accepted by the Maildir: nobody sends it again.
                state.withLock { $0.acknowledged.append(name) }
            } catch {
                state.withLock { $0.failures.append("\(name): \(error)") }
            }
            usleep(3000)
        }
    }
}

@Suite struct CrashProofTests {
    private static let kills = ProcessInfo.processInfo.environment["MAILHOOKD_LONG"] == "1" ? 200 : 20

    @Test func noAcknowledgedMailIsLostOrDoubled() throws {
        let seed = UInt64(ProcessInfo.processInfo.environment["MAILHOOKD_SEED"] ?? "") ?? UInt64.random(in: 1...UInt64.max)
        var random = seed
        func next(below bound: UInt64) -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (random >> 33) % bound
        }
        let installation = try Installation(
            """
            subscriptions:
              - { name: log, events: [">"], file: { path: events.ndjson } }
            http: { perHook: unlimited, perPeer: unlimited }
            """, listen: "http: [\"127.0.0.1:0\"]")
        let hooks = try Installation.objects(installation.command(["hooks", "--json"]).output)
        let url = try #require(hooks.first { $0["type"] as? String == "form" }?["url"] as? String)
        let path = String(url[try #require(url.firstRange(of: "/v1/")).lowerBound...])
        let maildir = try TestMaildir(installation)
        let load = Load()
        for client in 0..<4 { load.start { $0.sendMail(client: client) } }
        for client in 0..<2 { load.start { $0.sendPosts(client: client, to: path) } }
        load.start { $0.deliver(to: maildir) }

        for kill in 1...Self.kills {
            try installation.start(["--maildir", maildir.root.path])
            let before = load.acknowledgedCount
            try listen(installation, load)
            try eventually("mail is taken after start \(kill) (seed \(seed))") { load.acknowledgedCount > before }
            usleep(UInt32(next(below: 400_000)))
            try installation.kill()
            load.state.withLock { ($0.address, $0.web) = (nil, nil) }
        }
        try installation.start(["--maildir", maildir.root.path])
        try listen(installation, load)
        #expect(load.finish(), "a client hangs")
        try eventually("the Maildir is empty") { maildir.list("new").isEmpty }

        let (acknowledged, unanswered, failures) = load.state.withLock { ($0.acknowledged, $0.unanswered, $0.failures) }
        #expect(failures.isEmpty, "\(failures.prefix(3)) (seed \(seed))")
        let events = try installation.events()
        let ids = events.compactMap { $0["id"] as? String }
        let numbers = events.compactMap { ($0["data"] as? [String: Any])?["orderNumber"] as? String }
        #expect(Set(ids).count == events.count, "an event id stands twice (seed \(seed))")
        #expect(Set(numbers).count == numbers.count, "a mail made two events (seed \(seed))")
        let lost = Set(acknowledged).subtracting(numbers)
        #expect(lost.isEmpty, "lost: \(lost.sorted().prefix(5)) of \(acknowledged.count) (seed \(seed))")
        #expect(Set(numbers).subtracting(acknowledged).isEmpty, "more than was sent (seed \(seed))")

        // What subscribers got: all of it, and what came twice can be told by its id.
        try eventually("everything is delivered", seconds: 60) {
            let lines = installation.file("events.ndjson").split(separator: "\n")
            return lines.count >= events.count && Set(lines.compactMap(Self.id)).isSuperset(of: ids)
        }
        let delivered = installation.file("events.ndjson").split(separator: "\n").compactMap(Self.id)
        #expect(Set(delivered) == Set(ids))
        #expect(try installation.stop() == 0)
        print(
            "crash proof: \(Self.kills) kills, \(acknowledged.count) mails and posts acknowledged, \(unanswered) sent without an "
                + "answer, 0 lost, 0 doubled, \(delivered.count - ids.count) delivered again (seed \(seed))")
    }

    /// Tells the clients where the daemon is now.
    private func listen(_ installation: Installation, _ load: Load) throws {
        let (mail, web) = (try installation.smtp, try installation.address(of: "http"))
        load.state.withLock { ($0.address, $0.web) = (mail, web) }
    }

    /// nil for a line that a kill has torn; what stood in it comes again.
    private static func id(_ line: Substring) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return object?["id"] as? String
    }
}
