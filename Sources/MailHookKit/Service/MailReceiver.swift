// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The one path of mail behind all front ends: process, store, and only then answer. Logs say
// what became of a message, never what is in it or who sent it.

import HookDelivery
import HookExtraction
import HookModel
import Logging

struct MailReceiver: MessageReceiver {
    private let current: CurrentSnapshot
    private let store: any EventStore
    private let room: StoreRoom
    private let tally: Tally
    private let logger: Logger
    private let rejections: RejectionReporter?
    private let now: @Sendable () -> Timestamp

    init(
        current: CurrentSnapshot, store: any EventStore, room: StoreRoom, tally: Tally, logger: Logger,
        rejections: RejectionReporter? = nil, now: @escaping @Sendable () -> Timestamp
    ) {
        self.current = current
        self.store = store
        self.room = room
        self.tally = tally
        self.logger = logger
        self.rejections = rejections
        self.now = now
    }

    func admit(recipient: String, of offer: MailOffer) -> Outcome {
        current.value.mail.admit(recipient: recipient, of: offer, now: now())
    }

    func hook(of recipient: String) -> String? { current.value.mail.hook(of: recipient, now: now()) }

    var refusal: Outcome? { room.refusal }

    func receive(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void) {
        receive(message, isHere: false, completion)
    }

    func receiveHere(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void) {
        receive(message, isHere: true, completion)
    }

    private func receive(
        _ message: ReceivedMessage, isHere: Bool, _ completion: @escaping @Sendable (Reception) -> Void
    ) {
        if let refusal = room.refusal {
            let offer = MailOffer(sender: message.envelope.mailFrom, size: message.bytes.count)
            let recipients = message.envelope.recipients.map { recipient in
                let admission = admit(recipient: recipient, of: offer)
                return admission.isPositive ? refusal : admission
            }
            return completion(Reception(answer: refusal, recipients: recipients))
        }
        let snapshot = current.value
        let processed = snapshot.mail.process(message)
        let verdict = processed.verdict
        let id = MessageIdentity.id(contentDigest: verdict.contentDigest)
        let recipients = processed.recipients
        guard verdict.answer.isPositive else {
            tally.count(.refused)
            // Of a Maildir's mail for nobody there is no hook.
            log("message refused", id, message, outcomes: verdict.hooks.isEmpty ? [verdict.answer] : verdict.hooks.map(\.outcome))
            rejections?.refused(id, message, verdict.hooks, at: now())
            return completion(Reception(answer: verdict.answer, recipients: recipients))
        }
        let (logger, tally, rejections) = (logger, tally, rejections)
        let entry = entry(message, verdict, snapshot.subscriptions)
        let stored: @Sendable (Result<CommitReceipt, StoreError>) -> Void = { result in
            switch result {
            case .success(let receipt):
                let isRepeated = receipt.isDuplicate && receipt.newEvents == 0
                tally.count(.accepted, events: receipt.newEvents)
                // The sender waits; the log does not.
                completion(
                    Reception(
                        answer: isRepeated ? .duplicate : verdict.answer,
                        recipients: recipients.map { isRepeated && $0.isPositive ? .duplicate : $0 }, detail: id))
                logger.info(Self.line(id, message.envelope, verdict, receipt))
                if receipt.newEvents > 0 { rejections?.triggersFailed(id, verdict.hooks, at: message.receivedAt) }
            case .failure(let error):
                tally.count(.failed)
                logger.error("message not stored", metadata: ["message": "\(id)", "error": "\(error)"])
                completion(
                    Reception(
                        answer: error.outcome, recipients: recipients.map { $0.isPositive ? error.outcome : $0 }))
            }
        }
        if isHere { store.commitHere(entry, completion: stored) } else { store.commit(entry, completion: stored) }
    }

    private func entry(
        _ message: ReceivedMessage, _ verdict: Verdict, _ subscriptions: SubscriptionTable
    ) -> MessageEntry {
        var deliveries: [String: [String]] = [:]
        for event in verdict.hooks.lazy.flatMap(\.events) {
            deliveries[event.id] = subscriptions.names(for: event)
        }
        return MessageEntry(message: message, verdict: verdict, deliveries: deliveries)
    }

    /// Made only where it is logged. As a text: a dictionary of metadata for every mail costs as much as finding its
    /// documents.
    private static func line(
        _ id: String, _ envelope: Envelope, _ verdict: Verdict, _ receipt: CommitReceipt
    ) -> Logger.Message {
        var line = LogLine("message accepted")
        line.append("duplicate", receipt.isDuplicate ? "true" : "false")
        line.append("events", String(receipt.newEvents))
        line.append("intake", envelope.source.rawValue)
        line.append("message", id)
        var outcomes = verdict.hooks.first?.outcome.rawValue ?? ""
        for hook in verdict.hooks.dropFirst() { outcomes += ",\(hook.outcome.rawValue)" }
        line.append("outcome", outcomes)
        if let tls = envelope.tls { line.append("tls", tls) }
        return Logger.Message(stringLiteral: String(decoding: line.octets, as: UTF8.self))
    }

    private func log(_ text: Logger.Message, _ id: String, _ message: ReceivedMessage, outcomes: [Outcome]) {
        logger.info(
            text,
            metadata: [
                "message": "\(id)", "intake": "\(message.envelope.source.rawValue)",
                "outcome": "\(outcomes.map(\.rawValue).joined(separator: ","))",
            ])
    }
}
