// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Base32 in lower case, for tokens and ids: survives mail systems that fold case, and holds
// no character that an address, a URL or a subject treats specially.

public enum Base32 {
    private static let digits: StaticString = "abcdefghijklmnopqrstuvwxyz234567"

    /// RFC 4648 section 6, lower case, without padding.
    @inlinable
    public static func lowerCase(_ octets: some Sequence<UInt8>) -> String {
        Array(octets).withUnsafeBytes { lowerCase($0, behind: "") }
    }

    /// The same behind a prefix in ASCII, as ids have it.
    public static func lowerCase(_ octets: UnsafeRawBufferPointer, behind prefix: StaticString) -> String {
        let start = prefix.utf8CodeUnitCount
        return String(unsafeUninitializedCapacity: start + (octets.count * 8 + 4) / 5) { text in
            _ = prefix.withUTF8Buffer { text.update(fromContentsOf: $0) }
            return digits.withUTF8Buffer { digits in
                var bits: UInt32 = 0
                var count: UInt32 = 0
                var length = start
                func put(_ value: UInt32) {
                    text[length] = digits[Int(value & 31)]
                    length += 1
                }
                for octet in octets {
                    bits = bits << 8 | UInt32(octet)
                    count += 8
                    while count >= 5 {
                        count -= 5
                        put(bits >> count)
                    }
                }
                if count > 0 { put(bits << (5 - count)) }
                return length
            }
        }
    }
}
