// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The boundary of a multipart (RFC 2046 section 5.1.1).

import Glibc

struct Boundary {
    enum Kind { case separating, closing }

    let octets: [UInt8]

    /// Nil for an empty one. Blanks at its end are not part of it.
    init?(_ octets: [UInt8]) {
        let trimmed = octets[..<((octets.lastIndex { !$0.isBlankOrLineEnd } ?? -1) + 1)]
        guard !trimmed.isEmpty else { return nil }
        self.octets = Array(trimmed)
    }

    /// QUIRK: RFC 2046 section 5.1.1 wants the parameter. Where it is lost, as with a fold that is not indented, the first
    /// line of two hyphens and a word, with a field or an empty line behind it, shows what it was.
    init?(ofFirstDelimiterIn bytes: Bytes, _ body: Range<Int>) {
        let end = min(body.upperBound, body.lowerBound + Self.preambleLimit)
        var index = body.lowerBound
        while index < end {
            let next = bytes.nextLine(index, end)
            let line = bytes.trimmed(index..<next)
            if line.lowerBound == index, line.count >= 4, bytes[index] == .hyphen, bytes[index + 1] == .hyphen, next < end,
                bytes[line].allSatisfy({ $0 > 0x20 && $0 < 0x7F }), bytes[line].contains(where: { $0 != .hyphen }),
                bytes[next] == .lineFeed || bytes[next] == .carriageReturn
                    || HeaderScanner.fieldName(bytes, next, end) != nil
            {
                self.init(Array(bytes[(index + 2)..<line.upperBound]))
                return
            }
            index = next
        }
        return nil
    }

    /// How much of a body is looked at for a first delimiter.
    private static let preambleLimit = 16 << 10

    func isPrefix(of bytes: Bytes, at start: Int) -> Bool {
        guard bytes.count - start >= octets.count, let base = bytes.baseAddress else { return false }
        return memcmp(base + start, octets, octets.count) == 0
    }

    /// Whether two hyphens and the boundary stand at a place.
    func isDelimiter(_ bytes: Bytes, at start: Int) -> Bool {
        bytes.count - start >= 2 && bytes[start] == .hyphen && bytes[start + 1] == .hyphen
            && isPrefix(of: bytes, at: start + 2)
    }

    /// What a delimiter line is by what follows the boundary on it, blanks at the end left off.
    static func kind(_ bytes: Bytes, _ rest: Range<Int>, isExact: Bool) -> Kind? {
        if rest.isEmpty { return .separating }
        let first = bytes[rest.lowerBound]
        let isClosing = rest.count >= 2 && first == .hyphen && bytes[rest.lowerBound + 1] == .hyphen
        if isExact { return isClosing && rest.count == 2 ? .closing : nil }
        if isClosing { return .closing }
        guard first.isBlank else { return nil }
        // `boundary --`: the sender's boundary ends in a blank, which it may not.
        let word = bytes.trimmed(rest)
        let isEnd = word.count == 2 && bytes[word.lowerBound] == .hyphen && bytes[word.lowerBound + 1] == .hyphen
        return isEnd ? .closing : .separating
    }
}
