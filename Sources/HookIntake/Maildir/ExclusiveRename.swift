// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// renameat2(2) with RENAME_NOREPLACE, which glibc shows to GNU sources only, and Swift's headers are none.

import Glibc

enum ExclusiveRename {
    private typealias Call =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32

    private static let call: Call? = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: Call.self) }
    private static let noReplace: UInt32 = 1

    /// 0, or -1 with `errno` set: EEXIST where the target's name is taken.
    static func perform(_ from: Int32, _ source: UnsafePointer<CChar>, _ to: Int32, _ target: UnsafePointer<CChar>) -> Int32 {
        if let call {
            let result = call(from, source, to, target, noReplace)
            guard result != 0, errno == EINVAL || errno == ENOSYS else { return result }
        }
        // A file system that knows no such thing.
        var status = stat()
        guard fstatat(to, target, &status, AT_SYMLINK_NOFOLLOW) != 0 else {
            errno = EEXIST
            return -1
        }
        return renameat(from, source, to, target)
    }
}
