// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reading and writing past the page cache (O_DIRECT, open(2)). A group that is written once and read once takes no memory
// that others have a use for, and is synced in less time and for less CPU (docs/performance.md).

internal import Glibc

/// Offsets, lengths and memory have to be multiples of `alignment`. What is not, or on a disk with larger blocks, is refused
/// with EINVAL: whoever reads or writes then does without.
enum DirectAccess {
    static let alignment = JournalFormat.alignment

    // Swift does not see it: it is Linux's own, and not the same number everywhere.
    #if arch(arm64) || arch(arm)
        private static let flag: Int32 = 0o200000
    #elseif arch(powerpc64) || arch(powerpc64le)
        private static let flag: Int32 = 0o400000
    #else
        private static let flag: Int32 = 0o40000
    #endif

    /// - Returns: whether anything changed. File systems that can't do it refuse, and all goes on through the page cache.
    @discardableResult
    static func set(_ isDirect: Bool, of descriptor: Int32) -> Bool {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, (flags & flag != 0) != isDirect else { return false }
        return fcntl(descriptor, F_SETFL, isDirect ? flags | flag : flags & ~flag) == 0
    }
}
