// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How the C library's allocator, which Swift uses too, is set up for a process whose threads pass memory on to each
// other and that large mails come to.

import Glibc

enum Allocator {
    /// Gives pages that are free back to the system, those in the middle of its memory as well (malloc_trim(3)).
    static func trim() {
        typealias Function = @convention(c) (Int) -> Int32
        guard let address = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(address, to: Function.self)(0)
    }

    /// To be called before threads start: what a thread has been given stays.
    static func limitMemory() {
        // Not among what Swift sees of malloc.h, and absent in other C libraries, which have no such limits.
        typealias Function = @convention(c) (Int32, Int32) -> Int32
        guard let address = dlsym(nil, "mallopt") else { return }
        let mallopt = unsafeBitCast(address, to: Function.self)
        // Large blocks go back to the system when they are freed. Left alone, the limit rises to the largest block
        // that was freed (mallopt(3), M_MMAP_THRESHOLD), and a few large mails make the process large for good.
        let mmapThreshold: Int32 = -3
        _ = mallopt(mmapThreshold, 512 << 10)
        // Small blocks that are free are joined with their neighbours at once, not all of them whenever a large one is freed
        // (M_MXFAST): a message is a large one, so that it would happen for every mail.
        let largestFastBlock: Int32 = 1
        _ = mallopt(largestFastBlock, 0)
        // Left alone, every thread gets an arena of its own (M_ARENA_MAX), each keeps what its thread once needed, and
        // what one has free is no use to the others. With fewer than there are event loops threads wait for each other.
        let arenaMaximum: Int32 = -8
        _ = mallopt(arenaMaximum, Int32(clamping: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    }
}
