// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From a message to what all its hooks make of it. The same function serves the daemon, `try`
// and replay: no clock, no store, no network; the same input gives the same result.

public import HookModel
public import JSONLD
public import MIMEParser

/// What was found in a message, and what each hook makes of it.
public struct ProcessedMessage: Sendable {
    public var mail: MIMEMessage
    public var candidates: [Candidate]
    public var verdict: Verdict
    /// Decisions of the hooks, in the order of `verdict.hooks`.
    public var decisions: [HookDecision]
    /// One for each recipient of the envelope, in its order.
    public var recipients: [Outcome]

    /// A hook that takes nothing, whatever is in the message.
    fileprivate mutating func refuse(_ outcome: Outcome, _ eventName: String, _ recipient: String) {
        verdict.hooks.append(
            HookVerdict(eventName: eventName, recipient: recipient, outcome: outcome, answer: outcome, events: []))
        decisions.append(HookDecision(refusal: outcome))
        recipients.append(outcome)
    }
}

public final class MessageProcessor: Sendable {
    private let directory: HookDirectory
    private let instance: String
    private let finder: DocumentFinder
    private let repairingFinder: DocumentFinder
    private let mimeLimits: MIMELimits
    private let shaper: DocumentShaper
    private let receivedLimit: Int
    private let triggers: TriggerShaper
    private let depth: Int

    /// - Parameters:
    ///   - instance: the name of this installation, for the source of events.
    ///   - contexts: what JSON-LD documents may name.
    ///   - receivedLimit: Received fields a message may have; with more it goes round in circles (RFC 5321 section 6.3).
    public init(
        directory: HookDirectory, instance: String, contexts: ContextLibrary = .standard,
        limits: ExtractionLimits = ExtractionLimits(), mimeLimits: MIMELimits = MIMELimits(), receivedLimit: Int = 50
    ) {
        self.receivedLimit = receivedLimit
        shaper = DocumentShaper(contexts: contexts, policies: directory.hooks.map(\.hook.policy))
        triggers = TriggerShaper(directory.hooks.map(\.hook))
        depth = limits.depth
        self.directory = directory
        self.instance = instance
        finder = DocumentFinder(limits: limits)
        repairingFinder = DocumentFinder(limits: limits, repair: .on)
        self.mimeLimits = mimeLimits
    }

    /// `accepted`, or why mail to this forward-path is refused.
    public func admit(recipient: String, of offer: MailOffer, now: Timestamp) -> Outcome {
        switch directory.resolve(recipient, now: now) {
        case .hook(let addressed, _): addressed.hook.policy.refusal(of: offer) ?? .accepted
        case .unknown: .recipientUnknown
        case .foreign: .relayDenied
        }
    }

    /// The event name of the hook a forward-path leads to; nil where it leads to none.
    public func hook(of recipient: String, now: Timestamp) -> String? {
        guard case .hook(let addressed, _) = directory.resolve(recipient, now: now) else { return nil }
        return addressed.hook.eventName
    }

    public func process(_ message: ReceivedMessage) -> ProcessedMessage {
        let mail = MIMEMessage(message.bytes, limits: mimeLimits)
        let digest = ContentDigest.of(message.bytes)
        let isLooping = isLooping(mail)
        let strict = isLooping ? [] : finder.candidates(in: mail)
        var repaired: [Candidate]?
        let messageID = mail.messageID
        var result = ProcessedMessage(
            mail: mail, candidates: strict,
            verdict: Verdict(contentDigest: digest, messageID: messageID, hooks: []), decisions: [], recipients: [])
        let subject = mail.header.text("subject")
        let offer = MailOffer(sender: message.envelope.mailFrom, size: message.bytes.count)
        var indexOfHook: [String: Int] = [:]
        for recipient in message.envelope.recipients {
            guard case .hook(let addressed, let tag) = directory.resolve(recipient, now: message.receivedAt) else {
                result.recipients.append(admit(recipient: recipient, of: offer, now: message.receivedAt))
                continue
            }
            let name = addressed.hook.eventName
            if let index = indexOfHook[name] {
                result.recipients.append(result.verdict.hooks[index].answer)
                continue
            }
            indexOfHook[name] = result.verdict.hooks.count
            if let refusal = addressed.hook.policy.refusal(of: offer) {
                result.refuse(refusal, name, recipient)
                continue
            }
            var candidates = strict
            // Mending costs time: only for hooks that want it, and only where something is broken.
            if addressed.hook.policy.repair, strict.contains(where: { $0.failure != nil }) {
                candidates = repaired ?? repairingFinder.candidates(in: mail)
                repaired = candidates
            }
            let keys = addressed.keys(at: message.receivedAt)
            let decision = isLooping
                ? HookDecision(refusing: .mailLoop)
                : HookDecision(candidates, policy: addressed.hook.policy, keys: keys, shaper: shaper)
            let context = Context(
                addressed: addressed, tag: tag, message: message, digest: digest, messageID: messageID,
                subject: subject, instance: instance)
            result.verdict.hooks.append(context.verdict(candidates, decision, TriggerRun(triggers, depth: depth), recipient: recipient))
            result.decisions.append(decision)
            result.recipients.append(decision.answer)
        }
        if let repaired { result.candidates = repaired }
        return result
    }

    /// RFC 5321 section 6.3: loops are known by the number of Received fields. Only those of the message's own header
    /// section count: attached messages have had ways of their own.
    private func isLooping(_ mail: MIMEMessage) -> Bool {
        mail.header.count("received") > receivedLimit
    }
}

/// What the events of one hook have in common.
private struct Context {
    var addressed: AddressedHook
    var tag: String?
    var message: ReceivedMessage
    var digest: [UInt8]
    var messageID: String?
    var subject: String?
    var instance: String

    func verdict(
        _ candidates: [Candidate], _ decision: HookDecision, _ triggers: TriggerRun, recipient: String
    ) -> HookVerdict {
        let form = addressed.hook.policy.form.name
        var triggers = triggers
        let events = candidates.enumerated().compactMap { index, candidate -> Event? in
            guard decision.candidates[index] == .taken, let document = candidate.document else { return nil }
            let id = EventIdentity.id(
                eventName: addressed.hook.eventName, contentDigest: digest, path: candidate.path, index: candidate.index)
            let shaped = decision.shaped[index]
            let kind = shaped == nil ? candidate.kind : .jsonLD
            let made = triggers.run(
                eventName: addressed.hook.eventName, id: id, time: message.receivedAt, data: document.root,
                shaped: shaped?[...])
            let attributes = MailAttributes(
                candidate: candidate, form: shaped == nil ? nil : form, envelope: message.envelope, tag: tag,
                messageID: messageID, subjectField: subject, outputFailure: made.failure)
            let event = CloudEvent(
                id: id, source: "mailhookd://\(instance)/\(addressed.hook.app)", type: addressed.hook.eventName,
                hookType: addressed.hook.type, intake: message.envelope.source, subject: document.root["@id"]?.string,
                time: message.receivedAt, mediaType: kind.mediaType, extensions: attributes.extensions,
                output: made.output, data: shaped?[...] ?? document.root.text)
            return Event(id: id, type: addressed.hook.eventName, json: event.json())
        }
        return HookVerdict(
            eventName: addressed.hook.eventName, recipient: recipient,
            outcome: triggers.failures.isEmpty ? decision.outcome : .outputInvalid, answer: decision.answer,
            events: events, failures: triggers.failures)
    }
}
