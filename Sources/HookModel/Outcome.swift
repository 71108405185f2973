// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The named states a message can end in, and the only table from such a state to what a
// sender is told: SMTP reply, exit status of the pipe front end, HTTP status.
// Replies follow RFC 5321 and RFC 3463; exit statuses are those of sysexits.h.

/// The one named state a message ended in. The raw value is what logs, the store and `try` show.
public enum Outcome: String, Sendable, Hashable, CaseIterable {
    case accepted
    /// The same content was accepted before; nothing new was made.
    case duplicate
    /// Nothing in the message looked like a document.
    case noStructuredData = "no_structured_data"
    /// Something looked like a document, but was no valid JSON.
    case jsonInvalid = "json_invalid"
    /// There were documents, but in places this hook does not take them from.
    case sourceNotAccepted = "source_not_accepted"
    /// No document is of a type the hook accepts.
    case typeNotAccepted = "type_not_accepted"
    /// A document does not satisfy the JSON Schema of the hook.
    case schemaInvalid = "schema_invalid"
    /// A document needs a JSON-LD context that is not known here; contexts are never fetched.
    case contextUnknown = "context_unknown"
    /// A document is JSON but not JSON-LD, and the hook asks for JSON-LD.
    case jsonldInvalid = "jsonld_invalid"
    /// The hook requires its key and no document carried one.
    case keyMissing = "key_missing"
    /// A document carried a key that is not the hook's.
    case keyWrong = "key_wrong"
    /// An address in one of our domains that belongs to no hook.
    case recipientUnknown = "recipient_unknown"
    /// An address in somebody else's domain.
    case relayDenied = "relay_denied"
    case tooManyRecipients = "too_many_recipients"
    case messageTooLarge = "message_too_large"
    /// Larger than the hook takes, although not larger than the server does.
    case hookLimitExceeded = "hook_limit_exceeded"
    /// The hook takes mail of certain senders only, and this is none of them.
    case senderNotAccepted = "sender_not_accepted"
    /// A limit on parts, depth, documents or decoded size was passed.
    case limitExceeded = "limit_exceeded"
    /// The file could not be read as mail: no permission, no regular file, damaged or unknown compression.
    case unreadable
    /// A lone CR or LF in SMTP data, which other servers might read as a line end.
    case bareNewline = "bare_newline"
    case tooManyConnections = "too_many_connections"
    /// The peer was silent for too long.
    case timedOut = "timed_out"
    /// Neither an API key nor a signature that is right.
    case unauthorized
    /// The API key is right, but may not do this.
    case forbidden
    /// The hook or the peer had its share for this minute.
    case rateLimited = "rate_limited"
    /// An HTTP body in a form that is not read.
    case mediaTypeUnsupported = "media_type_unsupported"
    /// An Idempotency-Key came again with other content.
    case idempotencyKeyReused = "idempotency_key_reused"
    /// The data became events, but the output of the app's trigger does not satisfy its schema.
    case outputInvalid = "output_invalid"
    /// The hook, or its whole app, was disabled.
    case hookDisabled = "hook_disabled"
    /// The hook takes nothing for now.
    case hookPaused = "hook_paused"
    /// A form hook wants its sender to show that it is a person, and this one did not.
    case challengeFailed = "challenge_failed"
    /// Whoever decides about that could not be asked.
    case challengeUnavailable = "challenge_unavailable"
    case storeFull = "store_full"
    case storeFailed = "store_failed"
    case shuttingDown = "shutting_down"
    /// More Received fields than any honest way of mail leaves.
    case mailLoop = "mail_loop"
    /// The client's address is not among those that may connect.
    case clientDenied = "client_denied"
    /// The client spoke before it was greeted.
    case earlyTalker = "early_talker"
    /// A command that is only served under TLS.
    case tlsRequired = "tls_required"
    /// The recipient leads to another hook than those before it, and the server takes one hook a transaction.
    case otherHook = "other_hook"

    /// One row of the table.
    private struct Row {
        var smtp: SMTPReply
        /// sysexits.h: 0 ok, 65 data, 67 no user, 75 temporary failure, 77 permission.
        var exit: Int32
        var http: Int
    }

