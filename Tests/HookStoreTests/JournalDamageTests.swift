// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Segments that cannot be read, are damaged or are missing when a store is opened: what may hold
// acknowledged mail is named, and what a power cut leaves of a segment nobody needs yet is not.

import Foundation
import Glibc
import HookModel
import Testing

@testable import HookStore

/// What a killed owner left: its files are copied while it goes on.
enum KilledStore {
    /// How far its database had come.
    enum Progress: CaseIterable { case behind, following }

    static var options: SQLiteStore.Options {
        var options = SQLiteStore.Options()
        options.compresses = false
        options.segmentOctets = 64 << 10
        return options
    }

    /// Events `e0` and so on, of mails of 20,000 octets, two in a segment.
    static func make(_ folder: TemporaryFolder, events: Int, _ progress: Progress) async throws -> String {
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner, options: options)
        let copy = folder.path("killed")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        if progress == .behind { try run("/bin/cp", path, path + "-wal", copy) }
        for index in 0..<events { _ = try await store.commit(given(index)) }
        if progress == .following {
            #expect(try await store.events(after: 0, limit: 999).count == events)
            try run("/bin/cp", path, path + "-wal", copy)
        }
        try run("/bin/cp", "-r", JournalFolder.of(path), copy)
        await store.close()
        return copy + "/store.db"
    }

    static func given(_ index: Int) -> MessageEntry {
        entry("\(index) " + String(repeating: "x", count: 20_000), events: ["e\(index)"], to: ["s"])
    }

    static func segments(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path)).sorted()
            .map { JournalFolder.of(path) + "/" + $0 }
    }

    static func change(_ file: String, at offset: Int, _ body: (UInt8) -> UInt8) throws {
        var octets = try Data(contentsOf: URL(fileURLWithPath: file))
        octets[offset] = body(octets[offset])
        try octets.write(to: URL(fileURLWithPath: file))
    }
}

