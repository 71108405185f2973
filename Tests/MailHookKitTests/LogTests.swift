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
        var line = LogLine("said")
        line.append("key", value)
        #expect(line.octets == Array("said key=\(expected)".utf8), "\(String(decoding: line.octets, as: UTF8.self))")
    }

    @Test(arguments: 1...40)
    func linesArePutTogether(limit: Int) {
        let lines = (0..<30).map { Array(repeating: UInt8(ascii: "x"), count: $0 * 7 % 20) }
        let pieces = Terminal.pieces(of: lines, limit: limit)
        #expect(pieces.joined().elementsEqual(lines.flatMap { $0 + [UInt8(ascii: "\n")] }))
        for (piece, next) in zip(pieces, pieces.dropFirst() + [[]]) {
            #expect(piece.last == UInt8(ascii: "\n"))
            #expect(piece.count <= limit || piece.count { $0 == UInt8(ascii: "\n") } == 1)
            // As few as can be.
            let first = next.prefix { $0 != UInt8(ascii: "\n") }.count + 1
            #expect(next.isEmpty || piece.count + first > limit)
        }
    }
}
