// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The delimiter lines of open multiparts (RFC 2046 section 5.1.1).

import Glibc

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
        guard let text = bytes.baseAddress.map({ $0 + start + 2 }) else { return nil }
        let room = bytes.count - start - 2
        return boundaries.withUnsafeBufferPointer { boundaries -> Delimiter? in
            guard let octets = boundaries.baseAddress else { return nil }
            var inexact: Delimiter?
            var line: (next: Int, end: Int)?
            for level in stride(from: open.count - 1, through: base, by: -1) {
                guard let boundary = open[level].boundary, boundary.count <= room,
                    memcmp(text, octets + boundary.lowerBound, boundary.count) == 0
                else { continue }
                let (next, end) = line ?? lineEnd(bytes, start + 2)
                line = (next, end)
                let behind = start + 2 + boundary.count
                let rest = behind..<max(end, behind)
                guard rest.upperBound <= next else { continue }
                if let kind = Boundary.kind(bytes, rest, isExact: true) {
                    return Delimiter(start: start, next: next, level: level, isClosing: kind == .closing)
                }
                guard inexact == nil, let kind = Boundary.kind(bytes, rest, isExact: false) else { continue }
                inexact = Delimiter(start: start, next: next, level: level, isClosing: kind == .closing)
            }
            return inexact
        }
    }

    private func lineEnd(_ bytes: Bytes, _ text: Int) -> (next: Int, end: Int) {
        let next = bytes.nextLine(text, bytes.count)
        return (next, bytes.trimmed(text..<next).upperBound)
    }
}
