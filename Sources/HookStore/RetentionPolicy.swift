// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How long what is kept, as a value. Nothing here reads a clock or a store.

public import HookModel

/// How long the store keeps what it holds. Whatever is still to be delivered is kept beyond all of it.
public struct RetentionPolicy: Sendable, Hashable {
    /// Of one hook, where it differs.
    public struct Ages: Sendable, Hashable {
        /// Of raw messages, from their arrival; nil keeps them without end.
        public var messages: Duration?
        /// Of events, from the arrival of the message they came with; nil keeps them without end.
        public var events: Duration?

        public init(messages: Duration?, events: Duration?) {
            self.messages = messages
            self.events = events
        }
    }

    /// For every hook that `hooks` does not name.
    public var ages: Ages
    /// By event name. A message that several hooks took stays as long as one of them wants it.
    public var hooks: [String: Ages]
    /// Deliveries that succeeded, from their end; nil keeps them as long as their event.
    public var delivered: Duration?
    /// Deliveries that were given up, from their end; nil keeps them as long as their event.
    public var dead: Duration?
    /// How long a message that comes again is known: what is left of it when all else is gone (digest, Message-ID,
    /// envelope, outcomes, ids of its events). Not shorter than any of `ages`; nil keeps it without end.
    public var duplicates: Duration?
    /// Octets the store's content may take; beyond it the oldest raw messages go first, then the oldest events. nil
    /// sets no bound.
    public var size: Int?

    public init(
        ages: Ages, hooks: [String: Ages] = [:], delivered: Duration?, dead: Duration?, duplicates: Duration?,
        size: Int?
    ) {
        self.ages = ages
        self.hooks = hooks
        self.delivered = delivered
        self.dead = dead
        self.duplicates = duplicates
        self.size = size
    }

    /// How often it is looked for what is too old: often enough for the shortest time, and not more than once a second.
    var interval: Duration {
        let times = [delivered, dead, duplicates] + ([ages] + hooks.values).flatMap { [$0.messages, $0.events] }
        let shortest = times.compactMap(\.self).min() ?? .seconds(3600)
        return min(max(shortest / 20, .seconds(1)), .seconds(600))
    }

    /// Whether a raw message that `names` took is over at an age.
    func isMessageOver(_ age: Duration, hooks names: [String]) -> Bool {
        let limits = names.isEmpty ? [ages.messages] : names.map { (hooks[$0] ?? ages).messages }
        return limits.allSatisfy { limit in limit.map { age > $0 } ?? false }
    }

    func isEventOver(_ age: Duration, hook name: String) -> Bool {
        (hooks[name] ?? ages).events.map { age > $0 } ?? false
    }

    /// The least age at which any raw message is over; nil if none ever is.
    var shortestMessages: Duration? { ([ages] + hooks.values).compactMap(\.messages).min() }
    var shortestEvents: Duration? { ([ages] + hooks.values).compactMap(\.events).min() }
}

/// What one pass of retention did.
public struct RetentionReport: Sendable, Hashable {
    /// Raw messages whose octets were erased.
    public var messages = 0
    /// Events whose content was erased.
    public var events = 0
    /// Deliveries that were over and were removed.
    public var deliveries = 0
    /// Messages that are no longer known at all.
    public var forgotten = 0
    /// The store is larger than it may be, and nothing is left that may go.
    public var isOverSize = false
    /// The clock has leapt ahead: nothing is erased for its age until it has gone on for a day from there. In one report.
    public var isClockDoubted = false
    /// Why the pass ended early; nil where it did not.
    public var failure: StoreError?

    public init() {}

    public var isEmpty: Bool { self == RetentionReport() }
}
