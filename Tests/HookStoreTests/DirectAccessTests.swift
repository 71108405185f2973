// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The journal past the page cache: that it goes there, and what does not fit into blocks.

import Foundation
import HookModel
import Testing

@testable import HookStore

@Suite struct DirectAccessTests {
    /// Of open(2); the same on all machines but those of ARM and POWER.
    private static let flag = 0o40000

    static var isPossible: Bool {
        guard let folder = try? TemporaryFolder() else { return false }
        let descriptor = open(folder.path("probe"), O_RDWR | O_CREAT, 0o600)
        defer { close(descriptor) }
        return DirectAccess.set(true, of: descriptor)
    }

    /// The flags of the descriptors of this process whose files are in a folder.
    private func flags(ofFilesIn folder: String) throws -> [Int] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { name in
            guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)"),
                path.hasPrefix(folder),
                let info = try? String(contentsOfFile: "/proc/self/fdinfo/\(name)", encoding: .utf8),
                let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags:") })
            else { return nil }
            return Int(line.dropFirst("flags:".count).trimmingCharacters(in: .whitespaces), radix: 8)
        }
    }

    #if arch(x86_64)
        @Test(.enabled(if: DirectAccessTests.isPossible, "skipped: the file system of the temporary folder cannot do it"))
        func theJournalIsWrittenAndFollowedPastThePageCache() async throws {
            let folder = try TemporaryFolder()
            var options = SQLiteStore.Options()
            // Packing reads through the cache.
            options.compresses = false
            let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: options)
            _ = try await store.commit(entry("one", events: ["e1"]))
            _ = try await store.events(after: 0, limit: 1)
            let flags = try flags(ofFilesIn: folder.path("store.db.journal/"))
            // Who writes, and who brings records to the database.
            #expect(flags.count >= 2)
            #expect(flags.allSatisfy { $0 & Self.flag != 0 })
            await store.close()
        }
    #endif

    @Test func whatFitsIntoNoBlocksIsWrittenAllTheSame() throws {
        let folder = try TemporaryFolder()
        let files = SystemFiles()
        let path = folder.path("file")
        let descriptor = files.open(path, creating: true, isDirect: true)
        defer { files.close(descriptor) }
        let octets = (0..<9000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        for (offset, part) in [(0, 0..<5000), (5000, 5000..<5001), (5001, 5001..<9000)] {
            DirectAccess.set(true, of: descriptor)
            #expect(octets[part].withUnsafeBytes { files.write(descriptor, $0, at: offset) } == 0)
        }
        let isSame = FileManager.default.contents(atPath: path).map(Array.init) == octets
        #expect(isSame)
    }

    /// Where the C library takes room by writing an octet to each block.
    @Test(.enabled(if: SmallDisk.isOldPossible, "skipped: mounting an ext2 in a file needs root, mkfs.ext2 and a loop device"))
    func aFileSystemThatCannotTakeRoomTakesMail() async throws {
        let folder = try TemporaryFolder()
        let disk = try SmallDisk(at: folder.path("disk"), oldFileSystemIn: folder.path("image"), megabytes: 32)
        let store = try SQLiteStore.open(disk.path + "/store.db", as: .owner)
        for index in 0..<20 {
            let content = "\(index) " + String(repeating: "x", count: index * 20_000)
            #expect(try await store.commit(entry(content, events: ["e\(index)"])).newEvents == 1)
        }
        #expect(try await store.events(after: 0, limit: 99).count == 20)
        await store.close()
    }

    /// A power cut may leave the first records of a group, so that the next one does not begin with a block.
    @Test func aGroupBehindHalfOfAnotherIsWhole() throws {
        let folder = try TemporaryFolder()
        let segments = try JournalSegments(folder: folder.path("store.db.journal"), files: SystemFiles())
        let options = JournalWriter.Options(segmentOctets: 1 << 20, reservedOctets: 0)
        func write(_ names: [String], at position: JournalPosition) throws -> JournalPosition {
            let writer = try JournalWriter(segments, options: options, at: position)
            try writer.begin(octets: 1000)
            for name in names {
                let numbers = CommitNumbers(message: 1, duplicateOf: 0, firstEvent: 1, newEvents: [0])
                try writer.append(entry(name, events: [name]), numbers, isLastOfGroup: name == names.last)
            }
            try writer.commit()
            return writer.position
        }
        func records(of last: Int64) throws -> JournalReader {
            let reader = JournalReader(folder: segments.folder, at: JournalPosition())
            reader.set(segments.inUse, end: nil)
            while reader.position.sequence < last { _ = try #require(try reader.next(verifiesRaw: true)) }
            return reader
        }
        _ = try write(["one", "two"], at: JournalPosition())
        let half = try records(of: 1).position
        #expect(half.offset % JournalFormat.alignment != 0)
        // A record that says so comes first where a writer goes on.
        let end = try write(["three", "four"], at: half)
        #expect(end.sequence == 4)
        #expect(try records(of: 4).position == end)
    }

    /// Of messages around the sizes at which the journal's buffer is written: each alone, and all in as few groups as come
    /// of it.
    @Test(arguments: [false, true]) func messagesOfAllSizesAreWhole(together: Bool) async throws {
        let folder = try TemporaryFolder()
        let sizes = [4096, 128 << 10, 256 << 10, 512 << 10, 640 << 10, 1 << 20, 3 << 20].flatMap { size in
            [-4096, -400, -1, 0, 1, 9].map { max(1, size + $0) }
        }
        let given = sizes.enumerated().map { index, size in
            entry("\(index) " + String(repeating: "abcdefghijklmnopqrstuvw", count: size / 23), events: ["e\(index)"])
        }
        var store = try SQLiteStore.open(folder.path("store.db"), as: .owner)
        if together {
            let answers = Tally<Bool>()
            for one in given { store.commit(one) { answers.add((try? $0.get()) != nil) } }
            #expect(try await eventually { answers.all.count == given.count })
            #expect(answers.all.allSatisfy { $0 })
        } else {
            for one in given { _ = try await store.commit(one) }
        }
        for _ in 0..<2 {
            for (index, one) in given.enumerated() {
                let message = try #require(try await store.message(ofEvent: "e\(index)"))
                let isSame = message.bytes == one.message.bytes
                #expect(isSame, "\(one.message.bytes.count) octets")
            }
            await store.close()
            store = try SQLiteStore.open(folder.path("store.db"), as: .owner)
        }
        await store.close()
    }
}
