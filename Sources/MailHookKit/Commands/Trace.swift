// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd trace ID`: the whole life of a message, from its arrival to the last attempt. Every step is an indexed
// look-up, however much is stored.

import HookExtraction
import HookModel
import HookStore
import JSONLD

public enum Trace {
    private struct Life {
        var message: StoredMessage?
        var events: [(event: StoredEvent, deliveries: [(delivery: StoredDelivery, attempts: [StoredAttempt])])] = []
    }

    /// Messages of one Message-ID, or of one digest, that are shown.
    private static let messageLimit = 20

    /// - Parameter id: of a message (`msg_…`), an event (`evt_…`), a delivery (a number), or a Message-ID.
    /// - Returns: lines to show; empty where nothing is known of the id.
    public static func lines(_ id: String, dataFolder: String, json: Bool) async throws(SetupError) -> [String] {
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(dataFolder), as: .reader)
            let lives = try await lives(id, store)
            await store.close()
            return lives.map { json ? jsonLine($0) : text($0) }
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }

    private static func lives(_ id: String, _ store: SQLiteStore) async throws(StoreError) -> [Life] {
        if id.hasPrefix("evt_") { return try await life(ofEvent: id, store) }
        if let number = Int64(id) {
            guard let delivery = try await store.delivery(number) else { return [] }
            return try await life(ofEvent: delivery.eventID, store)
        }
        var messages: [StoredMessage] = []
        if id.hasPrefix("msg_"), let digest = digest(id.dropFirst(4)) {
            messages = try await store.messages(digestPrefix: digest, limit: messageLimit)
        }
        if messages.isEmpty {
            let name = id.hasPrefix("<") && id.hasSuffix(">") ? String(id.dropFirst().dropLast()) : id
            messages = try await store.messages(messageID: name, limit: messageLimit)
        }
        var lives: [Life] = []
        for message in messages { lives.append(try await life(of: message, store)) }
        return lives
    }

    private static func life(ofEvent id: String, _ store: SQLiteStore) async throws(StoreError) -> [Life] {
        guard let event = try await store.event(id: id) else { return [] }
        if let message = try await store.message(ofEvent: id) { return [try await life(of: message, store)] }
        // One of the daemon's own.
        return [Life(message: nil, events: [(event, try await deliveries(of: event, store))])]
    }

    private static func life(of message: StoredMessage, _ store: SQLiteStore) async throws(StoreError) -> Life {
        var life = Life(message: message)
        for event in try await store.events(ofMessage: message.id) {
            life.events.append((event, try await deliveries(of: event, store)))
        }
        return life
    }

    private static func deliveries(
        of event: StoredEvent, _ store: SQLiteStore
    ) async throws(StoreError) -> [(delivery: StoredDelivery, attempts: [StoredAttempt])] {
        var found: [(delivery: StoredDelivery, attempts: [StoredAttempt])] = []
        for delivery in try await store.deliveries(ofEvent: event.event.id) {
            found.append((delivery, try await store.attempts(ofDelivery: delivery.id)))
        }
        return found
    }

    /// The reverse of `MessageIdentity`: 26 letters of base32 to 16 octets; nil for anything else.
    static func digest(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count == 26 else { return nil }
        var (bits, count): (UInt32, UInt32) = (0, 0)
        var octets: [UInt8] = []
        for byte in text.lowercased().utf8 {
            let value: UInt8
            switch byte {
            case 0x61...0x7A: value = byte - 0x61
            case 0x32...0x37: value = byte - 0x32 + 26
            default: return nil
            }
            bits = (bits << 5 | UInt32(value)) & 0xFFFF
            count += 5
            if count >= 8 {
                count -= 8
                octets.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        return octets
    }

    // MARK: - Showing

    private static func text(_ life: Life) -> String {
        var lines: [String] = []
        if let message = life.message {
            lines.append("message \(MessageIdentity.id(contentDigest: message.contentDigest)) (\(message.id))")
            func line(_ name: String, _ value: String?) {
                guard let value, !value.isEmpty else { return }
                lines.append("  \(name.padded(to: 12))\(Terminal.harmless(value))")
            }
            line("received", "\(message.receivedAt.rfc3339) by \(message.envelope.source.rawValue)" + (message.envelope.peer.map { " from \($0)" } ?? ""))
            line("sender", message.envelope.mailFrom)
            line("recipients", message.envelope.recipients.joined(separator: ", "))
            line("Message-ID", message.messageID)
            line("size", "\(message.size) octets" + (message.bytes == nil ? ", not kept any more" : ""))
            line("duplicate of", message.duplicateOf.map { "message \($0)" })
            line("answer", message.answer.rawValue)
            for verdict in message.verdicts {
                line("hook", "\(verdict.eventName): \(verdict.outcome.rawValue), \(verdict.events) events")
            }
        }
        for (event, deliveries) in life.events {
            lines.append("event \(event.event.id) \(event.event.type)")
            for (delivery, attempts) in deliveries {
                lines.append("  delivery \(DeliveryListing.text(delivery)) changed \(delivery.changedAt.rfc3339)")
                for attempt in attempts {
                    let said = attempt.detail.isEmpty ? "" : ": \(Terminal.harmless(attempt.detail))"
                    lines.append("    attempt \(attempt.number) \(attempt.at.rfc3339) \(attempt.reason)\(said)")
                }
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func jsonLine(_ life: Life) -> String {
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        if let message = life.message { write(message, to: &writer) }
        writer.name("events")
        writer.beginArray()
        for (event, deliveries) in life.events {
            writer.beginObject()
            writer.member("id", event.event.id)
            writer.member("type", event.event.type)
            writer.name("deliveries")
            writer.beginArray()
            for (delivery, attempts) in deliveries { DeliveryListing.write(delivery, attempts: attempts, to: &writer) }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func write(_ message: StoredMessage, to writer: inout JSONWriter) {
        writer.member("message", MessageIdentity.id(contentDigest: message.contentDigest))
        writer.name("number")
        writer.integer(Int(message.id))
        writer.member("receivedAt", message.receivedAt.rfc3339)
        writer.member("intake", message.envelope.source.rawValue)
        writer.member("peer", message.envelope.peer)
        writer.member("sender", message.envelope.mailFrom)
        writer.name("recipients")
        writer.beginArray()
        message.envelope.recipients.forEach { writer.string($0) }
        writer.endArray()
        writer.member("messageID", message.messageID)
        writer.name("size")
        writer.integer(message.size)
        if let first = message.duplicateOf {
            writer.name("duplicateOf")
            writer.integer(Int(first))
        }
        writer.member("answer", message.answer.rawValue)
        writer.name("hooks")
        writer.beginArray()
        for verdict in message.verdicts {
            writer.beginObject()
            writer.member("hook", verdict.eventName)
            writer.member("outcome", verdict.outcome.rawValue)
            writer.name("events")
            writer.integer(verdict.events)
            writer.endObject()
        }
        writer.endArray()
    }
}
