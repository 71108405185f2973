// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads the files of a Maildir, and tells those that are whole from those somebody still writes.

import Glibc
import HookModel

extension MaildirFolder {
    /// The whole file.
    ///
    /// - Parameters:
    ///   - isComplete: known to be written to its end; else that is found out.
    ///   - earlier: what it was at an earlier look, some seconds ago.
    func read(
        _ name: EntryName, limit: Int, isComplete: Bool, earlier: FileIdentity?
    ) throws(ReadFailure) -> (bytes: [UInt8], identity: FileIdentity) {
        // Not through a symbolic link, and not waiting for whoever writes to a FIFO.
        let descriptor = name.withPath { openat(new, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Self.failure(errno) { self.identity(of: name) } }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(errno) { nil } }
        let identity = FileIdentity(status)
        guard status.st_mode & S_IFMT == S_IFREG else { throw .refused(.unreadable, identity) }
        guard status.st_size <= limit else { throw .refused(.messageTooLarge, identity) }
        if !isComplete || status.st_size == 0 {
            guard Self.isAtRest(descriptor, status, isUnchanged: identity == earlier) else { throw .unfinished(identity) }
        }
        return (try Self.readAll(descriptor, identity, hint: Int(status.st_size), limit: limit), identity)
    }

    /// - Parameter identity: asked for where the file is nothing that is ever read.
    static func failure(_ cause: Int32, _ identity: () -> FileIdentity?) -> ReadFailure {
        switch cause {
        case ENOENT: .gone
        case EMFILE, ENFILE, ENOMEM: .exhausted
        // A disk that fails, a file system of the network whose server is away or was changed.
        case EIO, ESTALE, ENOTCONN, ETIMEDOUT: .ailing(cause)
        // A link, a socket, a device.
        case ELOOP, ENXIO, ENODEV: .refused(.unreadable, identity())
        // No permission, among others: whoever puts a file there as root gives it to its owner a moment later.
        default: .failed(cause)
        }
    }

    /// fcntl(2): a read lease is not given while anybody has the file open for writing. The headers show its numbers
    /// to GNU sources only.
    private static let setLease: Int32 = 1024

    /// Whether nobody writes the file. Where leases are not to be had, and for empty files, time decides.
    private static func isAtRest(_ descriptor: Int32, _ status: stat, isUnchanged: Bool) -> Bool {
        let age = time(nil) - status.st_mtim.tv_sec
        // A time to come says nothing. Then a file counts as old when it stayed as it is between two looks.
        func isOld(_ seconds: Int) -> Bool { age < 0 ? isUnchanged : age >= seconds }
        // An empty file may not even be open: it was made first, and is opened to be written next.
        if status.st_size == 0, !isOld(10) { return false }
        if fcntl(descriptor, setLease, Int32(F_RDLCK)) == 0 {
            _ = fcntl(descriptor, setLease, Int32(F_UNLCK))
            return true
        }
        if errno == EAGAIN { return false }
        return isOld(3)
    }

    private static func readAll(
        _ descriptor: Int32, _ identity: FileIdentity, hint: Int, limit: Int
    ) throws(ReadFailure) -> [UInt8] {
        var failure: ReadFailure?
        // One octet more than expected shows the end without another growth.
        var capacity = hint + 1
        var bytes: [UInt8] = []
        while true {
            var isAtEnd = false
            let room = capacity - bytes.count
            let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                while count < room {
                    let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, room - count)
                    if got < 0, errno == EINTR { continue }
                    if got < 0 { failure = Self.failure(errno) { identity } }
                    count += max(got, 0)
                    // All that was expected and no octet more is the end; less may be a file system's whim.
                    isAtEnd = got <= 0 || (count < room && bytes.count + count >= hint)
                    if isAtEnd { return }
                }
            }
            if let failure { throw failure }
            if bytes.isEmpty { bytes = piece } else { bytes += piece }
            guard bytes.count <= limit else { throw .refused(.messageTooLarge, identity) }
            if isAtEnd { return bytes }
            capacity = bytes.count + (64 << 10)
        }
    }
}
