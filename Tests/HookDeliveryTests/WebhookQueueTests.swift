// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The queue of the webhook sink: what it sends, how much at a time, and that it goes on only while all is well.

import Foundation
import HookModel
import Logging
import Synchronization
import Testing

@testable import HookDelivery

@Suite(.serialized) struct WebhookQueueTests {
    private let start = Timestamp(seconds: 1_800_000_000)
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func delivery(_ id: Int64, leaseEnds: Timestamp? = nil) -> LeasedDelivery {
        let json = #"{"specversion":"1.0","id":"evt_\#(id)","source":"mailhookd://x/a","type":"a.b","data":{"n":\#(id)}}"#
        return LeasedDelivery(
            ClaimedDelivery(
                id: id, subscription: "s", event: Event(id: "evt_\(id)", type: "a.b", json: Array(json.utf8)), attempt: 1,
                createdAt: start),
            leaseEnds: leaseEnds ?? start.advanced(by: .seconds(60)))
    }

    private func configuration(_ port: Int, timeout: Duration = .seconds(20)) throws -> WebhookConfiguration {
        let secrets = try [WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
        var configuration = try WebhookConfiguration(url: "http://127.0.0.1:\(port)/in?x=1", secrets: secrets, timeout: timeout)
        configuration.allowsPrivate = true
        return configuration
    }

    private final class Reports: Sendable {
        private let all = Mutex<[SinkReport]>([])
        func add(_ reports: [SinkReport]) { all.withLock { $0 += reports } }
        var tried: [(id: Int64, verdict: DeliveryVerdict)] {
            all.withLock { $0.compactMap { if case .tried(let one, let answer, _) = $0 { (one.delivery.id, answer.verdict) } else { nil } } }
        }
        var returned: [Int64] {
            all.withLock { $0.compactMap { if case .returned(let one) = $0 { one.delivery.id } else { nil } } }
        }
    }

    private func sink(_ port: Int, concurrency: Int, timeout: Duration = .seconds(20)) throws -> (WebhookSink, any SinkQueue, Reports) {
        let sink = WebhookSink(try configuration(port, timeout: timeout), concurrency: concurrency, userAgent: "test/1", logger: logger)
        let queue = try #require(sink.queue)
        let reports = Reports()
        queue.start(now: { [start] in start }) { reports.add($0) }
        return (sink, queue, reports)
    }

    @Test func allAreSentOverAsManyConnectionsAsThereMayBe() async throws {
        let server = try ScriptedServer { _ in Array(repeating: [.read, .send(Self.ok)], count: 100).flatMap { $0 } }
        defer { server.stop() }
        // Connecting takes a thread that other tests may hold for long; the first failure would hand back the rest.
        let (sink, queue, reports) = try sink(server.port, concurrency: 3, timeout: .seconds(55))
        queue.add((1...40).map { delivery($0) }, now: start)
        queue.add((41...60).map { delivery($0) }, now: start)
        await queue.end()
        #expect(reports.tried.map(\.id).sorted() == Array(1...60) && reports.tried.allSatisfy { $0.verdict == .delivered })
        #expect(reports.returned == [])
        #expect(server.connections <= 3)
        // Any receiver can verify what came, by either secret.
        let secrets = try [WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
        for request in server.requests {
            func field(_ name: String) -> String? {
                request.head.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix(name + ":") }
                    .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
            }
            #expect(field("webhook-signature")?.split(separator: " ").count == 2)
            for secret in secrets {
                try StandardWebhooksSigner(secrets: [secret]).verify(
                    id: field("webhook-id"), timestamp: field("webhook-timestamp"), signature: field("webhook-signature"),
                    body: Array(request.body.utf8), now: start)
            }
        }
        await sink.shutdown()
    }

    @Test(arguments: [
        ("HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n", DeliveryVerdict.retry(reason: "http_503", after: .seconds(7))),
        ("HTTP/1.1 410 X\r\nContent-Length: 0\r\n\r\n", .gone(reason: "http_410")),
        ("nonsense\r\n", .retry(reason: "bad_response")),
    ])
    func whatGoesWrongEndsTheQueue(_ answer: String, _ verdict: DeliveryVerdict) async throws {
        let server = try ScriptedServer { _ in [.read, .send(Self.ok), .read, .send(answer), .read, .send(Self.ok)] }
        defer { server.stop() }
        let (sink, queue, reports) = try sink(server.port, concurrency: 1)
        queue.add((1...9).map { delivery($0) }, now: start)
        await queue.end()
        #expect(reports.tried.map(\.id) == [1, 2] && reports.tried.map(\.verdict) == [.delivered, verdict])
        #expect(reports.returned == Array(3...9))
        #expect(server.requests.count == 2)
        // It goes on when it is told to.
        queue.add([delivery(3)], now: start)
        await queue.end()
        #expect(reports.tried.last?.id == 3 && reports.tried.last?.verdict == .delivered)
        await sink.shutdown()
    }

    @Test func whatWaitsCanBeHadBackAndWhatRunsEnded() async throws {
        let server = try ScriptedServer { _ in [.read, .sleep(20)] }
        defer { server.stop() }
        let (sink, queue, reports) = try sink(server.port, concurrency: 2)
        queue.add((1...6).map { delivery($0) }, now: start)
        try await wait { server.requests.count == 2 }
        queue.recall()
        try await wait { reports.returned.count == 4 }
        #expect(reports.returned == [3, 4, 5, 6] && reports.tried.isEmpty)
        queue.cancel()
        await queue.end()
        #expect(reports.tried.map(\.id).sorted() == [1, 2] && reports.tried.allSatisfy { $0.verdict == .interrupted })
        await sink.shutdown()
    }

    @Test func nothingBeginsThatWouldOutliveItsLease() async throws {
        let server = try ScriptedServer { _ in Array(repeating: [.read, .send(Self.ok)], count: 9).flatMap { $0 } }
        defer { server.stop() }
        let (sink, queue, reports) = try sink(server.port, concurrency: 1)
        queue.add([delivery(1, leaseEnds: start.advanced(by: .seconds(19))), delivery(2, leaseEnds: start.advanced(by: .seconds(20)))], now: start)
        await queue.end()
        #expect(reports.returned == [1] && reports.tried.map(\.id) == [2])
        await sink.shutdown()
    }

    @Test func aHangingReceiverTimesOut() async throws {
        let server = try ScriptedServer { _ in [.read, .send(Self.ok), .read, .sleep(20)] }
        defer { server.stop() }
        let (sink, queue, reports) = try sink(server.port, concurrency: 1, timeout: .seconds(2))
        queue.add([delivery(1), delivery(2)], now: start)
        let begun = ContinuousClock.now
        await queue.end()
        #expect(reports.tried.map(\.verdict) == [.delivered, .retry(reason: "timeout")])
        #expect((.milliseconds(1900)..<Duration.seconds(15)).contains(.now - begun))
        await sink.shutdown()
    }

    /// A connection that was kept and is gone costs no attempt.
    @Test func aStaleConnectionIsReplaced() async throws {
        let server = try ScriptedServer { $0 == 0 ? [.read, .send(Self.ok), .close] : [.read, .send(Self.ok)] }
        defer { server.stop() }
        let (sink, queue, reports) = try sink(server.port, concurrency: 1)
        queue.add([delivery(1)], now: start)
        await queue.end()
        queue.add([delivery(2)], now: start)
        await queue.end()
        #expect(reports.tried.map(\.verdict) == [.delivered, .delivered])
        await sink.shutdown()
    }

    /// What goes over the wire is what `try` shows.
    @Test(arguments: [WebhookConfiguration.Mode.structured, .binary], [0, 1, 2])
    func theWireHasTheRequestOfTheBuilder(_ mode: WebhookConfiguration.Mode, _ secrets: Int) throws {
        var configuration = try configuration(1)
        let list = try ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].map { try WebhookSecret($0) }
        configuration = try WebhookConfiguration(url: "http://127.0.0.1:1/in", secrets: Array(list.prefix(max(1, secrets))), timeout: .seconds(1))
        configuration.mode = mode
        let builder = WebhookRequestBuilder(configuration, userAgent: "test/1")
        let client = EndpointClient(url: configuration.url, tls: nil) { _ in true }
        let event = delivery(7).delivery.event
        let built = builder.request(for: event, now: start)
        #expect(WebhookWire(builder, client).request(event, now: start) == client.encoded(built.headers, built.body))
    }

    private func wait(_ condition: () -> Bool) async throws {
        for _ in 0..<500 where !condition() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(condition())
    }
}
