// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd events redrive`: stored events to their subscribers again, as they are. What is in memory at a time are the
// events of one message and those of one request.

import HookDelivery
import HookModel
import HookStore

public struct EventRedrive: Sendable {
    /// As in `Replay`; nil takes `ids` alone.
    public var since: String?
    public var hook: String?
    public var subscription: String?
    public var ids: [String] = []

    /// Numbers of messages that are read at a time.
    static let pageSize = 500

    public init() {}

    /// How many deliveries were made or begun anew. Where it ends with an error, those that were made before stay.
    public func run(_ setup: Setup) async throws(SetupError) -> Int {
        let start = try since.map { text throws(SetupError) in try DeliverySelection.moment(text, now: .now()) }
        // Only to one of today: what another one had once is for `deliveries redrive`.
        if let subscription, !setup.subscriptionNames.contains(subscription) {
            throw .unknown("subscription", subscription, among: setup.subscriptionNames)
        }
        try await SelectionCheck(hook: hook, events: ids).run(setup)
        let client = try await ControlClient(setup)
        let result: Result<Int, SetupError>
        do throws(SetupError) { result = .success(try await redrive(start, setup, client)) } catch { result = .failure(error) }
        await client.close()
        return try result.get()
    }

    private func redrive(
        _ start: Timestamp?, _ setup: Setup, _ client: ControlClient
    ) async throws(SetupError) -> Int {
        let table = SubscriptionTable(try setup.allSubscriptions())
        var sender = EventSender(client)
        var walk = try await EventWalk(setup.configuration.data, ids: ids, since: start)
        let result: Result<Void, SetupError>
        do throws(SetupError) {
            while let events = try await walk.next() {
                for event in events where hook.map({ $0 == event.type }) ?? true {
                    let names = table.names(for: event).filter { name in subscription.map { $0 == name } ?? true }
                    guard !names.isEmpty else { continue }
                    try await sender.send(AddedEvent(event: event, subscriptions: names, replaces: true))
                }
            }
            result = .success(try await sender.flush())
        } catch { result = .failure(error) }
        await walk.close()
        try result.get()
        return sender.deliveries
    }
}

/// Stored events, those of one id or one message at a time.
private struct EventWalk {
    private let dataFolder: String
    private let store: SQLiteStore
    private let since: Timestamp?
    /// The newest event at the start. What is made meanwhile is not meant, or this might never end.
    private let last: Int64
    private var ids: ArraySlice<String>
    /// Messages whose numbers were read.
    private var messages: ArraySlice<Int64> = []
    /// The message to go on from; nil when there are no more.
    private var nextMessage: Int64?

    /// - Parameter since: events of messages received since then come behind those of `ids`; nil for none.
    init(_ dataFolder: String, ids: [String], since: Timestamp?) async throws(SetupError) {
        self.dataFolder = dataFolder
        self.ids = ids[...]
        self.since = since
        do throws(StoreError) {
            store = try SQLiteStore.open(StorePath.inFolder(dataFolder), as: .reader)
            last = try await store.lastSequence()
            if let since { nextMessage = try await store.firstMessage(since: since) }
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }

    /// nil behind the last one.
    mutating func next() async throws(SetupError) -> [Event]? {
        do throws(StoreError) {
            if let id = ids.popFirst() { return try await store.event(id: id).map { [$0.event] } ?? [] }
            if messages.isEmpty, let since, let first = nextMessage {
                messages = try await store.messageNumbers(from: first, since: since, limit: EventRedrive.pageSize)[...]
                nextMessage = messages.last.map { $0 + 1 }
            }
            guard let message = messages.popFirst() else { return nil }
            return try await store.events(ofMessage: message).filter { $0.sequence <= last }.map(\.event)
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }

    func close() async { await store.close() }
}
