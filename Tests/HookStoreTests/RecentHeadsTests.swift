// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Heads behind large messages come from memory where they are there, and from the file where they are not.

import Foundation
import HookModel
import Testing

@testable import HookStore

@Suite struct RecentHeadsTests {
    private static func head(_ octets: Int) -> [UInt8] { Array(repeating: 7, count: octets) }

    private func add(_ heads: RecentHeads, _ sequence: Int64, _ octets: Int) {
        Self.head(octets).withUnsafeBytes { heads.add($0, sequence: sequence) }
    }

    @Test func eachIsThereOnceAndInOrder() {
        let heads = RecentHeads()
        for sequence in [3, 5, 6, 9] as [Int64] { add(heads, sequence, Int(sequence)) }
        #expect(heads.take(2) == nil)
        #expect(heads.take(3) == Self.head(3))
        #expect(heads.take(3) == nil)
        #expect(heads.take(6) == Self.head(6))
        #expect(heads.take(5) == nil)
        heads.forget(after: 8)
        #expect(heads.take(9) == nil)
    }

    @Test func theOldestGoFirst() {
        let heads = RecentHeads()
        for sequence in 1...5 as ClosedRange<Int64> { add(heads, sequence, 100 << 10) }
        #expect(heads.take(3) == nil)
        #expect(heads.take(4) == Self.head(100 << 10))
        // Larger than all that is kept.
        add(heads, 6, 300 << 10)
        #expect(heads.take(5) == Self.head(100 << 10))
        #expect(heads.take(6) == nil)
    }

    @Test func theReaderTakesThemAndChecksThem() throws {
        let folder = try TemporaryFolder()
        let segments = try JournalSegments(folder: folder.path("store.db.journal"), files: SystemFiles())
        let heads = RecentHeads()
        let writer = try JournalWriter(
            segments, options: .init(segmentOctets: 1 << 20, reservedOctets: 0), at: JournalPosition(), recentHeads: heads)
        var offsets: [Int] = []
        for sequence in 1...4 as ClosedRange<Int64> {
            try writer.begin(octets: 50_000)
            // The third is small: behind it the head comes with what is around it.
            let content = "\(sequence) " + String(repeating: "x", count: sequence == 3 ? 100 : 50_000)
            let numbers = CommitNumbers(message: sequence, duplicateOf: 0, firstEvent: sequence, newEvents: [])
            offsets.append(max(writer.position.offset, JournalFormat.headerLength))
            try writer.append(entry(content), numbers, isLastOfGroup: true)
            try writer.commit()
        }
        func read(_ heads: RecentHeads?) throws -> JournalPosition {
            let reader = JournalReader(folder: segments.folder, at: JournalPosition(), recentHeads: heads)
            reader.set(segments.inUse, end: writer.position)
            while reader.position.sequence < 4, try reader.next(verifiesRaw: false) != nil {}
            return reader.position
        }
        #expect(try read(nil) == writer.position)
        let file = segments.path(writer.position.segment)
        let handle = try #require(FileHandle(forUpdatingAtPath: file))
        // The second and third heads are in memory, so that nobody sees that they are not in the file.
        for offset in offsets[1...2] {
            try handle.seek(toOffset: UInt64(offset))
            try handle.write(contentsOf: Data(count: 64))
        }
        try handle.close()
        #expect(try read(heads) == writer.position)
        // They were taken. Others that do not fit are no heads of ours.
        #expect(try read(heads).sequence == 1)
        add(heads, 2, 500)
        #expect(try read(heads).sequence == 1)
    }
}
