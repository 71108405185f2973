// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The one path behind the HTTP front end: a POST that was let in, read whole, and the promise
// to tell its sender what became of it. Letting in is the work of HookWeb.

/// A POST to a form or web hook.
public struct ReceivedPost: Sendable, Hashable {
    public var hook: AddressedHook
    /// Source `http`; the bytes are `entityHeader(contentType:)` and the body.
    public var message: ReceivedMessage
    /// What tells this POST from all others: the sender's Idempotency-Key, else the request's own id.
    public var identity: String

    /// In the answer and in the log.
    public var requestID: String

    public init(hook: AddressedHook, message: ReceivedMessage, identity: String, requestID: String) {
        self.hook = hook
        self.message = message
        self.identity = identity
        self.requestID = requestID
    }

    /// The header of the entity a POST is kept as, with the empty line behind it: what has to be known to read the
    /// body again, in the form MIME has for it (RFC 2045 section 3).
    ///
    /// - Parameter contentType: as it came; octets that would end the field become spaces.
    public static func entityHeader(contentType: String?) -> [UInt8] {
        guard let contentType, !contentType.isEmpty else { return [13, 10] }
        return Array("Content-Type: ".utf8) + contentType.utf8.map { $0 < 32 || $0 == 127 ? 32 : $0 } + [13, 10, 13, 10]
    }
}

/// What became of a POST, as its sender is to be told.
public struct PostReception: Sendable, Hashable {
    public var answer: Outcome
    /// The id of the event it made, or made before; nil where it made none.
    public var eventID: String?

    public init(answer: Outcome, eventID: String? = nil) {
        self.answer = answer
        self.eventID = eventID
    }
}

public protocol PostReceiver: Sendable {
    /// Reads, decides and stores. `completion` is called once, on any thread, after everything that a positive answer
    /// promises is on disk. It must not block.
    func receive(_ post: ReceivedPost, completion: @escaping @Sendable (PostReception) -> Void)
}
