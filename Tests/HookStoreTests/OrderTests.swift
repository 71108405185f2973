// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Claiming in order, when the transaction in which that begins comes to nothing.

import CSQLite
import Foundation
import HookModel
import HookStore
import Testing

@Suite struct OrderTests {
    private func change(_ path: String, _ text: String) throws {
        var connection: OpaquePointer?
        defer { sqlite3_close_v2(connection) }
        try #require(sqlite3_open(path, &connection) == SQLITE_OK)
        sqlite3_busy_timeout(connection, 5000)
        try #require(sqlite3_exec(connection, text, nil, nil, nil) == SQLITE_OK)
    }

    /// What waited before is marked with the next claim, and nothing overtakes it.
    @Test func aFirstClaimThatFailsLeavesNothingBehind() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner)
        for index in 0..<3 { _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"])) }
        _ = try await store.events(after: 0, limit: 1)
        func claim() async throws -> [ClaimedDelivery] {
            try await store.claimInOrder(subscription: "s", now: at(2000), lease: .seconds(60), limit: 9)
        }
        try change(path, "CREATE TRIGGER stop BEFORE UPDATE OF state ON deliveries BEGIN SELECT raise(ABORT, 'stop'); END")
        await #expect(throws: StoreError.self) { try await claim() }
        try change(path, "DROP TRIGGER stop")
        _ = try await store.commit(entry("m3", events: ["e3"], to: ["s"]))
        for index in 0..<4 {
            let claimed = try await claim()
            #expect(claimed.map(\.event.id) == ["e\(index)"])
            try await store.finish(claimed.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(2001))
        }
        #expect(try await claim() == [])
        await store.close()
    }
}
