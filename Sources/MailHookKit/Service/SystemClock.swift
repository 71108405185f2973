// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The wall clock, read in one place.

import Glibc
public import HookModel

extension Timestamp {
    /// Now, by the system's real-time clock.
    public static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}
