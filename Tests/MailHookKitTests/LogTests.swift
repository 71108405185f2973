// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the daemon's log looks like on standard error.

import Testing

@testable import MailHookKit

@Suite struct LogTests {
    @Test(arguments: [
        ("plain", "plain"), ("", "\"\""), ("two words", "\"two words\""), ("a=b", "\"a=b\""), ("a\\b", "a\\b"),
        ("say \"x\"", "\"say \\\"x\\\"\""), ("\"\u{301}", "\"\\\"\u{301}\""), ("a \\\u{301}", "\"a \\\\\u{301}\""),
        ("\u{1B}[2J", "\\u{1b}[2J"), ("\u{E9}", "\u{E9}"),
    ])
    func valuesCanBeTakenApart(value: String, expected: String) {
        let quoted = DaemonLog.quoted(value)
        #expect(Array(quoted.utf8) == Array(expected.utf8), "\(quoted)")
    }

    @Test(arguments: 1...40)
    func linesArePutTogether(limit: Int) {
        let lines = (0..<30).map { String(repeating: "x", count: $0 * 7 % 20) }
        let pieces = Terminal.pieces(of: lines, limit: limit)
        #expect(pieces.joined().elementsEqual(lines.map { $0 + "\n" }.joined().utf8))
        for (piece, next) in zip(pieces, pieces.dropFirst() + [[]]) {
            #expect(piece.last == UInt8(ascii: "\n"))
            #expect(piece.count <= limit || piece.count { $0 == UInt8(ascii: "\n") } == 1)
            // As few as can be.
            let first = next.prefix { $0 != UInt8(ascii: "\n") }.count + 1
            #expect(next.isEmpty || piece.count + first > limit)
        }
    }
}
