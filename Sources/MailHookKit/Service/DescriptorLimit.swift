// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How many files and connections the process may have open.

import Glibc
import HookTLS

enum DescriptorLimit {
    /// What an idle daemon has open (each event loop three), what listeners leave free, and some connections.
    private static var least: rlim_t {
        rlim_t(AcceptPause.reserve + 42 + 3 * max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }

    /// - Throws: where so few are allowed that event loops or the store could not begin.
    static func check() throws(DaemonError) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < least else { return }
        throw DaemonError(
            description: "no more than \(limit.rlim_cur) files may be open, and the daemon needs \(least); raise the limit "
                + "(LimitNOFILE= of the unit, ulimit -n)",
            exitStatus: SysExit.temporaryFailure)
    }

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
