// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the octets of a field's value say: unfolding, comments, text in any charset.

enum HeaderText {
    /// Octets as text: UTF-8 (RFC 6532) where they are that, else windows-1252, so that none is lost.
    static func string(_ octets: ArraySlice<UInt8>) -> String {
        octets.withUnsafeBufferPointer { string($0) }
    }

    static func string(_ octets: Bytes) -> String {
        if UTF8Validation.isValid(octets) { return String(decoding: octets, as: UTF8.self) }
        return String(decoding: Charset.utf8(Array(octets), label: "windows-1252"), as: UTF8.self)
    }

    /// Without line ends; the blanks of the fold stay (RFC 5322 section 2.2.3).
    static func unfolded(_ bytes: Bytes, _ range: Range<Int>) -> [UInt8] {
        // Most values stand on one line.
        if bytes.firstIndex(of: .lineFeed, in: range) == range.upperBound,
            bytes.firstIndex(of: .carriageReturn, in: range) == range.upperBound
        {
            return Array(bytes[range])
        }
        var octets: [UInt8] = []
        octets.reserveCapacity(range.count)
        for index in range where bytes[index] != .carriageReturn && bytes[index] != .lineFeed { octets.append(bytes[index]) }
        return octets
    }

    /// Behind a comment (RFC 5322 section 3.2.2); comments nest. One that is not closed ends where the value does.
    static func behindComment(_ bytes: Bytes, _ start: Int, _ end: Int) -> Int {
        var depth = 0
        var index = start
        while index < end {
            switch bytes[index] {
            case .leftParenthesis: depth += 1
            case .rightParenthesis:
                depth -= 1
                if depth == 0 { return index + 1 }
            case .backslash: index += 1
            default: break
            }
            index += 1
        }
        return end
    }
}
