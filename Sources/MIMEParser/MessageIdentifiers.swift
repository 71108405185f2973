// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Message-ID, In-Reply-To and References (RFC 5322 section 3.6.4).

enum MessageIdentifiers {
    /// The identifiers in a value, without brackets. Where there are no brackets, the words of the value.
    ///
    /// - Parameter value: unfolded.
    static func all(in value: [UInt8]) -> [String] {
        value.withUnsafeBufferPointer { bytes in
            let hasBrackets = bytes.firstIndex(of: 0x3C, in: 0..<bytes.count) < bytes.count
            return (hasBrackets ? bracketed(bytes) : words(bytes)).map { HeaderText.string(Bytes(rebasing: bytes[$0])) }
        }
    }

    private static func bracketed(_ bytes: Bytes) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case .leftParenthesis: index = HeaderText.behindComment(bytes, index, bytes.count)
            case 0x3C:
                let close = bytes.firstIndex(of: 0x3E, in: index..<bytes.count)
                ranges.append(bytes.trimmed((index + 1)..<close))
                index = close + 1
            default: index += 1
            }
        }
        return ranges.filter { !$0.isEmpty }
    }

    private static func words(_ bytes: Bytes) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var index = 0
        while index < bytes.count {
            while index < bytes.count, bytes[index].isBlankOrLineEnd { index += 1 }
            let start = index
            while index < bytes.count, !bytes[index].isBlankOrLineEnd { index += 1 }
            if index > start { ranges.append(start..<index) }
        }
        return ranges
    }
}
