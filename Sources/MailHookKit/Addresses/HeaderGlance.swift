// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The few header fields that stand for an envelope, found without parsing the message: a look
// at each line's beginning. It guesses at addresses and does not parse them.

import Glibc

struct HeaderGlance {
    static let recipientFields = ["delivered-to", "x-original-to", "envelope-to", "to", "cc"]

    /// Unfolded values by lower-case name, in their order.
    private var found: [String: [String]] = [:]

    private static let names = recipientFields + ["return-path"]
    private static let namesByLength = Dictionary(grouping: names, by: \.utf8.count)
    /// A header section that is longer ends here for our purpose.
    private static let limit = 256 << 10

    init(_ message: [UInt8]) {
        message.withUnsafeBufferPointer { buffer in
            let end = min(buffer.count, Self.limit)
            var position = 0
            while position < end {
                let lineEnd = Self.lineFeed(buffer, position, end)
                if Self.isEmpty(buffer, position, lineEnd) { return }
                guard let name = Self.name(buffer, position, lineEnd) else {
                    position = lineEnd + 1
                    continue
                }
                var last = lineEnd
                // Continuation lines begin with white space (RFC 5322 section 2.2.3).
                while last + 1 < end, buffer[last + 1] == 0x20 || buffer[last + 1] == 0x09 {
                    last = Self.lineFeed(buffer, last + 1, end)
                }
                let value = buffer[(position + name.utf8.count + 1)..<min(last, end)]
                found[name, default: []].append(String(decoding: value, as: UTF8.self))
                position = last + 1
            }
        }
    }

    func values(_ name: String) -> [String] { found[name] ?? [] }

    /// The reverse-path that the last server wrote down (RFC 5321 section 4.4): `""` for `<>`, nil where there is none.
    var returnPath: String? {
        guard let value = values("return-path").first else { return nil }
        if let address = Self.addresses(in: value).first { return address }
        return value.contains("<>") ? "" : nil
    }

    /// Whatever looks like a mailbox in a field: a guess at an envelope needs no more. A field of more than a hundred
    /// addresses tells nothing beyond them.
    static func addresses(in field: String) -> [String] {
        let separators = Array(" \t\r\n<>,;:()\"".utf8)
        let words = field.utf8.split { separators.contains($0) }.lazy.filter { $0.contains(UInt8(ascii: "@")) }
        return words.prefix(100).map { String(Substring($0)) }
    }

    private static func lineFeed(_ buffer: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Int {
        // Not nil: nothing is searched in an empty message.
        guard start < end, let base = buffer.baseAddress, let found = memchr(base + start, 0x0A, end - start) else {
            return end
        }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    private static func isEmpty(_ buffer: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        start == end || (end - start == 1 && buffer[start] == 0x0D)
    }

    /// Which of the names the line begins with.
    private static func name(_ buffer: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> String? {
        // The longest name has 13 octets.
        guard let colon = (start..<min(end, start + 14)).first(where: { buffer[$0] == UInt8(ascii: ":") }) else {
            return nil
        }
        return namesByLength[colon - start]?.first { name in
            zip(name.utf8, buffer[start..<colon]).allSatisfy { $0 == ((65...90).contains($1) ? $1 + 32 : $1) }
        }
    }
}
