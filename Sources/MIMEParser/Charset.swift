// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Text in any charset to UTF-8.

/// Conversion of text to UTF-8 by the label of its charset.
public enum Charset {
    /// Text in UTF-8. The label is a `charset` parameter, in any case of letters. Without one, and with one that is
    /// unknown, octets that are UTF-8 are taken as that, others as windows-1252. What is not of its charset becomes
    /// U+FFFD; nothing else is lost.
    public static func utf8(_ bytes: [UInt8], label: String?) -> [UInt8] {
        let name = (label ?? "").lowercased()
        switch name {
        case "utf-8", "utf8":
            return bytes.withUnsafeBufferPointer { buffer in
                let valid = UTF8Validation.validCount(buffer, from: 0)
                return valid == buffer.count ? nil : UTF8Validation.repaired(buffer, validCount: valid)
            } ?? bytes
        case "", "us-ascii":
            if bytes.withUnsafeBufferPointer({ UTF8Validation.isValid($0) }) { return bytes }
            return iconv(bytes, "WINDOWS-1252") ?? bytes
        default:
            return iconv(bytes, name) ?? utf8(bytes, label: nil)
        }
    }

    static func isStateful(_ label: String) -> Bool { label.hasPrefix("iso-2022") || label.hasPrefix("hz") || label == "utf-7" }

    private static func iconv(_ bytes: [UInt8], _ name: String) -> [UInt8]? { IconvConverter.utf8(bytes, from: name) }
}