    private var row: Row {
        func row(_ code: Int, _ enhanced: String, _ text: String, exit: Int32, http: Int) -> Row {
            Row(smtp: SMTPReply(code, enhanced, text), exit: exit, http: http)
        }
        return switch self {
        case .accepted: row(250, "2.0.0", "Accepted", exit: 0, http: 202)
        case .duplicate: row(250, "2.0.0", "Accepted before", exit: 0, http: 202)
        case .noStructuredData: row(550, "5.6.0", "No structured data found", exit: 65, http: 422)
        case .jsonInvalid: row(550, "5.6.0", "The structured data is not valid JSON", exit: 65, http: 400)
        case .sourceNotAccepted:
            row(550, "5.6.1", "Structured data is not accepted from this part of a message", exit: 65, http: 422)
        case .typeNotAccepted: row(550, "5.6.1", "Data of this type is not accepted", exit: 65, http: 422)
        case .schemaInvalid: row(550, "5.6.1", "The data does not satisfy the hook's schema", exit: 65, http: 422)
        case .contextUnknown: row(550, "5.6.0", "The data needs a JSON-LD context unknown here", exit: 65, http: 422)
        case .jsonldInvalid: row(550, "5.6.0", "The data is not valid JSON-LD", exit: 65, http: 422)
        // One text for both, so that nobody can tell a wrong key from none.
        case .keyMissing, .keyWrong: row(550, "5.7.1", "The hook's key is missing or wrong", exit: 77, http: 403)
        case .recipientUnknown: row(550, "5.1.1", "No such hook", exit: 67, http: 404)
        case .relayDenied: row(550, "5.7.1", "Relaying denied", exit: 77, http: 403)
        case .tooManyRecipients: row(452, "4.5.3", "Too many recipients", exit: 75, http: 429)
        case .messageTooLarge: row(552, "5.3.4", "Message too big", exit: 65, http: 413)
        case .hookLimitExceeded: row(552, "5.2.3", "Message too big for this hook", exit: 65, http: 413)
        case .senderNotAccepted: row(550, "5.7.1", "This hook takes no mail from this sender", exit: 77, http: 403)
        case .limitExceeded: row(550, "5.6.0", "The message passes a limit of this server", exit: 65, http: 413)
        case .unreadable: row(550, "5.6.0", "The message cannot be read", exit: 65, http: 400)
        case .bareNewline: row(521, "5.5.2", "Bare CR or LF received", exit: 65, http: 400)
        case .tooManyConnections: row(421, "4.7.0", "Too many connections", exit: 75, http: 429)
        case .timedOut: row(421, "4.4.2", "Timed out", exit: 75, http: 408)
        case .unauthorized: row(530, "5.7.0", "Authentication required", exit: 77, http: 401)
        case .forbidden: row(550, "5.7.1", "Not allowed", exit: 77, http: 403)
        case .rateLimited: row(450, "4.7.0", "Too many requests, try again later", exit: 75, http: 429)
        case .mediaTypeUnsupported: row(550, "5.6.1", "Content of this type is not accepted", exit: 65, http: 415)
        case .idempotencyKeyReused:
            row(550, "5.6.0", "The idempotency key was used with other content", exit: 65, http: 422)
        case .outputInvalid: row(250, "2.6.0", "Accepted without trigger output", exit: 0, http: 202)
        case .hookDisabled: row(550, "5.2.1", "This hook is disabled", exit: 67, http: 410)
        case .hookPaused: row(450, "4.2.1", "This hook is paused, try again later", exit: 75, http: 503)
        case .challengeFailed: row(550, "5.7.1", "The challenge was not passed", exit: 77, http: 403)
        case .challengeUnavailable: row(451, "4.7.1", "The challenge cannot be checked now", exit: 75, http: 503)
        case .storeFull: row(452, "4.3.1", "Insufficient storage, try again later", exit: 75, http: 503)
        case .storeFailed: row(451, "4.3.0", "Local failure, try again later", exit: 75, http: 503)
        case .shuttingDown: row(421, "4.3.2", "Shutting down, try again later", exit: 75, http: 503)
        case .mailLoop: row(554, "5.4.6", "Mail loop: too many Received fields", exit: 65, http: 422)
        case .clientDenied: row(554, "5.7.1", "This client may not send mail here", exit: 77, http: 403)
        case .earlyTalker: row(554, "5.5.1", "Data received before the greeting", exit: 65, http: 400)
        case .tlsRequired: row(530, "5.7.0", "Must issue a STARTTLS command first", exit: 77, http: 403)
        case .otherHook: row(452, "4.5.3", "Mail for another hook goes into a transaction of its own", exit: 75, http: 429)
        }
    }

    /// The one answer for several recipients: positive if any of them takes the message. Else the sender comes again if
    /// one of them asks for that, and hears then what the others say.
    public static func answer(of outcomes: some Collection<Outcome>) -> Outcome {
        if outcomes.contains(where: \.isPositive) { return .accepted }
        return outcomes.first { $0.smtpReply.isTemporary } ?? outcomes.first ?? .recipientUnknown
    }

    /// What an SMTP or LMTP client is told.
    public var smtpReply: SMTPReply { row.smtp }
    /// Exit status of the pipe front end (sysexits.h).
    public var exitStatus: Int32 { row.exit }
    /// Status of the HTTP front ends (RFC 9110 section 15).
    public var httpStatus: Int { row.http }
    /// Whether the sender may forget the message.
    public var isPositive: Bool { row.smtp.isPositive }
}
