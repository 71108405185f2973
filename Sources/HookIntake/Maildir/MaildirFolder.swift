// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is done with the files of one Maildir, system call by system call. Everything goes
// through descriptors of its folders, so that a name never leads anywhere else.

import Glibc
import HookModel
import Synchronization

/// The folders of one Maildir, open.
///
/// Safe to share: `current` synchronizes itself, `refused` and `stream` are used by the watcher's thread only, the rest is
/// constant.
final class MaildirFolder: @unchecked Sendable {
    /// Why a file could not be had. Each case is handled in its own way.
    enum ReadFailure: Error {
        /// Somebody else took it.
        case gone
        /// Somebody is still writing it.
        case unfinished(FileIdentity)
        /// Too many open files or no memory: has nothing to do with this file.
        case exhausted
        /// The file system fails, or the machine it is on: has nothing to do with this file as far as we know.
        case ailing(Int32)
        /// May work later.
        case failed(Int32)
        /// Nothing that is ever read; it is set aside.
        case refused(Outcome, FileIdentity?)
    }

    /// How a file left `new/`.
    enum Leaving: Equatable {
        /// It did, or somebody else took it.
        case done
        /// Another file has its name now, and stays.
        case replaced
        /// The error number.
        case failed(Int32)
    }

    /// The folder for what is not taken: a Maildir++ subfolder, so that mail programs show it.
    static let refusedFolder = ".mailhookd-refused"

    private let root: Int32
    let new: Int32
    private let current: Mutex<Int32>
    private var refused: Int32 = -1
    /// Where listing goes on.
    private var stream: OpaquePointer?
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
        if let stream { closedir(stream) }
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

    /// Whether both have the same `new`, by whatever paths they were found.
    func isSame(as other: MaildirFolder) -> Bool {
        var (ours, theirs) = (stat(), stat())
        return fstat(new, &ours) == 0 && fstat(other.new, &theirs) == 0
            && (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
    }

    // MARK: - Names

    /// The next visible names in `new/` that `isWanted`, at most `limit`, in the order of their names (deliverers begin
    /// them with the time); and whether there may be more, with which the next call goes on. After the last it begins
    /// anew. nil with `errno` set if the folder can't be read.
    func list(limit: Int, _ isWanted: (EntryName) -> Bool) -> (names: [EntryName], isCut: Bool)? {
        guard let stream = stream ?? openStream() else { return nil }
        self.stream = stream
        var names: [EntryName] = []
        while names.count < limit {
            // The end and an error look the same but for this.
            errno = 0
            guard let entry = readdir(stream) else {
                let cause = errno
                closedir(stream)
                self.stream = nil
                errno = cause
                return cause == 0 ? (names.sorted(), false) : nil
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { EntryName($0.prefix { $0 != 0 }) }
            if !name.isHidden, isWanted(name) { names.append(name) }
        }
        return (names.sorted(), true)
    }

    private func openStream() -> OpaquePointer? {
        // A descriptor of its own: closedir(3) closes it.
        let descriptor = Self.openFolder(new, ".")
        guard descriptor >= 0 else { return nil }
        if let stream = fdopendir(descriptor) { return stream }
        let cause = errno
        close(descriptor)
        errno = cause
        return nil
    }

    /// The file that has this name now; nil with `errno` set where that can't be told.
    func identity(of name: EntryName) -> FileIdentity? {
        var status = stat()
        return name.withPath { fstatat(new, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0 ? FileIdentity(status) : nil
    }

    // MARK: - Afterwards

    /// Moves the file to `cur/`.
    func move(_ name: EntryName, _ identity: FileIdentity) -> Leaving {
        let target = name.seen
        return current.withLock { current in
            if current < 0 { current = makeFolder("cur", in: root) }
            guard current >= 0 else { return .failed(errno) }
            let leaving = leave(name, identity, for: current, as: target)
            if leaving == .failed(ENOENT) { Self.forget(&current) }
            return leaving
        }
    }

    /// Moves a file out of `new/` to a name that is free: what lies there already is mail as well.
    private func leave(
        _ name: EntryName, _ identity: FileIdentity, for folder: Int32, as target: EntryName
    ) -> Leaving {
        if let other = otherwise(name, identity) { return other }
        for attempt in 0..<Self.nameAttempts {
            let target = attempt == 0 ? target : target.numbered(attempt)
            let status = name.withPath { source in
                target.withPath { ExclusiveRename.perform(new, source, folder, $0) }
            }
            if status == 0 { return .done }
            let cause = errno
            if cause == EEXIST { continue }
            // ENOENT may as well mean that the target's folder is missing.
            return cause == ENOENT ? otherwise(name, identity) ?? .failed(cause) : .failed(cause)
        }
        return .failed(EEXIST)
    }

    /// What to say where `name` does not lead to the file any more; nil where it does. No call of the kernel compares and
    /// renames at once: what comes between the two, within microseconds, is taken for the file.
    private func otherwise(_ name: EntryName, _ identity: FileIdentity) -> Leaving? {
        if let now = self.identity(of: name) { return now == identity ? nil : .replaced }
        return errno == ENOENT ? .done : .failed(errno)
    }

    /// Names that are tried.
    private static let nameAttempts = 100

    func delete(_ name: EntryName, _ identity: FileIdentity) -> Leaving {
        if let other = otherwise(name, identity) { return other }
        guard name.withPath({ unlinkat(new, $0, 0) }) != 0, errno != ENOENT else { return .done }
        return .failed(errno)
    }

    /// Moves the file into `new/` of the subfolder for what is not taken, with the outcome in its name.
    ///
    /// - Parameter identity: nil where nobody could tell which file it was: then it has to be looked at again.
    func setAside(_ name: EntryName, _ outcome: Outcome, _ identity: FileIdentity?) -> Leaving {
        guard let identity else { return .replaced }
        if refused < 0 {
            let folder = makeFolder(Self.refusedFolder, in: root)
            guard folder >= 0 else { return .failed(errno) }
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
        guard refused >= 0 else { return .failed(errno) }
        let leaving = leave(name, identity, for: refused, as: name.refused(outcome.rawValue))
        if leaving == .failed(ENOENT) { Self.forget(&refused) }
        return leaving
    }

    /// The folder was removed while it was open; the next time it is made anew.
    private static func forget(_ descriptor: inout Int32) {
        close(descriptor)
        descriptor = -1
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
