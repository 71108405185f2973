// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How many files and connections the process may have open.

import Glibc

enum DescriptorLimit {
    /// To what an administrator allows. What is allowed without asking, often 1024, is kept low for programs that use
    /// select(2), and is less than the connections the configuration may ask for.
    static func raise() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // Refused, everything works as before, with fewer connections.
        _ = setrlimit(resource, &limit)
    }
}
