// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A place in a command line that moves to the right. Octets, not characters: a line is ASCII when
// it gets here, and making strings of its parts would cost more than all the rest of a command.

struct LineScanner {
    let octets: [UInt8]
    private(set) var position = 0

    init(_ octets: [UInt8]) { self.octets = octets }

    /// The octet at the position; nil at the end.
    var next: UInt8? { position < octets.count ? octets[position] : nil }

    mutating func advance() { position += 1 }

    /// Passes `octet` if it is next.
    mutating func take(_ octet: UInt8) -> Bool {
        guard next == octet else { return false }
        position += 1
        return true
    }

    /// Passes `word` if it is next, in any case. `word` is upper case.
    mutating func take(word: StaticString) -> Bool {
        let end = position + word.utf8CodeUnitCount
        guard end <= octets.count, matches(word, position..<end) else { return false }
        position = end
        return true
    }

    /// Passes octets while `isIn` holds, and gives their range.
    mutating func take(while isIn: (UInt8) -> Bool) -> Range<Int> {
        let start = position
        while position < octets.count, isIn(octets[position]) { position += 1 }
        return start..<position
    }

    mutating func skipSpaces() { _ = take { $0 == ASCII.space } }

    /// Whether the octets of `range` are `word`, in any case. `word` is upper case.
    func matches(_ word: StaticString, _ range: Range<Int>) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        return word.withUTF8Buffer { word in
            word.indices.allSatisfy { ASCII.upper(octets[range.lowerBound + $0]) == word[$0] }
        }
    }

    func text(_ range: Range<Int>) -> String { String(decoding: octets[range], as: UTF8.self) }
}
