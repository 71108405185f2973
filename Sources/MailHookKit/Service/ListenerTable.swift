// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which sockets listen, for what, and who made them: the daemon after its configuration, or the
// service manager. A change of the configuration is made ready as a whole before anything is done.

import Glibc
import HookIntake
import HookWeb

/// What is spoken on a listener. The raw value is its key in `listen` and its name in `FileDescriptorName=`.
enum ListenerKind: String, CaseIterable, Sendable {
    case smtp
    /// SMTP behind a TLS handshake.
    case smtps
    case lmtp
    case http
    /// HTTP behind a TLS handshake.
    case https
    case admin

    /// Whether connections begin with a TLS handshake.
    var isSecured: Bool { self == .smtps || self == .https }

    /// What is spoken behind the handshake, where there is one.
    var plain: ListenerKind {
        switch self {
        case .smtps: .smtp
        case .https: .http
        case .smtp, .lmtp, .http, .admin: self
        }
    }

    /// Of the file of a Unix socket. Mail servers run as users of their own; beyond owner and group nobody has a
    /// say over HTTP.
    var mode: mode_t {
        switch self {
        case .smtp, .smtps, .lmtp: 0o666
        case .http, .https, .admin: 0o660
        }
    }
}

struct Listener: Sendable, Hashable {
    var kind: ListenerKind
    /// As the configuration says it; nil where only the service manager knows of it.
    var configured: ListenAddress?
    /// With the port that was picked.
    var address: ListenAddress
    var descriptor: Int32
    /// Made by the service manager, which keeps it open.
    var isPassed: Bool
    /// Of a Unix socket of ours.
    var file: SocketFile?

    /// `smtp 127.0.0.1:2525`
    var line: String { "\(kind.rawValue) \(address)" }
}

struct ListenerTable: Sendable {
    /// What a configuration means for the sockets.
    struct Change: Sendable {
        fileprivate(set) var added: [Listener] = []
        fileprivate(set) var removed: [Listener] = []
        fileprivate(set) var table = ListenerTable()

        /// Closes what was made, for a change that is not to be.
        func discard() {
            for listener in added where !listener.isPassed {
                listener.removeFile()
                close(listener.descriptor)
            }
        }
    }

    private(set) var listeners: [Listener] = []

    /// - Parameter passed: from the service manager; they stay until the daemon ends.
    init(passed: [Listener] = []) { listeners = passed }

    /// Binds what `listen` asks for and is not there. Nothing that is there is touched.
    func change(to listen: Configuration.Listen) throws(ListenError) -> Change {
        var rest = listeners.filter { !$0.isPassed }
        var table = ListenerTable(passed: listeners.filter(\.isPassed))
        var missing: [(ListenerKind, ListenAddress)] = []
        for (kind, address) in listen.all where !table.isCovered(kind, address) {
            if let index = rest.firstIndex(where: { $0.kind == kind && $0.configured == address }) {
                table.listeners.append(rest.remove(at: index))
            } else {
                missing.append((kind, address))
            }
        }
        var change = Change(removed: rest)
        for (kind, address) in missing {
            // `[::]:25` alone takes IPv4 too; beside `0.0.0.0:25` it could not be bound then.
            let isOnlyIPv6 = address.isAny && address.isIPv6 && address.port.map { $0 != 0 && listen.takesAllIPv4($0) } ?? false
            do throws(ListenError) {
                change.added.append(try Self.bind(kind, address, isOnlyIPv6: isOnlyIPv6, replacing: rest))
            } catch {
                change.discard()
                throw error
            }
        }
        table.listeners += change.added
        change.table = table
        return change
    }

