// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A message as it can be looked up later, with what came of it.

/// A message as it is kept.
public struct StoredMessage: Sendable, Hashable {
    public var id: Int64
    public var envelope: Envelope
    public var receivedAt: Timestamp
    /// As received; of a duplicate those of the first message. nil where its retention is over.
    public var bytes: [UInt8]?
    /// Octets as received, also where `bytes` are gone.
    public var size: Int
    public var contentDigest: [UInt8]
    public var messageID: String?
    /// The first message with the same content.
    public var duplicateOf: Int64?
    /// What the sender was told.
    public var answer: Outcome
    public var verdicts: [StoredVerdict]

    public init(
        id: Int64, envelope: Envelope, receivedAt: Timestamp, bytes: [UInt8]?, size: Int, contentDigest: [UInt8],
        messageID: String?, duplicateOf: Int64?, answer: Outcome, verdicts: [StoredVerdict]
    ) {
        self.id = id
        self.envelope = envelope
        self.receivedAt = receivedAt
        self.bytes = bytes
        self.size = size
        self.contentDigest = contentDigest
        self.messageID = messageID
        self.duplicateOf = duplicateOf
        self.answer = answer
        self.verdicts = verdicts
    }
}

/// What one hook made of a stored message.
public struct StoredVerdict: Sendable, Hashable {
    public var eventName: String
    public var recipient: String
    public var outcome: Outcome
    public var answer: Outcome
    /// How many events the hook made of it, those that existed before included.
    public var events: Int

    public init(eventName: String, recipient: String, outcome: Outcome, answer: Outcome, events: Int) {
        self.eventName = eventName
        self.recipient = recipient
        self.outcome = outcome
        self.answer = answer
        self.events = events
    }
}
