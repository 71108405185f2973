// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The public side: posts to form and web hooks. Decides who is let in and how fast; what a
// body means and where it goes is behind PostReceiver.

import HookModel
import HTTPTypes
import JSONLD
import Logging

final class HookEndpoint: Sendable {
    let directory: @Sendable () -> HookDirectory
    let receiver: any PostReceiver
    let authorizer: any WebAuthorizer
    let organization: String
    let bodySize: Int
    let hookLimiter: RateLimiter
    let peerLimiter: RateLimiter
    let logger: Logger

    init(
        directory: @escaping @Sendable () -> HookDirectory, receiver: any PostReceiver, authorizer: any WebAuthorizer,
        organization: String, bodySize: Int, hookLimiter: RateLimiter, peerLimiter: RateLimiter, logger: Logger
    ) {
        self.directory = directory
        self.receiver = receiver
        self.authorizer = authorizer
        self.organization = organization
        self.bodySize = bodySize
        self.hookLimiter = hookLimiter
        self.peerLimiter = peerLimiter
        self.logger = logger
    }

    /// Longer keys are no keys (RFC 9110 sets no bound; ours keeps the store's index small).
    private static let idempotencyKeyLimit = 255

    /// What becomes of a request by its header alone.
    func step(_ request: WebRequest) -> PostStep {
        guard let target = HookTarget(path: request.path) else { return .answer(.notFound) }
        switch step(request, target) {
        case .answer(var answer):
            answer.isShared = target.type == .form
            return .answer(answer)
        case .body(let post): return .body(post)
        }
    }

