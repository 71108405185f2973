// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the end of a program means for the delivery. Pure.

internal import Glibc

/// How a program ended.
enum ProgramEnd: Sendable, Hashable {
    case exited(Int32)
    case signalled(Int32)
    /// Ended by us because it took too long.
    case timedOut
    /// Ended by us because the daemon shuts down.
    case interrupted
    /// It never ran; `errno` says why.
    case notStarted(Int32)

    /// sysexits.h: what another attempt would not change. 69 (unavailable), 71 to 75 are left out: they can.
    private static let permanent: Set<Int32> = [64, 65, 66, 67, 68, 70, 76, 77, 78]

    var verdict: DeliveryVerdict {
        switch self {
        case .exited(0): .delivered
        case .exited(75): .retry(reason: "exit_75")
        case .exited(let status) where Self.permanent.contains(status): .dead(reason: "exit_\(status)")
        case .exited(let status): .retry(reason: "exit_\(status)")
        case .signalled(let signal): .retry(reason: "signal_\(signal)")
        case .timedOut: .retry(reason: "timeout")
        case .interrupted: .interrupted
        // A missing program is an installation under way more often than a final answer: never dead.
        case .notStarted(ENOENT), .notStarted(ENOTDIR): .retry(reason: "exec_not_found")
        case .notStarted(EACCES), .notStarted(ENOEXEC), .notStarted(EPERM): .retry(reason: "exec_not_executable")
        case .notStarted(let code): .retry(reason: "exec_failed_\(code)")
        }
    }

    /// From the status of waitpid. Its macros are not imported; Linux lays it out so on every architecture:
    /// low 7 bits the signal, or 0 and the exit status in the next 8.
    init(waitStatus status: Int32) {
        self = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .signalled(status & 0x7F)
    }
}
