// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Events and what a message leads to. The event itself travels as the bytes of its
// CloudEvents JSON, made once in HookExtraction and never parsed again on the way.

/// An event ready to be stored and delivered.
public struct Event: Sendable, Hashable {
    /// Digest of hook, message content and document position; also `webhook-id`. Holds no full stop.
    public var id: String
    /// The hook's `eventName`.
    public var type: String
    /// Structured-mode CloudEvents 1.0 JSON (JSON event format, section 3), UTF-8, no line feed outside of strings.
    public var json: [UInt8]

    public init(id: String, type: String, json: [UInt8]) {
        self.id = id
        self.type = type
        self.json = json
    }
}

/// What one hook made of a message.
public struct HookVerdict: Sendable, Hashable {
    public var eventName: String
    /// The recipient that led to the hook.
    public var recipient: String
    public var outcome: Outcome
    /// What the sender is told: `outcome`, or `accepted` where the hook's policy keeps the message all the same.
    public var answer: Outcome
    public var events: [Event]
    /// Of `events`, those that go without their trigger's output, and why.
    public var failures: [TriggerFailure]

    public init(
        eventName: String, recipient: String, outcome: Outcome, answer: Outcome, events: [Event],
        failures: [TriggerFailure] = []
    ) {
        self.eventName = eventName
        self.recipient = recipient
        self.outcome = outcome
        self.answer = answer
        self.events = events
        self.failures = failures
    }
}

/// What all hooks made of a message: the whole result of processing it.
public struct Verdict: Sendable, Hashable {
    /// Digest of the message's content (32 octets), the same by every road it may come.
    public var contentDigest: [UInt8]
    /// The Message-ID header field without angle brackets, if there is a valid one.
    public var messageID: String?
    /// One entry a hook reached, in the order of the recipients.
    public var hooks: [HookVerdict]

    public init(contentDigest: [UInt8], messageID: String?, hooks: [HookVerdict]) {
        self.contentDigest = contentDigest
        self.messageID = messageID
        self.hooks = hooks
    }

    /// SMTP has one answer for all recipients.
    public var answer: Outcome { Outcome.answer(of: hooks.lazy.map(\.answer)) }
}
