// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is done to a store while nobody else has it: putting a backup in its place, and giving free
// pages back to the file system. Both hold the owner's lock.

internal import CSQLite
internal import Glibc
public import HookModel

public enum StoreUpkeep {
    /// What is to take the place of a store, until it does. While it is there a new owner would begin an empty store, or go on
    /// with a part of the old one.
    static func restored(_ path: String) -> String { path + ".restored" }

    /// Puts a copy of `backup` in the place of the store at `path`. What was there is kept beside it.
    ///
    /// - Returns: where the store that was there is now; nil if there was none.
    /// - Throws: `busy` while a daemon runs; `corrupt` where the backup is not whole, and then nothing was changed;
    ///   `full`, `notWritable`, `failed`.
    public static func restore(_ path: String, from backup: String) throws(StoreError) -> String? {
        let lock = try StoreLock(ownerOf: path)
        defer { withExtendedLifetime(lock) {} }
        let fresh = restored(path)
        // Copied, checked and synced like a backup, because it is one in the other direction.
        _ = try StoreBackup.make(of: backup, at: fresh, isReplacing: true)
        let old = try setAside(path)
        guard rename(fresh, path) == 0 else { throw StoreError(opening: path, errno: errno) }
        try StoreBackup.syncFolder(of: path)
        return old
    }

    /// In the order of moving; the database itself is last.
    private static let endings = [".journal", "-wal", "-shm", ""]

    /// The next number, or the last one where a restore was ended before it had moved everything.
    private static func nameForOld(_ path: String) -> String {
        func isThere(_ number: Int, _ ending: String) -> Bool { access("\(path).before-restore-\(number)\(ending)", F_OK) == 0 }
        var number = 1
        while endings.contains(where: { isThere(number, $0) }) { number += 1 }
        let isBegun = number > 1 && !isThere(number - 1, "")
            && !endings.contains { isThere(number - 1, $0) && access(path + $0, F_OK) == 0 }
        return "\(path).before-restore-\(isBegun ? number - 1 : number)"
    }

    /// Log and journal belong to the database that was there; with another one they would destroy that.
    private static func setAside(_ path: String) throws(StoreError) -> String? {
        let old = nameForOld(path)
        guard access(path, F_OK) == 0 else {
            for ending in ["-wal", "-shm"] { unlink(path + ending) }
            if rename(StorePlace.journal(of: path), StorePlace.journal(of: old)) != 0, errno != ENOENT {
                throw StoreError(opening: StorePlace.journal(of: path), errno: errno)
            }
            return nil
        }
        for ending in endings where rename(path + ending, old + ending) != 0 && errno != ENOENT {
            throw StoreError(opening: path + ending, errno: errno)
        }
        return old
    }

    /// Writes the database anew without its free pages, which needs room for a second one meanwhile.
    ///
    /// - Returns: octets of the file before and after.
    /// - Throws: `busy` while a daemon runs; `full`, and then nothing was changed; and what opening throws.
    public static func compact(_ path: String) throws(StoreError) -> (before: Int, after: Int) {
        let lock = try StoreLock(ownerOf: path)
        defer { withExtendedLifetime(lock) {} }
        guard let before = StoreFile.size(path) else { throw .failed("\(path): there is no store") }
        let connection = try SQLiteConnection(path, .readWrite)
        try StoreFile.lookOver(connection)
        guard try StoreFile.isCurrent(connection) else { return (before, before) }
        try connection.execute("PRAGMA synchronous = FULL")
        try connection.execute("VACUUM")
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
        return (before, StoreFile.size(path) ?? before)
    }
}
