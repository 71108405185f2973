// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The request a webhook gets, as a value: what the sink sends and what `try` shows is the same.

public import HookModel

/// A POST of one event: CloudEvents in structured mode, signed after Standard Webhooks.
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
    private let fixedHeaders: [(name: String, value: String)]
    private let signer: StandardWebhooksSigner

    /// - Parameter userAgent: what the daemon calls itself, such as `mailhookd/1.0`.
    public init(_ configuration: WebhookConfiguration, userAgent: String) {
        url = configuration.url.description
        // CloudEvents HTTP binding 1.0.2 section 3.2: structured content mode.
        fixedHeaders =
            [("content-type", "application/cloudevents+json; charset=UTF-8"), ("user-agent", userAgent)]
            + configuration.headers
        signer = StandardWebhooksSigner(secrets: configuration.secrets)
    }

    /// The request of an attempt that begins at `now`, which is part of the signature.
    public func request(for event: Event, now: Timestamp) -> WebhookRequest {
        WebhookRequest(
            url: url,
            headers: fixedHeaders + [
                ("webhook-id", event.id),
                ("webhook-timestamp", String(now.seconds)),
                ("webhook-signature", signer.signature(id: event.id, timestamp: now.seconds, body: event.json)),
            ],
            body: event.json)
    }
}
