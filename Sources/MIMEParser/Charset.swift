// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Text in any charset to UTF-8: which charset a label means, and the way for each kind.

/// Conversion of text to UTF-8 by the label of its charset.
public enum Charset {
    /// Text in UTF-8.
    ///
    /// The label is a `charset` parameter, in any case of letters. Without one, with `us-ascii`, and with one that is
    /// unknown, octets that are UTF-8 are taken as that, others as windows-1252. What is not of its charset becomes
    /// U+FFFD; nothing else is lost. A byte order mark stays in UTF-8 and is taken off UTF-16 and UTF-32.
    public static func utf8(_ bytes: [UInt8], label: String?) -> [UInt8] {
        utf8(bytes, encoding(label: label) ?? .unlabelled)
    }

    /// Whether `utf8(_:label:)` would give these octets back.
    public static func isUTF8(_ bytes: UnsafeBufferPointer<UInt8>, label: String?) -> Bool {
        switch encoding(label: label) ?? .unlabelled {
        case .utf8, .unlabelled: UTF8Validation.isValid(bytes)
        default: false
        }
    }

    /// Whether a label is one that is read as what it says.
    public static func isKnown(_ label: String) -> Bool { encoding(label: label) != nil }

    static func utf8(_ bytes: [UInt8], _ encoding: CharsetEncoding) -> [UInt8] {
        switch encoding {
        case .utf8: validated(bytes)
        case .unlabelled: unlabelled(bytes)
        case .singleByte(let table): SingleByteConverter.utf8(bytes, table)
        case .utf16(let order): UnicodeConverter.utf8(fromUTF16: bytes, order)
        case .utf32(let order): UnicodeConverter.utf8(fromUTF32: bytes, order)
        case .userDefined: SingleByteConverter.utf8(bytes, userDefinedTable)
        case .eastAsian(let charset): EastAsianConverter.utf8(bytes, charset)
        case .iso2022JP: EastAsianConverter.utf8(EscapedCharsets.eucJP(fromISO2022: bytes), .eucJP)
        case .iso2022KR: EastAsianConverter.utf8(EscapedCharsets.eucKR(fromISO2022: bytes), .eucKR)
        case .hz: EastAsianConverter.utf8(EscapedCharsets.eucCN(fromHZ: bytes), .gb18030)
        case .library(let name): IconvConverter.utf8(bytes, from: name) ?? unlabelled(bytes)
        }
    }

    private static func validated(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBufferPointer { buffer in
            let valid = UTF8Validation.validCount(buffer, from: 0)
            return valid == buffer.count ? nil : UTF8Validation.repaired(buffer, validCount: valid)
        } ?? bytes
    }

    private static func unlabelled(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.withUnsafeBufferPointer({ UTF8Validation.isValid($0) }) { return bytes }
        return SingleByteConverter.utf8(bytes, SingleByteTables.windows1252)
    }

    /// WHATWG Encoding Standard section 14.5: U+F780 to U+F7FF.
    private static let userDefinedTable: [UInt16] = (0..<128).map { 0xF780 + $0 }

    // MARK: labels

    /// What a label means; nil where that is not known, `unlabelled` where there is none.
    static func encoding(label: String?) -> CharsetEncoding? {
        guard var label else { return .unlabelled }
        return label.withUTF8 { encoding($0, 0..<$0.count) }
    }

    static func encoding(_ bytes: Bytes, _ range: Range<Int>) -> CharsetEncoding? {
        switch range.count {
        case 5 where bytes.hasWord("utf-8", at: range.lowerBound, range.upperBound): return .utf8
        case 8 where bytes.hasWord("us-ascii", at: range.lowerBound, range.upperBound): return .unlabelled
        case 0: return .unlabelled
        case 1...labelLimit: break
        default: return nil
        }
        var key: [UInt8] = []
        for octet in bytes[range] where octet.isDigit || octet.isLetter { key.append(octet.lowercased) }
        if key.isEmpty { return .unlabelled }
        return CharsetLabels.all[String(decoding: key, as: UTF8.self)]
    }

    /// Longer than any label.
    private static let labelLimit = 60

    /// Whether text in a charset has states, so that pieces of it cannot be put together (RFC 2047 section 2).
    static func isStateful(_ label: String) -> Bool {
        switch encoding(label: label) {
        case .iso2022JP, .iso2022KR, .hz: true
        case .library(let name): name == "UTF-7" || name.hasPrefix("ISO-2022")
        default: false
        }
    }
}

/// How the octets of a charset are read.
enum CharsetEncoding: Sendable {
    case utf8
    /// No charset is named: UTF-8 where it is that, else windows-1252.
    case unlabelled
    case singleByte([UInt16])
    /// Nil where a byte order mark or else the look of the octets says which.
    case utf16(ByteOrder?)
    case utf32(ByteOrder?)
    case userDefined
    case eastAsian(EastAsianCharset)
    case iso2022JP
    case iso2022KR
    case hz
    /// By its name in the C library.
    case library(String)

    enum ByteOrder: Sendable { case little, big }
}
