// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which addresses a webhook may be sent to. Looks at octets of addresses that were resolved, never at names or at
// how an address was written. Pure.

/// An IP address as its octets in network order: 4 or 16 of them.
struct IPAddress: Sendable, Hashable {
    let octets: [UInt8]

    /// nil unless there are 4 or 16 octets.
    init?(_ octets: some Collection<UInt8>) {
        guard octets.count == 4 || octets.count == 16 else { return nil }
        self.octets = Array(octets)
    }

    /// Whether the address is one of the public internet's. Whatever leads to this machine, its own networks or many
    /// receivers at once is not: the special-purpose registries of RFC 6890 (IANA, as of 2026), multicast included.
    var isPublic: Bool { octets.count == 4 ? Self.isPublic(version4: octets[...]) : isPublicVersion6 }

    private struct Block {
        var prefix: [UInt8]
        var bits: Int

        func contains(_ octets: ArraySlice<UInt8>) -> Bool {
            var left = bits
            for (mine, its) in zip(prefix, octets) {
                guard left > 0 else { return true }
                let mask: UInt8 = left >= 8 ? 0xFF : ~(0xFF >> UInt8(left))
                guard mine & mask == its & mask else { return false }
                left -= 8
            }
            return true
        }
    }

    private static let specialVersion4: [Block] = [
        Block(prefix: [0], bits: 8),  // this network, RFC 791 section 3.2
        Block(prefix: [10], bits: 8),  // private, RFC 1918
        Block(prefix: [100, 64], bits: 10),  // carrier-grade NAT, RFC 6598
        Block(prefix: [127], bits: 8),  // loopback, RFC 1122 section 3.2.1.3
        Block(prefix: [169, 254], bits: 16),  // link-local, RFC 3927; metadata services of clouds
        Block(prefix: [172, 16], bits: 12),  // private, RFC 1918
        Block(prefix: [192, 0, 0], bits: 24),  // protocol assignments, RFC 6890
        Block(prefix: [192, 0, 2], bits: 24),  // documentation, RFC 5737
        Block(prefix: [192, 88, 99], bits: 24),  // 6to4 relays, RFC 7526
        Block(prefix: [192, 168], bits: 16),  // private, RFC 1918
        Block(prefix: [198, 18], bits: 15),  // benchmarks, RFC 2544
        Block(prefix: [198, 51, 100], bits: 24),  // documentation, RFC 5737
        Block(prefix: [203, 0, 113], bits: 24),  // documentation, RFC 5737
        Block(prefix: [224], bits: 4),  // multicast, RFC 5771
        Block(prefix: [240], bits: 4),  // reserved and broadcast, RFC 1112 section 4
    ]

    /// Inside of 2000::/3, outside of which nothing is public.
    private static let specialVersion6: [Block] = [
        Block(prefix: [0x20, 0x01, 0x00], bits: 23),  // protocol assignments: Teredo, benchmarks, ORCHID; RFC 2928
        Block(prefix: [0x20, 0x01, 0x0D, 0xB8], bits: 32),  // documentation, RFC 3849
        Block(prefix: [0x20, 0x02], bits: 16),  // 6to4: an IPv4 address of anybody's choice, RFC 7526
        Block(prefix: [0x3F, 0xFF, 0x00], bits: 20),  // documentation, RFC 9637
    ]

    private static let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    private static let nat64: [UInt8] = [0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]

    private static func isPublic(version4 octets: ArraySlice<UInt8>) -> Bool {
        !specialVersion4.contains { $0.contains(octets) }
    }

    private var isPublicVersion6: Bool {
        // RFC 4291 section 2.5.5.2 and RFC 6052 section 2.1: what counts is the IPv4 address at the end.
        if octets.starts(with: Self.mapped) || octets.starts(with: Self.nat64) {
            return Self.isPublic(version4: octets[12...])
        }
        // RFC 4291 section 2.4: global unicast addresses are handed out from 2000::/3. This leaves out loopback, local
        // NAT64 (RFC 8215), discard-only, unique local (RFC 4193), link-local, site-local and multicast.
        guard octets[0] & 0xE0 == 0x20 else { return false }
        return !Self.specialVersion6.contains { $0.contains(octets[...]) }
    }
}
