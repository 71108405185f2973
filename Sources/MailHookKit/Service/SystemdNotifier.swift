// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager how the daemon is, as sd_notify(3) describes it: a datagram with
// "KEY=VALUE" lines to the socket named by NOTIFY_SOCKET. By hand, because libsystemd would
// bring five more libraries for these lines.

import Glibc
import Synchronization

public struct SystemdNotifier: Sendable {
    /// Of all copies: whether the last word was said.
    private final class Ending: Sendable {
        let isStopping = Mutex(false)
    }

    /// nil where nobody listens.
    private let address: UnixAddress?
    private let ending = Ending()

    /// - Parameter socketName: a path or, beginning with `@`, an abstract name; nil where nobody listens.
    public init(socketName: String?) { address = socketName.flatMap(UnixAddress.init) }

    /// From the environment of this process.
    public static func fromEnvironment() -> SystemdNotifier {
        SystemdNotifier(socketName: getenv("NOTIFY_SOCKET").map { String(cString: $0) })
    }

    public func ready(status: String) { send("READY=1\nSTATUS=\(Self.line(status))\nMAINPID=\(getpid())") }
    /// Nothing is said behind it: a reload that ends now would call a daemon ready that takes nothing any more.
    public func stopping() { send("STOPPING=1\nSTATUS=Finishing what is in progress", isLast: true) }
    public func status(_ text: String) { send("STATUS=\(Self.line(text))") }

    /// `ready` says when it is over, however it went.
    public func reloading() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        // Who pairs this with a request to reload wants to know which of the two was first.
        let microseconds = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
        send("RELOADING=1\nMONOTONIC_USEC=\(microseconds)\nSTATUS=Reading the configuration again")
    }

    /// The daemon makes progress.
    public func watchdog(status: String) { send("WATCHDOG=1\nSTATUS=\(Self.line(status))") }

    /// A line end would begin another variable.
    private static func line(_ text: String) -> String { text.split(whereSeparator: \.isNewline).joined(separator: " ") }

    /// Best effort: whether anybody hears it does not change what the daemon does.
    private func send(_ state: String, isLast: Bool = false) {
        guard let address else { return }
        ending.isStopping.withLock { isStopping in
            guard !isStopping else { return }
            isStopping = isLast
            send(state, to: address)
        }
    }

    private func send(_ state: String, to address: UnixAddress) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let octets = Array(state.utf8)
        _ = address.call({ Int32(sendto($0, octets, octets.count, Int32(MSG_NOSIGNAL), $1, $2)) }, descriptor)
    }
}
