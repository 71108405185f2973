// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Counts by name in windows of one minute. A fixed window lets up to twice the limit through
// around its end; in return it costs one counter a name, and says exactly when it ends.

import Glibc
import HookModel
import Synchronization

final class RateLimiter: Sendable {
    /// What a name has left.
    struct Budget: Sendable, Hashable {
        var limit: Int
        var remaining: Int
        /// When the window ends, in seconds since 1970.
        var reset: Int64
        var isExceeded: Bool
    }

    private struct Window {
        var minute: Int64 = .min
        var counts: [String: Int] = [:]
    }

    /// Names of one window. Whoever comes after shares one counter: memory does not follow the number of peers.
    static let nameLimit = 65_536

    private let limit: Int?
    private let window = Mutex(Window())

    /// - Parameter limit: of each name in a minute; nil for none.
    init(limit: Int?) { self.limit = limit }

    /// Counts one; nil where there is no limit.
    func take(_ name: String, now: Timestamp) -> Budget? {
        guard let limit else { return nil }
        let minute = now.seconds / 60
        let count = window.withLock { window in
            if window.minute != minute {
                window.minute = minute
                window.counts.removeAll(keepingCapacity: true)
            }
            let isKnown = window.counts[name] != nil || window.counts.count < Self.nameLimit
            return Self.increment(&window.counts[isKnown ? name : "", default: 0])
        }
        return Budget(
            limit: limit, remaining: max(0, limit - count), reset: (minute + 1) * 60, isExceeded: count > limit)
    }

    /// Counts one of a peer.
    func take(ofPeer address: String, now: Timestamp) -> Budget? {
        limit == nil ? nil : take(Self.name(ofPeer: address), now: now)
    }

    private static func increment(_ count: inout Int) -> Int {
        count += 1
        return count
    }

    /// Whether a text is an IPv4 or IPv6 address.
    static func isAddress(_ text: String) -> Bool {
        var octets = [UInt8](repeating: 0, count: 16)
        return inet_pton(AF_INET, text, &octets) == 1 || inet_pton(AF_INET6, text, &octets) == 1
    }

    /// The name a peer is counted by. A subscriber of IPv6 has at least a /64 (RFC 6177 section 2) and could take a
    /// new address for every request.
    static func name(ofPeer address: String) -> String {
        guard address.utf8.contains(UInt8(ascii: ":")) else { return address }
        var octets = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, address, &octets) == 1 else { return address }
        let isIPv4 = octets[..<10].allSatisfy { $0 == 0 } && octets[10] == 0xFF && octets[11] == 0xFF
        if isIPv4 { return octets[12...].map(String.init).joined(separator: ".") }
        return octets[..<8].map { String($0, radix: 16) }.joined(separator: ":") + "::/64"
    }
}
