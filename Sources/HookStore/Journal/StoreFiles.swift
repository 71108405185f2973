// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Every operation by which the journal changes its files, in one place, so that a test can record
// them, let one fail, or make up what a power cut would have left. Reading is not among them.

internal import Glibc

/// Operations answer 0 or the number of the error (errno).
package protocol StoreFiles: Sendable {
    /// Opens a file for reading and writing; with `creating` it must not exist. A negative answer is -errno.
    ///
    /// - Parameter isDirect: past the page cache where that is possible, see `DirectAccess`.
    func open(_ path: String, creating: Bool, isDirect: Bool) -> Int32
    func close(_ descriptor: Int32)
    /// Writes all of `octets`, or fails with part of them written.
    func write(_ descriptor: Int32, _ octets: UnsafeRawBufferPointer, at offset: Int) -> Int32
    /// Takes room on the disk up to `size` and makes the file that long.
    func allocate(_ descriptor: Int32, size: Int) -> Int32
    /// Returns when the file's octets, and its length, would survive a power cut.
    func synchronize(_ descriptor: Int32) -> Int32
    func rename(_ from: String, to: String) -> Int32
    func remove(_ path: String) -> Int32
    func makeFolder(_ path: String) -> Int32
    /// Returns when the names in a folder would survive a power cut.
    func synchronizeFolder(_ path: String) -> Int32
}

/// The real ones.
package struct SystemFiles: StoreFiles {
    package init() {}

    package func open(_ path: String, creating: Bool, isDirect: Bool) -> Int32 {
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC | (creating ? O_CREAT | O_EXCL : 0), 0o640)
        guard descriptor >= 0 else { return -errno }
        if isDirect { DirectAccess.set(true, of: descriptor) }
        if creating { StorePlace.adoptOwner(for: path) }
        return descriptor
    }

    package func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    package func write(_ descriptor: Int32, _ octets: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        guard let start = octets.baseAddress else { return 0 }
        var done = 0
        while done < octets.count {
            let written = pwrite(descriptor, start + done, octets.count - done, off_t(offset + done))
            if written < 0 {
                let error = errno
                // Where the disk wants larger blocks than ours, or a group does not begin with one.
                if error == EINTR || error == EINVAL && DirectAccess.set(false, of: descriptor) { continue }
                return error
            }
            // Nothing written and no error: a disk that takes no more.
            if written == 0 { return ENOSPC }
            done += written
        }
        return 0
    }

    package func allocate(_ descriptor: Int32, size: Int) -> Int32 {
        // The C library writes an octet a block where the file system can't do it otherwise: none of them is a block.
        let wasDirect = DirectAccess.set(false, of: descriptor)
        defer { if wasDirect { DirectAccess.set(true, of: descriptor) } }
        while true {
            let status = posix_fallocate(descriptor, 0, off_t(size))
            if status != EINTR { return status }
        }
    }

    package func synchronize(_ descriptor: Int32) -> Int32 { fdatasync(descriptor) == 0 ? 0 : errno }

    package func rename(_ from: String, to: String) -> Int32 { Glibc.rename(from, to) == 0 ? 0 : errno }

    package func remove(_ path: String) -> Int32 { unlink(path) == 0 ? 0 : errno }

    package func makeFolder(_ path: String) -> Int32 {
        guard mkdir(path, 0o750) == 0 else { return errno == EEXIST ? 0 : errno }
        StorePlace.adoptOwner(for: path)
        return 0
    }

    package func synchronizeFolder(_ path: String) -> Int32 {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { Glibc.close(descriptor) }
        return fsync(descriptor) == 0 ? 0 : errno
    }
}
