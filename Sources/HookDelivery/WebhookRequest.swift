// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The request a webhook gets, as a value: what the sink sends and what `try` shows is the same.

internal import Crypto
public import HookModel

/// A POST of one event, or of several in batch mode.
public struct WebhookRequest: Sendable {
    public let url: String
    /// In the order they are sent; names in lower case but for those of the configuration.
    public let headers: [(name: String, value: String)]
    /// Exactly the signed octets.
    public let body: [UInt8]
}

/// Builds the requests of one webhook. The parts that never change are made once.
public struct WebhookRequestBuilder: Sendable {
    private let url: String
    private let mode: WebhookConfiguration.Mode
    private let signing: WebhookSigning
    /// Without the content type.
    private let fixedHeaders: [(name: String, value: String)]

    /// - Parameter userAgent: what the daemon calls itself, such as `mailhookd/1.0`.
    public init(_ configuration: WebhookConfiguration, userAgent: String) {
        url = configuration.url.description
        mode = configuration.mode
        signing = configuration.signing
        fixedHeaders = [("user-agent", userAgent)] + configuration.headers
    }

    /// What signs requests that carry an event as it is; nil where they do not, or are signed otherwise.
    var plainSecrets: SecretList? {
        if case .standardWebhooks(let list) = signing, mode == .structured { list } else { nil }
    }

    /// The fields of such a request but for those of the signature.
    var plainHeaders: [(name: String, value: String)] { [("content-type", Self.structuredType)] + fixedHeaders }

    private static let structuredType = "application/cloudevents+json; charset=UTF-8"

    /// The request of an attempt that begins at `now`, which is part of the signature.
    public func request(for event: Event, now: Timestamp) -> WebhookRequest { request(for: [event], now: now) }

    /// The same for several events, which only batch mode can take; other modes send the first of them.
    func request(for events: [Event], now: Timestamp) -> WebhookRequest {
        guard let event = events.first else { return WebhookRequest(url: url, headers: [], body: []) }
        if case .kustomer(let token) = signing { return outboundRequest(event, token) }
        switch mode {
        // CloudEvents HTTP binding 1.0.2 section 3.2: structured content mode.
        case .structured:
            return signed(Self.structuredType, [], event.json, id: event.id, now)
        case .binary:
            guard let binary = BinaryEvent(event.json) else {
                return signed(Self.structuredType, [], event.json, id: event.id, now)
            }
            return signed(binary.contentType, binary.headers, binary.body, id: event.id, now)
        // Section 3.3: batched content mode.
        case .batch:
            return signed(
                "application/cloudevents-batch+json; charset=UTF-8", [], Self.array(events), id: Self.id(of: events), now)
        }
    }

    private func signed(
        _ contentType: String?, _ attributes: [(name: String, value: String)], _ body: [UInt8], id: String, _ now: Timestamp
    ) -> WebhookRequest {
        var headers = contentType.map { [(name: "content-type", value: $0)] } ?? []
        headers += fixedHeaders
        headers += attributes
        if case .standardWebhooks(let list) = signing {
            let signer = StandardWebhooksSigner(secrets: list.current())
            headers.append(("webhook-id", id))
            headers.append(("webhook-timestamp", String(now.seconds)))
            headers.append(("webhook-signature", signer.signature(id: id, timestamp: now.seconds, body: body)))
        }
        return WebhookRequest(url: url, headers: headers, body: body)
    }

    private func outboundRequest(_ event: Event, _ token: WebhookToken) -> WebhookRequest {
        let body = EventEnvelope.json(of: event)
        return WebhookRequest(
            url: url,
            headers: [("content-type", "application/json")] + fixedHeaders + [
                ("x-kustomer-webhook-event", event.type), ("x-kustomer-webhook-signature", token.signature(of: body)),
            ],
            body: body)
    }

    private static func array(_ events: [Event]) -> [UInt8] {
        var body: [UInt8] = [UInt8(ascii: "[")]
        body.reserveCapacity(events.reduce(2) { $0 + $1.json.count + 1 })
        for (index, event) in events.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body += event.json
        }
        body.append(UInt8(ascii: "]"))
        return body
    }

    /// The same for the same events, so that a batch that is sent again can be told; a batch of one has its event's.
    private static func id(of events: [Event]) -> String {
        if events.count == 1, let event = events.first { return event.id }
        var hash = SHA256()
        for event in events { hash.update(data: Array(event.id.utf8) + [0]) }
        return "batch_" + Base32.lowerCase(hash.finalize().prefix(20))
    }
}
