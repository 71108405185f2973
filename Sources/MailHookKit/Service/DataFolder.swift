// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether the data folder is what the daemon needs it to be: there for its user, and for nobody
// else. A wrong owner is the usual trace of a command that root ran, and shows up here with
// advice instead of as a failed write hours later.

import Glibc

enum DataFolder {
    /// Findings that are no reason to refuse. A folder that does not exist is fine: it will be made.
    ///
    /// - Throws: where the daemon could not work, or others could change what it keeps.
    static func check(_ path: String) throws(FileError) -> [FileError] {
        var status = stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT { return [] }
            throw FileError(path: path, errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError(path: path, reason: "is no folder") }
        let user = geteuid()
        if user != 0, status.st_uid != user {
            throw FileError(
                path: path,
                reason: "belongs to \(name(status.st_uid)), but the daemon runs as \(name(user)); "
                    + "as root: chown -R \(name(user)): \(path)")
        }
        if status.st_mode & 0o022 != 0 {
            throw FileError(
                path: path,
                reason: "others than its owner may write there (mode \(octal(status.st_mode))), and with it change "
                    + "events and addresses; chmod 700 \(path)")
        }
        guard faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0 else {
            throw FileError(path: path, errno: errno)
        }
        return try checkFiles(of: path, user)
            + (status.st_mode & 0o055 == 0
                ? []
                : [
                    FileError(
                        path: path,
                        reason: "others than its owner may look in (mode \(octal(status.st_mode))); chmod 700 \(path)")
                ])
    }

    private static func checkFiles(of folder: String, _ user: uid_t) throws(FileError) -> [FileError] {
        var findings: [FileError] = []
        for entry in try Files.list(folder) {
            let path = "\(folder)/\(entry)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if user != 0, status.st_uid != user, isOurs(entry) {
                throw FileError(
                    path: path,
                    reason: "belongs to \(name(status.st_uid)), but the daemon runs as \(name(user)); "
                        + "as root: chown -R \(name(user)): \(folder)")
            }
            let isPlain = status.st_mode & S_IFMT == S_IFREG
            if isPlain, status.st_mode & 0o077 != 0, secrets.contains(entry) {
                findings.append(
                    FileError(
                        path: path,
                        reason: "holds secrets and is open to others (mode \(octal(status.st_mode))); chmod 600 \(path)"))
            }
        }
        return findings
    }

    private static let secrets = ["instance.key", "keys.json"]

    /// Whether the daemon itself writes it. What sinks write there is theirs.
    private static func isOurs(_ entry: String) -> Bool {
        secrets.contains(entry) || entry.hasPrefix("mailhookd.") || entry == "journal"
    }

    /// Of a user; the number where it has no name.
    static func name(_ user: uid_t) -> String {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "user \(user)" }
        return String(cString: name)
    }

    private static func octal(_ mode: mode_t) -> String { String(mode & 0o7777, radix: 8) }
}
