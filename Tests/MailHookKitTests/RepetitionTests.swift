// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Commands that send stored events again: what they choose, and in how many requests.

import Foundation
import HookExtraction
import HookIntake
import HookModel
import HookStore
import Synchronization
import Testing

@testable import MailHookKit

@Suite struct RepetitionTests {
    private static let hook = "kustomer.app.s.a"

    /// A configuration with one hook and one subscription, and a store that is filled by the test.
    private final class Place {
        let folder: Folder
        let setup: Setup

        init() throws {
            folder = try Folder()
            try FileManager.default.createDirectory(
                atPath: folder.path + "/data", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try folder.write(
                "apps.json", #"{"app":"s","version":"1.0.0","title":"S","hooks":[{"eventName":"\#(hook)","type":"form"}]}"#)
            try folder.write(
                "m.yaml",
                "hostname: h.example\napps: apps.json\ndata: data\nsubscriptions: [{ name: s, events: [\"\(hook)\"], file: { path: e } }]\n")
            setup = try Setup.load(SetupRequest(configurationFile: folder.path + "/m.yaml")).get()
        }

        /// Opens the store for `body` and closes it: what was given to it can be read then.
        func fill(_ body: (SQLiteStore) async throws -> Void) async throws {
            let store = try SQLiteStore.open(StorePath.inFolder(setup.configuration.data), as: .owner)
            try await body(store)
            await store.close()
        }
    }

    /// Takes orders as a daemon does, and carries out none. On a thread of its own: who asks waits on one that tasks share.
    private final class StandIn: Sendable {
        private let requests = Mutex<[ControlRequest?]>([])
        private let listener: Int32
        private let end = DispatchSemaphore(value: 0)

        init(_ setup: Setup) throws {
            listener = try ListeningSocket.bind(.unix(path: ControlRequest.path(setup.configuration.data)), mode: 0o600)
            Thread.detachNewThread { [self] in
                while case let connection = accept(listener, nil, nil), connection >= 0 {
                    serve(connection)
                    close(connection)
                }
                end.signal()
            }
        }

        private func serve(_ connection: Int32) {
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            var line: [UInt8] = []
            while case let count = recv(connection, &buffer, buffer.count, 0), count > 0 {
                line += buffer[..<count]
                guard line.last == 0x0A else { continue }
                let request = ControlRequest(line: line.dropLast())
                requests.withLock { $0.append(request) }
                line = []
                var answer = ControlAnswer()
                if case .add(let events) = request { answer.count = events.reduce(0) { $0 + $1.subscriptions.count } }
                let octets = answer.line + [0x0A]
                guard send(connection, octets, octets.count, Int32(MSG_NOSIGNAL)) == octets.count else { return }
            }
        }

        /// The events of each request so far; nil for one of another kind.
        var additions: [[AddedEvent]?] {
            requests.withLock { requests in
                requests.map { if case .add(let events) = $0 { events } else { nil } }
            }
        }

        func stop() {
            shutdown(listener, Int32(SHUT_RDWR))
            end.wait()
            close(listener)
        }
    }

    private static func event(_ id: String, type: String = hook, octets: Int = 0) -> Event {
        let data = String(repeating: "x", count: octets)
        return Event(id: id, type: type, json: Array(#"{"id":"\#(id)","data":"\#(data)"}"#.utf8))
    }

    private static func entry(_ content: String, _ events: [Event], at time: Timestamp) -> MessageEntry {
        let digest = Array(content.utf8) + Array(repeating: 0, count: 32 - content.utf8.count)
        let verdict = HookVerdict(
            eventName: events.first?.type ?? hook, recipient: "a@h.example", outcome: .accepted, answer: .accepted, events: events)
        return MessageEntry(
            message: ReceivedMessage(
                envelope: Envelope(source: .smtp, mailFrom: nil, recipients: ["a@h.example"]), bytes: Array(content.utf8),
                receivedAt: time),
            verdict: Verdict(contentDigest: digest, messageID: nil, hooks: [verdict]), deliveries: [:])
    }

    // MARK: - Redrive

    /// Each once, in a few requests; nothing of before the time that was asked for, and nothing nobody subscribes to.
    @Test(arguments: [true, false]) func moreEventsThanAPageAreRedrivenOnceEach(_ isDaemonRunning: Bool) async throws {
        let place = try Place()
        let messages = 2 * EventRedrive.pageSize + 1
        try await place.fill { store in
            let now = Timestamp.now()
            try await withThrowingTaskGroup(of: CommitReceipt.self) { group in
                for index in 0..<messages {
                    let events = [Self.event("e\(index)")] + (index == 7 ? [Self.event("second")] : [])
                    group.addTask { try await store.commit(Self.entry("m\(index)", events, at: now)) }
                }
                try await group.waitForAll()
            }
            _ = try await store.commit(Self.entry("other", [Self.event("other", type: "kustomer.app.s.b")], at: now))
            _ = try await store.commit(Self.entry("old", [Self.event("old")], at: now.advanced(by: .seconds(-86_400))))
        }
        let ids = (0..<messages).map { "e\($0)" } + ["second"]
        var redrive = EventRedrive()
        redrive.since = "1h"
        if isDaemonRunning {
            let daemon = try StandIn(place.setup)
            defer { daemon.stop() }
            #expect(try await redrive.run(place.setup) == ids.count)
            let requests = daemon.additions.compactMap(\.self)
            #expect(requests.count == daemon.additions.count && requests.count <= 1 + ids.count / 100, "\(requests.count)")
            #expect(requests.allSatisfy { $0.count <= 500 })
            #expect(requests.joined().map(\.event.id).sorted() == ids.sorted())
            #expect(requests.joined().allSatisfy { $0.subscriptions == ["s"] && $0.replaces })
        } else {
            #expect(try await redrive.run(place.setup) == ids.count)
            // As after an interruption: those that wait are no second time made.
            #expect(try await redrive.run(place.setup) == ids.count)
            try await place.fill { store in
                let made = try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 2 * ids.count)
                #expect(made.map(\.eventID).sorted() == ids.sorted())
                #expect(made.allSatisfy { $0.subscription == "s" && $0.state == .waiting })
            }
        }
    }

    /// The daemon has a request in memory as a whole.
    @Test func largeEventsAreSentByThemselves() async throws {
        let place = try Place()
        let ids = (0..<3).map { "e\($0)" }
        try await place.fill { store in
            for id in ids { _ = try await store.commit(Self.entry(id, [Self.event(id, octets: 600_000)], at: .now())) }
        }
        let daemon = try StandIn(place.setup)
        defer { daemon.stop() }
        var redrive = EventRedrive()
        redrive.ids = ids
        #expect(try await redrive.run(place.setup) == 3)
        #expect(daemon.additions.map { $0?.map(\.event.id) } == ids.map { [$0] })
    }

    // MARK: - Replay

    /// A post with the idempotency key `key`.
    private static func post(_ body: String, _ setup: Setup) throws -> MessageEntry {
        let directory = try setup.directory()
        let envelope = Envelope(source: .http, mailFrom: nil, recipients: ["/v1/hooks/form/t"])
        let bytes = ReceivedPost.entityHeader(contentType: "application/json") + Array(body.utf8)
        let post = ReceivedPost(
            hook: try #require(directory.hooks.first),
            message: ReceivedMessage(envelope: envelope, bytes: bytes, receivedAt: .now()), identity: "key", requestID: "req")
        return MessageEntry(message: post.message, verdict: setup.postProcessor(directory).process(post), deliveries: [:])
    }

    /// Both were refused for the key of a post that is forgotten since: one of them has the event now, also in one request.
    @Test func ofTwoRefusedPostsOneIsReplayed() async throws {
        let place = try Place()
        var entries = try [#"{"a":2}"#, #"{"a":3}"#].map { try Self.post($0, place.setup) }
        let id = try #require(entries[0].verdict.hooks.first?.events.first?.id)
        for index in entries.indices { entries[index].verdict.hooks[0].events = [] }
        try await place.fill { [entries] store in
            for entry in entries { _ = try await store.commit(entry) }
        }
        var replay = Replay(since: "1h")
        replay.isDryRun = false
        let summary = try await replay.run(place.setup) { _ in }
        #expect(summary.counts == [.new: 1] && summary.deliveries == 1)
        try await place.fill { store in
            let event = try #require(try await store.event(id: id)).event
            #expect(String(decoding: event.json, as: UTF8.self).contains(#""data":{"a":2}"#))
        }
    }

    /// The event of a post is erased, its octets are not: it is made anew. Another post that was refused for its key is not.
    @Test func aRefusedPostDoesNotTakeThePlaceOfAnErasedEvent() async throws {
        let place = try Place()
        let first = try Self.post(#"{"a":1}"#, place.setup)
        let id = try #require(first.verdict.hooks.first?.events.first?.id)
        try await place.fill { store in
            #expect(try await store.commit(first).newEvents == 1)
            #expect(try await store.commit(try Self.post(#"{"a":2}"#, place.setup)).hasForeignEvents)
            let policy = RetentionPolicy(
                ages: .init(messages: nil, events: .seconds(60)), delivered: nil, dead: nil, duplicates: nil, size: nil)
            let (reports, report) = AsyncStream.makeStream(of: RetentionReport.self)
            let later = Timestamp.now().advanced(by: .seconds(3600))
            try store.keep(policy, now: { later }, report: { report.yield($0) })
            #expect(await reports.first { _ in true }?.events == 1)
            #expect(try await store.event(id: id) == nil)
        }
        var lines: [Replay.Line] = []
        let summary = try await Replay(since: "1h").run(place.setup) { lines.append($0) }
        #expect(summary.counts == [.new: 1] && summary.messagesGone == 0)
        #expect(
            lines.map { "\($0.message) \($0.eventID)" } == ["\(MessageIdentity.id(contentDigest: first.verdict.contentDigest)) \(id)"])
    }

    // MARK: - Names

    /// A hook that no app declares any more, of which nothing was delivered, behind ten thousand newer events.
    @Test func hooksOfLongAgoAreKnown() async throws {
        let place = try Place()
        let gone = "kustomer.app.gone.a"
        try await place.fill { store in
            _ = try await store.commit(Self.entry("m", [Self.event("e", type: gone)], at: .now()))
            let own = (0...10_000).map { AddedEvent(event: Self.event("o\($0)", type: "mailhookd.hook.silent"), subscriptions: []) }
            _ = try await store.add(own, now: .now())
        }
        try await SelectionCheck(hook: gone).run(place.setup)
        let error = await #expect(throws: SetupError.self) { try await SelectionCheck(hook: gone + "b").run(place.setup) }
        #expect(error?.exitStatus == SysExit.usage)
    }
}
