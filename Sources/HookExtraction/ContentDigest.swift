// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What makes two messages the same. The same mail may come by SMTP, from a Maildir or through
// a pipe, with other line ends and with fields that servers add on the way; its digest must
// not change. A mail whose body was re-encoded on the way counts as another one.

import Crypto
import Glibc
import MIMEParser

public enum ContentDigest {
    /// SHA-256 (32 octets) over the header fields a sender writes and the body.
    ///
    /// Each field counts as its name in lower case and its value with folding and runs of white space as one space
    /// (the idea of RFC 6376 section 3.4.2); fields of transit are left out. Line ends of the body count as CRLF,
    /// empty lines at its end not at all. An mbox `From ` line before the header is skipped.
    public static func of(_ bytes: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        bytes.withUnsafeBytes { buffer in
            let bodyStart = addHeader(buffer, to: &hasher)
            addBody(buffer, from: bodyStart, to: &hasher)
        }
        return Array(hasher.finalize())
    }

    /// Fields that servers and mail programs add or remove between sender and hook.
    private static let transitFields: Set<String> = [
        "arc-authentication-results", "arc-message-signature", "arc-seal", "authentication-results", "bcc",
        "content-length", "delivered-to", "delivery-date", "dkim-signature", "domainkey-signature", "envelope-to",
        "lines", "received", "received-spf", "return-path", "status", "x-envelope-from", "x-envelope-to", "x-keywords",
        "x-original-to", "x-received", "x-status", "x-uid", "x-uidl",
    ]
    private static let transitPrefixes = [
        "resent-", "x-amavis-", "x-gm-", "x-google-", "x-mozilla-", "x-ms-exchange-", "x-rspamd-", "x-spam", "x-virus",
    ]

    /// By a name's first letter: bit n is set where one of n octets may be such a field. Most fields are none.
    private static let transitLengths: [UInt64] = {
        var lengths = Array(repeating: UInt64(0), count: 256)
        for name in transitFields { lengths[Int(name.utf8.first ?? 0)] |= 1 << UInt64(name.utf8.count) }
        for prefix in transitPrefixes { lengths[Int(prefix.utf8.first ?? 0)] |= ~0 << UInt64(prefix.utf8.count) }
        return lengths
    }()

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// Adds the header section; returns where the body begins.
    private static func addHeader(_ buffer: UnsafeRawBufferPointer, to hasher: inout SHA256) -> Int {
        var position = 0
        if buffer.starts(with: "From ".utf8) { position = endOfLine(buffer, from: 0).next }
        // All fields in their normal form, so that the hasher is called once.
        var normal: [UInt8] = []
        normal.reserveCapacity(min(buffer.count, 4096))
        while position < buffer.count {
            var (end, next) = endOfLine(buffer, from: position)
            if end == position {
                position = next
                break
            }
            let start = position
            while next < buffer.count, isWhiteSpace(buffer[next]) { (end, next) = endOfLine(buffer, from: next) }
            addField(UnsafeRawBufferPointer(rebasing: buffer[start..<end]), to: &normal)
            position = next
        }
        normal.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        return position
    }

    /// Adds a field, whose lines after the first begin with white space. It is copied whole and brought to its normal
    /// form in place, which is never longer.
    private static func addField(_ field: UnsafeRawBufferPointer, to normal: inout [UInt8]) {
        let start = normal.count
        normal.append(contentsOf: field)
        let length = normal.withUnsafeMutableBufferPointer {
            normalize(UnsafeMutableBufferPointer(rebasing: $0[start...]))
        }
        normal.removeLast(normal.count - start - (length ?? 0))
        if length != nil { normal.append(lineFeed) }
    }