    private static func bind(
        _ kind: ListenerKind, _ address: ListenAddress, isOnlyIPv6: Bool, replacing old: [Listener]
    ) throws(ListenError) -> Listener {
        // The same place for something else: the socket that is there changes hands, no connection meets a closed door.
        if let port = address.port, port != 0, let same = old.first(where: { $0.configured == address }),
            let heir = same.handedOver(to: kind)
        {
            return heir
        }
        let neighbours = old.filter { $0.sharesPort(with: address) }.map(\.descriptor)
        let descriptor = try ListeningSocket.bind(
            address, mode: kind.mode, isOnlyIPv6: isOnlyIPv6, beside: neighbours)
        let bound = address.port == nil ? nil : ListeningSocket.address(of: descriptor)
        return Listener(
            kind: kind, configured: address, address: bound ?? address, descriptor: descriptor, isPassed: false,
            file: address.path.flatMap { SocketFile($0) })
    }

    /// Whether the service manager listens there already.
    private func isCovered(_ kind: ListenerKind, _ address: ListenAddress) -> Bool {
        listeners.contains { $0.isPassed && $0.kind == kind && $0.covers(address) }
    }
}

extension Configuration.Listen {
    /// In the order in which `serve` names them.
    var all: [(ListenerKind, ListenAddress)] {
        let mail = smtp.map { (ListenerKind.smtp, $0) } + smtps.map { (.smtps, $0) } + lmtp.map { (.lmtp, $0) }
        return mail + http.map { (.http, $0) } + https.map { (.https, $0) } + admin.map { (.admin, $0) }
    }

    /// Whether one of them is `0.0.0.0` with this port.
    func takesAllIPv4(_ port: Int) -> Bool {
        all.contains { $0.1.port == port && $0.1.isAny && !$0.1.isIPv6 }
    }
}

extension Listener {
    /// Whether who connects to `other` comes here.
    fileprivate func covers(_ other: ListenAddress) -> Bool {
        if address == other { return true }
        guard address.isAny, address.port == other.port else { return false }
        return address.isIPv6 == other.isIPv6 || (address.isIPv6 && !ListeningSocket.isOnlyIPv6(descriptor))
    }

    /// Never inlined: the optimizer of Swift 6.3.1 fails on it inside of a closure.
    @inline(never)
    fileprivate func sharesPort(with other: ListenAddress) -> Bool {
        address.port != nil && address.port == other.port
    }

    /// A copy of a socket of TCP, for something else to be spoken on it.
    fileprivate func handedOver(to kind: ListenerKind) -> Listener? {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { return nil }
        return Listener(kind: kind, configured: configured, address: address, descriptor: copy, isPassed: false)
    }

    /// A Unix socket's name goes with the socket, and before it.
    func removeFile() { file?.remove() }

    /// For the intake; nil for a listener of HTTP.
    var mail: MailListener? {
        let kind: MailListener.Kind? =
            switch kind {
            case .smtp: .smtp
            case .smtps: .smtps
            case .lmtp: .lmtp
            case .http, .https, .admin: nil
            }
        return kind.map { MailListener(kind: $0, isTCP: address.port != nil, descriptor: descriptor) }
    }

    /// For HTTP; nil for a listener of the intake.
    var web: WebListener? {
        switch kind {
        case .smtp, .smtps, .lmtp: nil
        case .http, .https: WebListener(side: .hooks, isSecured: kind.isSecured, descriptor: descriptor)
        case .admin: WebListener(side: .admin, descriptor: descriptor)
        }
    }
}

extension ListenAddress {
    /// nil for a Unix socket.
    var port: Int? {
        if case .tcp(_, let port) = self { port } else { nil }
    }

    /// nil for a Unix socket.
    var host: String? {
        if case .tcp(let host, _) = self { host } else { nil }
    }

    /// Of an address of IP, 4 or 16; nil for a host's name and for a Unix socket. `127.1` and `0` are no names (inet(3)).
    var octets: [UInt8]? {
        host.flatMap { host in
            if let octets = NetworkRange.octets(host) { return octets }
            var address = in_addr()
            return inet_aton(host, &address) == 0 ? nil : withUnsafeBytes(of: address) { Array($0) }
        }
    }

    var isIPv6: Bool { octets?.count == 16 }

    /// `0.0.0.0` or `::`, however it is written.
    var isAny: Bool { octets?.allSatisfy { $0 == 0 } ?? false }

    /// nil for TCP.
    var path: String? {
        if case .unix(let path) = self { path } else { nil }
    }
}
