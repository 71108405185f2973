// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Names to addresses. The addresses are what is checked and what is connected to: a name is never looked up again
// between the check and the connection, so an answer that changes in between changes nothing.

internal import Glibc
internal import NIOCore

/// Looks up a host's addresses.
protocol HostResolver: Sendable {
    /// Completes `promise` with at least one address, or fails it. May block nobody.
    func resolve(_ host: String, port: Int, into promise: EventLoopPromise<[SocketAddress]>)
    func shutdown()
}

/// No address is known for the name.
struct NameNotResolved: Error {}

/// The system's resolver (getaddrinfo), on a thread of its own: one slow name server holds up one endpoint only.
final class SystemResolver: HostResolver {
    private let threads = BlockingThreads(count: 1)

    func resolve(_ host: String, port: Int, into promise: EventLoopPromise<[SocketAddress]>) {
        // An address needs no look-up.
        if let address = try? SocketAddress(ipAddress: host, port: port) { return promise.succeed([address]) }
        let isTaken = threads.add {
            let addresses = Self.lookUp(host, port: port)
            if addresses.isEmpty { promise.fail(NameNotResolved()) } else { promise.succeed(addresses) }
        }
        if !isTaken { promise.fail(NameNotResolved()) }
    }

    func shutdown() { threads.stop() }

    private static func lookUp(_ host: String, port: Int) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0, let first else { return [] }
        defer { freeaddrinfo(first) }
        var addresses: [SocketAddress] = []
        var next: UnsafeMutablePointer<addrinfo>? = first
        while let entry = next?.pointee {
            next = entry.ai_next
            var text = [CChar](repeating: 0, count: 64)
            guard getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { continue }
            let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if let address = try? SocketAddress(ipAddress: address, port: port) { addresses.append(address) }
        }
        return addresses
    }
}

extension IPAddress {
    /// nil for addresses of other kinds.
    init?(_ address: SocketAddress) {
        // ip(7), ipv6(7): the address is at octet 4 of sockaddr_in, and at octet 8 of sockaddr_in6.
        let octets = address.withSockAddr { pointer, size -> [UInt8] in
            let bytes = UnsafeRawBufferPointer(start: pointer, count: size)
            switch size >= 2 ? Int32(bytes.loadUnaligned(as: UInt16.self)) : AF_UNSPEC {
            case AF_INET where size >= 8: return Array(bytes[4..<8])
            case AF_INET6 where size >= 24: return Array(bytes[8..<24])
            default: return []
            }
        }
        self.init(octets)
    }
}
