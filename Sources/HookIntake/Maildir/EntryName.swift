// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The name of a file as the kernel has it: octets, in no particular encoding. Taking names for
// text would lose the files whose names are none.

struct EntryName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Without the NUL at the end.
    let octets: [UInt8]

    init(_ octets: some Sequence<UInt8>) { self.octets = Array(octets) }

    /// For logs; control characters and what is no UTF-8 are replaced there.
    var description: String { String(decoding: octets, as: UTF8.self) }

    /// Maildir: readers ignore names that begin with a dot.
    var isHidden: Bool { octets.first == UInt8(ascii: ".") }

    /// The longest name that file systems take.
    private static let longest = 255

    /// The name in `cur/`: flags follow `:2,` in the order of their letters; S is "seen". What is no letter is no flag.
    /// One that would get too long loses the end of its unique part.
    var seen: EntryName {
        let given = infoStart.map { octets[($0 + 3)...] } ?? []
        let flags = Set(given.filter(Self.isLetter)).union([UInt8(ascii: "S")])
        // At most 52 letters.
        let info = Array(":2,".utf8) + flags.sorted()
        return EntryName(octets[..<(infoStart ?? octets.endIndex)].prefix(Self.longest - info.count) + info)
    }

    private static func isLetter(_ octet: UInt8) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(octet) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(octet)
    }

    /// Another name for a place where this one is taken; `number` is more than 0. One that would get too long loses the
    /// end of its unique part, and where that is not enough, the end of its flags.
    func numbered(_ number: Int) -> EntryName {
        let given = infoStart.map { octets[$0...] } ?? []
        let mark = Array("_\(number)".utf8)
        let info = given.prefix(Self.longest - mark.count)
        let unique = octets.dropLast(given.count).prefix(Self.longest - mark.count - info.count)
        return EntryName(unique + mark + info)
    }

    /// The name among the refused, with the outcome as a further field of the unique part (`,S=` and `,W=` are other
    /// servers' fields there). One that would get too long stays as it is.
    func refused(_ outcome: String) -> EntryName {
        let unique = infoStart.map { octets[..<$0] } ?? octets[...]
        // Set aside once before, and moved back by hand.
        let mark = Array(",R=".utf8)
        let end = Self.position(of: mark, in: unique) ?? unique.endIndex
        let name = unique[..<end] + mark + Array(outcome.utf8)
        return EntryName(name.count <= Self.longest ? name : unique)
    }

    private var infoStart: Int? { Self.position(of: Array(":2,".utf8), in: octets[...]) }

    private static func position(of mark: [UInt8], in octets: ArraySlice<UInt8>) -> Int? {
        guard octets.count >= mark.count else { return nil }
        return (octets.startIndex...(octets.endIndex - mark.count)).last { octets[$0...].starts(with: mark) }
    }

    /// The name as the system calls take it.
    func withPath<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: octets.count + 1) { buffer in
            for (index, octet) in octets.enumerated() { buffer.initializeElement(at: index, to: CChar(bitPattern: octet)) }
            buffer.initializeElement(at: octets.count, to: 0)
            // Never nil: the buffer holds one element at least.
            guard let path = buffer.baseAddress else { return "".withCString(body) }
            return body(path)
        }
    }

    static func < (left: EntryName, right: EntryName) -> Bool { left.octets.lexicographicallyPrecedes(right.octets) }
}
