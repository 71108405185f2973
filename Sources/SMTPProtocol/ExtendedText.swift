// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// xtext, which carries any octets in the value of a parameter (RFC 3461 section 4).

enum ExtendedText {
    /// What `text` stands for; nil where it is no xtext.
    // xtext = *( xchar / hexchar ); hexchar = "+" and two upper case hexadecimal digits
    static func decode(_ text: String) -> [UInt8]? {
        var decoded: [UInt8] = []
        var octets = text.utf8.makeIterator()
        while let octet = octets.next() {
            switch octet {
            case UInt8(ascii: "+"):
                guard let high = octets.next().flatMap(digit), let low = octets.next().flatMap(digit) else { return nil }
                decoded.append(high << 4 | low)
            // xchar: printable ASCII but "+" and "=".
            case 0x21...0x7E where octet != UInt8(ascii: "="): decoded.append(octet)
            default: return nil
            }
        }
        return decoded
    }

    private static func digit(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): octet - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): octet - UInt8(ascii: "A") + 10
        // Some clients write them in lower case.
        case UInt8(ascii: "a")...UInt8(ascii: "f"): octet - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
