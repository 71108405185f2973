// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the files of a store are, and whose.

internal import Glibc

/// Of the database at a path.
enum StorePlace {
    /// Of the database at `path`.
    static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// What root makes in the service user's folder has to be that user's: the next daemon could not open it. Only root
    /// can and needs to give files away. SQLite does the same with the files that it makes beside a database.
    static func adoptOwner(for path: String) {
        var status = stat()
        guard geteuid() == 0, stat(folder(of: path), &status) == 0 else { return }
        _ = lchown(path, status.st_uid, status.st_gid)
    }

    /// Opens a file for reading and writing, and makes it where there is none; negative with `errno` set if that fails.
    static func openOrMake(_ path: String, mode: mode_t) -> Int32 {
        let made = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        if made >= 0 { adoptOwner(for: path) }
        guard made < 0, errno == EEXIST else { return made }
        // Where it is a link to a file that is not there yet, that one is made.
        return Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode)
    }

    /// Where the journal of the database at `path` is.
    static func journal(of path: String) -> String { path + ".journal" }
}
