// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The journal and the disk it lies on: what is kept for later use makes way, and mail that never stops does not let the
// journal grow without end. And what backups and restores leave there when they are ended, or meet each other.

import Foundation
import HookModel
import Testing

@testable import HookStore

@Suite struct CrowdedDiskTests {
    private static func files(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path)).sorted()
    }

    /// On a full disk a spare segment is room.
    @Test func sparesMakeWay() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        let files = FailingFiles()
        var options = SQLiteStore.Options()
        options.compresses = false
        let store = try SQLiteStore.open(path, as: .owner, options: options, files: files)
        _ = try await store.commit(entry("first", events: ["first"]))
        await store.close()
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: JournalFolder.of(path) + "/00000007.seg"))
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: JournalFolder.of(path) + "/00000008.seg"))
        let again = try SQLiteStore.open(path, as: .owner, options: options, files: files)
        // It takes the first one; the second is left.
        _ = try await again.commit(entry("second", events: ["second"]))
        #expect(try Self.files(path).count == 3)
        files.fail(.write, ENOSPC)
        await #expect(throws: StoreError.self) { _ = try await again.commit(entry("third", events: ["third"])) }
        #expect(try Self.files(path).count == 2)
        files.heal()
        _ = try await again.commit(entry("third", events: ["third"]))
        #expect(try await again.counts().events == 3)
        // Asked to, it does the same before any write fails.
        let spare = JournalFolder.of(path) + "/00000077.seg"
        await again.close()
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: spare))
        let last = try SQLiteStore.open(path, as: .owner, options: options)
        last.makeRoom()
        #expect(try await eventually { !FileManager.default.fileExists(atPath: spare) })
        await last.close()
    }

    /// Twenty at a time, so that the store is never at rest.
    private static func load(_ store: SQLiteStore, rounds: Int, _ content: (Int) -> String) async throws -> Int {
        var most = 0
        for round in 0..<rounds {
            try await withThrowingTaskGroup { group in
                for index in 0..<20 {
                    let text = content(round * 20 + index)
                    group.addTask { _ = try await store.commit(entry(text, messageID: text)) }
                }
                try await group.waitForAll()
            }
            try await Task.sleep(for: .milliseconds(10))
            most = max(most, store.segmentsInUse)
        }
        return most
    }

    private static var busy: SQLiteStore.Options {
        var options = SQLiteStore.Options()
        options.segmentOctets = 64 << 10
        options.restingPause = 100
        return options
    }

    /// Nothing in its segments is needed: the same mail again and again.
    @Test func whatNobodyNeedsIsUsedAgainWithoutRest() async throws {
        let folder = try TemporaryFolder()
        var options = Self.busy
        // A quarter of these is when it begins to look.
        options.segmentsWithoutRest = 16
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: options)
        _ = try await store.commit(entry("the same", messageID: "the same"))
        // Its own octets leave the journal at rest.
        try await Task.sleep(for: .milliseconds(600))
        let most = try await Self.load(store, rounds: 300) { _ in "the same" }
        // The pause that was begun at rest is two seconds.
        #expect(most < 24, "of 33 that are filled")
        await store.close()
    }

    /// Above the mark mail is compressed all the same.
    @Test func manySegmentsAreCompressedWithoutRest() async throws {
        let folder = try TemporaryFolder()
        var options = Self.busy
        options.segmentsWithoutRest = 4
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: options)
        let most = try await Self.load(store, rounds: 200) { "\($0) " + String(repeating: "x", count: 3000) }
        #expect(most < 160, "of some 250")
        #expect(try await store.counts().messages == 4000)
        await store.close()
    }

    /// A store with one event, and a backup of it.
    private static func backedUp(in folder: TemporaryFolder) async throws -> (path: String, backup: String) {
        let (path, backup) = (folder.path("store.db"), folder.path("backup"))
        let store = try SQLiteStore.open(path, as: .owner)
        _ = try await store.commit(entry("m", events: ["e"]))
        _ = try StoreBackup.make(of: path, at: backup, isReplacing: false)
        await store.close()
        return (path, backup)
    }

    /// What a backup or a restore leaves when it is ended in its middle.
    @Test func aRestoreThatWasEndedIsNotTakenForAStore() async throws {
        let folder = try TemporaryFolder()
        let (path, backup) = try await Self.backedUp(in: folder)
        // Journal and database are moved already, the copy is not in their place yet.
        try FileManager.default.copyItem(atPath: backup, toPath: path + ".restored")
        try FileManager.default.moveItem(atPath: JournalFolder.of(path), toPath: path + ".before-restore-1.journal")
        let error = #expect(throws: StoreError.self) { _ = try SQLiteStore.open(path, as: .owner) }
        #expect("\(String(describing: error))".contains("store restore"))
        // It goes on under the number that was begun.
        #expect(try StoreUpkeep.restore(path, from: backup) == path + ".before-restore-1")
        let again = try SQLiteStore.open(path, as: .owner)
        #expect(try await again.counts().events == 1)
        await again.close()
        #expect(try StoreUpkeep.restore(path, from: backup) == path + ".before-restore-2")
    }

    @Test func aBackupIsWrittenByOne() async throws {
        let folder = try TemporaryFolder()
        let (path, target) = (folder.path("store.db"), folder.path("backup"))
        let store = try SQLiteStore.open(path, as: .owner)
        _ = try await store.commit(entry("m", events: ["e"]))
        let part = open(target + ".part", O_RDWR | O_CREAT, 0o600)
        defer { close(part) }
        try #require(flock(part, LOCK_EX | LOCK_NB) == 0)
        #expect(throws: StoreError.busy("\(target).part: another backup is being written there")) {
            try StoreBackup.make(of: path, at: target, isReplacing: true)
        }
        #expect(FileManager.default.fileExists(atPath: target + ".part"), "it is the other one's")
        // Of one that was killed.
        flock(part, LOCK_UN)
        _ = try StoreBackup.make(of: path, at: target, isReplacing: true)
        #expect(!FileManager.default.fileExists(atPath: target + ".part"))
        await store.close()
    }

    /// Many at once: each says that it is whole or that it is not.
    @Test func backupsToOneTargetLeaveAWholeOne() async throws {
        let folder = try TemporaryFolder()
        let (path, target) = (folder.path("store.db"), folder.path("backup"))
        let store = try SQLiteStore.open(path, as: .owner)
        for index in 0..<200 { _ = try await store.commit(entry("\(index) " + String(repeating: "x", count: 2000))) }
        let made = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var made = false
                    for _ in 0..<15 {
                        do {
                            _ = try StoreBackup.make(of: path, at: target, isReplacing: true)
                            made = true
                        } catch StoreError.busy {}
                    }
                    return made
                }
            }
            return try await group.reduce(false) { $0 || $1 }
        }
        #expect(made)
        await store.close()
        let copy = try SQLiteStore.open(target, as: .reader)
        #expect(try await copy.counts().messages == 200)
        await copy.close()
    }

    /// An earlier version made it: it has no journal, and the next owner brings it up to date.
    @Test func anOldBackupIsRestored() async throws {
        let folder = try TemporaryFolder()
        let (path, backup) = try await Self.backedUp(in: folder)
        let connection = try SQLiteConnection(backup, .readWrite)
        try #require(Schema.known == 5)
        try connection.execute("PRAGMA user_version = 4")
        _ = try StoreUpkeep.restore(path, from: backup)
        let again = try SQLiteStore.open(path, as: .owner)
        #expect(try await again.counts().events == 1)
        await again.close()
    }
}