    private func step(_ request: WebRequest, _ target: HookTarget) -> PostStep {
        switch request.method {
        case .post: break
        case .options where target.type == .form: return .answer(CrossOrigin.preflight(request))
        default: return .answer(.methodNotAllowed(target.type == .form ? "POST, OPTIONS" : "POST"))
        }
        let peerBudget = peerLimiter.take(ofPeer: request.peer, now: request.receivedAt)
        if let peerBudget, peerBudget.isExceeded { return .answer(tooFast(peerBudget, request)) }
        guard target.organization.map({ $0 == organization }) ?? true,
            let hook = directory().hook(type: target.type, token: target.token, now: request.receivedAt)
        else { return .answer(refusal(.recipientUnknown, request)) }
        switch admission(request, target) {
        case .refused(let answer): return .answer(answer)
        case .admitted(let sender):
            return admit(request, hook, target, sender, nil, peerBudget)
        case .toVerify(let signature):
            return admit(request, hook, target, Envelope.signedSender, signature, peerBudget)
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

    private func admit(
        _ request: WebRequest, _ hook: AddressedHook, _ target: HookTarget, _ sender: String?, _ signature: PostSignature?,
        _ peerBudget: RateLimiter.Budget?
    ) -> PostStep {
        let hookBudget = hookLimiter.take(hook.hook.eventName, now: request.receivedAt)
        let budget = [hookBudget, peerBudget].compactMap { $0 }.min { $0.remaining < $1.remaining }
        if let budget, budget.isExceeded { return .answer(tooFast(budget, request)) }
        let fields = budget.map(Self.fields) ?? [:]
        if let encoding = request[.contentEncoding], encoding.lowercased() != "identity" {
            return .answer(refusal(.mediaTypeUnsupported, request, fields))
        }
        if let key = request[.idempotencyKey], key.isEmpty || key.utf8.count > Self.idempotencyKeyLimit {
            return .answer(
                .error(
                    status: 400, code: "idempotency_key_invalid",
                    "An Idempotency-Key has 1 to \(Self.idempotencyKeyLimit) characters", fields: fields))
        }
        return .body(
            PendingPost(
                request: request, hook: hook, path: target.storedPath, sender: sender, signature: signature, fields: fields,
                limit: bodySize))
    }

    /// The answer to a post whose body is too large.
    func tooLarge(_ post: PendingPost) -> WebAnswer {
        shared(refusal(.messageTooLarge, post.request, post.fields), post)
    }

    /// Hands a post on. `completion` is called once, on any thread, perhaps before this returns.
    ///
    /// - Parameter entity: `PendingPost.entityStart` and the body.
    func receive(_ post: PendingPost, _ entity: [UInt8], _ completion: @escaping @Sendable (WebAnswer) -> Void) {
        let request = post.request
        if let signature = post.signature {
            let start = post.entityStart.count
            let keys = post.hook.keys(at: request.receivedAt)
            guard authorizer.isValid(signature, body: entity[start...], keys: keys, now: request.receivedAt) else {
                return completion(shared(unauthorized(request), post))
            }
        }
        // What a signature covers tells a post from others as well as a key of its own would; and before that one, which is not
        // signed: with another key, whoever has a recorded post could make an event of it again.
        let signedID = post.signature?.signature == nil ? nil : post.signature?.id
        let envelope = Envelope(
            source: .http, mailFrom: post.sender, recipients: [post.path], peer: request.peer,
            helo: request[.userAgent].map { String($0.prefix(256)) })
        let received = ReceivedPost(
            hook: post.hook,
            message: ReceivedMessage(envelope: envelope, bytes: entity, receivedAt: request.receivedAt),
            identity: signedID ?? request[.idempotencyKey] ?? request.id, requestID: request.id)
        receiver.receive(received) { [self] in completion(shared(answer(to: post, reception: $0), post)) }
    }

    private func answer(to post: PendingPost, reception: PostReception) -> WebAnswer {
        guard reception.answer.isPositive, let id = reception.eventID else {
            return refusal(reception.answer, post.request, post.fields)
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
        if !post.fields.isEmpty { answer.fields.append(contentsOf: post.fields) }
        return answer
    }

    private func shared(_ answer: WebAnswer, _ post: PendingPost) -> WebAnswer {
        var answer = answer
        answer.isShared = post.hook.hook.type == .form
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

/// What becomes of a request to the public side by its header alone.
enum PostStep: Sendable {
    case answer(WebAnswer)
    /// The body is wanted.
    case body(PendingPost)
}

/// A post whose body is wanted. A class because it holds a hook with all its rules, which is much to copy.
final class PendingPost: Sendable {
    let request: WebRequest
    let hook: AddressedHook
    let path: String
    let sender: String?
    /// To be checked when the body is there.
    let signature: PostSignature?
    /// What the answer says of rates.
    let fields: HTTPFields
    /// Octets of the body.
    let limit: Int
    /// What stands before the body where it is kept.
    let entityStart: [UInt8]

    init(
        request: WebRequest, hook: AddressedHook, path: String, sender: String?, signature: PostSignature?,
        fields: HTTPFields, limit: Int
    ) {
        self.request = request
        self.hook = hook
        self.path = path
        self.sender = sender
        self.signature = signature
        self.fields = fields
        self.limit = limit
        entityStart = ReceivedPost.entityHeader(contentType: request[.contentType])
    }
}

/// The path of a hook: `/v1/hooks/form/{organization}/{token}`, `/v1/hooks/form/{token}` or `/v1/hooks/web/{token}`.
struct HookTarget: Sendable, Hashable {
    var type: HookType
    var organization: Substring?
    var token: Substring

    init?(path: Substring) {
        let octets = path.utf8
        // The model knows the longer form for form hooks only.
        if octets.starts(with: "/v1/hooks/form/".utf8) {
            type = .form
        } else if octets.starts(with: "/v1/hooks/web/".utf8) {
            type = .web
        } else {
            return nil
        }
        let start = octets.index(octets.startIndex, offsetBy: type == .form ? 15 : 14)
        token = path[start...]
        if let slash = token.utf8.firstIndex(of: UInt8(ascii: "/")) {
            guard type == .form else { return nil }
            organization = token[..<slash]
            token = token[token.utf8.index(after: slash)...]
        }
        guard !token.isEmpty, !token.utf8.contains(UInt8(ascii: "/")) else { return nil }
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
