// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The one path behind all front ends of mail: they ask whether a recipient is ours, and hand
// over a message with the promise to tell its sender what comes back.

/// What became of a message, as its sender is to be told.
public struct Reception: Sendable, Hashable {
    /// For SMTP, which has one answer for all recipients.
    public var answer: Outcome
    /// For LMTP, one a recipient, in the order of the envelope.
    public var recipients: [Outcome]
    /// For the reply's text, for example the message's id; empty for none.
    public var detail: String

    public init(answer: Outcome, recipients: [Outcome], detail: String = "") {
        self.answer = answer
        self.recipients = recipients
        self.detail = detail
    }
}

public protocol MessageReceiver: Sendable {
    /// `accepted`, or why mail to this forward-path is refused. Quick, and without side effects.
    func admit(recipient: String, of offer: MailOffer) -> Outcome

    /// The event name of the hook a forward-path leads to; nil where it leads to none. Quick, and without side effects.
    func hook(of recipient: String) -> String?

    /// Why no message can be taken at this moment, for who would rather hear it before the data than behind it; nil
    /// where nothing is known to stand in the way. Quick.
    var refusal: Outcome? { get }

    /// Parses, decides and stores. `completion` is called once, on any thread, after everything that a positive
    /// answer promises is on disk. It must not block.
    func receive(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void)

    /// `receive` for a thread that may wait for the disk and has nothing else to do meanwhile.
    func receiveHere(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void)
}

extension MessageReceiver {
    /// The event name of the hook a forward-path leads to; nil where it leads to none, or where it makes no difference.
    public func hook(of recipient: String) -> String? { nil }

    public var refusal: Outcome? { nil }

    public func receiveHere(_ message: ReceivedMessage, completion: @escaping @Sendable (Reception) -> Void) {
        receive(message, completion: completion)
    }
}
