// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd events replay`: stored messages through today's configuration once more, what would be different, and
// sending that.

import HookDelivery
import HookExtraction
import HookModel
import HookStore
import JSONLD

public struct Replay: Sendable {
    public enum Identity: String, Sendable, CaseIterable {
        /// The event keeps its id: receivers that tell events apart by it take it for the same.
        case same
        /// A new id, the same for the same replay, so that it counts as news.
        case new
    }

    public enum Difference: String, Sendable {
        case same, changed, new, gone
    }

    /// What a replay makes of one event.
    public struct Line: Sendable {
        public var difference: Difference
        public var message: String
        public var eventType: String
        public var eventID: String

        public var text: String { "\(difference.rawValue.padded(to: 8))\(eventType) \(eventID) \(message)" }

        public var json: String {
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("difference", difference.rawValue)
            writer.member("message", message)
            writer.member("hook", eventType)
            writer.member("event", eventID)
            writer.endObject()
            return String(decoding: writer.bytes, as: UTF8.self)
        }
    }

    public struct Summary: Sendable {
        public var counts: [Difference: Int] = [:]
        /// Messages whose octets are not kept any more.
        public var messagesGone = 0
        public var deliveries = 0
    }

    public var since: String
    public var hook: String?
    public var identity = Identity.same
    public var isDryRun = true
    /// Whether events that are as before are sent, too.
    public var includesUnchanged = false

    /// Numbers of messages that are read at a time; of the messages themselves there is one.
    private static let pageSize = 500

    public init(since: String) { self.since = since }

    public func run(_ setup: Setup, _ show: (Line) -> Void) async throws(SetupError) -> Summary {
        let now = Timestamp.now()
        let start = try DeliverySelection.moment(since, now: now)
        try await SelectionCheck(hook: hook).run(setup)
        let directory: HookDirectory
        do throws(FileError) {
            directory = try setup.directory()
        } catch {
            throw SetupError(error.description, exitStatus: SysExit.noPermission)
        }
        let client = isDryRun ? nil : try await ControlClient(setup)
        let maker = EventMaker(setup: setup, directory: directory)
        let result: Result<Summary, SetupError>
        do throws(SetupError) {
            result = .success(try await replay(from: start, now, setup, maker, client, show))
        } catch { result = .failure(error) }
        await client?.close()
        return try result.get()
    }

    private func replay(
        from start: Timestamp, _ now: Timestamp, _ setup: Setup, _ maker: EventMaker, _ client: ControlClient?,
        _ show: (Line) -> Void
    ) async throws(SetupError) -> Summary {
        let table = SubscriptionTable(try setup.allSubscriptions())
        var summary = Summary()
        var sender = client.map(EventSender.init)
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(setup.configuration.data), as: .reader)
            var next = try await store.firstMessage(since: start)
            while let first = next {
                let page = try await store.messageNumbers(from: first, since: start, limit: Self.pageSize)
                next = page.last.map { $0 + 1 }
                for number in page {
                    guard let (message, old) = try await store.messageAndEvents(number), message.receivedAt <= now else { continue }
                    guard message.bytes != nil else {
                        summary.messagesGone += 1
                        continue
                    }
                    let found = differences(old.map(\.event), maker.events(of: message))
                    for (difference, event) in found {
                        // Of another message: a post that was refused because it used the key of that one.
                        if difference == .new, sender?.holds(event.id) ?? false { continue }
                        if difference == .new, let owner = try await store.messageNumber(ofEvent: event.id), owner != message.id {
                            continue
                        }
                        summary.counts[difference, default: 0] += 1
                        show(
                            Line(
                                difference: difference, message: MessageIdentity.id(contentDigest: message.contentDigest),
                                eventType: event.type, eventID: event.id))
                        guard difference != .gone, difference != .same || includesUnchanged else { continue }
                        let marked = ReplayMark.marked(event, identity, at: now)
                        try await Self.send(
                            AddedEvent(
                                event: marked, subscriptions: table.names(for: marked), message: message.id, replaces: true),
                            &sender)
                    }
                }
            }
            try await Self.send(nil, &sender)
            await store.close()
        } catch {
            throw SetupError(storeError: error, dataFolder: setup.configuration.data)
        }
        summary.deliveries = sender?.deliveries ?? 0
        return summary
    }

    /// - Parameter event: nil sends what still waits. A dry run has no sender.
    private static func send(_ event: AddedEvent?, _ sender: inout EventSender?) async throws(StoreError) {
        do throws(SetupError) {
            if let event { try await sender?.send(event) } else { try await sender?.flush() }
        } catch {
            throw .failed(error.description)
        }
    }

    private func differences(_ old: [Event], _ new: [Event]) -> [(Difference, Event)] {
        func isMeant(_ event: Event) -> Bool { hook.map { $0 == event.type } ?? true }
        // What earlier replays made under new ids belongs to neither side.
        let before = Dictionary(
            old.filter { isMeant($0) && !ReplayMark.hasNewIdentity($0) }.map { ($0.id, $0) }) { first, _ in first }
        let after = new.filter(isMeant)
        let ids = Set(after.map(\.id))
        let made = after.map { event -> (Difference, Event) in
            guard let known = before[event.id] else { return (.new, event) }
            return (ReplayMark.areAlike(known, event) ? .same : .changed, event)
        }
        return made + old.filter { before[$0.id] != nil && !ids.contains($0.id) }.map { (.gone, $0) }
    }
}

