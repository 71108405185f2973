// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Paths of Unix sockets end at 107 octets (unix(7)). A longer one is reached through a
// descriptor of its folder.

import Glibc
import NIOCore
import NIOPosix

/// Keep it as long as `text` is used.
public final class SocketPath: Sendable {
    /// A path that fits into a socket address and leads to the same place.
    public let text: String
    private let folder: Int32

    /// nil with `errno` set where the folder can't be opened.
    public init?(_ path: String) {
        guard path.utf8.count > 107, let slash = path.lastIndex(of: "/") else {
            text = path
            folder = -1
            return
        }
        folder = open(String(path[...slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return nil }
        text = "/proc/self/fd/\(folder)/\(path[path.index(after: slash)...])"
    }

    deinit { if folder >= 0 { close(folder) } }

    /// Gives a socket in the data folder to the daemon's user, and to nobody else. A daemon that root runs serves the
    /// folder's owner as well, as whom mail servers start commands.
    static func makePrivate(_ path: String) {
        chmod(path, 0o600)
        var status = stat()
        guard geteuid() == 0, let slash = path.lastIndex(of: "/"), stat(String(path[...slash]), &status) == 0 else { return }
        lchown(path, status.st_uid, status.st_gid)
    }
}

extension ListenError {
    /// - Parameter cause: an error number.
    init(_ path: String, _ cause: Int32) {
        self.init(
            address: .unix(path: path), reason: String(cString: strerror(cause)),
            isPermission: cause == EACCES || cause == EPERM)
    }

    /// - Parameter error: of a bootstrap that was to bind.
    init(_ path: String, _ error: any Error) {
        self = error is UnixDomainSocketPathWrongType
            ? .blocked(.unix(path: path)) : ListenError(path, (error as? IOError)?.errnoCode ?? EIO)
    }
}
