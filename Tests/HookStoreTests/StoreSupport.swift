// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the tests of the stores share: entries from a few words, and folders that go away.

import CSQLite
import Foundation
import HookModel
import HookStore
import Synchronization
import TestSupport
import Testing

/// The stores that keep the contract.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case memory, sqlite
    /// With limits so small that everything that happens rarely happens all the time.
    case smallSQLite

    var testDescription: String { rawValue }
    var isDurable: Bool { self != .memory }

    func make(in folder: TemporaryFolder) throws -> any HistoryStore {
        switch self {
        case .memory: try MemoryStore()
        case .sqlite: try SQLiteStore.open(folder.path("store.db"), as: .owner)
        case .smallSQLite: try SQLiteStore.open(folder.path("store.db"), as: .owner, options: .small)
        }
    }
}

extension SQLiteStore.Options {
    static var small: Self {
        var options = Self()
        options.groupJobs = 3
        options.groupOctets = 1000
        options.logOctets = 100_000
        options.waitingKeys = 10
        return options
    }

    /// Large messages reach the journal in pieces, and a few fill a segment.
    static var shortSegments: Self {
        var options = Self()
        options.compresses = false
        options.segmentOctets = 512 << 10
        options.journalBufferOctets = 16 << 10
        return options
    }
}

/// A folder that is removed with the value.
final class TemporaryFolder: Sendable {
    let root: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        root = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func path(_ name: String) -> String { root + "/" + name }
}

enum JournalFolder {
    /// Of the store at `path`.
    static func of(_ path: String) -> String { path + ".journal" }
}

/// Runs a program and gives its exit status.
@discardableResult
func run(_ program: String, _ arguments: String...) throws -> Int32 {
    try Child.run(program, arguments).status
}

/// Seconds since the epoch.
func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: seconds) }

/// An entry with `content` as its message, whose digest is made from it. Each event goes to `subscriptions`.
func entry(
    _ content: String, events: [String] = [], to subscriptions: [String] = [], at time: Timestamp = at(1000),
    type: String = "app.event", messageID: String? = nil
) -> MessageEntry {
    let made = events.map { Event(id: $0, type: type, json: Array("{\"id\":\"\($0)\"}".utf8)) }
    let envelope = Envelope(
        source: .smtp, mailFrom: "a@example.com", recipients: ["b@example.com", "\"c \\\" \u{1}é\"@example.com"],
        peer: "192.0.2.1", helo: "client")
    let hook = HookVerdict(
        eventName: "app.event", recipient: "b@example.com", outcome: made.isEmpty ? .noStructuredData : .accepted,
        answer: .accepted, events: made)
    var digest = Array(content.utf8.prefix(32))
    // Long contents of tests differ in their first octets.
    digest += Array(repeating: 0, count: 32 - digest.count)
    return MessageEntry(
        message: ReceivedMessage(envelope: envelope, bytes: Array(content.utf8), receivedAt: time),
        verdict: Verdict(contentDigest: digest, messageID: messageID, hooks: [hook]),
        deliveries: Dictionary(events.map { ($0, subscriptions) }, uniquingKeysWith: { first, _ in first }))
}

extension EventStore {
    /// For one who has nothing under way.
    func claimDue(
        subscription: String, now: Timestamp, lease: Duration, limit: Int
    ) async throws(StoreError) -> [ClaimedDelivery] {
        try await claimDue(subscription: subscription, now: now, lease: lease, limit: limit, excluding: [])
    }

    func nextDue(subscription: String) async throws(StoreError) -> Timestamp? {
        try await nextDue(subscription: subscription, excluding: [])
    }
}

extension DeliveryStore {
    func claimInOrder(
        subscription: String, now: Timestamp, lease: Duration, limit: Int
    ) async throws(StoreError) -> [ClaimedDelivery] {
        try await claimInOrder(subscription: subscription, now: now, lease: lease, limit: limit, excluding: [])
    }

    func nextDueInOrder(subscription: String) async throws(StoreError) -> Timestamp? {
        try await nextDueInOrder(subscription: subscription, excluding: [])
    }
}

/// Counts what happens on other threads.
final class Tally<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// Waits until `condition` holds, at most 10 seconds.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<1000 {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return false
}

/// Rows of a store's database, seen from outside.
enum Rows {
    static func count(_ path: String, _ table: String) throws -> Int {
        var connection: OpaquePointer?
        var statement: OpaquePointer?
        defer {
            sqlite3_finalize(statement)
            sqlite3_close_v2(connection)
        }
        try #require(sqlite3_open_v2(path, &connection, SQLITE_OPEN_READONLY, nil) == SQLITE_OK)
        try #require(sqlite3_prepare_v2(connection, "SELECT count(*) FROM \(table)", -1, &statement, nil) == SQLITE_OK)
        try #require(sqlite3_step(statement) == SQLITE_ROW)
        return Int(sqlite3_column_int64(statement, 0))
    }
}