    /// The length of the normal form; nil for a field of transit.
    private static func normalize(_ field: UnsafeMutableBufferPointer<UInt8>) -> Int? {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return unfold(field, to: field.count) }
        var end = unfold(field, to: colon)
        while end > 0, isWhiteSpace(field[end - 1]) { end -= 1 }
        for index in 0..<end where (65...90).contains(field[index]) { field[index] += 32 }
        if isTransit(field[..<end]) { return nil }
        field[end] = UInt8(ascii: ":")
        return collapse(field, from: colon + 1, to: end + 1)
    }

    /// Every line end as a space; returns where the text ends then.
    private static func unfold(_ text: UnsafeMutableBufferPointer<UInt8>, to limit: Int) -> Int {
        var end = 0
        for index in 0..<limit where !isFold(text, index, limit) {
            text[end] = text[index] == lineFeed ? UInt8(ascii: " ") : text[index]
            end += 1
        }
        return end
    }

    /// Runs of white space and line ends as one space, none at the ends. `target` is not behind `source`; returns where
    /// the text ends then.
    private static func collapse(
        _ text: UnsafeMutableBufferPointer<UInt8>, from source: Int, to target: Int
    ) -> Int {
        var end = target
        var isSpaceDue = false
        for index in source..<text.count {
            let octet = text[index]
            // One comparison for most octets.
            if octet <= 0x20, isWhiteSpace(octet) || octet == lineFeed || isFold(text, index, text.count) {
                isSpaceDue = end > target
                continue
            }
            if isSpaceDue {
                text[end] = UInt8(ascii: " ")
                end += 1
                isSpaceDue = false
            }
            text[end] = octet
            end += 1
        }
        return end
    }

    /// The CR of a line end inside of a field.
    private static func isFold(_ text: UnsafeMutableBufferPointer<UInt8>, _ index: Int, _ end: Int) -> Bool {
        text[index] == carriageReturn && index + 1 < end && text[index + 1] == lineFeed
    }

    private static func isTransit(_ name: Slice<UnsafeMutableBufferPointer<UInt8>>) -> Bool {
        guard let first = name.first, transitLengths[Int(first)] >> UInt64(min(name.count, 63)) & 1 == 1 else { return false }
        let text = String(decoding: name, as: UTF8.self)
        return transitFields.contains(text) || transitPrefixes.contains { text.hasPrefix($0) }
    }

    /// Adds the body with every line end as CRLF. Runs of lines that end so already go in at once.
    private static func addBody(_ buffer: UnsafeRawBufferPointer, from start: Int, to hasher: inout SHA256) {
        withUnsafeBytes(of: lineFeed) { hasher.update(bufferPointer: $0) }
        var end = buffer.count
        while end > start, buffer[end - 1] == lineFeed || buffer[end - 1] == carriageReturn { end -= 1 }
        var runStart = start
        var position = start
        let lineEnd: [UInt8] = [carriageReturn, lineFeed]
        while position < end {
            // Most bodies have no other line ends, and go in at once.
            if position > start { position = LineSearch.passCRLF(buffer, from: position, to: end) }
            guard let found = indexOfLineFeed(buffer, from: position, to: end) else { break }
            if found == start || buffer[found - 1] != carriageReturn {
                hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[runStart..<found]))
                lineEnd.withUnsafeBytes { hasher.update(bufferPointer: $0) }
                runStart = found + 1
            }
            position = found + 1
        }
        hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[runStart..<end]))
    }

    /// Where the line that begins at `start` ends, without and with its line end.
    private static func endOfLine(_ buffer: UnsafeRawBufferPointer, from start: Int) -> (end: Int, next: Int) {
        guard let found = indexOfLineFeed(buffer, from: start, to: buffer.count) else {
            return (buffer.count, buffer.count)
        }
        let isCRLF = found > start && buffer[found - 1] == carriageReturn
        return (isCRLF ? found - 1 : found, found + 1)
    }

    /// memchr(3), which uses the widest instructions the processor has.
    private static func indexOfLineFeed(_ buffer: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int? {
        guard start < end, let base = buffer.baseAddress,
            let found = memchr(base + start, Int32(lineFeed), end - start)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    private static func isWhiteSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
