// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A range of IP addresses in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3).

import Glibc

public struct NetworkRange: Sendable, Hashable {
    /// 4 or 16 octets in network order.
    private var network: [UInt8]
    private var prefixLength: Int

    /// `192.0.2.0/24`, `2001:db8::/32`, or a single address; nil for anything else.
    public init?(_ text: String) {
        let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = halves.first, let octets = Self.octets(String(address)) else { return nil }
        network = octets
        prefixLength = octets.count * 8
        if halves.count == 2 {
            guard let length = Int(halves[1]), (0...prefixLength).contains(length) else { return nil }
            prefixLength = length
        }
    }

    /// Whether `address` lies in the range; an IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    public func contains(_ address: String) -> Bool {
        guard let octets = Self.octets(address), octets.count == network.count else { return false }
        for index in 0..<octets.count {
            let bits = min(8, max(0, prefixLength - index * 8))
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> bits)
            if (octets[index] ^ network[index]) & mask != 0 { return false }
        }
        return true
    }

    /// 4 or 16 octets in network order; 4 as well for an IPv4 address written as IPv6, nil for what is no address.
    public static func octets(_ text: String) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 { return Array(buffer[0..<4]) }
        guard inet_pton(AF_INET6, text, &buffer) == 1 else { return nil }
        let mapped = buffer[0..<10].allSatisfy { $0 == 0 } && buffer[10] == 0xFF && buffer[11] == 0xFF
        return mapped ? Array(buffer[12..<16]) : buffer
    }
}
