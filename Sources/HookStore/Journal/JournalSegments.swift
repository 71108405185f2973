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
    private let state: Mutex<State>

    /// What the folder holds. The folder need not exist.
    init(folder: String, files: any StoreFiles) {
        self.folder = folder
        self.files = files
        var found = State()
        for (number, octets) in Self.list(folder) {
            found.lastNumber = max(found.lastNumber, number)
            if let header = Self.header(Self.path(folder, number)), header.number == number {
                found.inUse.append(Segment(number: number, firstSequence: header.firstSequence))
            } else {
                found.spares.append(Spare(number: number, octets: octets))
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

    static func list(_ folder: String) -> [(number: Int64, octets: Int)] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var found: [(Int64, Int)] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { octets in
                String(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".seg"), let number = Int64(name.dropLast(4)), number > 0 else { continue }
            var status = stat()
            // A name that is not written as we write it belongs to somebody else.
            guard Self.path(folder, number) == folder + "/" + name, stat(folder + "/" + name, &status) == 0
            else { continue }
            found.append((number, Int(status.st_size)))
        }
        return found
    }

    /// How much room the files of a folder take.
    static func octets(_ folder: String) -> Int { list(folder).reduce(0) { $0 + $1.octets } }

    private static func header(_ path: String) -> SegmentHeader? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        return withUnsafeTemporaryAllocation(byteCount: SegmentHeader.length, alignment: 8) { octets in
            guard pread(descriptor, octets.baseAddress, SegmentHeader.length, 0) == SegmentHeader.length
            else { return nil }
            return SegmentHeader(UnsafeRawBufferPointer(octets))
        }
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

    /// Takes out what is wholly before both a segment that is still referred to and the one that is being read.
    func removeFromUse(before number: Int64, and other: Int64) -> [Segment] {
        state.withLock { state in
            let end = state.inUse.firstIndex { $0.number == number || $0.number == other } ?? 0
            defer { state.inUse.removeFirst(end) }
            return Array(state.inUse[..<end])
        }
    }

    // MARK: - Spare

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

    /// Makes a segment that nothing needs into a spare, or removes it where there are enough.
    func recycle(_ segment: Segment, spareLimit: Int) {
        var status = stat()
        let old = path(segment.number)
        guard stat(old, &status) == 0 else { return }
        let octets = Int(status.st_size)
        guard spareOctets + octets <= spareLimit else {
            _ = files.remove(old)
            return
        }
        // Under its new number the header that is in it says that it is not in use.
        let number = newNumber()
        guard files.rename(old, to: path(number)) == 0, files.synchronizeFolder(folder) == 0 else { return }
        add(Spare(number: number, octets: octets))
    }
}
