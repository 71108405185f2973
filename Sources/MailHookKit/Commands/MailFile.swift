// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import Glibc

/// Mail given to a command: a file, or `-` for standard input.
public enum MailFile {
    public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
        path == "-"
            ? try Files.read(descriptor: STDIN_FILENO, path: "standard input", limit: limit)
            : try Files.read(path, limit: limit)
    }
}
