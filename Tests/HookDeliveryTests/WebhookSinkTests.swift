// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The webhook sink against a real server that refuses, hangs, resets, lies and moves.

import Foundation
import HookModel
import Logging
import NIOCore
import Synchronization
import Testing

@testable import HookDelivery

/// Gives a different answer each time it is asked.
private final class ChangingResolver: HostResolver {
    private let answers: Mutex<[[String]]>
    init(_ answers: [[String]]) { self.answers = Mutex(answers) }

    func resolve(_ host: String, port: Int, into promise: EventLoopPromise<[SocketAddress]>) {
        let addresses = answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
        promise.completeWithTask { try addresses.map { try SocketAddress(ipAddress: $0, port: port) } }
    }

    func shutdown() {}
}

@Suite(.serialized) struct WebhookSinkTests {
    private let now = Timestamp(seconds: 1_800_000_000)
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    private func delivery(_ id: Int64 = 1, type: String = "a.b") -> ClaimedDelivery {
        let json = #"{"specversion":"1.0","id":"evt_\#(id)","source":"mailhookd://x/a","type":"\#(type)","subject":"ü 100%","datacontenttype":"application/ld+json","data":{"n":34.90}}"#
        return ClaimedDelivery(
            id: id, subscription: "s", event: Event(id: "evt_\(id)", type: type, json: Array(json.utf8)), attempt: 1,
            createdAt: now)
    }

    private func configuration(
        _ port: Int, host: String = "127.0.0.1", timeout: Duration = .seconds(20), mode: WebhookConfiguration.Mode = .structured
    ) throws -> WebhookConfiguration {
        let secret = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        var configuration = try WebhookConfiguration(url: "http://\(host):\(port)/in?x=1", secrets: [secret], timeout: timeout)
        configuration.allowsPrivate = true
        configuration.mode = mode
        return configuration
    }

    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func sink(_ configuration: WebhookConfiguration) -> WebhookSink {
        WebhookSink(configuration, userAgent: "test/1", logger: logger)
    }

    private func answer(_ steps: [ScriptedServer.Step], timeout: Duration = .seconds(20)) async throws -> SinkAnswer {
        let server = try ScriptedServer { _ in steps }
        defer { server.stop() }
        let sink = sink(try configuration(server.port, timeout: timeout))
        let answers = await sink.answers([delivery()], now: now)
        await sink.shutdown()
        return try #require(answers.first)
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var steps: [ScriptedServer.Step]
        var verdict: DeliveryVerdict
        var detail = ""
        var testDescription: String { "\(verdict)" }
    }

