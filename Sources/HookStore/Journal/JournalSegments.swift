// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which files the journal consists of: those in use, in the order of their records, and those that
// wait to be used again. Knows nothing of what the records mean.

internal import Glibc
internal import HookModel
internal import Synchronization

/// Safe to share.
final class JournalSegments: Sendable {
    struct Segment: Sendable, Equatable {
        var number: Int64
        var firstSequence: Int64
    }

    /// A file that was written before and holds nothing that is needed.
    struct Spare: Sendable {
        var number: Int64
        var octets: Int
    }

    private struct State {
        var inUse: [Segment] = []
        var spares: [Spare] = []
        var lastNumber: Int64 = 0
    }

    let folder: String
    let files: any StoreFiles
    /// Whether there was a folder at the beginning, and whether there was any segment in it.
    let hadFolder: Bool
    let hadSegments: Bool
    private let state: Mutex<State>

    /// What the folder holds. The folder need not exist.
    ///
    /// - Throws: where a file cannot be read, or its head is damaged: what was acknowledged may be in it.
    init(folder: String, files: any StoreFiles) throws(StoreError) {
        self.folder = folder
        self.files = files
        var found = State()
        let listed = try Self.list(folder)
        hadFolder = listed != nil
        hadSegments = listed?.isEmpty == false
        for (number, octets) in listed ?? [] {
            found.lastNumber = max(found.lastNumber, number)
            switch try SegmentHead.read(Self.path(folder, number), number: number) {
            case .inUse(let header): found.inUse.append(Segment(number: number, firstSequence: header.firstSequence))
            case .unused: found.spares.append(Spare(number: number, octets: octets))
            // Another process, which owns the store, gave it up meanwhile.
            case .gone: break
            }
        }
        found.inUse.sort { ($0.firstSequence, $0.number) < ($1.firstSequence, $1.number) }
        state = Mutex(found)
    }

    static func path(_ folder: String, _ number: Int64) -> String {
        let digits = String(number)
        return folder + "/" + String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits + ".seg"
    }

    func path(_ number: Int64) -> String { Self.path(folder, number) }

    /// The segments of a folder; nil where there is no folder.
    static func list(_ folder: String) throws(StoreError) -> [(number: Int64, octets: Int)]? {
        guard let directory = opendir(folder) else {
            if errno == ENOENT { return nil }
            throw StoreError(opening: folder, errno: errno)
        }
        defer { closedir(directory) }
        var found: [(Int64, Int)] = []
        while true {
            // By the number of the error alone the end is told from a failure (readdir(3)).
            errno = 0
            guard let entry = readdir(directory) else {
                if errno != 0 { throw StoreError(opening: folder, errno: errno) }
                return found
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { octets in
                String(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".seg"), let number = Int64(name.dropLast(4)), number > 0 else { continue }
            var status = stat()
            // A name that is not written as we write it belongs to somebody else.
            guard Self.path(folder, number) == folder + "/" + name else { continue }
            guard stat(folder + "/" + name, &status) == 0 else {
                if errno == ENOENT { continue }
                throw StoreError(opening: folder + "/" + name, errno: errno)
            }
            found.append((number, Int(status.st_size)))
        }
    }

    /// How much room the files of a folder take.
    static func octets(_ folder: String) throws(StoreError) -> Int {
        try list(folder)?.reduce(0) { $0 + $1.octets } ?? 0
    }

    // MARK: - In use

    var inUse: [Segment] { state.withLock { $0.inUse } }

    func use(_ header: SegmentHeader) {
        state.withLock {
            $0.inUse.removeAll { $0.number == header.number }
            $0.inUse.append(Segment(number: header.number, firstSequence: header.firstSequence))
        }
    }

    func removeFromUse(_ number: Int64) { state.withLock { $0.inUse.removeAll { $0.number == number } } }

    /// Takes out what is wholly before both the first segment that is still referred to and the one that is being read,
    /// but for those that are held.
    ///
    /// - Parameter settled: its first segment, where it is not in use (its file was taken away), says nothing about where
    ///   those behind it begin: then nothing is taken out.
    func removeFromUse(before settled: WriteJob.Settled) -> [Segment] {
        state.withLock { state in
            var end = state.inUse.endIndex
            for number in [settled.segment, settled.firstSegment ?? settled.segment] {
                guard let index = state.inUse.firstIndex(where: { $0.number == number }) else { return [] }
                end = min(end, index)
            }
            let gone = state.inUse[..<end].filter { !settled.held.contains($0.number) }
            state.inUse.removeAll { gone.contains($0) }
            return gone
        }
    }

    // MARK: - Spare

    /// Of what is free on the disk, spares may be one part in so many.
    private static let spareShare = 4

    var hasSpare: Bool { state.withLock { !$0.spares.isEmpty } }

    func takeSpare() -> Spare? {
        state.withLock { $0.spares.isEmpty ? nil : $0.spares.removeFirst() }
    }

    /// Numbers up to this one were used before.
    func reserve(_ number: Int64) { state.withLock { $0.lastNumber = max($0.lastNumber, number) } }

    func newNumber() -> Int64 {
        state.withLock {
            $0.lastNumber += 1
            return $0.lastNumber
        }
    }

    func add(_ spare: Spare) { state.withLock { $0.spares.append(spare) } }

    /// Octets of all spares.
    var spareOctets: Int { state.withLock { $0.spares.reduce(0) { $0 + $1.octets } } }

    /// Gives their room back to the disk.
    func removeSpares() {
        while let spare = takeSpare() { _ = files.remove(path(spare.number)) }
    }

    /// Makes a segment that nothing needs into a spare, or removes it where there are enough.
    func recycle(_ segment: Segment, spareLimit: Int) {
        var status = stat()
        let old = path(segment.number)
        guard stat(old, &status) == 0 else { return }
        let octets = Int(status.st_size)
        // On a small disk, or one that is filling up, they are in the way.
        guard spareOctets + octets <= min(spareLimit, (FreeSpace.octets(at: folder) ?? .max) / Self.spareShare) else {
            _ = files.remove(old)
            return
        }
        // Under its new number the header that is in it says that it is not in use.
        let number = newNumber()
        guard files.rename(old, to: path(number)) == 0, files.synchronizeFolder(folder) == 0 else { return }
        add(Spare(number: number, octets: octets))
    }
}
