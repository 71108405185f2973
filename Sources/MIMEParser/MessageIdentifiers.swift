// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Message-ID, In-Reply-To and References (RFC 5322 section 3.6.4).

enum MessageIdentifiers {
    /// The identifiers in a value, without brackets. Where there are no brackets, the words of the value.
    static func all(in value: String) -> [String] {
        Array(value.utf8).withUnsafeBufferPointer { bytes in ranges(bytes).map { text(bytes, $0) } }
    }

    /// The first of them; `value` is unfolded.
    static func first(in value: [UInt8]) -> String? {
        value.withUnsafeBufferPointer { bytes in ranges(bytes).first.map { text(bytes, $0) } }
    }

    private static func text(_ bytes: Bytes, _ range: Range<Int>) -> String { HeaderText.string(Bytes(rebasing: bytes[range])) }

    private static func ranges(_ bytes: Bytes) -> [Range<Int>] {
        bytes.firstIndex(of: 0x3C, in: 0..<bytes.count) < bytes.count ? bracketed(bytes) : words(bytes)
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
