// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The public side: posts to form and web hooks. Decides who is let in and how fast; what a
// body means and where it goes is behind PostReceiver.

import HookModel
import HTTPTypes
import JSONLD
import Logging

struct HookEndpoint: WebEndpoint {
    let directory: @Sendable () -> HookDirectory
    let receiver: any PostReceiver
    let authorizer: any WebAuthorizer
    let organization: String
    let bodySize: Int
    let hookLimiter: RateLimiter
    let peerLimiter: RateLimiter
    let logger: Logger

    /// Longer keys are no keys (RFC 9110 sets no bound; ours keeps the store's index small).
    private static let idempotencyKeyLimit = 255

    func step(_ request: WebRequest) -> WebStep {
        guard let target = HookTarget(path: request.path) else { return .answer(.notFound) }
        let step = step(request, target)
        return target.type == .form ? step.allowingOrigins() : step
    }

    private func step(_ request: WebRequest, _ target: HookTarget) -> WebStep {
        switch request.head.method {
        case .post: break
        case .options where target.type == .form: return .answer(CrossOrigin.preflight(request))
        default: return .answer(.methodNotAllowed(target.type == .form ? "POST, OPTIONS" : "POST"))
        }
        let peerBudget = peerLimiter.take(RateLimiter.name(ofPeer: request.peer), now: request.receivedAt)
        if let peerBudget, peerBudget.isExceeded { return .answer(tooFast(peerBudget, request)) }
        guard target.organization == nil || target.organization.map(String.init) == organization,
            let hook = directory().hook(type: target.type, token: target.token, now: request.receivedAt)
        else { return .answer(refusal(.recipientUnknown, request)) }
        switch admission(request, target) {
        case .refused(let answer): return .answer(answer)
        case .admitted(let sender):
            return admit(Post(request: request, hook: hook, path: target.storedPath, sender: sender), peerBudget)
        case .toVerify(let signature):
            return admit(
                Post(
                    request: request, hook: hook, path: target.storedPath, sender: Envelope.signedSender,
                    signature: signature), peerBudget)
        }
    }

    // MARK: - Who is let in

    private enum Admission {
        case admitted(sender: String?)
        case toVerify(PostSignature)
        case refused(WebAnswer)
    }

    /// Form hooks are open, and what a sender puts into Authorization is nothing to them.
    private func admission(_ request: WebRequest, _ target: HookTarget) -> Admission {
        guard target.type == .web else { return .admitted(sender: nil) }
        var isForbidden = false
        if let key = Self.bearer(request[.authorization]), let holder = authorizer.holder(ofKey: key) {
            if holder.roles.contains(.hooks) { return .admitted(sender: holder.id) }
            isForbidden = true
        }
        let signature = PostSignature(
            id: request[.webhookID], timestamp: request[.webhookTimestamp], signature: request[.webhookSignature],
            hub: request[.hubSignature])
        if signature.signature != nil || signature.hub != nil { return .toVerify(signature) }
        return .refused(isForbidden ? refusal(.forbidden, request) : unauthorized(request))
    }

    /// RFC 6750 section 2.1; the name of the scheme is compared without regard to case (RFC 9110 section 11.1).
    static func bearer(_ authorization: String?) -> String? {
        guard let authorization, let space = authorization.firstIndex(of: " "),
            authorization[..<space].lowercased() == "bearer"
        else { return nil }
        let key = authorization[space...].drop { $0 == " " }
        return key.isEmpty ? nil : String(key)
    }

    // MARK: - Taking the body

    /// A post whose body is wanted.
    private struct Post: Sendable {
        var request: WebRequest
        var hook: AddressedHook
        var path: String
        var sender: String?
        /// To be checked when the body is there.
        var signature: PostSignature?
        var fields: HTTPFields = [:]
    }

    private func admit(_ post: Post, _ peerBudget: RateLimiter.Budget?) -> WebStep {
        let request = post.request
        let hookBudget = hookLimiter.take(post.hook.hook.eventName, now: request.receivedAt)
        let budget = [hookBudget, peerBudget].compactMap { $0 }.min { $0.remaining < $1.remaining }
        if let budget, budget.isExceeded { return .answer(tooFast(budget, request)) }
        var post = post
        post.fields = budget.map(Self.fields) ?? [:]
        if let encoding = request[.contentEncoding], encoding.lowercased() != "identity" {
            return .answer(refusal(.mediaTypeUnsupported, request, post.fields))
        }
        if let key = request[.idempotencyKey], key.isEmpty || key.utf8.count > Self.idempotencyKeyLimit {
            return .answer(
                .error(
                    status: 400, code: "idempotency_key_invalid",
                    "An Idempotency-Key has 1 to \(Self.idempotencyKeyLimit) characters", fields: post.fields))
        }
        let admitted = post
        return .body(limit: bodySize, prefix: ReceivedPost.entityHeader(contentType: request[.contentType])) { entity in
            guard let entity else { return refusal(.messageTooLarge, request, admitted.fields) }
            return await receive(admitted, entity)
        }
    }

