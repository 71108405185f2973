// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A disk on which the power fails: records every change that a store makes to its files, and makes
// up what could be there if the power had failed at any of them. What was synced is there; of what
// was not, anything may be: nothing, all, some pages, torn sectors, names that came or went.

import Foundation
import Glibc
import HookStore
import Synchronization

/// What happened to the files below one folder, in order.
final class PowerCutLog: Sendable {
    enum Entry: Sendable {
        case create(String)
        case write(String, offset: Int, [UInt8])
        case resize(String, Int)
        /// Of what was recorded before `through`.
        case synchronize(String, through: Int)
        case rename(String, String)
        case remove(String)
        case synchronizeFolder(String)
        /// Not a change of files: something the test was told.
        case note(String)

        /// What follows, the first group, is a write of its own. A segment that is written ahead comes in larger pieces.
        var isSegmentHeader: Bool {
            guard case .write(let path, 0, let octets) = self else { return false }
            return path.hasSuffix(".seg") && octets.count == 4096
        }
    }

    let folder: String
    private let entries = Mutex<[Entry]>([])

    init(folder: String) { self.folder = folder }

    func add(_ entry: Entry) { entries.withLock { $0.append(entry) } }
    var all: [Entry] { entries.withLock { $0 } }
    var count: Int { entries.withLock { $0.count } }
}

/// The journal's file operations, recorded.
final class RecordedFiles: StoreFiles {
    private let log: PowerCutLog
    private let real = SystemFiles()
    private let paths = Mutex<[Int32: String]>([:])

    init(_ log: PowerCutLog) { self.log = log }

    private func path(_ descriptor: Int32) -> String { paths.withLock { $0[descriptor] ?? "" } }

    func open(_ path: String, creating: Bool, isDirect: Bool) -> Int32 {
        if creating { log.add(.create(path)) }
        let descriptor = real.open(path, creating: creating, isDirect: isDirect)
        if descriptor >= 0 { paths.withLock { $0[descriptor] = path } }
        return descriptor
    }

    func close(_ descriptor: Int32) {
        paths.withLock { $0[descriptor] = nil }
        real.close(descriptor)
    }

    func write(_ descriptor: Int32, _ octets: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        log.add(.write(path(descriptor), offset: offset, Array(octets)))
        return real.write(descriptor, octets, at: offset)
    }

    func allocate(_ descriptor: Int32, size: Int) -> Int32 {
        log.add(.resize(path(descriptor), size))
        return real.allocate(descriptor, size: size)
    }

    func synchronize(_ descriptor: Int32) -> Int32 {
        // What is written while it runs need not be on the disk when it ends.
        let through = log.count
        let status = real.synchronize(descriptor)
        if status == 0 { log.add(.synchronize(path(descriptor), through: through)) }
        return status
    }

    func rename(_ from: String, to: String) -> Int32 {
        log.add(.rename(from, to))
        return real.rename(from, to: to)
    }

    func remove(_ path: String) -> Int32 {
        log.add(.remove(path))
        return real.remove(path)
    }

    func makeFolder(_ path: String) -> Int32 { real.makeFolder(path) }

    func synchronizeFolder(_ path: String) -> Int32 {
        let status = real.synchronizeFolder(path)
        if status == 0 { log.add(.synchronizeFolder(path)) }
        return status
    }
}

/// The disk after some of a log's entries.
struct PowerCutDisk {
    /// How the power fails.
    enum Cut: CaseIterable {
        /// Nothing is left of what was not synced.
        case bare
        /// The kernel had written everything; or only the process ended.
        case full
        /// Some pages and names were written, one sector of some pages only in part.
        case mixed
    }

    private final class File {
        /// What is on the disk for certain.
        var durable: [UInt8] = []
        var pending: [(index: Int, entry: PowerCutLog.Entry)] = []

