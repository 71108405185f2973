// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which segments are given up, and what room is told of.

import HookModel
import Testing

@testable import HookStore

@Suite struct JournalSegmentsTests {
    /// Segments 1 to 4 are in use, recycled out of their order.
    private func segments(_ folder: TemporaryFolder) throws -> JournalSegments {
        let segments = try JournalSegments(folder: folder.path("store.db.journal"), files: SystemFiles())
        for (index, number) in [Int64(3), 1, 4, 2].enumerated() {
            segments.use(SegmentHeader(number: number, firstSequence: Int64(index * 10 + 1), salt: 1))
        }
        return segments
    }

    @Test(arguments: [
        (nil, 4, [3, 1]), (1, 4, [3]), (4, 1, [3]), (3, 2, []), (2, 2, [3, 1, 4]), (nil, 2, [3, 1, 4]), (nil, 3, []),
        // The one that is referred to is not there, or nothing was read yet.
        (9, 2, []), (9, 4, []), (1, 0, []), (nil, 0, []),
    ] as [(Int64?, Int64, [Int64])])
    func whatIsBeforeAllThatIsNeededGoes(_ first: Int64?, _ reading: Int64, _ gone: [Int64]) throws {
        let folder = try TemporaryFolder()
        for held in [[], [1], [3, 4], [9]] as [Set<Int64>] {
            let segments = try segments(folder)
            let settled = WriteJob.Settled(firstSegment: first, held: held, segment: reading)
            let going = gone.filter { !held.contains($0) }
            #expect(segments.removeFromUse(before: settled).map(\.number) == going)
            #expect(segments.inUse.map(\.number) == [3, 1, 4, 2].filter { !going.contains($0) })
        }
    }

    /// What is more than a number holds is room, and not the little that is left of it.
    @Test func aVeryLargeFileSystemIsNotFull() {
        #expect(FreeSpace.octets(blocks: 10, of: 4096) == 40_960)
        #expect(FreeSpace.octets(blocks: 1 << 52, of: 4096) == .max)
        #expect(FreeSpace.octets(blocks: 1 << 51, of: 4096) == .max)
        #expect(FreeSpace.octets(blocks: 0, of: 4096) == 0)
    }
}
