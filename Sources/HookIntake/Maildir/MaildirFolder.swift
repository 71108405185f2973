// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is done with the files of one Maildir, system call by system call. Everything goes
// through descriptors of its folders, so that a name never leads anywhere else.

import Glibc
import HookModel
import Synchronization

/// The folders of one Maildir, open.
///
/// Safe to share: `current` synchronizes itself, `refused` is used by the watcher's thread only, the rest is constant.
final class MaildirFolder: @unchecked Sendable {
    /// Why a file could not be had. Each case is handled in its own way.
    enum ReadFailure: Error {
        /// Somebody else took it.
        case gone
        /// Somebody is still writing it.
        case unfinished
        /// Too many open files or no memory: has nothing to do with this file.
        case exhausted
        /// May work later.
        case failed(Int32)
        /// Nothing that is ever read; it is set aside.
        case refused(Outcome)
    }

    /// The folder for what is not taken: a Maildir++ subfolder, so that mail programs show it.
    static let refusedFolder = ".mailhookd-refused"

    private let root: Int32
    private let new: Int32
    private let current: Mutex<Int32>
    private var refused: Int32 = -1
    private let owner: (user: uid_t, group: gid_t)

    /// Opens the Maildir; nil with `errno` set where `new` is missing.
    init?(_ path: String) {
        // The path is the operator's, and may lead through links. What is in the Maildir is its owner's, who could lead
        // us anywhere by links.
        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { return nil }
        new = Self.openFolder(root, "new")
        guard new >= 0 else {
            let cause = errno
            close(root)
            errno = cause
            return nil
        }
        var status = stat()
        owner = fstat(root, &status) == 0 ? (status.st_uid, status.st_gid) : (geteuid(), getegid())
        current = Mutex(Self.openFolder(root, "cur"))
    }

    deinit {
        for descriptor in [root, new, current.withLock { $0 }, refused] where descriptor >= 0 { close(descriptor) }
    }

    private static func openFolder(_ at: Int32, _ path: String) -> Int32 {
        openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    }

    /// Whether the `new` of the Maildir at `path` is still the one that was opened.
    func isAt(_ path: String) -> Bool {
        var (ours, there) = (stat(), stat())
        return fstat(new, &ours) == 0 && lstat(path + "/new", &there) == 0
            && (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
    }

    // MARK: - Names

    /// Visible names in `new/` that `isWanted`, at most `limit`, in the order of their names (deliverers begin them
    /// with the time); and whether there were more. nil with `errno` set if the folder can't be read.
    func list(limit: Int, _ isWanted: (EntryName) -> Bool) -> (names: [EntryName], isCut: Bool)? {
        // A descriptor of its own: closedir(3) closes it.
        let descriptor = Self.openFolder(new, ".")
        guard descriptor >= 0, let stream = fdopendir(descriptor) else {
            let cause = errno
            if descriptor >= 0 { close(descriptor) }
            errno = cause
            return nil
        }
        defer { closedir(stream) }
        var names: [EntryName] = []
        while true {
            // The end and an error look the same but for this.
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { EntryName($0.prefix { $0 != 0 }) }
            guard !name.isHidden, isWanted(name) else { continue }
            if names.count == limit { return (names.sorted(), true) }
            names.append(name)
        }
        return errno == 0 ? (names.sorted(), false) : nil
    }

    // MARK: - Reading

    /// The whole file.
    ///
    /// - Parameter isComplete: known to be written to its end; else that is found out.
    func read(_ name: EntryName, limit: Int, isComplete: Bool) throws(ReadFailure) -> [UInt8] {
        // Not through a symbolic link, and not waiting for whoever writes to a FIFO.
        let descriptor = name.withPath { openat(new, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Self.failure(errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .refused(.unreadable) }
        guard status.st_size <= limit else { throw .refused(.messageTooLarge) }
        if !isComplete || status.st_size == 0 {
            guard Self.isAtRest(descriptor, status) else { throw .unfinished }
        }
        return try Self.readAll(descriptor, hint: Int(status.st_size), limit: limit)
    }

    private static func failure(_ cause: Int32) -> ReadFailure {
        switch cause {
        case ENOENT: .gone
        case EMFILE, ENFILE, ENOMEM: .exhausted
        case ELOOP, EACCES, EPERM, ENXIO, ENODEV: .refused(.unreadable)
        default: .failed(cause)
        }
    }

    /// fcntl(2): a read lease is not given while anybody has the file open for writing. The headers show its numbers
    /// to GNU sources only.
    private static let setLease: Int32 = 1024

    /// Whether nobody writes the file. Where leases are not to be had, and for empty files, time decides.
    private static func isAtRest(_ descriptor: Int32, _ status: stat) -> Bool {
        let age = time(nil) - status.st_mtim.tv_sec
        // An empty file may not even be open: it was made first, and is opened to be written next.
        if status.st_size == 0, age < 10 { return false }
        if fcntl(descriptor, setLease, Int32(F_RDLCK)) == 0 {
            _ = fcntl(descriptor, setLease, Int32(F_UNLCK))
            return true
        }
        if errno == EAGAIN { return false }
        return age >= 3
    }

    private static func readAll(_ descriptor: Int32, hint: Int, limit: Int) throws(ReadFailure) -> [UInt8] {
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
                    if got < 0 { failure = Self.failure(errno) }
                    count += max(got, 0)
                    // All that was expected and no octet more is the end; less may be a file system's whim.
                    isAtEnd = got <= 0 || (count < room && bytes.count + count >= hint)
                    if isAtEnd { return }
                }
            }
            if let failure { throw failure }
            if bytes.isEmpty { bytes = piece } else { bytes += piece }
            guard bytes.count <= limit else { throw .refused(.messageTooLarge) }
            if isAtEnd { return bytes }
            capacity = bytes.count + (64 << 10)
        }
    }

