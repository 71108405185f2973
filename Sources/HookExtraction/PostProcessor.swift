// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From a POST to the event its hook makes of it. As with mail, no clock, no store, no network:
// the stored entity, read again, gives the same event.

import Crypto
public import HookModel
public import JSONLD

public struct PostProcessor: Sendable {
    private let instance: String
    private let limits: ExtractionLimits
    private let shaper: DocumentShaper
    private let triggers: TriggerShaper

    /// - Parameters:
    ///   - instance: the name of this installation, for the source of events.
    ///   - hooks: those it will be asked about.
    public init(
        instance: String, limits: ExtractionLimits = ExtractionLimits(), contexts: ContextLibrary = .standard,
        hooks: [Hook] = []
    ) {
        self.instance = instance
        self.limits = limits
        shaper = DocumentShaper(contexts: contexts, policies: hooks.map(\.policy))
        triggers = TriggerShaper(hooks)
    }

    /// One hook, one event, unless the hook wants data and there is none that can be read.
    public func process(_ post: ReceivedPost) -> Verdict {
        let hook = post.hook.hook
        let size = PostPayload.bodySize(of: post.message.bytes)
        if let refusal = hook.policy.state.refusal ?? hook.policy.refusal(ofSize: size) { return Self.refused(post, refusal) }
        var payload = PostPayload(entity: post.message.bytes, limits: limits)
        let isKept = payload.failure == nil || hook.policy.onNoData == .accept
        let answer = (isKept ? shape(&payload, hook.policy) : payload.failure) ?? .accepted
        var run = TriggerRun(triggers, depth: limits.depth)
        let events = answer == .accepted ? [event(post, payload, &run)] : []
        let verdict = HookVerdict(
            eventName: hook.eventName, recipient: post.message.envelope.recipients.first ?? "",
            outcome: run.failures.isEmpty ? answer : .outputInvalid, answer: answer, events: events,
            failures: run.failures)
        return Verdict(contentDigest: Self.digest(post), messageID: post.identity, hooks: [verdict])
    }

    /// Raised when the meaning of the fields changes.
    private static let digestVersion = "mailhookd-post-1"

    /// Of hook, identity and entity: what is erased of one post, and what a second one repeats, is no matter of others
    /// who sent the same.
    private static func digest(_ post: ReceivedPost) -> [UInt8] {
        var hasher = SHA256()
        // Neither can hold a NUL.
        let names = "\(digestVersion)\0\(post.hook.hook.eventName)\0\(post.identity)\0"
        Array(names.utf8).withUnsafeBytes { hasher.update(bufferPointer: $0) }
        post.message.bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        return Array(hasher.finalize())
    }

    /// The text of a field of a post, in whatever form it came; of several of one name the first. nil where there is none.
    public func field(_ name: String, of post: ReceivedPost) -> String? {
        let payload = PostPayload(entity: post.message.bytes, limits: limits)
        guard let root = try? JSONDocument(Array(payload.json), limits: JSONLimits(depth: limits.depth)).root else {
            return nil
        }
        return root[name]?.string ?? root[name]?.elements.first?.string
    }

    /// A hook that takes nothing.
    private static func refused(_ post: ReceivedPost, _ outcome: Outcome) -> Verdict {
        let verdict = HookVerdict(
            eventName: post.hook.hook.eventName, recipient: post.message.envelope.recipients.first ?? "",
            outcome: outcome, answer: outcome, events: [])
        return Verdict(contentDigest: digest(post), messageID: post.identity, hooks: [verdict])
    }

    /// Brings the data into the form the policy asks for. Returns why the hook does not want it: unlike the sender of a
    /// mail, that of a post is there to hear it.
    private func shape(_ payload: inout PostPayload, _ policy: HookPolicy) -> Outcome? {
        guard policy.schema != nil || policy.form != .asSent || !policy.acceptTypes.isEmpty else { return nil }
        let document: JSONDocument
        do {
            document = try JSONDocument(Array(payload.json), limits: JSONLimits(depth: limits.depth))
        } catch {
            return .jsonInvalid
        }
        switch shaper.shape(document, payload.form == .jsonLD ? .jsonLD : .json, policy) {
        case .asSent: return nil
        case .shaped(let data):
            payload.json = data[...]
            payload.shape = policy.form.name
            return nil
        case .refused(let decision, _), .tooMuch(let decision, _): return Outcome(rawValue: decision.rawValue) ?? .jsonInvalid
        }
    }

    private func event(_ post: ReceivedPost, _ payload: PostPayload, _ run: inout TriggerRun) -> Event {
        let hook = post.hook.hook
        let envelope = post.message.envelope
        let id = EventIdentity.id(eventName: hook.eventName, postIdentity: post.identity)
        let made = run.run(
            eventName: hook.eventName, id: id, time: post.message.receivedAt, data: nil, shaped: payload.json)
        let event = CloudEvent(
            id: id, source: "mailhookd://\(instance)/\(hook.app)", type: hook.eventName, hookType: hook.type,
            intake: envelope.source, subject: payload.subject, time: post.message.receivedAt,
            mediaType: payload.form == .jsonLD || payload.shape != nil ? "application/ld+json" : "application/json",
            extensions: [
                ("messageid", post.identity), ("bodyform", payload.form.rawValue), ("form", payload.shape),
                ("trust", trust(envelope.mailFrom)), ("outputfailure", made.failure),
            ], output: made.output, data: payload.json)
        return Event(id: id, type: hook.eventName, json: event.json())
    }

    /// How the sender showed who it is.
    private func trust(_ sender: String?) -> String {
        switch sender {
        case nil: "none"
        case Envelope.signedSender: "signature"
        default: "key"
        }
    }
}
