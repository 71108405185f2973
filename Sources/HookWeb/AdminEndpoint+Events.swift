// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Events and messages in the management interface.

import HookModel
import HTTPTypes
import JSONLD

extension AdminEndpoint {
    // MARK: - Lists

    /// Which events are wanted.
    private struct EventQuery {
        var after: Int64
        var limit: Int
        var hook: String?
        var since: Timestamp?
        var until: Timestamp?
        var outcome: Outcome?
        /// For the next page.
        var rest: String

        /// - Throws: what is wrong, for who asks.
        init(_ request: WebRequest) throws(BodyProblem) {
            guard let after = AdminEndpoint.number(request, "after", in: 0...Int.max, else: 0),
                let limit = AdminEndpoint.number(request, "limit", in: 1...500, else: 100)
            else { throw BodyProblem("after is 0 or more, limit 1 to 500") }
            self.after = Int64(after)
            self.limit = limit
            hook = request.decodedQuery("hook")
            since = try Self.moment(request, "since")
            until = try Self.moment(request, "until")
            if let word = request.decodedQuery("outcome") {
                outcome = Outcome(rawValue: word)
                guard let outcome, [.accepted, .outputInvalid].contains(outcome) else {
                    throw BodyProblem("outcome is accepted or output_invalid")
                }
            }
            rest = ["hook", "since", "until", "outcome"].compactMap { name in
                request.query(name).map { "&\(name)=\($0)" }
            }.joined()
        }

        private static func moment(_ request: WebRequest, _ name: String) throws(BodyProblem) -> Timestamp? {
            guard let text = request.decodedQuery(name) else { return nil }
            guard let moment = Timestamp(rfc3339: text) else {
                throw BodyProblem("\(name) is a time such as 2026-12-31T00:00:00Z")
            }
            return moment
        }

        func matches(_ stored: StoredEvent) -> Bool {
            if let hook, stored.event.type != hook { return false }
            guard since != nil || until != nil || outcome != nil else { return true }
            guard let root = AdminEndpoint.root(stored) else { return false }
            if since != nil || until != nil {
                guard let time = root["time"]?.string.flatMap(Timestamp.init(rfc3339:)) else { return false }
                if let since, time < since { return false }
                if let until, time >= until { return false }
            }
            guard let outcome else { return true }
            return (root["outputfailure"] != nil) == (outcome == .outputInvalid)
        }
    }

    /// Events that are looked at for one answer. A page may be shorter than asked for, even empty, and still have a next.
    private static let scanLimit = 5000
    /// Events stand in the order of their commits, and that is the order of their times but for moments.
    private static let slack = Duration.seconds(60)

    fileprivate static func root(_ stored: StoredEvent) -> JSONValue? {
        try? JSONDocument(stored.event.json, limits: JSONLimits(depth: 1024)).root
    }

    /// Oldest first; `after` is the position the answer before ended with.
    func events(_ request: WebRequest) async -> WebAnswer {
        let query: EventQuery
        do throws(BodyProblem) {
            query = try EventQuery(request)
        } catch {
            return Self.badQuery(error.message)
        }
        do throws(StoreError) {
            let (found, next) = try await search(query)
            return .json {
                $0.object {
                    $0.array("data") { for event in found { Self.write(event, to: &$0) } }
                    $0.object("links") {
                        $0.member("self", "/v1/events?after=\(query.after)&limit=\(query.limit)\(query.rest)")
                        $0.member("next", next.map { "/v1/events?after=\($0)&limit=\(query.limit)\(query.rest)" })
                    }
                }
            }
        } catch {
            return failure(error, request)
        }
    }

    /// Events that match, and the position to go on from, nil at the end.
    private func search(_ query: EventQuery) async throws(StoreError) -> (found: [StoredEvent], next: Int64?) {
        var position = query.after
        if let since = query.since { position = max(position, try await start(of: since)) }
        var found: [StoredEvent] = []
        var scanned = 0
        while true {
            let size = query.hook == nil && query.since == nil && query.until == nil && query.outcome == nil
                ? query.limit : 500
            let page = try await data.events(after: position, limit: size)
            for stored in page {
                position = stored.sequence
                if query.matches(stored) { found.append(stored) }
                if found.count == query.limit { return (found, position) }
                if let until = query.until, isBehind(until, stored) { return (found, nil) }
            }
            scanned += page.count
            if page.count < size { return (found, nil) }
            if scanned >= Self.scanLimit { return (found, position) }
        }
    }

    private func isBehind(_ until: Timestamp, _ stored: StoredEvent) -> Bool {
        guard let time = Self.root(stored)?["time"]?.string.flatMap(Timestamp.init(rfc3339:)) else { return false }
        return time > until.advanced(by: Self.slack)
    }

