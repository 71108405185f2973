// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether the data folder is what the daemon needs it to be: there for its user, and for nobody
// else. A wrong owner is the usual trace of a command that root ran, and shows up here with
// advice instead of as a failed write hours later.

import Glibc

enum DataFolder {
    /// Findings that are no reason to refuse. Whether there is a folder at all, and a disk that can be written, is for
    /// those to say who make the first file in it.
    ///
    /// - Parameter user: the daemon's.
    /// - Throws: where the daemon could not work, or others could change what it keeps.
    static func check(_ path: String, user: uid_t = geteuid()) throws(FileError) -> [FileError] {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return [] }
        try checkOwner(of: path, status, user, advice: path)
        let mode = String(status.st_mode & 0o7777, radix: 8)
        if status.st_mode & 0o022 != 0 {
            throw FileError(
                path: path,
                reason: "others than its owner may write there (mode \(mode)), and with it change events and addresses; "
                    + "chmod 700 \(path)")
        }
        var findings: [FileError] = []
        if status.st_mode & 0o055 != 0 {
            findings.append(
                FileError(
                    path: path, reason: "others than its owner may look in (mode \(mode)); chmod 700 \(path)"))
        }
        for entry in (try? Files.list(path)) ?? [] where isOurs(entry) {
            findings += try checkFile("\(path)/\(entry)", user, isSecret: secrets.contains(entry), in: path)
        }
        // A segment that root's daemon made in it is as much in the way as the folder itself.
        let journal = StorePath.journal(inFolder: path)
        for entry in (try? Files.list(journal)) ?? [] where entry.hasSuffix(".seg") {
            findings += try checkFile("\(journal)/\(entry)", user, isSecret: false, in: path)
        }
        return findings
    }

    private static func checkFile(
        _ path: String, _ user: uid_t, isSecret: Bool, in folder: String
    ) throws(FileError) -> [FileError] {
        var status = stat()
        guard lstat(path, &status) == 0 else { return [] }
        try checkOwner(of: path, status, user, advice: folder)
        guard isSecret, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 else { return [] }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        return [
            FileError(path: path, reason: "holds secrets and is open to others (mode \(mode)); chmod 600 \(path)")
        ]
    }

    /// Root works with everybody's files, and gives new ones to the folder's owner.
    private static func checkOwner(
        of path: String, _ status: stat, _ user: uid_t, advice folder: String
    ) throws(FileError) {
        guard user != 0, status.st_uid != user else { return }
        let isDenied = faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0
        throw FileError(
            path: path,
            reason: (isDenied ? String(cString: strerror(errno)) + "; it " : "")
                + "belongs to \(name(status.st_uid)), but this runs as \(name(user)); run it as \(name(status.st_uid)), or, "
                + "if the daemon is to be \(name(user)), as root: chown -R \(name(user)): \(folder)")
    }

    private static let secrets = ["instance.key", "keys.json"]

    /// Whether the daemon itself writes it. What sinks write there is theirs.
    private static func isOurs(_ entry: String) -> Bool {
        secrets.contains(entry) || entry.hasPrefix("mailhookd.") || ["apps", "hooks.json"].contains(entry)
    }

    /// Of a user; the number where it has no name.
    static func name(_ user: uid_t) -> String {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "user \(user)" }
        return String(cString: name)
    }
}
