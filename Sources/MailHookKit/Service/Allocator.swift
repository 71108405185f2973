// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How the C library's allocator, which Swift uses too, treats the large blocks that large mails are.

import Glibc

enum Allocator {
    /// Large blocks go back to the system when they are freed. Left alone, the limit rises to the largest block that
    /// was freed (mallopt(3), M_MMAP_THRESHOLD), and a few large mails make the process large for good.
    static func returnLargeBlocks() {
        // Not among what Swift sees of malloc.h, and absent in other C libraries, which have no such limit.
        typealias Function = @convention(c) (Int32, Int32) -> Int32
        guard let address = dlsym(nil, "mallopt") else { return }
        let mmapThreshold: Int32 = -3
        _ = unsafeBitCast(address, to: Function.self)(mmapThreshold, 512 << 10)
    }
}