    @Test(arguments: [
        Case(steps: [.read, .send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")], verdict: .delivered),
        Case(steps: [.read, .send("HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n")], verdict: .delivered),
        Case(
            steps: [.read, .send("HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nno\u{1b}[31m x")],
            verdict: .retry(reason: "http_400"), detail: "no [31m x"),
        Case(
            steps: [.read, .send("HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n")],
            verdict: .retry(reason: "http_301")),
        Case(
            steps: [.read, .send("HTTP/1.1 308 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")],
            verdict: .retry(reason: "http_308")),
        Case(steps: [.read, .send("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")], verdict: .gone(reason: "http_410")),
        Case(
            steps: [.read, .send("HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")],
            verdict: .retry(reason: "http_429", after: .seconds(120))),
        Case(
            steps: [.read, .send("HTTP/1.1 503 X\r\nRetry-After: Fri, 15 Jan 2027 08:01:40 GMT\r\nContent-Length: 0\r\n\r\n")],
            verdict: .retry(reason: "http_503", after: .seconds(100))),
        Case(
            steps: [.read, .send("HTTP/1.1 429 Slow\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n")],
            verdict: .retry(reason: "http_429")),
        Case(steps: [.close], verdict: .retry(reason: "connection_closed")),
        Case(steps: [.read, .close], verdict: .retry(reason: "connection_closed")),
        Case(steps: [.read, .reset], verdict: .retry(reason: "connection_reset")),
        Case(steps: [.read, .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")], verdict: .retry(reason: "connection_closed")),
        Case(steps: [.read, .send("HTTP/1.1 200 OK\r\nConte")], verdict: .retry(reason: "connection_closed")),
        Case(steps: [.read, .send("220 mail.example ESMTP\r\n")], verdict: .retry(reason: "bad_response")),
        Case(steps: [.send("HTTP/1.1 400 Early\r\nContent-Length: 0\r\n\r\n"), .sleep(0.2)], verdict: .retry(reason: "connection_closed")),
    ])
    func whateverAServerDoes(_ one: Case) async throws {
        let answer = try await answer(one.steps)
        if case .send(let text)? = one.steps.first, text.contains("Early") {
            // Said before anything was asked: an answer to nothing, or to the request if that was quick.
            #expect([one.verdict, .retry(reason: "http_400"), .retry(reason: "connection_reset")].contains(answer.verdict))
        } else if case .retry("connection_closed", nil) = one.verdict, case .retry("connection_reset", nil) = answer.verdict {
            // A server that ends a connection before it has read everything may have its kernel reset it.
        } else {
            #expect(answer == SinkAnswer(one.verdict, detail: one.detail))
        }
    }

    @Test func aServerThatHangsIsGivenUp() async throws {
        let begun = ContinuousClock.now
        #expect(try await answer([.read, .sleep(60)], timeout: .seconds(4)).verdict == .retry(reason: "timeout"))
        // Octet by octet for ever is no answer either.
        let drip = Array(repeating: [ScriptedServer.Step.send("H"), .sleep(0.05)], count: 1200).flatMap { $0 }
        #expect(
            try await answer([.read, .send("HTTP/1.1 200 OK\r\nX: ")] + drip, timeout: .seconds(4)).verdict
                == .retry(reason: "timeout"))
        #expect(ContinuousClock.now - begun < .seconds(50))
    }

    @Test func nobodyListens() async throws {
        let server = try ScriptedServer { _ in [] }
        server.stop()
        usleep(100_000)
        let sink = sink(try configuration(server.port))
        #expect(await sink.deliver([delivery()], now: now) == [.retry(reason: "connection_refused")])
        await sink.shutdown()
    }

    @Test func connectionsAreKeptAndStaleOnesReplaced() async throws {
        let ok = ok
        // The first connection answers twice and goes; the second stays.
        let server = try ScriptedServer { number in
            number == 0 ? [.read, .send(ok), .read, .send(ok), .close] : [.read, .send(ok), .read, .send(ok), .sleep(5)]
        }
        defer { server.stop() }
        let sink = sink(try configuration(server.port))
        for index in 1...4 { #expect(await sink.deliver([delivery(Int64(index))], now: now) == [.delivered]) }
        #expect(server.requests.map(\.connection) == [0, 0, 1, 1])
        await sink.shutdown()
    }

    @Test func cancelledRequestsEndSoon() async throws {
        let server = try ScriptedServer { _ in [.read, .sleep(8)] }
        defer { server.stop() }
        let sink = sink(try configuration(server.port))
        let task = Task { await sink.deliver([delivery()], now: now) }
        try await Task.sleep(for: .milliseconds(200))
        task.cancel()
        let begun = ContinuousClock.now
        #expect(await task.value == [.interrupted])
        #expect(ContinuousClock.now - begun < .seconds(3))
        await sink.shutdown()
    }

    // MARK: - Addresses

    @Test func privateAddressesAreRefusedUnlessAllowed() async throws {
        let server = try ScriptedServer { [ok] _ in [.read, .send(ok)] }
        defer { server.stop() }
        for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"] {
            var configuration = try configuration(server.port, host: host)
            configuration.allowsPrivate = false
            let sink = sink(configuration)
            #expect(await sink.deliver([delivery()], now: now) == [.retry(reason: "address_refused")], "\(host)")
            await sink.shutdown()
        }
        #expect(server.connections == 0)
    }

    /// DNS rebinding: the name first leads to a good address and then to one inside. Of both only what was checked
    /// is connected to, and each connection is checked.
    @Test func aNameThatMovesIsFollowedOnlyToGoodAddresses() async throws {
        let ok = ok
        let good = try ScriptedServer { _ in [.read, .send(ok)] }
        defer { good.stop() }
        let resolver = ChangingResolver([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.2"]])
        let settings = try configuration(good.port, host: "receiver.example")
        let client = EndpointClient(url: settings.url, tls: nil, resolver: resolver) { $0 == IPAddress([127, 0, 0, 1]) }
        let sink = WebhookSink(settings, client: client, concurrency: 1, userAgent: "test", logger: logger)
        var verdicts: [DeliveryVerdict] = []
        for index in 1...4 {
            verdicts += await sink.deliver([delivery(Int64(index))], now: now)
            // The server ends each connection; let it be seen.
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(verdicts == [.delivered, .retry(reason: "address_refused"), .delivered, .retry(reason: "address_refused")])
        #expect(good.requests.allSatisfy { $0.head.contains("\r\nhost: receiver.example:\(good.port)\r\n") })
        #expect(good.connections == 2)
        await sink.shutdown()
    }

    @Test func theNextAddressIsTriedWhenOneIsDead() async throws {
        let server = try ScriptedServer { [ok] _ in [.read, .send(ok)] }
        defer { server.stop() }
        let settings = try configuration(server.port, host: "receiver.example")
        let client = EndpointClient(url: settings.url, tls: nil, resolver: ChangingResolver([["127.0.0.9", "127.0.0.1"]])) { _ in true }
        let sink = WebhookSink(settings, client: client, concurrency: 1, userAgent: "test", logger: logger)
        #expect(await sink.deliver([delivery()], now: now) == [.delivered])
        await sink.shutdown()
    }

    @Test func unknownNamesAreNamed() async throws {
        let sink = sink(try configuration(80, host: "no-such-host.invalid"))
        #expect(await sink.deliver([delivery()], now: now) == [.retry(reason: "dns_failed")])
        await sink.shutdown()
    }

    // MARK: - What is sent

    @Test func modesSayTheSame() async throws {
        let server = try ScriptedServer { [ok] _ in [.read, .send(ok), .read, .send(ok)] }
        defer { server.stop() }
        for mode in WebhookConfiguration.Mode.allCases {
            let sink = sink(try configuration(server.port, mode: mode))
            let batch = mode == .batch ? [delivery(1), delivery(2)] : [delivery(1)]
            #expect(await sink.deliver(batch, now: now) == batch.map { _ in .delivered })
            await sink.shutdown()
        }
        let requests = server.requests
        try #require(requests.count == 3)
        #expect(requests[0].head.hasPrefix("POST /in?x=1 HTTP/1.1\r\nhost: 127.0.0.1:\(server.port)\r\n"))
        #expect(requests[0].head.contains("content-type: application/cloudevents+json; charset=UTF-8\r\n"))
        #expect(requests[0].body == String(decoding: delivery().event.json, as: UTF8.self))
        let binary = requests[1].head
        #expect(requests[1].body == #"{"n":34.90}"#)
        for line in [
            "content-type: application/ld+json", "ce-id: evt_1", "ce-specversion: 1.0", "ce-type: a.b",
            "ce-source: mailhookd://x/a", "ce-subject: %C3%BC%20100%25", "webhook-id: evt_1",
        ] {
            #expect(binary.contains("\r\n\(line)\r\n"), "\(line)")
        }
        #expect(!binary.contains("ce-datacontenttype") && !binary.contains("ce-data:"))
        #expect(requests[2].head.contains("content-type: application/cloudevents-batch+json; charset=UTF-8\r\n"))
        let batch = try JSONSerialization.jsonObject(with: Data(requests[2].body.utf8)) as? [[String: Any]]
        #expect(batch?.map { $0["id"] as? String } == ["evt_1", "evt_2"])
        #expect(requests[2].head.contains("\r\nwebhook-id: batch_"))
    }

    @Test func outboundWebhooksCarryTheDocumentedHeaders() throws {
        let token = "tok_5f2b"
        let configuration = try WebhookConfiguration(url: "https://h.example/", signing: .kustomer(WebhookToken(token)))
        let request = WebhookRequestBuilder(configuration, userAgent: "u").request(for: delivery().event, now: now)
        let headers = Dictionary(uniqueKeysWithValues: request.headers)
        #expect(headers["x-kustomer-webhook-event"] == "a.b")
        #expect(headers["content-type"] == "application/json")
        #expect(headers["webhook-signature"] == nil)
        #expect(headers["x-kustomer-webhook-signature"] == WebhookToken(token).signature(of: request.body))
        // RFC 4231, test case 2.
        #expect(
            WebhookToken("Jefe").signature(of: Array("what do ya want for nothing?".utf8))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let body = try #require(try JSONSerialization.jsonObject(with: Data(request.body)) as? [String: Any])
        #expect(body["id"] as? String == "evt_1" && body["name"] as? String == "a.b")
        let attributes = (body["data"] as? [String: Any])?["attributes"] as? [String: Any]
        #expect((attributes?["data"] as? [String: Any])?["n"] as? Double == 34.9)
        #expect(String(decoding: request.body, as: UTF8.self).contains("34.90"))
    }

    @Test func changedSecretsAreReadAgain() async throws {
        let server = try ScriptedServer { [ok] _ in [.read, .send(ok), .read, .send(ok), .read, .send(ok)] }
        defer { server.stop() }
        let first = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        let second = try WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        let next = Mutex<[WebhookSecret]?>(nil)
        let list = SecretList([first]) { next.withLock { $0 } }
        var settings = try WebhookConfiguration(url: "http://127.0.0.1:\(server.port)/", signing: .standardWebhooks(list))
        settings.allowsPrivate = true
        let sink = sink(settings)
        #expect(await sink.deliver([delivery()], now: now) == [.delivered])
        next.withLock { $0 = [second, first] }
        #expect(await sink.deliver([delivery()], now: now.advanced(by: .seconds(10))) == [.delivered])
        next.withLock { $0 = [] }
        #expect(await sink.deliver([delivery()], now: now.advanced(by: .seconds(20))) == [.delivered])
        await sink.shutdown()
        let signatures = server.requests.map { request in
            request.head.components(separatedBy: "webhook-signature: ").last?.components(separatedBy: "\r\n").first ?? ""
        }
        #expect(signatures.map { $0.split(separator: " ").count } == [1, 2, 2])
    }
}
