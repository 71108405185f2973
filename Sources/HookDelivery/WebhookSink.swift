// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Sends events as signed POSTs. What the answer means is decided in WebhookResponse.swift;
// redirects are never followed, and of the answer's body only its end is waited for.

public import HookModel
public import Logging
internal import Synchronization

/// The `webhook` sink: CloudEvents, signed after Standard Webhooks; or the envelope of outbound webhooks.
public final class WebhookSink: Sink {
    /// Events and octets of one request in batch mode.
    private static let batchLimit = 100
    private static let batchOctets = 1 << 20

    public let maxBatch: Int
    public let concurrency: Int
    public let timeout: Duration

    private let configuration: WebhookConfiguration
    private let requests: WebhookRequestBuilder
    private let client: EndpointClient
    private let watch: SecretWatch
    private let ownQueue: EndpointQueue?
    public var queue: (any SinkQueue)? { ownQueue }

    /// `concurrency` requests are under way at a time, each on its own connection, which is kept.
    public convenience init(_ configuration: WebhookConfiguration, concurrency: Int = 20, userAgent: String, logger: Logger) {
        // Without roots of the system no certificate is good, and every attempt says so.
        let tls = configuration.url.isSecure ? configuration.tls ?? (try? TLSSettings()) : nil
        let allowsPrivate = configuration.allowsPrivate
        let client = EndpointClient(url: configuration.url, tls: tls) { allowsPrivate || $0.isPublic }
        self.init(configuration, client: client, concurrency: concurrency, userAgent: userAgent, logger: logger)
    }

    init(_ configuration: WebhookConfiguration, client: EndpointClient, concurrency: Int, userAgent: String, logger: Logger) {
        self.configuration = configuration
        self.client = client
        self.concurrency = max(1, concurrency)
        maxBatch = configuration.mode == .batch ? Self.batchLimit : 1
        timeout = configuration.timeout
        let watch = SecretWatch(configuration.signing, logger)
        self.watch = watch
        let requests = WebhookRequestBuilder(configuration, userAgent: userAgent)
        self.requests = requests
        ownQueue = maxBatch > 1 ? nil : EndpointQueue(
            client,
            EndpointQueue.Work(
                concurrency: max(1, concurrency), timeout: configuration.timeout,
                request: WebhookWire(requests, client).request,
                answer: Self.answer, prepare: watch.look))
    }

    public func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        await answers(batch, now: now).map(\.verdict)
    }

    public func answers(_ batch: [ClaimedDelivery], now: Timestamp) async -> [SinkAnswer] {
        watch.look(now)
        var answers: [SinkAnswer] = []
        var rest = batch[...]
        while !rest.isEmpty {
            let part = rest.prefix(requestLength(rest))
            rest = rest.dropFirst(part.count)
            // What does not fit into the time of one call is tried with the next.
            let answer = answers.isEmpty ? await send(part.map(\.event), now: now) : SinkAnswer(.untried)
            answers += Array(repeating: answer, count: part.count)
        }
        return answers
    }

    public func shutdown() async {
        ownQueue?.shutdown()
        client.shutdown()
    }

    /// How many of these make one request.
    private func requestLength(_ deliveries: ArraySlice<ClaimedDelivery>) -> Int {
        guard configuration.mode == .batch else { return 1 }
        var octets = 0
        for (index, delivery) in deliveries.enumerated() {
            octets += delivery.event.json.count + 1
            if octets > Self.batchOctets { return max(1, index) }
        }
        return deliveries.count
    }

    private func send(_ events: [Event], now: Timestamp) async -> SinkAnswer {
        if Task.isCancelled { return SinkAnswer(.interrupted) }
        let built = requests.request(for: events, now: now)
        do throws(EndpointFailure) {
            let answer = try await client.post(.init(headers: built.headers, body: built.body), within: timeout)
            return Self.answer(.success(answer), now)
        } catch {
            return Self.answer(.failure(error), now)
        }
    }

    private static func answer(_ result: Result<EndpointAnswer, EndpointFailure>, _ now: Timestamp) -> SinkAnswer {
        switch result {
        case .success(let answer):
            let verdict = WebhookResponse.verdict(status: answer.status, retryAfter: answer.retryAfter, now: now)
            return SinkAnswer(verdict, detail: verdict == .delivered ? "" : text(answer.excerpt))
        case .failure(let failure):
            return SinkAnswer(failure.reason == "interrupted" ? .interrupted : .retry(reason: failure.reason))
        }
    }

    /// What a receiver said, without what could upset a terminal.
    private static func text(_ excerpt: [UInt8]) -> String {
        let text = String(decoding: excerpt, as: UTF8.self)
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}

/// Looks at the files of secrets now and then.
private final class SecretWatch: Sendable {
    private static let time = Duration.seconds(5)

    private let signing: WebhookSigning
    private let logger: Logger
    private let last = Mutex(Timestamp(microseconds: 0))

    init(_ signing: WebhookSigning, _ logger: Logger) {
        self.signing = signing
        self.logger = logger
    }

    func look(_ now: Timestamp) {
        guard case .standardWebhooks(let secrets) = signing else { return }
        let isTime = last.withLock { last in
            // A clock that was set back must not end this.
            guard now < last || now.duration(since: last) >= Self.time else { return false }
            last = now
            return true
        }
        if isTime, secrets.refresh() { logger.notice("secrets of the webhook were read again") }
    }
}

extension Duration {
    /// Rounded down; bounded, as clients add it to a clock.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return min(max(seconds, 0), 1_000_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
