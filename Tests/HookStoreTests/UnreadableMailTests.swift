// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One raw mail in the journal that cannot be read: it stays, with its file, and is told of; the
// journal goes on being emptied behind it.

import Foundation
import HookModel
import HookStore
import Synchronization
import Testing

@Suite struct UnreadableMailTests {
    private static var options: SQLiteStore.Options {
        var options = KilledStore.options
        options.compresses = true
        options.restingPause = 5
        // Segments that are given up are removed.
        options.spareOctets = 0
        return options
    }

    private static func segment(_ path: String) -> String { JournalFolder.of(path) + "/00000001.seg" }

    /// Twelve mails, of which the second is damaged; two are in a segment.
    private func damagedStore(_ folder: TemporaryFolder) async throws -> (path: String, offset: Int) {
        let path = try await KilledStore.make(folder, events: 12, .following)
        let octets = try Data(contentsOf: URL(fileURLWithPath: Self.segment(path)))
        let offset = try #require(octets.range(of: Data("1 xxxx".utf8), options: .backwards)).lowerBound + 4
        try KilledStore.change(Self.segment(path), at: offset) { $0 ^ 1 }
        return (path, offset)
    }

    @Test func whatIsBehindItGoesItsWay() async throws {
        let folder = try TemporaryFolder()
        let (path, offset) = try await damagedStore(folder)
        var store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        let told = Tally<Int64>()
        store.onUnreadable { number, cause in
            #expect(cause == .failed("\(Self.segment(path)): message 2 cannot be read: it is damaged"))
            told.add(number)
        }
        #expect(try await eventually { try Rows.count(path, "packed") == 11 })
        #expect(try Rows.count(path, "journaled") == 1)
        for index in 12..<40 { _ = try await store.commit(KilledStore.given(index)) }
        #expect(try await eventually { try Rows.count(path, "packed") == 39 })
        // Its file, the one that is written to, and perhaps one before that.
        #expect(try await eventually { try KilledStore.segments(path).count <= 3 })
        #expect(FileManager.default.fileExists(atPath: Self.segment(path)))
        #expect(told.all == [2])
        #expect(try await store.message(1)?.bytes == KilledStore.given(0).message.bytes)
        #expect(try await store.message(3)?.bytes == KilledStore.given(2).message.bytes)
        await #expect(throws: StoreError.self) { try await store.message(2) }
        await store.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == ["raw message that cannot be read: 2"])
        // Nothing of it was lost: when it can be read again, it takes the way of all.
        try KilledStore.change(Self.segment(path), at: offset) { $0 ^ 1 }
        store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        #expect(try await eventually { try Rows.count(path, "packed") == 40 })
        #expect(try await store.message(2)?.bytes == KilledStore.given(1).message.bytes)
        #expect(try await eventually { !FileManager.default.fileExists(atPath: Self.segment(path)) })
        await store.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }

    /// It is not destroyed because something else is to be erased; when it is erased itself, nothing is in the way.
    @Test func anErasureNamesIt() async throws {
        let folder = try TemporaryFolder()
        let (path, _) = try await damagedStore(folder)
        let store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        #expect(try await store.erase(.event("e7")).messages == 1)
        await #expect(throws: StoreError.failed("\(Self.segment(path)): message 2 cannot be read: it is damaged")) {
            try await store.emptyJournal()
        }
        #expect(try Rows.count(path, "journaled") == 1 && Rows.count(path, "packed") == 10)
        // Everything else was done.
        #expect(try KilledStore.segments(path).count == 2)
        #expect(try await store.erase(.event("e1")).messages == 1)
        try await store.emptyJournal()
        #expect(!FileManager.default.fileExists(atPath: Self.segment(path)))
        await store.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }

    /// A segment that somebody took away is no reason to let the others grow.
    @Test func aSegmentThatIsGone() async throws {
        let folder = try TemporaryFolder()
        let (path, _) = try await damagedStore(folder)
        try FileManager.default.removeItem(atPath: Self.segment(path))
        let store = try SQLiteStore.open(path, as: .owner, options: Self.options)
        let told = Tally<Int64>()
        store.onUnreadable { number, _ in told.add(number) }
        #expect(try await eventually { try Rows.count(path, "packed") == 10 })
        for index in 12..<40 { _ = try await store.commit(KilledStore.given(index)) }
        #expect(try await eventually { try Rows.count(path, "packed") == 38 })
        #expect(try await eventually { try KilledStore.segments(path).count <= 2 })
        #expect(told.all == [1, 2])
        await store.close()
    }
}
