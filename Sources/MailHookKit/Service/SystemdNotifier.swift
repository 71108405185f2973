// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager how the daemon fares: sd_notify(3)'s protocol, one datagram of
// "KEY=VALUE" lines to the socket named by NOTIFY_SOCKET. By hand, because libsystemd would
// bring five more libraries for these lines.

import Glibc

public struct SystemdNotifier: Sendable {
    /// The socket's path or, beginning with `@`, its abstract name; nil where nobody listens.
    private let socketName: String?

    public init(socketName: String?) {
        self.socketName = socketName.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// From the environment of this process.
    public static func fromEnvironment() -> SystemdNotifier {
        SystemdNotifier(socketName: getenv("NOTIFY_SOCKET").map { String(cString: $0) })
    }

    public func ready(status: String) { send("READY=1\nSTATUS=\(status)\nMAINPID=\(getpid())") }
    public func stopping() { send("STOPPING=1\nSTATUS=Finishing what is in progress") }

    /// Best effort: whether anybody hears it does not change what the daemon does.
    private func send(_ state: String) {
        guard let socketName, var address = Self.address(socketName) else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + address.nameLength)
        withUnsafePointer(to: &address.value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
                _ = Array(state.utf8).withUnsafeBytes {
                    sendto(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), target, length)
                }
            }
        }
    }

    /// unix(7): an abstract name begins with NUL and is as long as the address says; a path ends with one.
    private static func address(_ name: String) -> (value: sockaddr_un, nameLength: Int)? {
        var value = sockaddr_un()
        value.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = name.hasPrefix("@")
        guard isAbstract || name.hasPrefix("/") else { return nil }
        let octets = isAbstract ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8) + [0]
        let capacity = MemoryLayout.size(ofValue: value.sun_path)
        guard octets.count <= capacity else { return nil }
        withUnsafeMutableBytes(of: &value.sun_path) { $0.copyBytes(from: octets) }
        return (value, octets.count)
    }
}
