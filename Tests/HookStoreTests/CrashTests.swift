// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is left of a store when its process, its disk or its permissions end at a bad moment.

import Foundation
import Glibc
import HookModel
import Testing

@testable import HookStore

@Suite struct CrashTests {
    /// A copy of the files, taken while commits run, is what a killed process leaves: everything that was acknowledged
    /// before the copy began is in it, and nothing in it is torn.
    @Test func acknowledgedCommitsAreInACrashImage() async throws {
        let folder = try TemporaryFolder()
        var options = SQLiteStore.Options()
        // Checkpoints run during the test.
        options.logOctets = 8 << 20
        options.waitingKeys = 100
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: options)
        let isOver = Flag()
        let acknowledged = Tally<String>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<6 {
                group.addTask {
                    var index = 0
                    while !isOver.isSet {
                        let id = "e\(task)-\(index)"
                        let content = "\(task)-\(index) " + String(repeating: "x", count: 3000)
                        let receipt = try await store.commit(entry(content, events: [id], to: ["s"]))
                        #expect(receipt.newEvents == 1)
                        acknowledged.add(id)
                        index += 1
                    }
                }
            }
            defer { isOver.set() }
            while acknowledged.all.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            for image in 0..<8 {
                let known = acknowledged.all.count
                #expect(try await eventually { acknowledged.all.count >= known + 40 })
                try await Task.sleep(for: .milliseconds(50))
                let before = acknowledged.all
                try await check(image: image, of: folder, holds: before)
            }
            isOver.set()
            try await group.waitForAll()
        }
        await store.close()
    }

    private func check(image: Int, of folder: TemporaryFolder, holds before: [String]) async throws {
        let copy = folder.path("image\(image)")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
        try copyImage(of: folder.path("store.db"), to: copy)
        let opened = try SQLiteStore.open(copy + "/store.db", as: .owner)
        let events = Set(try await opened.events(after: 0, limit: 1_000_000).map(\.event.id))
        #expect(events.isSuperset(of: before), "image \(image) lacks \(Set(before).subtracting(events).count)")
        #expect(!before.isEmpty)
        let counts = try await opened.counts()
        // Message, event and delivery are stored together.
        #expect(counts.messages == counts.events)
        #expect(counts.events == counts.deliveriesWaiting)
        // It goes on from there.
        #expect(try await opened.commit(entry("after", events: ["after"], to: ["s"])).newEvents == 1)
        await opened.close()
    }

    /// There is no one moment for two files. So the copy is taken again until no checkpoint ran in between, which would
    /// have changed the database file, and the log did not begin again, which would have changed its first octets.
    private func copyImage(of path: String, to folder: String) throws {
        for _ in 0..<200 {
            let before = modification(of: path)
            let head = try head(of: path + "-wal")
            // By another process: closing the files here would drop this process's locks on them (fcntl(2)).
            try run("/bin/cp", path, path + "-wal", folder)
            if modification(of: path) == before, try self.head(of: path + "-wal") == head {
                // Later, so that it may hold records that the database does not have.
                try run("/bin/cp", "-r", JournalFolder.of(path), folder)
                return
            }
        }
        Issue.record("no quiet moment for a copy")
    }

    private func head(of path: String) throws -> Data? {
        try FileHandle(forReadingFrom: URL(fileURLWithPath: path)).read(upToCount: 32)
    }

    private func modification(of path: String) -> [Int] {
        var status = stat()
        _ = stat(path, &status)
        return [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, Int(status.st_size)]
    }

    /// A real file system that is full: the sender is told to try again, nothing acknowledged is lost, and with room
    /// the store goes on.
    @Test(.enabled(if: SmallDisk.isPossible, "skipped: mounting a small tmpfs needs root"))
    func aFullDiskIsTemporary() async throws {
        let folder = try TemporaryFolder()
        let disk = try SmallDisk(at: folder.path("disk"), megabytes: 5)
        let path = disk.path + "/store.db"
        let ballast = disk.path + "/ballast"
        // More than the journal leaves for the database, which may have taken all of that.
        try Data(count: 2 << 20).write(to: URL(fileURLWithPath: ballast))
        let store = try SQLiteStore.open(path, as: .owner)
        var stored: [String] = []
        var failure: StoreError?
        for index in 0..<1000 where failure == nil {
            do throws(StoreError) {
                let content = "\(index) " + String(repeating: "y", count: 20_000)
                _ = try await store.commit(entry(content, events: ["e\(index)"], to: ["s"]))
                stored.append("e\(index)")
            } catch {
                failure = error
            }
        }
        guard case .full(let text)? = failure else {
            Issue.record("\(String(describing: failure))")
            await store.close()
            return
        }
        #expect(text.contains(disk.path))
        #expect(failure?.outcome == .storeFull)
        #expect(!stored.isEmpty)
        // Whoever reads sees all of that, or hears that the database has no room for what only the journal has as yet.
        do throws(StoreError) {
            #expect(try await store.events(after: 0, limit: 2000).map(\.event.id) == stored)
        } catch {
            guard case .full = error else { throw error }
        }
        // Many at once meet the same end, each with an answer. The first may get the room that the log gives back.
        let answers = Tally<Result<CommitReceipt, StoreError>>()
        for index in 0..<20 {
            store.commit(entry("full\(index) " + String(repeating: "z", count: 200_000))) { answers.add($0) }
        }
        #expect(try await eventually { answers.all.count == 20 })
        #expect(answers.all.count { if case .failure(.full) = $0 { true } else { false } } > 10)
        #expect(answers.all.allSatisfy { if case .failure(let error) = $0 { error.outcome == .storeFull } else { true } })
        try FileManager.default.removeItem(atPath: ballast)
        // At once, or within a second, as docs/store.md has it; on a machine at work a little later.
        var receipt: CommitReceipt?
        for _ in 0..<20 where receipt == nil {
            do throws(StoreError) {
                receipt = try await store.commit(entry("small", events: ["small"], to: ["s"]))
            } catch {
                guard case .full = error else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        #expect(receipt?.newEvents == 1)
        #expect(try await store.events(after: 0, limit: 2000).map(\.event.id) == stored + ["small"])
        await store.close()
        let again = try SQLiteStore.open(path, as: .owner)
        #expect(try await again.events(after: 0, limit: 2000).map(\.event.id) == stored + ["small"])
        await again.close()
    }

    /// What does not fit takes no room from what does.
    @Test(.enabled(if: SmallDisk.isPossible, "skipped: mounting a small tmpfs needs root"))
    func aMailLargerThanTheDiskLeavesRoomForOthers() async throws {
        let folder = try TemporaryFolder()
        let disk = try SmallDisk(at: folder.path("disk"), megabytes: 16)
        let path = disk.path + "/store.db"
        let store = try SQLiteStore.open(path, as: .owner)
        _ = try await store.commit(entry("first", events: ["first"]))
        let before = try JournalSegments.octets(JournalFolder.of(path))
        let large = entry("large" + String(repeating: "x", count: 20 << 20), events: ["large"])
        let error = await #expect(throws: StoreError.self) { try await store.commit(large) }
        guard case .full? = error else { Issue.record("\(String(describing: error))"); return }
        #expect(try JournalSegments.octets(JournalFolder.of(path)) == before)
        for index in 0..<40 {
            _ = try await store.commit(entry("\(index) " + String(repeating: "y", count: 20_000), events: ["e\(index)"]))
        }
        #expect(try await store.events(after: 0, limit: 99).count == 41)
        await store.close()
    }

    /// Root may write anywhere, so the folder is made read-only by its mount.
    @Test(.enabled(if: SmallDisk.isPossible, "skipped: mounting a small tmpfs needs root"))
    func aReadOnlyFileSystemIsNamedAndReadable() async throws {
        let folder = try TemporaryFolder()
        let disk = try SmallDisk(at: folder.path("disk"), megabytes: 16)
        let path = disk.path + "/store.db"
        let store = try SQLiteStore.open(path, as: .owner)
        _ = try await store.commit(entry("m", events: ["e"], to: ["s"]))
        await store.close()
        try disk.makeReadOnly()
        let error = #expect(throws: StoreError.self) { try SQLiteStore.open(path, as: .owner) }
        guard case .notWritable(let text)? = error, text.contains(path) else {
            Issue.record("\(String(describing: error))")
            return
        }
        let reader = try SQLiteStore.open(path, as: .reader)
        #expect(try await reader.events(after: 0, limit: 9).map(\.event.id) == ["e"])
        await reader.close()
    }
}
