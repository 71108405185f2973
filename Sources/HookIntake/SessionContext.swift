// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What all sessions of an intake share, and the way of a message from a session to the receiver:
// small ones at once, large ones on a thread of the pool, spooled ones when there is room for them.

import HookModel
import Logging
import NIOPosix

struct SessionContext: Sendable {
    var configuration: MailIntakeConfiguration
    var receiver: any MessageReceiver
    var logger: Logger
    var now: @Sendable () -> Timestamp
    var parsers: NIOThreadPool
    var sessions: SessionRegistry
    var places: ConnectionPlaces
    /// For messages that were spooled: one for all sessions, whatever settings they began with.
    var gates: LoadGates

    /// Parsing up to this many octets costs less than waking another thread (some 50 µs) or holds other sessions of
    /// the event loop up for less than a millisecond or so.
    static let inlineSize = 256 << 10

    /// Octets of a message that a session keeps in memory while it comes in.
    static let memorySize = 256 << 10

    func receive(_ message: ReceivedMessage, _ completion: @escaping @Sendable (Reception) -> Void) {
        if message.bytes.count <= Self.inlineSize { return receiver.receive(message, completion: completion) }
        parsers.submit { state in
            // The pool only goes away after the last session.
            guard case .active = state else { return completion(Self.refusal(message, .shuttingDown)) }
            receiver.receive(message, completion: completion)
        }
    }

    /// - Parameter rest: what of the message is not in the spool.
    func receive(
        _ message: ReceivedMessage, spooled spool: MessageSpool, rest: [UInt8],
        _ completion: @escaping @Sendable (Reception) -> Void
    ) {
        let octets = spool.count + rest.count
        let gate = gates.gate(for: octets)
        gate.enter(octets) {
            let completion: @Sendable (Reception) -> Void = { reception in
                gate.leave(octets)
                completion(reception)
            }
            parsers.submit { state in
                guard case .active = state else { return completion(Self.refusal(message, .shuttingDown)) }
                guard let bytes = spool.load(appending: rest) else {
                    let reason = spool.failure ?? .storeFailed
                    logger.error("message not spooled", metadata: ["outcome": "\(reason.rawValue)"])
                    return completion(Self.refusal(message, reason))
                }
                var message = message
                message.bytes = bytes
                receiver.receive(message, completion: completion)
            }
        }
    }

    private static func refusal(_ message: ReceivedMessage, _ outcome: Outcome) -> Reception {
        Reception(
            answer: outcome, recipients: Array(repeating: outcome, count: message.envelope.recipients.count))
    }
}
