// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The migration that brings the history of deliveries and the status of subscriptions.

extension Schema {
    static let deliveryHistory: StaticString = """
        -- Failed attempts, the last of each delivery. A delivery that needed one attempt has no row here.
        CREATE TABLE attempts (
            id INTEGER PRIMARY KEY,
            delivery INTEGER NOT NULL,
            number INTEGER NOT NULL,
            ended_at INTEGER NOT NULL,
            reason TEXT NOT NULL,
            detail TEXT NOT NULL           -- what the receiver said
        ) STRICT;
        CREATE INDEX attempts_delivery ON attempts (delivery);

        -- Subscriptions that are not active, or were not once.
        CREATE TABLE subscription_states (
            name TEXT PRIMARY KEY,
            status TEXT NOT NULL,
            reason TEXT NOT NULL,
            changed_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Events that were made of a message later than the others; those follow one another, see messages.
        CREATE TABLE later_events (
            message INTEGER NOT NULL,
            event INTEGER NOT NULL,
            PRIMARY KEY (message, event)
        ) STRICT, WITHOUT ROWID;

        -- Events of the daemon itself belong to no message: events.message is the last message's number, negative.

        -- Whoever removes deliveries and events removes what belongs to them.
        CREATE TRIGGER deliveries_gone AFTER DELETE ON deliveries BEGIN
            DELETE FROM attempts WHERE delivery = old.id;
        END;
        CREATE TRIGGER events_gone AFTER DELETE ON events BEGIN
            DELETE FROM later_events WHERE message = old.message AND event = old.sequence;
        END;

        -- States: 0 waiting, 1 leased, 2 delivered, 3 dead, 4 cancelled.
        ALTER TABLE deliveries ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;
        -- The few that were given up or called off.
        CREATE INDEX deliveries_failed ON deliveries (id) WHERE state > 2;
        -- Only deliveries of subscriptions that ask for order.
        CREATE INDEX deliveries_ordered ON deliveries (subscription, id) WHERE ordered = 1 AND state < 2;

        PRAGMA user_version = 3;
        """
}