@Suite struct JournalDamageTests {
    /// Neither an owner nor who only looks goes on without what may have been in the segment.
    private func expectRefusal(_ path: String, naming words: String, _ comment: String = "") {
        for role in [SQLiteStore.Role.owner, .reader] {
            let error = #expect(throws: StoreError.self, "\(comment)") {
                // A reader looks at the journal with its first request, and at the file at once.
                let store = try SQLiteStore.open(path, as: role, options: KilledStore.options)
                if role == .reader { _ = try StoreSummary.read(path) }
                _ = store
            }
            guard let error, "\(error)".contains(words) else {
                Issue.record("\(role): \(String(describing: error)) \(comment)")
                continue
            }
        }
    }

    @Test(arguments: KilledStore.Progress.allCases, [0, 9, 20, 39])
    func aDamagedHeaderOfTheNewestSegmentIsNamed(_ progress: KilledStore.Progress, _ offset: Int) async throws {
        let folder = try TemporaryFolder()
        let path = try await KilledStore.make(folder, events: 8, progress)
        let newest = try #require(try KilledStore.segments(path).last)
        try KilledStore.change(newest, at: offset) { $0 ^ 0x10 }
        expectRefusal(path, naming: "\(newest): its header is damaged")
        #expect(try StoreCheck.run(path).faults.contains { $0.contains(newest) })
        // Whoever has read that can give it up.
        try FileManager.default.moveItem(atPath: newest, toPath: folder.path("aside"))
        if progress == .following {
            expectRefusal(path, naming: "\(newest): is missing or empty")
            try FileManager.default.removeItem(atPath: JournalFolder.of(path))
            expectRefusal(path, naming: "\(newest): is missing or empty")
            try FileManager.default.createDirectory(
                atPath: JournalFolder.of(path), withIntermediateDirectories: false)
        }
        let store = try SQLiteStore.open(path, as: .owner, options: KilledStore.options)
        let known = progress == .following ? 8 : 6
        #expect(try await store.events(after: 0, limit: 99).map(\.event.id) == (0..<known).map { "e\($0)" })
        #expect(try await store.commit(KilledStore.given(20)).newEvents == 1)
        await store.close()
        let again = try SQLiteStore.open(path, as: .owner, options: KilledStore.options)
        #expect(try await again.events(after: 0, limit: 99).map(\.event.id).last == "e20")
        await again.close()
    }

    /// The file is there, and the system does not give it: no permission, an error of the medium, no descriptor left.
    @Test(arguments: KilledStore.Progress.allCases, ["folder", "loop"])
    func aSegmentThatCannotBeReadIsNamed(_ progress: KilledStore.Progress, _ kind: String) async throws {
        let folder = try TemporaryFolder()
        let path = try await KilledStore.make(folder, events: 8, progress)
        let newest = try #require(try KilledStore.segments(path).last)
        let aside = folder.path("aside")
        try FileManager.default.moveItem(atPath: newest, toPath: aside)
        if kind == "folder" {
            try FileManager.default.createDirectory(atPath: newest, withIntermediateDirectories: false)
        } else {
            try FileManager.default.createSymbolicLink(atPath: newest, withDestinationPath: newest)
        }
        expectRefusal(path, naming: newest)
        // It was not touched: with the file everything is there.
        try FileManager.default.removeItem(atPath: newest)
        try FileManager.default.moveItem(atPath: aside, toPath: newest)
        let store = try SQLiteStore.open(path, as: .owner, options: KilledStore.options)
        #expect(try await store.events(after: 0, limit: 99).count == 8)
        await store.close()
    }

    @Test func aFolderThatCannotBeListedIsNamed() async throws {
        let folder = try TemporaryFolder()
        let path = try await KilledStore.make(folder, events: 2, .behind)
        try FileManager.default.removeItem(atPath: JournalFolder.of(path))
        try FileManager.default.createSymbolicLink(
            atPath: JournalFolder.of(path), withDestinationPath: JournalFolder.of(path))
        expectRefusal(path, naming: JournalFolder.of(path))
    }

    /// A mail whose octets are damaged hides nothing that was stored behind it, and neither its own events. The very last one
    /// cannot be told from one whose group was not synced.
    @Test(arguments: [([0], 8), ([2], 8), ([3], 8), ([6], 8), ([0, 1, 2, 5, 6], 8), ([7], 7), ([6, 7], 7)])
    func aDamagedMailHidesNothingBehindIt(_ damaged: [Int], _ count: Int) async throws {
        let folder = try TemporaryFolder()
        let path = try await KilledStore.make(folder, events: 8, .behind)
        for index in damaged {
            let file = JournalFolder.of(path) + "/0000000\(index / 2 + 1).seg"
            let octets = try Data(contentsOf: URL(fileURLWithPath: file))
            let place = try #require(octets.range(of: Data("\(index) xxxx".utf8), options: .backwards)).lowerBound
            try KilledStore.change(file, at: place + 5000) { $0 ^ 1 }
        }
        #expect(try StoreSummary.read(path).events == count)
        let store = try SQLiteStore.open(path, as: .owner, options: KilledStore.options)
        #expect(try await store.events(after: 0, limit: 99).map(\.event.id) == (0..<count).map { "e\($0)" })
        for index in 0..<count {
            if damaged.contains(index) {
                await #expect(throws: StoreError.self) { try await store.message(Int64(index + 1)) }
            } else {
                #expect(try await store.message(Int64(index + 1))?.bytes == KilledStore.given(index).message.bytes)
            }
        }
        #expect(try await store.commit(KilledStore.given(20)).newEvents == 1)
        await store.close()
        let lost = damaged.filter { $0 < count }.map { "raw message that cannot be read: \($0 + 1)" }
        #expect(try StoreCheck.run(path, isDeep: true).faults == lost)
    }

    /// What a power cut leaves of segments before anything in them was synced, and of those that wait to be used.
    @Test(arguments: KilledStore.Progress.allCases)
    func whatNobodyNeedsYetStopsNothing(_ progress: KilledStore.Progress) async throws {
        let folder = try TemporaryFolder()
        let path = try await KilledStore.make(folder, events: 8, progress)
        let place = JournalFolder.of(path)
        try Data().write(to: URL(fileURLWithPath: place + "/00000090.seg"))
        try Data(count: 39).write(to: URL(fileURLWithPath: place + "/00000091.seg"))
        try Data(count: 9000).write(to: URL(fileURLWithPath: place + "/00000092.seg"))
        try run("/bin/cp", place + "/00000001.seg", place + "/00000093.seg")
        // The group came to the disk, and its header did not.
        var octets = try Data(contentsOf: URL(fileURLWithPath: place + "/00000003.seg"))
        octets.replaceSubrange(0..<512, with: Data(count: 512))
        try octets.write(to: URL(fileURLWithPath: place + "/00000094.seg"))
        let store = try SQLiteStore.open(path, as: .owner, options: KilledStore.options)
        for index in 8..<30 { _ = try await store.commit(KilledStore.given(index)) }
        #expect(try await store.events(after: 0, limit: 99).map(\.event.id) == (0..<30).map { "e\($0)" })
        await store.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }

    /// The segment that the database refers to stays until the database refers to another one, although the place to go
    /// on is in that already: the header there may not be durable.
    @Test func theSegmentOfThePlaceStays() async throws {
        let folder = try TemporaryFolder()
        let path = try await KilledStore.make(folder, events: 2, .following)
        let next = JournalFolder.of(path) + "/00000002.seg"
        let buffer = JournalBuffer()
        SegmentHeader(number: 2, firstSequence: 3, salt: 7).append(to: buffer)
        buffer.appendZeros(JournalFormat.headerLength - buffer.count)
        try Data(buffer.octets).write(to: URL(fileURLWithPath: next))
        var options = KilledStore.options
        options.compresses = true
        options.restingPause = 5
        let store = try SQLiteStore.open(path, as: .owner, options: options)
        #expect(try await eventually { try Rows.count(path, "packed") == 2 })
        // Some more rounds of the background.
        try await Task.sleep(for: .milliseconds(300))
        let copy = folder.path("again")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        try run("/bin/cp", "-r", path, path + "-wal", JournalFolder.of(path), copy)
        await store.close()
        let cut = copy + "/store.db"
        try Data(count: 4096).write(to: URL(fileURLWithPath: JournalFolder.of(cut) + "/00000002.seg"))
        let again = try SQLiteStore.open(cut, as: .owner, options: KilledStore.options)
        #expect(try await again.events(after: 0, limit: 99).count == 2)
        await again.close()
    }

    /// The service's user has to be able to open what root's commands made.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func filesOfRootBelongToTheFoldersOwner() async throws {
        let folder = try TemporaryFolder()
        chown(folder.root, 65534, 65533)
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner, options: KilledStore.options)
        for index in 0..<5 { _ = try await store.commit(KilledStore.given(index)) }
        await store.close()
        let files = try KilledStore.segments(path)
        #expect(files.count > 1)
        for file in files + [JournalFolder.of(path)] {
            var status = stat()
            #expect(stat(file, &status) == 0 && status.st_uid == 65534 && status.st_gid == 65533, "\(file)")
        }
    }
}