/// What today's configuration makes of a stored message.
private struct EventMaker {
    private let messages: MessageProcessor
    private let posts: PostProcessor
    private let directory: HookDirectory

    init(setup: Setup, directory: HookDirectory) {
        messages = setup.processor(directory)
        posts = setup.postProcessor(directory)
        self.directory = directory
    }

    func events(of message: StoredMessage) -> [Event] {
        let received = ReceivedMessage(
            envelope: message.envelope, bytes: message.bytes ?? [], receivedAt: message.receivedAt)
        guard message.envelope.source == .http else { return messages.process(received).verdict.hooks.flatMap(\.events) }
        // A post was told apart by its identity, which stands where mail has its Message-ID.
        guard let name = message.verdicts.first?.eventName, let identity = message.messageID,
            let hook = directory.hooks.first(where: { $0.hook.eventName == name })
        else { return [] }
        let post = ReceivedPost(hook: hook, message: received, identity: identity, requestID: identity)
        return posts.process(post).hooks.flatMap(\.events)
    }
}

/// The extension attributes of events that were replayed: `replayed` says when, `replayof` whose place a new id takes.
enum ReplayMark {
    private static let names: Set<String> = ["replayed", "replayof"]
    /// An event is one level deeper than a document.
    private static let limits = JSONLimits(depth: 160)

    static func marked(_ event: Event, _ identity: Replay.Identity, at time: Timestamp) -> Event {
        guard let root = try? JSONDocument(event.json, limits: limits).root else { return event }
        let id = identity == .same ? event.id : OwnEventIdentity.id(replaying: event.id, replay: time.rfc3339)
        var writer = JSONWriter(capacity: event.json.count + 128)
        writer.beginObject()
        for member in root.members where !names.contains(member.name) {
            if member.name == "data" { mark(&writer, event, identity, time) }
            writer.name(member.name)
            if member.name == "id" { writer.string(id) } else { writer.raw(member.value.text) }
        }
        if root["data"] == nil { mark(&writer, event, identity, time) }
        writer.endObject()
        return Event(id: id, type: event.type, json: writer.bytes)
    }

    private static func mark(_ writer: inout JSONWriter, _ event: Event, _ identity: Replay.Identity, _ time: Timestamp) {
        writer.member("replayed", time.rfc3339)
        if identity == .new { writer.member("replayof", event.id) }
    }

    static func hasNewIdentity(_ event: Event) -> Bool {
        (try? JSONDocument(event.json, limits: limits))?.root["replayof"] != nil
    }

    /// Whether two events say the same but for these marks.
    static func areAlike(_ left: Event, _ right: Event) -> Bool {
        func members(_ event: Event) -> [String: [UInt8]]? {
            guard let root = try? JSONDocument(event.json, limits: limits).root else { return nil }
            let kept = root.members.filter { !names.contains($0.name) }.map { ($0.name, Array($0.value.text)) }
            return Dictionary(kept) { first, _ in first }
        }
        return left.type == right.type && members(left) == members(right)
    }
}
