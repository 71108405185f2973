// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the answer of a webhook's receiver means for the delivery. Pure.

internal import HookModel

enum WebhookResponse {
    /// Standard Webhooks 1.0.0, "Webhook delivery": any 2xx is success; a redirect is a failure and not followed;
    /// 410 means the endpoint is gone for good and gets nothing more; everything else is tried again.
    static func verdict(status: Int, retryAfter: String?, now: Timestamp) -> DeliveryVerdict {
        switch status {
        case 200...299:
            return .delivered
        case 410:
            return .gone(reason: "http_410")
        case 429, 502, 503, 504:
            // The statuses that mean "slow down". RFC 9110 section 10.2.3; RFC 6585 section 4.
            return .retry(reason: "http_\(status)", after: retryAfter.flatMap { RetryAfter.delay($0, now: now) })
        default:
            return .retry(reason: "http_\(status)")
        }
    }
}