    /// A position before the first event of a time, found by halving.
    private func start(of time: Timestamp) async throws(StoreError) -> Int64 {
        let wanted = time.advanced(by: .zero - Self.slack)
        var (low, high): (Int64, Int64) = (0, try await data.lastSequence())
        while low < high {
            let middle = low + (high - low) / 2
            let next = try await data.events(after: middle, limit: 1).first
            let moment = next.flatMap { Self.root($0)?["time"]?.string }.flatMap(Timestamp.init(rfc3339:))
            if let moment, moment < wanted { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func event(_ id: String) async -> WebAnswer {
        do throws(StoreError) {
            guard let event = try await data.event(id: id) else { return .notFound }
            return .json {
                $0.object {
                    $0.name("data")
                    Self.write(event, to: &$0)
                }
            }
        } catch {
            return failure(error, nil)
        }
    }

    private static func write(_ stored: StoredEvent, to writer: inout JSONWriter) {
        writer.object {
            $0.member("id", stored.event.id)
            $0.member("type", "event")
            $0.name("attributes")
            $0.raw(stored.event.json)
            $0.object("meta") { $0.member("sequence", integer: Int(stored.sequence)) }
            $0.object("links") {
                $0.member("self", "/v1/events/\(stored.event.id)")
                $0.member("message", "/v1/events/\(stored.event.id)/message")
                $0.member("deliveries", "/v1/events/\(stored.event.id)/deliveries")
            }
        }
    }

    // MARK: - Deliveries

    func deliveries(ofEvent id: String) async -> WebAnswer {
        do throws(StoreError) {
            guard try await data.event(id: id) != nil else { return .notFound }
            let found = try await data.deliveries(ofEvent: id)
            return .json {
                $0.object {
                    $0.array("data") { for delivery in found { Self.write(delivery, to: &$0) } }
                    $0.object("links") { $0.member("self", "/v1/events/\(id)/deliveries") }
                }
            }
        } catch {
            return failure(error, nil)
        }
    }

    private static func write(_ delivery: StoredDelivery, to writer: inout JSONWriter) {
        writer.object {
            $0.member("id", String(delivery.id))
            $0.member("type", "delivery")
            $0.object("attributes") {
                $0.member("subscription", delivery.subscription)
                $0.member("state", delivery.state.rawValue)
                $0.member("attempts", integer: delivery.attempts)
                $0.member("createdAt", delivery.createdAt.rfc3339)
                $0.member("changedAt", delivery.changedAt.rfc3339)
                $0.member("nextRetry", delivery.state.isFinal ? nil : delivery.due.rfc3339)
                $0.member("reason", delivery.reason.isEmpty ? nil : delivery.reason)
            }
        }
    }

    // MARK: - Messages

    func message(ofEvent id: String) async -> WebAnswer {
        do throws(StoreError) {
            guard let message = try await data.message(ofEvent: id) else { return .notFound }
            return Self.answer(message)
        } catch {
            return failure(error, nil)
        }
    }

    func message(_ id: Substring, isRaw: Bool) async -> WebAnswer {
        guard let number = Int64(id), number >= 0 else { return .notFound }
        do throws(StoreError) {
            guard let message = try await data.message(number) else { return .notFound }
            return isRaw ? Self.raw(message) : Self.answer(message)
        } catch {
            return failure(error, nil)
        }
    }

    /// The octets as they came. Nothing in them may be taken for a page of ours.
    private static func raw(_ message: StoredMessage) -> WebAnswer {
        guard let bytes = message.bytes else {
            return .error(status: 410, code: "message_expired", "The message is not kept any more")
        }
        var answer = WebAnswer(status: 200, body: bytes)
        answer.fields[.contentType] = message.envelope.source == .http ? "application/octet-stream" : "message/rfc822"
        answer.fields[.contentDisposition] = "attachment; filename=\"\(message.id).eml\""
        answer.fields[.xContentTypeOptions] = "nosniff"
        return answer
    }

    private static func answer(_ message: StoredMessage) -> WebAnswer {
        .json {
            $0.object {
                $0.object("data") {
                    $0.member("id", String(message.id))
                    $0.member("type", "message")
                    $0.object("attributes") { write(message, to: &$0) }
                    $0.object("links") {
                        $0.member("self", "/v1/messages/\(message.id)")
                        $0.member("raw", "/v1/messages/\(message.id)/raw")
                    }
                }
            }
        }
    }

    private static func write(_ message: StoredMessage, to writer: inout JSONWriter) {
        writer.member("receivedAt", message.receivedAt.rfc3339)
        writer.member("intake", message.envelope.source.rawValue)
        writer.member("mailFrom", message.envelope.mailFrom)
        writer.name("recipients")
        writer.beginArray()
        message.envelope.recipients.forEach { writer.string($0) }
        writer.endArray()
        writer.member("peer", message.envelope.peer)
        writer.member("messageId", message.messageID)
        writer.member("duplicateOf", message.duplicateOf.map(String.init))
        writer.member("answer", message.answer.rawValue)
        writer.member("size", integer: message.size)
        writer.name("isKept")
        writer.boolean(message.bytes != nil)
        writer.array("verdicts") {
            for verdict in message.verdicts {
                $0.object {
                    $0.member("hook", verdict.eventName)
                    $0.member("recipient", verdict.recipient)
                    $0.member("outcome", verdict.outcome.rawValue)
                    $0.member("answer", verdict.answer.rawValue)
                    $0.member("events", integer: verdict.events)
                }
            }
        }
    }
}
