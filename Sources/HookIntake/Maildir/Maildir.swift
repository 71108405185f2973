// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which Maildirs are watched, and what the watcher asks of the layers above it: where a message
// is to go, and unpacking of compressed ones.

public import HookModel

/// A Maildir (https://cr.yp.to/proto/maildir.html) whose `new/` is emptied.
public struct Maildir: Sendable, Hashable {
    /// What happens to a file after its message is stored.
    public enum Afterwards: String, Sendable, Hashable, CaseIterable {
        /// It goes to `cur/`, marked as seen.
        case move
        case delete
    }

    /// Absolute path of the folder that holds `new`, `cur` and `tmp`.
    public var path: String
    /// The address the mail is for; nil: the message's header says it.
    public var to: String?
    public var afterwards: Afterwards

    public init(path: String, to: String? = nil, afterwards: Afterwards = .move) {
        self.path = path
        self.to = to
        self.afterwards = afterwards
    }
}

public struct MaildirIntakeConfiguration: Sendable, Hashable {
    public var maildirs: [Maildir]
    /// Octets of a message, after unpacking too.
    public var messageSize: Int
    /// Messages handed to the store without an answer yet. Many of them share one sync.
    public var filesInFlight = 512
    /// Their octets together; one message always fits.
    public var octetsInFlight = 32 << 20
    /// How often each Maildir is looked at without an event: whether it is still in its place, and what is in it.
    public var lookInterval = Duration.seconds(60)
    /// How long messages in flight may take after shutdown was asked for.
    public var drainTimeout: Duration

    public init(maildirs: [Maildir], messageSize: Int, drainTimeout: Duration = .seconds(10)) {
        self.maildirs = maildirs
        self.messageSize = messageSize
        self.drainTimeout = drainTimeout
    }
}

/// Knows the hooks and the formats, which the watcher does not.
public protocol MaildirGuide: Sendable {
    /// Envelope of a message that lay in `maildir`; without recipients where it is for nobody here.
    func envelope(of message: [UInt8], in maildir: Maildir) -> Envelope

    /// Unpacks a gzip file.
    ///
    /// - Throws: `messageTooLarge` if it would pass `limit` octets, `unreadable` if it is damaged.
    func unpack(_ packed: [UInt8], limit: Int) throws(MaildirUnpackFailure) -> [UInt8]
}

/// Why a compressed message could not be unpacked.
public struct MaildirUnpackFailure: Error, Sendable, Hashable {
    public var outcome: Outcome

    public init(_ outcome: Outcome) { self.outcome = outcome }
}
