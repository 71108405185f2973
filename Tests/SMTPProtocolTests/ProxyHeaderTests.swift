// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Headers of the PROXY protocol, whole, cut and wrong.

import SMTPProtocol
import TestSupport
import Testing

@Suite struct ProxyHeaderTests {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// - Parameter length: what the header says; nil for what is true.
    private static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil) -> [UInt8] {
        let count = length ?? rest.count
        return signature + [command, family, UInt8(count >> 8), UInt8(count & 0xFF)] + rest
    }

    private static let ipv4: [UInt8] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 25]
    private static let ipv6: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1] + Array(repeating: 0, count: 16) + [1, 2, 3, 4]
    private static let mapped: [UInt8] = Array(repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 9] + Array(repeating: 0, count: 20)

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var octets: [UInt8]
        /// nil: malformed.
        var address: String??
        var port: Int?
        var testDescription: String { name }
    }

    private static func text(_ line: String, _ address: String?? = nil, _ port: Int? = nil) -> Case {
        Case(name: line.debugDescription, octets: Array(line.utf8), address: address, port: port)
    }

    static let cases: [Case] = [
        text("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", "192.0.2.7", 4711),
        text("PROXY TCP6 2001:DB8:0::1 2001:db8::2 65535 0\r\n", "2001:db8::1", 65535),
        text("PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n", "192.0.2.9", 1),
        text("PROXY UNKNOWN\r\n", .some(nil)), text("PROXY UNKNOWN ffff::1 ::2 1 2 and more\r\n", .some(nil)),
        text("PROXY UNKNOWN " + String(repeating: "x", count: 91) + "\r\n", .some(nil)),
        text("PROXY UNKNOWN " + String(repeating: "x", count: 92) + "\r\n"),
        text("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n"), text("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n"),
        text("PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n"), text("PROXY TCP4 192.0.2.7 198.51.100.1 04 25\r\n"),
        text("PROXY TCP4 192.0.2.7 198.51.100.1 +4 25\r\n"), text("PROXY TCP4 192.0.2.07 198.51.100.1 4 25\r\n"),
        text("PROXY TCP4 192.0.2 198.51.100.1 4 25\r\n"), text("PROXY TCP4 2001:db8::1 198.51.100.1 4 25\r\n"),
        text("PROXY TCP6 192.0.2.7 ::1 4 25\r\n"), text("PROXY TCP4  192.0.2.7 198.51.100.1 4 25\r\n"),
        text("PROXY TCP4 192.0.2.7 198.51.100.1 4 25 \r\n"), text("PROXY TCP5 192.0.2.7 198.51.100.1 4 25\r\n"),
        text("proxy TCP4 192.0.2.7 198.51.100.1 4 25\r\n"), text("EHLO client.example\r\n"), text("\r\n\r\nX"), text("PROXX"),
        text("PROXY TCP4 192.0.2.7\u{0} 198.51.100.1 4 25\r\n"), text("PROXY \r\n"),
        Case(name: "IPv4", octets: binary(0x21, 0x11, ipv4), address: "192.0.2.7", port: 0x1267),
        Case(name: "IPv6", octets: binary(0x21, 0x21, ipv6), address: "2001:db8::1", port: 0x0102),
        Case(name: "IPv4 in IPv6", octets: binary(0x21, 0x21, mapped), address: "192.0.2.9", port: 0),
        Case(name: "TLVs", octets: binary(0x21, 0x11, ipv4 + [4, 0, 2, 9, 9, 1, 0, 0]), address: "192.0.2.7", port: 0x1267),
        // 4096 octets: 16, 12, 3 and the value of a TLV.
        Case(name: "largest", octets: binary(0x21, 0x11, ipv4 + [4, 0x0F, 0xE1] + Array(repeating: 0, count: 4065)), address: "192.0.2.7", port: 0x1267),
        Case(name: "too large", octets: binary(0x21, 0x11, ipv4, length: 4081)),
        Case(name: "far too large", octets: binary(0x20, 0x00, [], length: 65535)),
        Case(name: "a TLV longer than the header", octets: binary(0x21, 0x11, ipv4 + [4, 0, 3, 9, 9])),
        Case(name: "half a TLV", octets: binary(0x21, 0x11, ipv4 + [4, 0])),
        Case(name: "shorter than its addresses", octets: binary(0x21, 0x11, Array(ipv4.dropLast()))),
        Case(name: "IPv6 shorter than its addresses", octets: binary(0x21, 0x21, ipv4)),
        Case(name: "LOCAL", octets: binary(0x20, 0x00, []), address: .some(nil)),
        Case(name: "LOCAL with anything", octets: binary(0x20, 0x11, [1, 2, 3]), address: .some(nil)),
        Case(name: "LOCAL with a family nobody knows", octets: binary(0x20, 0xFF, [1, 2]), address: .some(nil)),
        Case(name: "LOCAL with datagrams", octets: binary(0x20, 0x12, ipv4), address: .some(nil)),
        Case(name: "unspecified", octets: binary(0x21, 0x00, [1, 2, 3]), address: .some(nil)),
        Case(name: "Unix", octets: binary(0x21, 0x31, Array(repeating: 7, count: 216)), address: .some(nil)),
        Case(name: "datagrams", octets: binary(0x21, 0x12, ipv4)), Case(name: "version 1 in binary", octets: binary(0x11, 0x11, ipv4)),
        Case(name: "command 2", octets: binary(0x22, 0x11, ipv4)), Case(name: "family 4", octets: binary(0x21, 0x41, ipv4)),
    ]

    @Test(arguments: cases) func reads(_ expected: Case) {
        let rest = Array("EHLO c\r\n".utf8)
        let progress = ProxyHeader.read(expected.octets + rest)
        if let address = expected.address {
            var header = ProxyHeader.Progress.needsMore
            if case .complete(let read, _) = progress { header = .complete(read, consumed: expected.octets.count) }
            #expect(progress == header)
            guard case .complete(let read, _) = progress else { return }
            #expect(read.address == address && read.port == expected.port)
            // Until the last octet is there, more is wanted.
            for count in 0..<expected.octets.count { #expect(ProxyHeader.read(expected.octets[..<count]) == .needsMore) }
        } else {
            #expect(progress == .malformed)
            // What is refused whole is never taken in part.
            for count in 0..<expected.octets.count {
                let partial = ProxyHeader.read(expected.octets[..<count])
                #expect(partial == .needsMore || partial == .malformed)
            }
        }
    }

    /// A client that never ends its header is not waited for.
    @Test func neverWantsMoreThanTheLongest() {
        #expect(ProxyHeader.read(Array("PROXY ".utf8) + Array(repeating: 0x20, count: 101)) == .malformed)
        #expect(ProxyHeader.read(Array("PROXY ".utf8) + Array(repeating: 0x20, count: 100)) == .needsMore)
        for seed in 0..<4000 {
            var generator = SplitMix64(state: UInt64(seed))
            var octets = Self.cases[seed % Self.cases.count].octets
            for _ in 0..<3 where !octets.isEmpty { octets[Int.random(in: 0..<octets.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator) }
            octets += Array(repeating: UInt8.random(in: 0...255, using: &generator), count: 4200)
            #expect(ProxyHeader.read(octets) != .needsMore)
        }
    }
}
