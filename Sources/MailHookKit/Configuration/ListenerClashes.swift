// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Listeners that cannot be at the same time, told before one of them is bound. Names of hosts are only
// compared with each other: where they lead is known when they are looked up. `localhost` is looked up; that seldom needs a name server.

import Glibc
import HookIntake

struct ListenerClashes {
    private let configuration: Configuration
    private let request: SetupRequest

    static func check(_ configuration: Configuration, _ request: SetupRequest, into diagnostics: inout Diagnostics) {
        ListenerClashes(configuration: configuration, request: request).findings().forEach { diagnostics.add($0) }
    }

    private func findings() -> [Diagnostic] {
        var findings: [Diagnostic] = []
        var earlier = [PipeSocket.path(configuration.data), ControlRequest.path(configuration.data)].compactMap {
            ListenAddress($0).map { (name: "the daemon's own socket", address: $0) }
        }
        for kind in ListenerKind.allCases {
            let addresses = configuration.listen.all.filter { $0.0 == kind }.map(\.1)
            for (index, address) in addresses.enumerated() {
                if let other = earlier.first(where: { clash($0.address, address) }) {
                    findings.append(finding(kind, index, address, other))
                }
                earlier.append((name: flag(kind) ?? "listen.\(kind.rawValue)[\(index)]", address: address))
            }
        }
        return findings
    }

    /// The option of the command line that stands for the configuration's listeners of a kind.
    private func flag(_ kind: ListenerKind) -> String? {
        switch kind {
        case .smtp: request.smtp.isEmpty ? nil : "--smtp"
        case .lmtp: request.lmtp.isEmpty ? nil : "--lmtp"
        case .http: request.http.isEmpty ? nil : "--http"
        case .smtps, .https, .admin: nil
        }
    }

    private func finding(
        _ kind: ListenerKind, _ index: Int, _ address: ListenAddress, _ other: (name: String, address: ListenAddress)
    ) -> Diagnostic {
        let reason =
            address == other.address
            ? "\(address) is taken already (\(other.name))"
            : address.port == nil
                ? "\(address) is the same socket as \(other.address) (\(other.name))"
                : "\(address) cannot be beside \(other.address) (\(other.name)): one includes the other"
        if let flag = flag(kind) { return Diagnostic(.error, file: flag, reason: reason) }
        return Diagnostic(
            .error, file: configuration.file ?? "configuration", place: "listen.\(kind.rawValue)[\(index)]", reason: reason)
    }

    private func clash(_ one: ListenAddress, _ other: ListenAddress) -> Bool {
        switch (one, other) {
        case (.unix(let path), .unix(let otherPath)): return path == otherPath || Self.place(path) == Self.place(otherPath)
        case (.tcp(let host, let port), .tcp(let otherHost, let otherPort)):
            // Port 0 is another one each time.
            guard port == otherPort, port != 0 else { return false }
            let (one, other) = (Self.bound(one), Self.bound(other))
            guard let octets = one.octets, let others = other.octets else {
                return host.lowercased() == otherHost.lowercased()
            }
            if octets.count == others.count { return octets == others || one.isAny || other.isAny }
            let ipv6 = octets.count > others.count ? one : other
            // Beside `0.0.0.0` of the same port `[::]` is bound for IPv6 alone, see `ListenerTable`.
            return ipv6.isAny && !configuration.listen.takesAllIPv4(port) && Self.takesIPv4
        case (.unix, .tcp), (.tcp, .unix): return false
        }
    }

    /// A socket of the same name in the same folder is the same, whatever links lead there.
    private static func place(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), let folder = realpath(String(path[...slash]), nil) else { return path }
        defer { free(folder) }
        return String(cString: folder) + path[slash...]
    }

    /// `localhost` is one of two addresses (RFC 6761 section 6.3): the one that would be bound on this machine.
    private static func bound(_ address: ListenAddress) -> ListenAddress {
        guard address.host?.lowercased() == "localhost" else { return address }
        return ListeningSocket.resolved(address) ?? address
    }

    /// ipv6(7): whether sockets of `[::]` take connections of IPv4 where nothing else is said.
    private static var takesIPv4: Bool {
        (try? Files.read("/proc/sys/net/ipv6/bindv6only", limit: 16))?.first != UInt8(ascii: "1")
    }
}
