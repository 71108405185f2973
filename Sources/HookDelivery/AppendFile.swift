// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A file that only grows: opened when needed, opened again after rotation, whole lines only.

internal import Glibc

/// Blocking; the caller sees to it that only one thread uses it.
struct AppendFile: ~Copyable {
    /// What went wrong, by errno.
    struct Failure: Error, Hashable {
        var code: Int32

        var reason: String {
            switch code {
            case ENOSPC, EDQUOT: "disk_full"
            case EACCES, EPERM, EROFS: "permission_denied"
            case ENOENT, ENOTDIR: "no_such_directory"
            case EISDIR: "is_a_directory"
            case EFBIG: "file_too_big"
            case EMFILE, ENFILE: "too_many_open_files"
            default: "io_error_\(code)"
            }
        }
    }

    private let path: String
    private var descriptor: Int32 = -1
    private var device: dev_t = 0
    private var inode: ino_t = 0
    /// False for pipes and devices: nothing to heal, nothing to sync.
    private var isRegular = true

    init(path: String) { self.path = path }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Appends `lines` (whole, each ending in LF) and syncs. After a failure nothing of them counts as written;
    /// what reached the file is taken back, or at least ended by an LF before the next line.
    mutating func append(_ lines: [UInt8]) throws(Failure) {
        try openIfNeeded()
        let size = try isRegular ? currentSize() : 0
        let needsLineEnd = isRegular && size > 0 && lastByte(size: size) != 0x0A
        do throws(Failure) {
            if needsLineEnd { try write([0x0A]) }
            try write(lines)
            // fdatasync includes the new length (POSIX: data needed to get at the data).
            if isRegular, fdatasync(descriptor) != 0 { throw Failure(code: errno) }
        } catch {
            // If another process appended meanwhile this would cut its lines: leave ours torn then.
            if isRegular, let now = try? currentSize(), now > size, now <= size + lines.count + 1 {
                ftruncate(descriptor, off_t(size))
            }
            // A failed sync may be reported once and forgotten (Linux); start with a fresh descriptor.
            close()
            throw error
        }
    }

    private mutating func openIfNeeded() throws(Failure) {
        if descriptor >= 0 {
            var there = stat()
            if stat(path, &there) == 0, there.st_ino == inode, there.st_dev == device { return }
            close()
        }
        // O_NONBLOCK: opening a pipe without a reader would block otherwise. It does nothing to regular files.
        var opened = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        var isNew = false
        if opened < 0, errno == ENOENT {
            opened = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_CREAT | O_NOCTTY | O_NONBLOCK, 0o640)
            isNew = true
        }
        guard opened >= 0 else { throw Failure(code: errno) }
        descriptor = opened
        var information = stat()
        guard fstat(opened, &information) == 0 else { throw failureAfterClosing() }
        device = information.st_dev
        inode = information.st_ino
        isRegular = information.st_mode & S_IFMT == S_IFREG
        if isNew, isRegular { try syncFolder() }
    }

    /// A new file's name is on disk only after its folder is synced.
    private mutating func syncFolder() throws(Failure) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else {
            // A folder that may be searched but not read cannot be synced; the file itself is fine.
            if errno == EACCES { return }
            throw failureAfterClosing()
        }
        defer { Glibc.close(opened) }
        if fsync(opened) != 0, errno != EINVAL { throw failureAfterClosing() }
    }

    private mutating func failureAfterClosing() -> Failure {
        let failure = Failure(code: errno)
        close()
        return failure
    }

    private func currentSize() throws(Failure) -> Int {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw Failure(code: errno) }
        return Int(information.st_size)
    }

    /// nil if it cannot be read: then a line end too many is better than two events in one line.
    private func lastByte(size: Int) -> UInt8? {
        var byte: UInt8 = 0
        return pread(descriptor, &byte, 1, off_t(size - 1)) == 1 ? byte : nil
    }

    private func write(_ bytes: [UInt8]) throws(Failure) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written) }
            if count > 0 {
                written += count
            } else if errno != EINTR {
                throw Failure(code: count == 0 ? ENOSPC : errno)
            }
        }
    }
}
