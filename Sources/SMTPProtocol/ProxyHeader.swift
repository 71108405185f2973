// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The header a load balancer puts before a connection to say whose it is: the PROXY protocol,
// versions 1 and 2 (HAProxy's proxy-protocol.txt, sections 2.1 and 2.2). Nothing of SMTP.

public struct ProxyHeader: Sendable, Hashable {
    public enum Progress: Sendable, Hashable {
        case needsMore
        /// These octets begin no header: the connection is to be closed.
        case malformed
        /// The header is the first `consumed` octets.
        case complete(ProxyHeader, consumed: Int)
    }

    /// The client's IP address in its usual form; nil where the proxy speaks for itself (LOCAL) or does not know it.
    public var address: String?
    public var port: Int?

    /// Octets of a header of version 1, line end included (section 2.1).
    private static let textLimit = 107
    /// Octets of a header of version 2: the fixed part, the largest addresses, and TLVs up to a client's certificate
    /// (section 2.2).
    static let binaryLimit = 4096
    private static let fixedSize = 16
    private static let textStart = Array("PROXY ".utf8)
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Reads the header at the beginning of `octets`. Octets that can't become one are `malformed` as early as they show.
    public static func read(_ octets: some Collection<UInt8>) -> Progress {
        let octets = Array(octets.prefix(binaryLimit))
        if isBeginning(octets, of: signature) { return readBinary(octets) }
        if isBeginning(octets, of: textStart) { return readText(octets) }
        return .malformed
    }

    private static func isBeginning(_ octets: [UInt8], of start: [UInt8]) -> Bool {
        zip(octets, start).allSatisfy { $0 == $1 }
    }

    // Section 2.1: "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port CRLF, or "PROXY UNKNOWN" and
    // anything up to CRLF
    private static func readText(_ octets: [UInt8]) -> Progress {
        guard let end = octets.prefix(textLimit).firstIndex(of: ASCII.lineFeed) else {
            return octets.count < textLimit ? .needsMore : .malformed
        }
        guard end > 0, octets[end - 1] == ASCII.carriageReturn else { return .malformed }
        let line = octets[..<(end - 1)]
        guard line.allSatisfy({ (0x20...0x7E).contains($0) }) else { return .malformed }
        let words = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
        if words.count >= 2, words[1] == "UNKNOWN" { return .complete(ProxyHeader(), consumed: end + 1) }
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6",
            words[2...3].allSatisfy({ $0.contains(":") == (words[1] == "TCP6") }),
            let address = PeerAddress.canonical(words[2]), PeerAddress.canonical(words[3]) != nil,
            let port = PeerAddress.port(words[4]), PeerAddress.port(words[5]) != nil
        else { return .malformed }
        return .complete(ProxyHeader(address: address, port: port), consumed: end + 1)
    }

    // Section 2.2: signature, version and command, family and protocol, length, addresses, TLVs
    private static func readBinary(_ octets: [UInt8]) -> Progress {
        if octets.count > 12, octets[12] != 0x20, octets[12] != 0x21 { return .malformed }
        guard octets.count >= fixedSize else { return .needsMore }
        let end = fixedSize + Int(octets[14]) << 8 + Int(octets[15])
        guard end <= binaryLimit else { return .malformed }
        // What follows the command LOCAL, the family with it, is to be ignored whatever it is.
        if octets[12] == 0x20 { return octets.count >= end ? .complete(ProxyHeader(), consumed: end) : .needsMore }
        // Length of the addresses of each family over a stream; unspecified ones have none that we know of.
        let size: Int
        switch octets[13] {
        case 0x00: size = 0
        case 0x11: size = 12
        case 0x21: size = 36
        case 0x31: size = 216
        default: return .malformed
        }
        guard end >= fixedSize + size else { return .malformed }
        guard octets.count >= end else { return .needsMore }
        // So is what follows an unspecified family.
        if size == 0 { return .complete(ProxyHeader(), consumed: end) }
        guard areWholeValues(octets[(fixedSize + size)..<end]) else { return .malformed }
        switch octets[13] {
        case 0x11: return address(octets, length: 4, end: end)
        case 0x21: return address(octets, length: 16, end: end)
        // A client of the proxy's Unix socket.
        default: return .complete(ProxyHeader(), consumed: end)
        }
    }

    private static func address(_ octets: [UInt8], length: Int, end: Int) -> Progress {
        let ports = fixedSize + 2 * length
        let port = Int(octets[ports]) << 8 + Int(octets[ports + 1])
        let address = PeerAddress.text(octets[fixedSize..<(fixedSize + length)])
        return .complete(ProxyHeader(address: address, port: port), consumed: end)
    }

    /// Section 2.2.7: each TLV is a type, two octets of length, and as many octets. None is of use here.
    private static func areWholeValues(_ octets: ArraySlice<UInt8>) -> Bool {
        var position = octets.startIndex
        while position < octets.endIndex {
            guard position + 3 <= octets.endIndex else { return false }
            position += 3 + Int(octets[position + 1]) << 8 + Int(octets[position + 2])
        }
        return position == octets.endIndex
    }
}
