// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What something costs, whatever else the machine does meanwhile.

import Foundation

/// Seconds of processor time that `body` takes on this thread.
public func processorSeconds(_ body: () -> Void) -> Double {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
    let begun = now()
    body()
    return now() - begun
}
