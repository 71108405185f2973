// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// File systems that a test has for itself.

import Foundation
import Testing

/// A small file system of its own, unmounted with the value.
final class SmallDisk {
    let path: String

    static let isPossible = isPossible { try SmallDisk(at: $0.path("probe"), megabytes: 1) }
    /// Needs mkfs.ext2 and a loop device as well.
    static let isOldPossible = isPossible { try SmallDisk(at: $0.path("probe"), oldFileSystemIn: $0.path("image"), megabytes: 1) }

    private static func isPossible(_ make: (TemporaryFolder) throws -> SmallDisk) -> Bool {
        guard getuid() == 0, let folder = try? TemporaryFolder(), let disk = try? make(folder) else { return false }
        return !disk.path.isEmpty
    }

    /// A tmpfs.
    init(at path: String, megabytes: Int) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try require(try run("/bin/mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path))
    }

    /// An ext2 in a file: it cannot take room before it is written to (fallocate(2)).
    init(at path: String, oldFileSystemIn image: String, megabytes: Int) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: image))
        try require(truncate(image, megabytes << 20))
        try require(try run("/sbin/mkfs.ext2", "-q", "-F", image))
        try require(try run("/bin/mount", "-o", "loop", image, path))
    }

    private struct Failure: Error {}

    private func require(_ status: Int32) throws { if status != 0 { throw Failure() } }

    func makeReadOnly() throws { try require(try run("/bin/mount", "-o", "remount,ro", path)) }

    deinit { _ = try? run("/bin/umount", "-l", path) }
}
