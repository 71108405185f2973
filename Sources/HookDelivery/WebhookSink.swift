// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Sends each event as a signed POST. What the answer means is decided in WebhookResponse.swift;
// redirects are never followed, and of the answer's body only its end is waited for.

internal import AsyncHTTPClient
public import HookModel
public import Logging
internal import NIOCore
internal import NIOHTTP1

/// The `webhook` sink: CloudEvents in structured mode, signed after Standard Webhooks.
public final class WebhookSink: Sink {
    /// Octets of an answer's body that are read so that the connection can be used again. More ends the connection.
    static let answerLimit = 64 * 1024

    public let maxBatch = 1
    public let concurrency: Int
    public let timeout: Duration

    private let configuration: WebhookConfiguration
    private let requests: WebhookRequestBuilder
    private let client: HTTPClient

    /// `concurrency` requests are under way at a time, each on its own connection, which is kept.
    public init(_ configuration: WebhookConfiguration, concurrency: Int = 20, userAgent: String, logger: Logger) {
        self.configuration = configuration
        self.concurrency = max(1, concurrency)
        timeout = configuration.timeout
        requests = WebhookRequestBuilder(configuration, userAgent: userAgent)

        var settings = HTTPClient.Configuration(redirectConfiguration: .disallow)
        settings.httpVersion = .http1Only
        settings.timeout.connect = .nanoseconds(min(configuration.timeout, .seconds(10)).wholeNanoseconds)
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = self.concurrency
        settings.connectionPool.idleTimeout = .seconds(30)
        // A failed connection is the schedule's business; the client would go on trying until the time is up.
        settings.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    public func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        var verdicts: [DeliveryVerdict] = []
        for delivery in batch { verdicts.append(await send(delivery.event, now: now)) }
        return verdicts
    }

    public func shutdown() async { try? await client.shutdown() }

    private func send(_ event: Event, now: Timestamp) async -> DeliveryVerdict {
        if Task.isCancelled { return .interrupted }
        do {
            let deadline = NIODeadline.now() + .nanoseconds(configuration.timeout.wholeNanoseconds)
            let response = try await client.execute(request(for: event, now: now), deadline: deadline)
            var octets = 0
            for try await piece in response.body {
                octets += piece.readableBytes
                if octets > Self.answerLimit { break }
            }
            return WebhookResponse.verdict(
                status: Int(response.status.code), retryAfter: response.headers.first(name: "retry-after"), now: now)
        } catch {
            return Task.isCancelled ? .interrupted : .retry(reason: WebhookFailure.reason(error))
        }
    }

    private func request(for event: Event, now: Timestamp) -> HTTPClientRequest {
        let built = requests.request(for: event, now: now)
        var request = HTTPClientRequest(url: built.url)
        request.method = .POST
        request.headers = HTTPHeaders(built.headers.map { ($0.name, $0.value) })
        request.body = .bytes(built.body)
        return request
    }
}

extension Duration {
    /// Rounded down; bounded, as clients add it to a clock.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return min(max(seconds, 0), 1_000_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