    // MARK: - Afterwards

    /// 0, or the error number. A file that is gone is somebody else's work and no error.
    func move(_ name: EntryName) -> Int32 {
        let target = name.seen
        return current.withLock { current in
            if current < 0 { current = makeFolder("cur", in: root) }
            guard current >= 0 else { return errno }
            let failure = leave(name, for: current, as: target)
            if failure == ENOENT { Self.forget(&current) }
            return failure
        }
    }

    /// Moves a file out of `new/` to a name that is free: what lies there already is mail as well. 0, or the error number.
    private func leave(_ name: EntryName, for folder: Int32, as target: EntryName) -> Int32 {
        for attempt in 0..<Self.nameAttempts {
            let target = attempt == 0 ? target : target.numbered(attempt)
            let status = name.withPath { source in
                target.withPath { ExclusiveRename.perform(new, source, folder, $0) }
            }
            if status == 0 || errno != EEXIST { return Self.result(status, isGone: { isGone(name) }) }
        }
        return EEXIST
    }

    /// Names that are tried.
    private static let nameAttempts = 100

    func delete(_ name: EntryName) -> Int32 {
        Self.result(name.withPath { unlinkat(new, $0, 0) }, isGone: { true })
    }

    /// Moves the file into `new/` of the subfolder for what is not taken, with the outcome in its name.
    func setAside(_ name: EntryName, _ outcome: Outcome) -> Int32 {
        if refused < 0 {
            let folder = makeFolder(Self.refusedFolder, in: root)
            guard folder >= 0 else { return errno }
            defer { close(folder) }
            // Maildir++: this empty file marks a subfolder. Only where we make it: what is there may be a link or a FIFO.
            let mark = openat(folder, "maildirfolder", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(0o600))
            if mark >= 0 {
                adopt(mark)
                close(mark)
            }
            for name in ["tmp", "cur"] {
                let made = makeFolder(name, in: folder)
                if made >= 0 { close(made) }
            }
            refused = makeFolder("new", in: folder)
        }
        guard refused >= 0 else { return errno }
        let target = name.refused(outcome.rawValue)
        let failure = leave(name, for: refused, as: target)
        if failure == ENOENT { Self.forget(&refused) }
        return failure
    }

    /// The folder was removed while it was open; the next time it is made anew.
    private static func forget(_ descriptor: inout Int32) {
        close(descriptor)
        descriptor = -1
    }

    /// Whether `name` is no longer in `new/`: ENOENT may as well mean that the target's folder is missing.
    private func isGone(_ name: EntryName) -> Bool {
        var status = stat()
        return name.withPath { fstatat(new, $0, &status, AT_SYMLINK_NOFOLLOW) } != 0 && errno == ENOENT
    }

    private static func result(_ status: Int32, isGone: () -> Bool) -> Int32 {
        guard status != 0 else { return 0 }
        let cause = errno
        return cause == ENOENT && isGone() ? 0 : cause
    }

    /// Opens a folder, making it where it is missing.
    private func makeFolder(_ name: String, in parent: Int32) -> Int32 {
        let isNew = mkdirat(parent, name, 0o700) == 0
        guard isNew || errno == EEXIST else { return -1 }
        let descriptor = Self.openFolder(parent, name)
        if isNew, descriptor >= 0 { adopt(descriptor) }
        return descriptor
    }

    /// What root makes in somebody's Maildir is theirs.
    private func adopt(_ descriptor: Int32) {
        if geteuid() == 0 { _ = fchown(descriptor, owner.user, owner.group) }
    }
}
