// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From a POST to the event its hook makes of it. As with mail, no clock, no store, no network:
// the stored entity, read again, gives the same event.

import Crypto
public import HookModel

public struct PostProcessor: Sendable {
    private let instance: String
    private let limits: ExtractionLimits

    /// - Parameter instance: the name of this installation, for the source of events.
    public init(instance: String, limits: ExtractionLimits = ExtractionLimits()) {
        self.instance = instance
        self.limits = limits
    }

    /// One hook, one event, unless the hook wants data and there is none that can be read.
    public func process(_ post: ReceivedPost) -> Verdict {
        let payload = PostPayload(entity: post.message.bytes, limits: limits)
        let hook = post.hook.hook
        let isAccepted = payload.failure == nil || hook.policy.onNoData == .accept
        let answer = isAccepted ? Outcome.accepted : (payload.failure ?? .noStructuredData)
        let verdict = HookVerdict(
            eventName: hook.eventName, recipient: post.message.envelope.recipients.first ?? "",
            outcome: answer, answer: answer, events: isAccepted ? [event(post, payload)] : [])
        let digest = Array(SHA256.hash(data: post.message.bytes))
        return Verdict(contentDigest: digest, messageID: post.identity, hooks: [verdict])
    }

    private func event(_ post: ReceivedPost, _ payload: PostPayload) -> Event {
        let hook = post.hook.hook
        let envelope = post.message.envelope
        let id = EventIdentity.id(eventName: hook.eventName, postIdentity: post.identity)
        let event = CloudEvent(
            id: id, source: "mailhookd://\(instance)/\(hook.app)", type: hook.eventName, hookType: hook.type,
            intake: envelope.source, subject: payload.subject, time: post.message.receivedAt,
            mediaType: payload.form == .jsonLD ? "application/ld+json" : "application/json",
            extensions: [
                ("messageid", post.identity), ("bodyform", payload.form.rawValue), ("trust", trust(envelope.mailFrom)),
            ], data: payload.json)
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