        static func apply(_ entry: PowerCutLog.Entry, to octets: inout [UInt8]) {
            switch entry {
            case .write(_, let offset, let new):
                if octets.count < offset + new.count {
                    octets += Array(repeating: 0, count: offset + new.count - octets.count)
                }
                octets.replaceSubrange(offset..<offset + new.count, with: new)
            case .resize(_, let size):
                if octets.count < size {
                    octets += Array(repeating: 0, count: size - octets.count)
                } else {
                    octets.removeLast(octets.count - size)
                }
            default: break
            }
        }
    }

    private var names: [String: File] = [:]
    private var durableNames: [String: File] = [:]
    /// Changes of names since the last sync of the folder.
    private var pendingNames: [(String, File?)] = []

    mutating func apply(_ entry: PowerCutLog.Entry, _ index: Int) {
        switch entry {
        case .create(let path):
            if names[path] == nil { setName(path, File()) }
        case .write(let path, _, _):
            file(path).pending.append((index, entry))
        case .resize(let path, let size):
            // The journal makes files longer only; the database's log is also cut off.
            if path.hasSuffix(".seg"), (names[path]?.durable.count ?? 0) >= size { return }
            file(path).pending.append((index, entry))
        case .synchronize(let path, let through):
            let file = file(path)
            for (_, entry) in file.pending.prefix(while: { $0.index < through }) {
                File.apply(entry, to: &file.durable)
            }
            file.pending.removeAll { $0.index < through }
            // SQLite syncs the folder of a file that it made.
            if !path.hasSuffix(".seg") { synchronizeName(path) }
        case .rename(let from, let to):
            setName(to, names[from])
            setName(from, nil)
        case .remove(let path): setName(path, nil)
        case .synchronizeFolder(let folder):
            for path in Set(pendingNames.map(\.0)) where (path as NSString).deletingLastPathComponent == folder {
                synchronizeName(path)
            }
        case .note: break
        }
    }

    private mutating func synchronizeName(_ path: String) {
        durableNames[path] = names[path]
        pendingNames.removeAll { $0.0 == path }
    }

    private mutating func file(_ path: String) -> File {
        if let file = names[path] { return file }
        let file = File()
        setName(path, file)
        return file
    }

    private mutating func setName(_ path: String, _ file: File?) {
        names[path] = file
        pendingNames.append((path, file))
    }

    /// Writes to `target` what is left of the files below `folder`.
    func write(
        from folder: String, to target: String, _ cut: Cut, using generator: inout some RandomNumberGenerator
    ) throws {
        var left = durableNames
        switch cut {
        case .bare: break
        case .full: left = names
        case .mixed:
            // File systems keep changes of names in order.
            for (path, file) in pendingNames.prefix(Int.random(in: 0...pendingNames.count, using: &generator)) {
                left[path] = file
            }
        }
        for (path, file) in left {
            var octets = file.durable
            for (_, entry) in file.pending {
                switch cut {
                case .bare: break
                case .full: File.apply(entry, to: &octets)
                case .mixed: Self.applySome(entry, to: &octets, using: &generator)
                }
            }
            let place = target + path.dropFirst(folder.count)
            try FileManager.default.createDirectory(
                atPath: (place as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data(octets).write(to: URL(fileURLWithPath: place))
        }
    }

    /// Each page comes to the disk for itself or not at all, and now and then only some of its sectors do.
    private static func applySome(
        _ entry: PowerCutLog.Entry, to octets: inout [UInt8], using generator: inout some RandomNumberGenerator
    ) {
        guard case .write(let path, let offset, let new) = entry else {
            if Bool.random(using: &generator) { File.apply(entry, to: &octets) }
            return
        }
        var start = offset
        while start < offset + new.count {
            let end = min(offset + new.count, (start / 4096 + 1) * 4096)
            var kept = start..<end
            switch Int.random(in: 0..<8, using: &generator) {
            case 0..<3: kept = start..<start
            case 3:
                let sectors = start / 512 + Int.random(in: 0...8, using: &generator)
                kept = start..<min(end, max(start, sectors * 512))
            default: break
            }
            if kept.lowerBound < kept.upperBound {
                let part = Array(new[kept.lowerBound - offset..<kept.upperBound - offset])
                File.apply(.write(path, offset: kept.lowerBound, part), to: &octets)
            }
            start = end
        }
    }
}
