// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// IP addresses of clients, as text in the one form in which they are counted, logged and kept.

import Glibc

public enum PeerAddress {
    /// The usual form of an address given as text (RFC 5952 for IPv6); nil where it is none. An IPv4 address in an IPv6
    /// one (`::ffff:192.0.2.1`) becomes IPv4, so that nobody counts as two.
    public static func canonical(_ text: some StringProtocol) -> String? {
        // A zero would end the text for C.
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        var octets = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, String(text), &octets) == 1 { return self.text(octets[..<4]) }
        guard inet_pton(AF_INET6, String(text), &octets) == 1 else { return nil }
        return self.text(octets[...])
    }

    /// - Parameter octets: 4 or 16 in network order.
    static func text(_ octets: ArraySlice<UInt8>) -> String? {
        var octets = Array(octets)
        if octets.count == 16, octets[..<10].allSatisfy({ $0 == 0 }), octets[10] == 0xFF, octets[11] == 0xFF {
            octets.removeFirst(12)
        }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = octets.count == 4 ? AF_INET : AF_INET6
        guard octets.count == 4 || octets.count == 16,
            inet_ntop(family, octets, &buffer, socklen_t(buffer.count)) != nil
        else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// A port in decimal, without signs and leading zeros.
    static func port(_ text: some StringProtocol) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(ASCII.isDigit), text == "0" || text.first != "0"
        else { return nil }
        return Int(text).flatMap { $0 <= 65_535 ? $0 : nil }
    }
}
