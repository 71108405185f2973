// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd try`: what a mail would become, step by step, by the same code as the daemon's.
// Nothing is stored or sent.

import HookDelivery
import HookExtraction
public import HookModel
import MIMEParser

public struct Trial: Sendable {
    let processed: ProcessedMessage
    /// The recipient that was taken; nil where none was found.
    let recipient: String?
    /// The answer of SMTP to a message of this recipient alone.
    let reply: SMTPReply
    let outcome: Outcome
    let deliveries: [Delivery]

    /// What one subscription would get.
    struct Delivery: Sendable {
        var subscription: String
        var sink: String
        var eventID: String
        /// For webhooks.
        var request: WebhookRequest?
    }

    /// 0 when the mail would be accepted, else as the pipe front end would answer.
    public var exitStatus: Int32 { reply.isPositive ? 0 : outcome.exitStatus }

    /// - Parameters:
    ///   - bytes: the mail; lines may end with LF or CRLF.
    ///   - to: an address or an event name; nil finds the hook itself.
    public static func run(_ bytes: [UInt8], to name: String?, setup: Setup, now: Timestamp) throws(FileError) -> Trial {
        let directory = try setup.directory()
        let processor = setup.processor(directory)
        let recipient = recipient(name, bytes, directory, now)
        let envelope = Envelope(
            source: .smtp, mailFrom: sender(bytes), recipients: recipient.map { [$0] } ?? [])
        let processed = processor.process(ReceivedMessage(envelope: envelope, bytes: bytes, receivedAt: now))
        let isTooLarge = bytes.count > setup.configuration.limits.messageSize
        let offer = MailOffer(sender: envelope.mailFrom, size: bytes.count)
        let refusal: Outcome? =
            isTooLarge
            ? .messageTooLarge : recipient.map { processor.admit(recipient: $0, of: offer, now: now) } ?? .recipientUnknown
        let hook = processed.verdict.hooks.first
        let outcome = refusal.flatMap { $0.isPositive ? nil : $0 } ?? hook?.outcome ?? .recipientUnknown
        let answer = refusal.flatMap { $0.isPositive ? nil : $0 } ?? hook?.answer ?? .recipientUnknown
        var reply = answer.smtpReply
        if reply.isPositive { reply.text += " \(MessageIdentity.id(contentDigest: processed.verdict.contentDigest))" }
        return Trial(
            processed: processed, recipient: recipient, reply: reply, outcome: outcome,
            deliveries: answer.isPositive ? deliveries(processed.verdict, setup, now) : [])
    }

    // MARK: - Recipient

    /// As asked for; else the first recipient of the header that leads to a hook, or the only email hook there is.
    private static func recipient(
        _ name: String?, _ bytes: [UInt8], _ directory: HookDirectory, _ now: Timestamp
    ) -> String? {
        let finder = RecipientFinder(directory: directory)
        return name.map { finder.address(named: $0) } ?? finder.recipient(HeaderGlance(bytes), now: now)
    }

    private static func sender(_ bytes: [UInt8]) -> String? {
        let header = MIMEMessage(bytes).header
        for field in ["return-path", "from"] {
            if let address = header.rawValues(field).flatMap(HeaderGlance.addresses).first { return address }
        }
        return nil
    }

    // MARK: - Deliveries

    static func deliveries(_ verdict: Verdict, _ setup: Setup, _ now: Timestamp) -> [Delivery] {
        let subscriptions = (try? setup.subscriptions()) ?? setup.configuration.subscriptions
        let table = SubscriptionTable(subscriptions)
        return verdict.hooks.flatMap(\.events).flatMap { event in
            let names = table.names(for: event)
            return subscriptions.filter { names.contains($0.name) }.map { delivery(of: event, to: $0, now) }
        }
    }

    private static func delivery(of event: Event, to subscription: Subscription, _ now: Timestamp) -> Delivery {
        var delivery = Delivery(subscription: subscription.name, sink: "", eventID: event.id)
        switch subscription.sink {
        case .webhook(let webhook):
            delivery.sink = "webhook \(webhook.url)"
            delivery.request = WebhookRequestBuilder(webhook, userAgent: "mailhookd/\(Version.text)")
                .request(for: subscription.payload.shaped(event), now: now)
        case .exec(let program): delivery.sink = "exec \(program.arguments.joined(separator: " "))"
        case .file(let file): delivery.sink = "file \(file.path)"
        case .standardOutput: delivery.sink = "stdout"
        }
        return delivery
    }
}
