// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What retention asks the writer for: small pieces of work, each checked again inside of the
// transaction, because a look from outside is old by then.

import HookModel

extension WriteJob {
    /// Rows to erase. What may not go at this moment is passed over.
    enum Erasure: Sendable {
        /// The octets of messages with these ids.
        case octets([Int64])
        /// The content of the events with these sequences, and their deliveries, all of which must be over. `before`:
        /// every event before this sequence has been erased.
        case events([Int64], before: Int64)
        /// Deliveries with these ids, which must be over.
        case deliveries([Int64])
        /// All that is left of messages with these ids and of their events. Octets and content must be gone already.
        case messages([Int64])
        /// Whatever tells about people in messages with these ids: octets, envelope, Message-ID, their events, also
        /// those that are still to be delivered. What knows the content again stays: its digest and the ids of events.
        case persons([Int64])
    }

    /// What came of it.
    struct Erased: Sendable, Hashable {
        /// How many of the rows that were asked for.
        var count = 0
        /// Deliveries that went with their events.
        var deliveries = 0
        /// Events that went with their messages.
        var events = 0
        /// Keys of some rows have to be moved first; it is worth asking again.
        var isUnsettled = false
    }
}
