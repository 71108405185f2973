// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One line of the log: a text, then `key=value`. Every mail is such a line, so it is put together as octets.

struct LogLine {
    /// UTF-8, without the line end.
    private(set) var octets: [UInt8] = []

    init(_ beginning: String) {
        octets.reserveCapacity(256)
        append(beginning)
    }

    /// The text as it is.
    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { octets.append(contentsOf: $0) }
    }

    /// A value with spaces or quotation marks is quoted; control characters never reach a terminal.
    mutating func append(_ key: String, _ value: String) {
        octets.append(UInt8(ascii: " "))
        append(key)
        octets.append(UInt8(ascii: "="))
        var value = value
        let isPlain = value.withUTF8 { text in
            guard !text.isEmpty, text.allSatisfy(Self.isPlain) else { return false }
            octets.append(contentsOf: text)
            return true
        }
        if !isPlain { appendUnusual(value) }
    }

    private mutating func appendUnusual(_ value: String) {
        let harmless = Terminal.harmless(value)
        guard harmless.isEmpty || harmless.utf8.contains(where: Self.needsQuotes) else { return append(harmless) }
        // By octets: a mark that combines with a quotation mark is no reason to leave it as it is.
        octets.append(UInt8(ascii: "\""))
        for octet in harmless.utf8 {
            if octet == UInt8(ascii: "\\") || octet == UInt8(ascii: "\"") { octets.append(UInt8(ascii: "\\")) }
            octets.append(octet)
        }
        octets.append(UInt8(ascii: "\""))
    }

    private static func isPlain(_ octet: UInt8) -> Bool { (0x21...0x7E).contains(octet) && !needsQuotes(octet) }

    private static func needsQuotes(_ octet: UInt8) -> Bool {
        octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\"") || octet == UInt8(ascii: "=")
    }
}
