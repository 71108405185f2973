// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What makes two messages the same, whatever their line ends.

import HookExtraction
import Testing

@Suite struct DigestTests {
    private let header = "Subject: a\r\n\r\n"

    private func digest(_ text: String) -> [UInt8] { ContentDigest.of(Array(text.utf8)) }

    /// Bodies are passed by in blocks: a line end of another kind is found at every place of one.
    @Test func oneLineEndOfAnotherKindMakesNoDifference() {
        for length in 0..<140 {
            // Blocks begin behind the first line.
            let first = "line\r\n" + String(repeating: "x", count: length)
            let rest = String(repeating: "another line\r\n", count: 20)
            let usual = digest(header + first + "\r\n" + rest)
            #expect(digest(header + first + "\n" + rest) == usual, "LF behind \(length) octets")
            #expect(digest(header + first + "\r" + rest) != usual, "a CR is no line end")
            #expect(digest(header + first + rest) != usual)
        }
    }

    @Test func allLineEndsMayBeOfAnotherKind() {
        let lines = (0..<60).map { String(repeating: "y", count: $0 * 7 % 90) }
        let usual = digest(header + lines.joined(separator: "\r\n"))
        #expect(digest("Subject:  a \n\n" + lines.joined(separator: "\n") + "\n\n") == usual)
        #expect(digest("Subject: b\n\n" + lines.joined(separator: "\n")) != usual)
    }
}
