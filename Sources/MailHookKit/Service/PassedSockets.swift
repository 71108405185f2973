// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Sockets from the service manager, as sd_listen_fds(3) describes them: descriptors from 3 on,
// their number in LISTEN_FDS, their names in LISTEN_FDNAMES, and whom they are for in LISTEN_PID.

import Glibc
import HookIntake

enum PassedSockets {
    private static let first: Int32 = 3
    private static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]

    /// Takes what was passed to this process. Programs that the daemon starts inherit neither variables nor sockets.
    static func take() throws(DaemonError) -> [Listener] {
        let environment = variables.map { name in getenv(name).map { String(cString: $0) } }
        for name in variables { unsetenv(name) }
        guard environment[0] == "\(getpid())", let count = environment[1].flatMap({ Int32($0) }), count > 0 else {
            return []
        }
        let names = (environment[2] ?? "").split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        var listeners: [Listener] = []
        for index in 0..<min(count, 1024) {
            let name = Int(index) < names.count ? names[Int(index)] : ""
            listeners.append(try listener(first + index, name))
        }
        return listeners
    }

    private static func listener(_ descriptor: Int32, _ name: String) throws(DaemonError) -> Listener {
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw failure("descriptor \(descriptor), which LISTEN_FDS counts, is not open")
        }
        guard let kind = ListenerKind(rawValue: name) else {
            let names = ListenerKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw failure("a socket named '\(Terminal.harmless(name))' was passed; FileDescriptorName= is one of \(names)")
        }
        guard let address = ListeningSocket.address(of: descriptor) else {
            throw failure("the socket named '\(name)' is no listening stream socket of TCP or with a path")
        }
        return Listener(kind: kind, configured: nil, address: address, descriptor: descriptor, isPassed: true)
    }

    private static func failure(_ text: String) -> DaemonError {
        DaemonError(description: "socket activation: \(text)", exitStatus: SysExit.configuration)
    }
}
