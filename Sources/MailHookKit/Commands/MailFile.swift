// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import Glibc

/// Mail given to a command: a file, or `-` for standard input.
public enum MailFile {
    public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
        path == "-"
            ? try Files.read(descriptor: STDIN_FILENO, path: "standard input", limit: limit)
            : try Files.read(path, limit: limit)
    }

    /// Octets of a mail that is given to a command; the daemon's own limit is the configuration's.
    private static let sizeLimit = 512 << 20

    /// Calls `body` for each mail; a folder means its files in the order of their names. A file that cannot be read is
    /// told on standard error, and the result is false.
    static func forEach(_ paths: [String], _ body: (String, [UInt8]) -> Void) throws(FileError) -> Bool {
        var files: [String] = []
        for path in paths { files += try inFolder(path) ?? [path] }
        var isComplete = true
        for path in files {
            do throws(FileError) {
                body(path, try read(path, limit: sizeLimit))
            } catch {
                Terminal.printError("mailhookd: \(error)")
                isComplete = false
            }
        }
        return isComplete
    }

    private static func inFolder(_ path: String) throws(FileError) -> [String]? {
        guard path != "-", Files.isFolder(path) else { return nil }
        let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
        return try Files.list(path).map { "\(folder)/\($0)" }.filter { !Files.isFolder($0) }
    }
}