    private func receive(_ post: Post, _ entity: [UInt8]) async -> WebAnswer {
        let request = post.request
        if let signature = post.signature {
            let start = ReceivedPost.entityHeader(contentType: request[.contentType]).count
            let keys = post.hook.keys(at: request.receivedAt)
            guard authorizer.isValid(signature, body: entity[start...], keys: keys, now: request.receivedAt) else {
                return unauthorized(request)
            }
        }
        // What a signature covers tells a post from others as well as a key of its own would.
        let signedID = post.signature?.signature == nil ? nil : post.signature?.id
        let envelope = Envelope(
            source: .http, mailFrom: post.sender, recipients: [post.path], peer: request.peer,
            helo: request[.userAgent].map { String($0.prefix(256)) })
        let received = ReceivedPost(
            hook: post.hook,
            message: ReceivedMessage(envelope: envelope, bytes: entity, receivedAt: request.receivedAt),
            identity: request[.idempotencyKey] ?? signedID ?? request.id, requestID: request.id)
        let reception = await withCheckedContinuation { continuation in
            receiver.receive(received) { continuation.resume(returning: $0) }
        }
        guard reception.answer.isPositive, let id = reception.eventID else {
            return refusal(reception.answer, request, post.fields)
        }
        var answer = WebAnswer.json(status: reception.answer.httpStatus) {
            $0.object {
                $0.object("data") {
                    $0.member("id", id)
                    $0.member("type", "hook_transaction")
                    $0.object("links") { $0.member("self", "/v1/events/\(id)") }
                }
            }
        }
        answer.fields.append(contentsOf: post.fields)
        return answer
    }

    // MARK: - Refusals

    private func refusal(_ outcome: Outcome, _ request: WebRequest, _ fields: HTTPFields = [:]) -> WebAnswer {
        logger.debug("post refused", metadata: ["request": "\(request.id)", "outcome": "\(outcome.rawValue)"])
        return .refusal(outcome, fields: fields)
    }

    /// RFC 9110 section 11.6.1: 401 names a scheme.
    private func unauthorized(_ request: WebRequest) -> WebAnswer {
        refusal(.unauthorized, request, [.wwwAuthenticate: "Bearer"])
    }

    private func tooFast(_ budget: RateLimiter.Budget, _ request: WebRequest) -> WebAnswer {
        var fields = Self.fields(budget)
        fields[.retryAfter] = String(max(1, budget.reset - request.receivedAt.seconds))
        return refusal(.rateLimited, request, fields)
    }

    private static func fields(_ budget: RateLimiter.Budget) -> HTTPFields {
        [
            .rateLimit: String(budget.limit), .rateRemaining: String(budget.remaining),
            .rateReset: String(budget.reset),
        ]
    }
}

/// The path of a hook: `/v1/hooks/form/{organization}/{token}`, `/v1/hooks/form/{token}` or `/v1/hooks/web/{token}`.
struct HookTarget: Sendable, Hashable {
    var type: HookType
    var organization: Substring?
    var token: Substring

    init?(path: Substring) {
        let segments = path.split(separator: "/", maxSplits: 6, omittingEmptySubsequences: false)
        guard segments.count == 5 || segments.count == 6, segments[0].isEmpty, segments[1] == "v1",
            segments[2] == "hooks", let type = HookType(rawValue: String(segments[3])), type != .email
        else { return nil }
        // The model knows the longer form for form hooks only.
        guard segments.count == 5 || type == .form else { return nil }
        guard let token = segments.last, !token.isEmpty else { return nil }
        self.type = type
        organization = segments.count == 6 ? segments[4] : nil
        self.token = token
    }

    /// The one form in which a path is kept.
    var storedPath: String { "/v1/hooks/\(type.rawValue)/\(token.lowercased())" }
}

/// Fetch Standard section 3.2, CORS protocol. Form hooks are for anybody's pages, and no answer depends on who asks,
/// so any origin may read it.
enum CrossOrigin {
    static let fields: HTTPFields = [
        .allowOrigin: "*",
        .exposeHeaders: "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After",
    ]

    static func preflight(_ request: WebRequest) -> WebAnswer {
        // A `*` would not cover Authorization, which some pages send although it means nothing here.
        let asked = request[.requestHeaders].flatMap { isFieldList($0) ? $0 : nil }
        return WebAnswer(
            status: 204,
            fields: [
                .allowMethods: "POST", .allowHeaders: asked ?? "content-type, idempotency-key",
                .accessMaxAge: "7200",
            ])
    }

    /// Names and commas, nothing that could be anything else in our answer.
    private static func isFieldList(_ value: String) -> Bool {
        value.utf8.count <= 1024
            && value.utf8.allSatisfy { octet in
                switch octet {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ","),
                    UInt8(ascii: " "):
                    true
                default: false
                }
            }
    }
}

extension WebStep {
    /// The same with the fields that let pages of any origin read the answer, errors too.
    fileprivate func allowingOrigins() -> WebStep {
        switch self {
        case .answer(let answer): return .answer(answer.allowingOrigins())
        case .work(let work): return .work { await work().allowingOrigins() }
        case .body(let limit, let prefix, let then):
            return .body(limit: limit, prefix: prefix) { await then($0).allowingOrigins() }
        }
    }
}

extension WebAnswer {
    fileprivate func allowingOrigins() -> WebAnswer {
        var answer = self
        answer.fields.append(contentsOf: CrossOrigin.fields)
        return answer
    }
}
