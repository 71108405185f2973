// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes a segment full of zeros before it is needed: a sync of octets in a file that was written
// before changes no metadata, and takes two thirds of the time. Works only where it pays: when the
// journal was used for a while, has no spare segment, and the disk is not at its limit.

internal import Glibc
internal import HookModel
internal import Synchronization

/// Safe to share: the thread's own state is touched by the thread only.
final class SegmentKeeper: @unchecked Sendable {
    /// Octets between two looks at whether a spare segment is wanted.
    private static let octetsBetweenLooks = 1 << 20
    /// At more octets a second than this the disk has better things to do.
    private static let busyRate = 96 << 20
    private static let piece = 256 << 10
    /// Octets between two syncs, so that the journal's own syncs wait for little.
    private static let octetsBetweenSyncs = 2 << 20

    private let segments: JournalSegments
    private let segmentOctets: Int
    private let queue = StoreQueue<Void>()
    private let written = Atomic<Int>(0)
    private let isAsked = Atomic<Bool>(false)
    private let mustGiveUp = Atomic<Bool>(false)
    private let isClosed = Atomic<Bool>(false)
    /// Of the journal's thread: octets at the last look.
    private let lookedAt = Atomic<Int>(0)

    init(_ segments: JournalSegments, segmentOctets: Int) {
        self.segments = segments
        self.segmentOctets = segmentOctets
    }

    /// Called by the journal's thread after each group.
    func noteWritten(_ octets: Int) {
        let sum = written.add(octets, ordering: .relaxed).newValue
        guard sum - lookedAt.load(ordering: .relaxed) >= Self.octetsBetweenLooks else { return }
        lookedAt.store(sum, ordering: .relaxed)
        guard !segments.hasSpare, !isAsked.exchange(true, ordering: .relaxed) else { return }
        _ = queue.add(())
    }

    var segmentsInUse: Int { segments.inUse.count }

    /// The disk is full. Called by the journal's thread.
    func giveUpSpares() { segments.removeSpares() }

    /// The same for other threads, on this one: it ends before the store's lock is given up, and so takes nothing away from the
    /// next owner.
    func giveUpSparesSoon() {
        mustGiveUp.store(true, ordering: .relaxed)
        _ = queue.add(())
    }

    func close() {
        isClosed.store(true, ordering: .relaxed)
        queue.close()
    }

    /// The thread's whole life.
    func run() {
        while queue.takeAll() != nil {
            if mustGiveUp.exchange(false, ordering: .relaxed) {
                segments.removeSpares()
            } else if !segments.hasSpare, !isClosed.load(ordering: .relaxed) {
                prepare()
            }
            isAsked.store(false, ordering: .relaxed)
        }
    }

    private func prepare() {
        let number = segments.newNumber()
        let path = segments.path(number)
        let files = segments.files
        let descriptor = files.open(path, creating: true, isDirect: true)
        guard descriptor >= 0 else { return }
        defer { files.close(descriptor) }
        guard fill(descriptor), files.synchronizeFolder(segments.folder) == 0 else {
            _ = files.remove(path)
            return
        }
        segments.add(JournalSegments.Spare(number: number, octets: segmentOctets))
    }

    /// Returns when the journal writes little enough.
    private func waitWhileBusy() {
        let pause = Duration.milliseconds(20)
        while !isClosed.load(ordering: .relaxed) {
            let before = written.load(ordering: .relaxed)
            usleep(20_000)
            let rate = Double(written.load(ordering: .relaxed) - before) / (pause / .seconds(1))
            if rate <= Double(Self.busyRate) { return }
        }
    }

    /// False if there is no room, no time or no wish any more.
    private func fill(_ descriptor: Int32) -> Bool {
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.piece, alignment: DirectAccess.alignment)
        defer { zeros.deallocate() }
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        guard let free = FreeSpace.octets(of: descriptor), free / 4 > segmentOctets else { return false }
        var offset = 0
        while offset < segmentOctets {
            let count = min(Self.piece, segmentOctets - offset)
            guard segments.files.write(descriptor, UnsafeRawBufferPointer(rebasing: zeros[..<count]), at: offset) == 0
            else { return false }
            offset += count
            guard offset % Self.octetsBetweenSyncs == 0 || offset == segmentOctets else { continue }
            guard segments.files.synchronize(descriptor) == 0 else { return false }
            waitWhileBusy()
            guard !isClosed.load(ordering: .relaxed) else { return false }
        }
        return true
    }
}
