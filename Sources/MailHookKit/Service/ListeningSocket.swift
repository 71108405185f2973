// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Listening sockets over POSIX, made before anybody serves them: a connection that comes meanwhile
// waits in the kernel. Protocols are spoken elsewhere.

import Glibc
import HookIntake
import HookTLS

enum ListeningSocket {
    /// A socket that listens at `address` and is closed on exec.
    ///
    /// - Parameters:
    ///   - mode: of the file, for a Unix socket.
    ///   - isOnlyIPv6: an IPv6 socket takes no IPv4 connections, because another one is to.
    ///   - neighbours: our own sockets that will be closed once this one is served. One at `127.0.0.1:25` would
    ///     keep `0.0.0.0:25` from being bound.
    static func bind(
        _ address: ListenAddress, mode: mode_t, isOnlyIPv6: Bool = false, beside neighbours: [Int32] = []
    ) throws(ListenError) -> Int32 {
        switch address {
        case .tcp(let host, let port): return try bindTCP(address, host, port, isOnlyIPv6, neighbours)
        case .unix(let path): return try bindUnix(address, path, mode)
        }
    }

    private static func bindTCP(
        _ address: ListenAddress, _ host: String, _ port: Int, _ isOnlyIPv6: Bool, _ neighbours: [Int32]
    ) throws(ListenError) -> Int32 {
        let list = try lookUp(address, host, port)
        defer { freeaddrinfo(list) }
        let found = list.pointee
        let descriptor = socket(found.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(address, errno) }
        set(descriptor, SO_REUSEADDR, true)
        if isOnlyIPv6, found.ai_family == AF_INET6 { set(descriptor, IPV6_V6ONLY, true, of: Int32(IPPROTO_IPV6)) }
        // Only for this call: with the option left on, another daemon of the same user could take half of the mail.
        for socket in neighbours + [descriptor] where !neighbours.isEmpty { set(socket, SO_REUSEPORT, true) }
        defer { for socket in neighbours + [descriptor] where !neighbours.isEmpty { set(socket, SO_REUSEPORT, false) } }
        guard Glibc.bind(descriptor, found.ai_addr, found.ai_addrlen) == 0, listen(descriptor, AcceptPause.backlog) == 0 else {
            let number = errno
            close(descriptor)
            throw failure(address, number)
        }
        return descriptor
    }

    /// What an address stands for; the first of them is bound. The caller frees it.
    private static func lookUp(
        _ address: ListenAddress, _ host: String, _ port: Int
    ) throws(ListenError) -> UnsafeMutablePointer<addrinfo> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0, let list else {
            throw ListenError(address: address, reason: String(cString: gai_strerror(status)), isPermission: false)
        }
        return list
    }

    /// The address that `bind` takes for a host's name, which a name server may be asked for; nil where there is none.
    static func resolved(_ address: ListenAddress) -> ListenAddress? {
        guard case .tcp(let host, let port) = address, let list = try? lookUp(address, host, port) else { return nil }
        defer { freeaddrinfo(list) }
        return tcp(UnsafeRawPointer(list.pointee.ai_addr), list.pointee.ai_addrlen)
    }

    private static func bindUnix(
        _ address: ListenAddress, _ path: String, _ mode: mode_t
    ) throws(ListenError) -> Int32 {
        guard let short = SocketPath(path), let name = UnixAddress(short.text) else { throw failure(address, ENAMETOOLONG) }
        try removeAbandoned(address, path, name)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(address, errno) }
        // Who may come near is a matter of the folder, and of the mode for what is for few.
        guard name.call(Glibc.bind, descriptor) == 0, chmod(path, mode) == 0, listen(descriptor, AcceptPause.backlog) == 0 else {
            let number = errno
            close(descriptor)
            throw failure(address, number)
        }
        return descriptor
    }

    /// A file that a daemon left behind when it was killed is in the way; one that somebody listens on is not ours.
    private static func removeAbandoned(
        _ address: ListenAddress, _ path: String, _ name: UnixAddress
    ) throws(ListenError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .blocked(address) }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw failure(address, errno) }
        defer { close(probe) }
        if name.call(connect, probe) == 0 || errno == EAGAIN { throw failure(address, EADDRINUSE) }
        unlink(path)
    }

    private static func set(_ descriptor: Int32, _ option: Int32, _ isOn: Bool, of level: Int32 = SOL_SOCKET) {
        var value: Int32 = isOn ? 1 : 0
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func failure(_ address: ListenAddress, _ number: Int32) -> ListenError {
        ListenError(
            address: address, reason: String(cString: strerror(number)),
            isPermission: number == EACCES || number == EPERM)
    }

    /// Where a socket listens, with the port that was picked; nil for what is no listening stream socket of TCP or
    /// with a path.
    static func address(of descriptor: Int32) -> ListenAddress? {
        guard option(descriptor, SO_TYPE) == Int32(SOCK_STREAM.rawValue), option(descriptor, SO_ACCEPTCONN) == 1 else {
            return nil
        }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            let status = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
            guard status == 0 else { return nil }
            switch Int32(pointer.pointee.ss_family) {
            case AF_INET, AF_INET6: return tcp(UnsafeRawPointer(pointer), length)
            case AF_UNIX: return unix(UnsafeRawBufferPointer(start: pointer, count: Int(length)))
            default: return nil
            }
        }
    }

    private static func tcp(_ address: UnsafeRawPointer, _ length: socklen_t) -> ListenAddress? {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let status = getnameinfo(
            address.assumingMemoryBound(to: sockaddr.self), length, &host, socklen_t(host.count), &service,
            socklen_t(service.count), NI_NUMERICHOST | NI_NUMERICSERV)
        guard status == 0, let port = Int(text(service)) else { return nil }
        return .tcp(host: text(host), port: port)
    }

    private static func unix(_ address: UnsafeRawBufferPointer) -> ListenAddress? {
        let path = address.dropFirst(MemoryLayout<sa_family_t>.size).prefix { $0 != 0 }
        return path.first == UInt8(ascii: "/") ? .unix(path: String(decoding: path, as: UTF8.self)) : nil
    }

    private static func text(_ octets: [CChar]) -> String {
        String(decoding: octets.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Whether an IPv6 socket takes no IPv4 connections.
    static func isOnlyIPv6(_ descriptor: Int32) -> Bool { option(descriptor, IPV6_V6ONLY, of: Int32(IPPROTO_IPV6)) == 1 }

    private static func option(_ descriptor: Int32, _ name: Int32, of level: Int32 = SOL_SOCKET) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, level, name, &value, &length) == 0 ? value : nil
    }
}

/// A path as the system calls want it (unix(7)).
struct UnixAddress {
    private var value = sockaddr_un()
    private var length: socklen_t

    /// A path, or behind `@` an abstract name; nil for what does not fit.
    init?(_ name: String) {
        value.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = name.hasPrefix("@")
        guard isAbstract || name.hasPrefix("/") else { return nil }
        // An abstract name begins with NUL and is as long as the address says; a path ends with one.
        let octets = isAbstract ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8) + [0]
        guard octets.count <= MemoryLayout.size(ofValue: value.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &value.sun_path) { $0.copyBytes(from: octets) }
        length = socklen_t(MemoryLayout<sa_family_t>.size + octets.count)
    }

    /// bind(2), connect(2) and their like.
    func call(_ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ descriptor: Int32) -> Int32 {
        withUnsafePointer(to: value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { function(descriptor, $0, length) }
        }
    }
}
