// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Base32 in lower case, for tokens and ids: survives mail systems that fold case, and holds
// no character that an address, a URL or a subject treats specially.

public enum Base32 {
    /// RFC 4648 section 6, lower case, without padding.
    public static func lowerCase(_ octets: some Sequence<UInt8>) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
        var text: [UInt8] = []
        var bits: UInt16 = 0
        var count = 0
        for octet in octets {
            bits = bits << 8 | UInt16(octet)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> UInt16(count)) & 31])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt16(5 - count)) & 31]) }
        return String(decoding: text, as: UTF8.self)
    }
}
