// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The delimiter lines of open multiparts (RFC 2046 section 5.1.1).

extension PartTableBuilder {
    struct Delimiter {
        /// Where the line begins, and the next one.
        var start: Int
        var next: Int
        /// Index in `open` of the multipart it belongs to.
        var level: Int
        var isClosing: Bool
    }

    /// The next delimiter line of one of the open multiparts, from the beginning of a line on.
    func nextDelimiter(_ bytes: Bytes, _ start: Int, base: Int) -> Delimiter? {
        guard open[base...].contains(where: { $0.boundary != nil }) else { return nil }
        if matchesBoundary(bytes, start, base: base), let found = delimiter(bytes, start, base: base) { return found }
        var index = start
        while true {
            index = LineSearch.nextLine(bytes, from: index, bytes.count, first: .hyphen, second: .hyphen)
            guard index < bytes.count else { return nil }
            if let found = delimiter(bytes, index, base: base) { return found }
        }
    }

    func matchesBoundary(_ bytes: Bytes, _ index: Int, base: Int) -> Bool {
        index + 2 < bytes.count && bytes[index] == .hyphen && bytes[index + 1] == .hyphen
            && delimiter(bytes, index, base: base) != nil
    }

    /// The delimiter in a line that begins with two hyphens. The whole line is compared first, innermost multipart
    /// first, so that of boundaries that begin alike the right one is found.
    ///
    /// QUIRK: by RFC 2046 section 5.1.1 it is enough that a line begins with the boundary. What follows it here must be
    /// blanks and may be text behind them, else a boundary that begins like another would end the wrong part.
    private func delimiter(_ bytes: Bytes, _ start: Int, base: Int) -> Delimiter? {
        let text = start + 2
        guard open[base...].contains(where: { $0.boundary?.isPrefix(of: bytes, at: text) ?? false }) else { return nil }
        let next = bytes.nextLine(text, bytes.count)
        let end = bytes.trimmed(text..<next).upperBound
        for isExact in [true, false] {
            for level in stride(from: open.count - 1, through: base, by: -1) {
                guard let boundary = open[level].boundary, boundary.isPrefix(of: bytes, at: text) else { continue }
                let rest = (text + boundary.count)..<max(end, text + boundary.count)
                guard rest.upperBound <= next, let kind = Boundary.kind(bytes, rest, isExact: isExact) else { continue }
                return Delimiter(start: start, next: next, level: level, isClosing: kind == .closing)
            }
        }
        return nil
    }
}
