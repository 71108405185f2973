// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SQLite's file operations, recorded: a VFS (https://www.sqlite.org/vfs.html) in front of the real
// one that writes down what changes files below the folders it was told of.

import CSQLite
import Foundation
import Synchronization

enum RecordedDatabase {
    /// A file of ours: SQLite's head, then the real file and where to record.
    private struct File {
        var base: sqlite3_file
        var real: UnsafeMutablePointer<sqlite3_file>
        var record: Unmanaged<Record>?
    }

    /// One open file that is recorded.
    private final class Record {
        let log: PowerCutLog
        let path: String

        init(_ log: PowerCutLog, _ path: String) {
            self.log = log
            self.path = path
        }
    }

    private struct State: @unchecked Sendable {
        var logs: [PowerCutLog] = []
        var real: UnsafeMutablePointer<sqlite3_vfs>?
        var methods: UnsafeMutablePointer<sqlite3_io_methods>?
    }

    private static let state = Mutex(State())

    /// From now on, changes below the log's folder are recorded. Connections that are open already are not.
    static func record(_ log: PowerCutLog) {
        state.withLock { state in
            state.logs.append(log)
            guard state.real == nil, let real = sqlite3_vfs_find(nil) else { return }
            state.real = real
            let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
            methods.initialize(to: makeMethods())
            state.methods = methods
            // Never freed: connections of other tests may use it until the process ends.
            let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
            var copy = real.pointee
            copy.szOsFile = Int32(MemoryLayout<File>.size)
            copy.zName = UnsafePointer(strdup("recorded"))
            copy.pNext = nil
            copy.xOpen = { _, name, file, flags, out in RecordedDatabase.open(name, file, flags, out) }
            copy.xDelete = { _, name, sync in RecordedDatabase.remove(name, sync) }
            vfs.initialize(to: copy)
            sqlite3_vfs_register(vfs, 1)
        }
    }

    static func stopRecording(_ log: PowerCutLog) { state.withLock { $0.logs.removeAll { $0 === log } } }

    private static func log(_ path: String) -> PowerCutLog? {
        // Shared memory is made anew.
        guard !path.hasSuffix("-shm") else { return nil }
        return state.withLock { $0.logs.first { path.hasPrefix($0.folder + "/") } }
    }

    private static func open(
        _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ out: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        let (real, methods) = state.withLock { UncheckedPair($0.real, $0.methods) }.values
        guard let file, let real, let methods else { return SQLITE_CANTOPEN }
        let memory = calloc(1, Int(real.pointee.szOsFile))
        guard let inner = memory?.assumingMemoryBound(to: sqlite3_file.self) else { return SQLITE_NOMEM }
        file.pointee.pMethods = nil
        let status = real.pointee.xOpen(real, name, inner, flags, out)
        guard status == SQLITE_OK else {
            if inner.pointee.pMethods != nil { _ = inner.pointee.pMethods.pointee.xClose(inner) }
            free(memory)
            return status
        }
        let path = name.map { String(cString: $0) } ?? ""
        var record: Unmanaged<Record>?
        if let log = log(path) {
            log.add(.create(path))
            record = .passRetained(Record(log, path))
        }
        UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self)
            .initialize(to: File(base: sqlite3_file(pMethods: methods), real: inner, record: record))
        return SQLITE_OK
    }

    private static func remove(_ name: UnsafePointer<CChar>?, _ sync: Int32) -> Int32 {
        guard let real = state.withLock({ UncheckedPair($0.real, $0.methods) }).values.0, let name
        else { return SQLITE_IOERR }
        let path = String(cString: name)
        let status = real.pointee.xDelete(real, name, sync)
        if status == SQLITE_OK, let log = log(path) { log.add(.remove(path)) }
        return status
    }

    private struct UncheckedPair: @unchecked Sendable {
        let values: (UnsafeMutablePointer<sqlite3_vfs>?, UnsafeMutablePointer<sqlite3_io_methods>?)

        init(_ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ methods: UnsafeMutablePointer<sqlite3_io_methods>?) {
            values = (vfs, methods)
        }
    }

    private static func ours(_ file: UnsafeMutablePointer<sqlite3_file>?) -> File {
        // SQLite calls a method with the file that xOpen was given.
        UnsafeRawPointer(file!).load(as: File.self)
    }

    private static func real(
        _ file: UnsafeMutablePointer<sqlite3_file>?
    ) -> (UnsafeMutablePointer<sqlite3_file>, sqlite3_io_methods) {
        let inner = ours(file).real
        return (inner, inner.pointee.pMethods.pointee)
    }

    private static func note(_ file: UnsafeMutablePointer<sqlite3_file>?, _ entry: (String) -> PowerCutLog.Entry) {
        guard let record = ours(file).record?.takeUnretainedValue() else { return }
        record.log.add(entry(record.path))
    }

    private static func count(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Int {
        ours(file).record?.takeUnretainedValue().log.count ?? 0
    }

    private static func makeMethods() -> sqlite3_io_methods {
        var methods = sqlite3_io_methods()
        // Version 2 has shared memory, which the log needs, and no memory mapping.
        methods.iVersion = 2
        methods.xClose = { file in
            let (inner, real) = RecordedDatabase.real(file)
            let status = real.xClose(inner)
            RecordedDatabase.ours(file).record?.release()
            free(inner)
            return status
        }
        methods.xRead = { file, buffer, count, offset in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xRead(inner, buffer, count, offset)
        }
        methods.xWrite = { file, buffer, count, offset in
            let octets = Array(UnsafeRawBufferPointer(start: buffer, count: Int(count)))
            RecordedDatabase.note(file) { .write($0, offset: Int(offset), octets) }
            let (inner, real) = RecordedDatabase.real(file)
            return real.xWrite(inner, buffer, count, offset)
        }
        methods.xTruncate = { file, size in
            RecordedDatabase.note(file) { .resize($0, Int(size)) }
            let (inner, real) = RecordedDatabase.real(file)
            return real.xTruncate(inner, size)
        }
        methods.xSync = { file, flags in
            let (inner, real) = RecordedDatabase.real(file)
            let through = RecordedDatabase.count(file)
            let status = real.xSync(inner, flags)
            if status == SQLITE_OK { RecordedDatabase.note(file) { .synchronize($0, through: through) } }
            return status
        }
        methods.xFileSize = { file, size in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xFileSize(inner, size)
        }
        methods.xLock = { file, lock in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xLock(inner, lock)
        }
        methods.xUnlock = { file, lock in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xUnlock(inner, lock)
        }
        methods.xCheckReservedLock = { file, out in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xCheckReservedLock(inner, out)
        }
        methods.xFileControl = { file, operation, argument in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xFileControl(inner, operation, argument)
        }
        methods.xSectorSize = { file in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xSectorSize(inner)
        }
        methods.xDeviceCharacteristics = { file in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xDeviceCharacteristics(inner)
        }
        methods.xShmMap = { file, region, size, extend, out in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xShmMap(inner, region, size, extend, out)
        }
        methods.xShmLock = { file, offset, count, flags in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xShmLock(inner, offset, count, flags)
        }
        methods.xShmBarrier = { file in
            let (inner, real) = RecordedDatabase.real(file)
            real.xShmBarrier(inner)
        }
        methods.xShmUnmap = { file, delete in
            let (inner, real) = RecordedDatabase.real(file)
            return real.xShmUnmap(inner, delete)
        }
        return methods
    }
}
