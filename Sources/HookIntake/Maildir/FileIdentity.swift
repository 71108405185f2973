// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which file a name led to: names in a Maildir can be given again while a message is being stored.

import Glibc

/// Tells one file from another that came under its name. The time of the last change of the inode is no part of it:
/// links, modes and owners change that, and the mail stays the same.
struct FileIdentity: Sendable, Hashable {
    private let device: dev_t
    private let number: ino_t
    private let size: off_t
    private let seconds: time_t
    private let nanoseconds: Int

    init(_ status: stat) {
        device = status.st_dev
        number = status.st_ino
        size = status.st_size
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }

    /// Whether the file was last written in the future: the clocks of two machines differ, or one was set back.
    var isFromTheFuture: Bool { seconds > time(nil) }
}
