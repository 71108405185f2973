// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where a front end listens, as it is written in the configuration and on the command line.

/// Where to listen: an IP address with a port, or a Unix socket.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// `HOST:PORT`, `[IPV6]:PORT`, or an absolute path, of which empty parts and `.` are left out, so that one socket has
    /// one name; nil for anything else.
    public init?(_ text: String) {
        if text.hasPrefix("/") {
            self = .unix(path: "/" + text.split(separator: "/").filter { $0 != "." }.joined(separator: "/"))
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

extension ListenAddress {
    var isTCP: Bool {
        if case .tcp = self { true } else { false }
    }
}
