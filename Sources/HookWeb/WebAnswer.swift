// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Answers as values: status, fields, a JSON body. Errors have the documented form, say what the
// sender can do something about, and nothing of what happens inside.

import HookModel
import HTTPTypes
import JSONLD

struct WebAnswer: Sendable {
    var status: Int
    var fields: HTTPFields
    /// JSON, or empty.
    var body: [UInt8]
    /// Pages of any origin may read it.
    var isShared = false

    init(status: Int, fields: HTTPFields = [:], body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
        if !body.isEmpty { self.fields[.contentType] = "application/json" }
    }

    /// An object or array that is written by `write`.
    static func json(status: Int = 200, _ write: (inout JSONWriter) -> Void) -> WebAnswer {
        var writer = JSONWriter()
        write(&writer)
        return WebAnswer(status: status, body: writer.bytes)
    }

    /// `{"errors":[{"code":…,"message":…}]}`
    static func error(status: Int, code: String, _ message: String, fields: HTTPFields = [:]) -> WebAnswer {
        var answer = json(status: status) {
            $0.object {
                $0.array("errors") {
                    $0.object {
                        $0.member("code", code)
                        $0.member("message", message)
                    }
                }
            }
        }
        answer.fields.append(contentsOf: fields)
        return answer
    }

    /// What the one table of outcomes says.
    static func refusal(_ outcome: Outcome, fields: HTTPFields = [:]) -> WebAnswer {
        var fields = fields
        if outcome.httpStatus == 503 { fields[.retryAfter] = String(retryTime(outcome)) }
        return error(status: outcome.httpStatus, code: outcome.rawValue, outcome.smtpReply.text, fields: fields)
    }

    /// Seconds after which it is worth to come back (RFC 9110 section 10.2.3): what is full or paused stays so for a
    /// while, other troubles are often over soon.
    private static func retryTime(_ outcome: Outcome) -> Int {
        outcome == .storeFull || outcome == .hookPaused ? 60 : 10
    }

    static let notFound = error(status: 404, code: "not_found", "There is nothing at this path")

    /// RFC 9110 section 15.5.6.
    static func methodNotAllowed(_ allowed: String) -> WebAnswer {
        error(
            status: 405, code: "method_not_allowed", "Only \(allowed) can be used here", fields: [.allow: allowed])
    }
}

extension HTTPField.Name {
    static func own(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else {
            preconditionFailure("names are written here and are tokens (RFC 9110 section 5.1)")
        }
        return name
    }

    static let requestID = own("X-Request-Id")
    static let rateLimit = own("X-RateLimit-Limit")
    static let rateRemaining = own("X-RateLimit-Remaining")
    static let rateReset = own("X-RateLimit-Reset")
    static let idempotencyKey = own("Idempotency-Key")
    static let webhookID = own("Webhook-Id")
    static let webhookTimestamp = own("Webhook-Timestamp")
    static let webhookSignature = own("Webhook-Signature")
    static let hubSignature = own("X-Hub-Signature-256")
    static let forwardedFor = own("X-Forwarded-For")
    static let allowOrigin = own("Access-Control-Allow-Origin")
    static let allowMethods = own("Access-Control-Allow-Methods")
    static let allowHeaders = own("Access-Control-Allow-Headers")
    static let exposeHeaders = own("Access-Control-Expose-Headers")
    static let accessMaxAge = own("Access-Control-Max-Age")
    static let requestHeaders = own("Access-Control-Request-Headers")
}
