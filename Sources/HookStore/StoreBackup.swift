// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A copy of a store while it is in use: the state of one moment, whole, checked and synced before
// it gets its name.

internal import CSQLite
internal import Glibc
public import HookModel

public enum StoreBackup {
    /// Copies the store at `path` to `target`, a file of mode 0600.
    ///
    /// A writer goes on meanwhile; its log can't begin again until the copy is made.
    ///
    /// - Parameter isReplacing: whether a file that is there is replaced.
    /// - Returns: octets of the copy.
    /// - Throws: `failed` if `target` exists, is the store itself or there is no store, or where a mail in the journal
    ///   cannot be read; `corrupt` where the copy is not whole; `full`, `notWritable`. No copy is left then.
    public static func make(of path: String, at target: String, isReplacing: Bool) throws(StoreError) -> Int {
        if !isReplacing, access(target, F_OK) == 0 { throw .failed("\(target): exists already") }
        guard !isSameFile(path, target) else { throw .failed("\(target): is the store itself") }
        let source = try StoreFile.openForReading(path)
        // A copy that an earlier version made has no journal, and needs nothing of what a store in use does.
        let version = try Schema.version(of: source)
        let isOldCopy = access(StorePlace.journal(of: path), F_OK) != 0 && (1..<Schema.known).contains(version)
        if !isOldCopy {
            guard try StoreFile.isCurrent(source) else { throw .failed("\(path): nothing is stored yet") }
            try JournalCatchUp(path: path).run(source)
        }
        let part = target + ".part"
        let lock = try create(part)
        defer { Glibc.close(lock) }
        let octets: Int
        do throws(StoreError) {
            try copy(source, to: part)
            if !isOldCopy { try embedJournal(of: source, in: part) }
            try leaveLog(part)
            try check(part, version: version)
            octets = try sync(part)
        } catch {
            unlink(part)
            throw error
        }
        try move(part, to: target, isReplacing)
        return octets
    }

    /// Makes the file, locked (flock(2)) as long as the descriptor is open: two that write to one target would both
    /// be lost. One that a backup left when it was ended is taken away. A name that somebody else made is not followed.
    private static func create(_ part: String) throws(StoreError) -> Int32 {
        let stale = open(part, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard stale >= 0 || [ENOENT, ELOOP].contains(errno) else { throw StoreError(opening: part, errno: errno) }
        if stale < 0 { unlink(part) }
        // Open until the new one is locked: who waits for its turn finds one or the other.
        defer { if stale >= 0 { Glibc.close(stale) } }
        if stale >= 0 {
            guard flock(stale, LOCK_EX | LOCK_NB) == 0, isNamed(part, stale) else { throw busy(part) }
            unlink(part)
        }
        let descriptor = open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw errno == EEXIST ? busy(part) : StoreError(opening: part, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isNamed(part, descriptor) else {
            Glibc.close(descriptor)
            throw busy(part)
        }
        return descriptor
    }

    private static func busy(_ part: String) -> StoreError { .busy("\(part): another backup is being written there") }

    private static func isNamed(_ path: String, _ descriptor: Int32) -> Bool {
        var (named, ours) = (stat(), stat())
        return fstat(descriptor, &ours) == 0 && lstat(path, &named) == 0
            && (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)
    }

    /// All pages in one step, which is one read transaction: with more of them, each commit of the daemon's would begin
    /// the copy again (sqlite3_backup_step).
    private static func copy(_ source: SQLiteConnection, to part: String) throws(StoreError) {
        let copy = try SQLiteConnection(part, .readWrite)
        // It is synced as a whole, and thrown away as a whole.
        try copy.execute("PRAGMA journal_mode = OFF")
        try copy.execute("PRAGMA synchronous = OFF")
        guard let backup = sqlite3_backup_init(copy.handle, "main", source.handle, "main") else {
            throw copy.failure(sqlite3_errcode(copy.handle))
        }
        let status = sqlite3_backup_step(backup, -1)
        let end = sqlite3_backup_finish(backup)
        guard status == SQLITE_DONE, end == SQLITE_OK else {
            // A source that cannot be read is told by its own name.
            let failure = status == SQLITE_DONE ? end : status
            let isSource = [SQLITE_CORRUPT, SQLITE_NOTADB].contains(failure & 0xFF)
            throw StoreError(sqlite: failure, connection: copy.handle, path: isSource ? source.path : part)
        }
    }

    /// Octets of messages that are in the journal's segments go into the copy itself, which has no journal.
    private static func embedJournal(of source: SQLiteConnection, in part: String) throws(StoreError) {
        let copy = try SQLiteConnection(part, .readWrite)
        try copy.execute("PRAGMA journal_mode = OFF")
        try copy.execute("PRAGMA synchronous = OFF")
        try JournalEmbedding.run(copy, from: StorePlace.journal(of: source.path), copyOf: source)
    }

    /// A copy is one file, also for who looks into it; the owner of a store turns the log on again.
    private static func leaveLog(_ part: String) throws(StoreError) {
        let copy = try SQLiteConnection(part, .readWrite)
        let mode = try copy.text("PRAGMA journal_mode = DELETE")
        guard mode == "delete" else { throw .failed("\(part): journal_mode stays \(mode)") }
    }

    /// Nobody else has the file: neither locks nor shared memory are needed.
    private static func check(_ part: String, version: Int) throws(StoreError) {
        let copy = try SQLiteConnection(part, .immutable)
        let result = try copy.text("PRAGMA quick_check(1)")
        guard result == "ok" else { throw .corrupt("\(part): the copy is not whole: \(result)") }
        // An empty file is whole as well.
        guard try Schema.version(of: copy) == version else { throw .corrupt("\(part): the copy is not whole") }
    }

    private static func sync(_ part: String) throws(StoreError) -> Int {
        let descriptor = open(part, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError(opening: part, errno: errno) }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StoreError(opening: part, errno: errno) }
        return StoreFile.size(part) ?? 0
    }

    private static func move(_ part: String, to target: String, _ isReplacing: Bool) throws(StoreError) {
        // link(2) fails where the name exists, which rename(2) does not.
        let status = isReplacing ? rename(part, target) : link(part, target)
        let cause = errno
        if !isReplacing || status != 0 { unlink(part) }
        guard status == 0 else { throw StoreError(opening: target, errno: cause) }
        try syncFolder(of: target)
    }

    static func syncFolder(of path: String) throws(StoreError) {
        let folder = StorePlace.folder(of: path)
        let status = SystemFiles().synchronizeFolder(folder)
        guard status == 0 else { throw StoreError(opening: folder, errno: status) }
    }

    private static func isSameFile(_ one: String, _ other: String) -> Bool {
        var first = stat()
        var second = stat()
        guard stat(one, &first) == 0, stat(other, &second) == 0 else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }
}
