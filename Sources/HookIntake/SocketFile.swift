// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The name of a Unix socket that this process made. It goes with the socket, unless somebody has put another in its
// place meanwhile: a daemon that follows this one, say.

import Glibc

public struct SocketFile: Sendable, Hashable {
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    /// To be called when the socket is bound; nil where nothing is there any more.
    public init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// To be called before the socket is closed: while it is open no other file gets its number, and nobody takes the
    /// name of a socket on which somebody listens.
    public func remove() {
        if SocketFile(path) == self { unlink(path) }
    }
}
