// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Base32 in lower case, for tokens and ids: survives mail systems that fold case, and holds
// no character that an address, a URL or a subject treats specially.

public enum Base32 {
    /// RFC 4648 section 6, lower case, without padding.
    @inlinable
    public static func lowerCase(_ octets: some Sequence<UInt8>) -> String { lowerCase(Array(octets)) }

    public static func lowerCase(_ octets: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (octets.count * 8 + 4) / 5) { text in
            var bits: UInt16 = 0
            var count = 0
            var length = 0
            func add(_ value: UInt16) {
                let digit = UInt8(truncatingIfNeeded: value & 31)
                text[length] = digit < 26 ? UInt8(ascii: "a") + digit : UInt8(ascii: "2") + digit - 26
                length += 1
            }
            for octet in octets {
                bits = bits << 8 | UInt16(octet)
                count += 8
                while count >= 5 {
                    count -= 5
                    add(bits >> UInt16(count))
                }
            }
            if count > 0 { add(bits << UInt16(5 - count)) }
            return length
        }
    }
}
