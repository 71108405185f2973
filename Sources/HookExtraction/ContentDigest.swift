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

    private static let transitLetters = Set((transitFields + transitPrefixes).compactMap(\.utf8.first))

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

    /// Adds a field, whose lines after the first begin with white space.
    private static func addField(_ field: UnsafeRawBufferPointer, to normal: inout [UInt8]) {
        guard let base = field.baseAddress, let found = memchr(base, Int32(UInt8(ascii: ":")), field.count) else {
            addUnfolded(field, to: &normal)
            return normal.append(lineFeed)
        }
        let colon = UnsafeRawPointer(found) - base
        let start = normal.count
        addUnfolded(UnsafeRawBufferPointer(rebasing: field[..<colon]), to: &normal)
        while normal.count > start, let last = normal.last, isWhiteSpace(last) { normal.removeLast() }
        for index in start..<normal.count where (65...90).contains(normal[index]) { normal[index] += 32 }
        if isTransit(normal[start...]) { return normal.removeLast(normal.count - start) }
        normal.append(UInt8(ascii: ":"))
        addCollapsed(UnsafeRawBufferPointer(rebasing: field[(colon + 1)...]), to: &normal)
        normal.append(lineFeed)
    }

    /// Every line end as a space.
    private static func addUnfolded(_ text: UnsafeRawBufferPointer, to normal: inout [UInt8]) {
        for index in text.indices where !isFold(text, index) {
            normal.append(text[index] == lineFeed ? UInt8(ascii: " ") : text[index])
        }
    }

    /// Runs of white space and line ends as one space, none at the ends.
    private static func addCollapsed(_ text: UnsafeRawBufferPointer, to normal: inout [UInt8]) {
        let start = normal.count
        var runStart = 0
        for index in text.indices where isWhiteSpace(text[index]) || text[index] == lineFeed || isFold(text, index) {
            add(text[runStart..<index], from: start, to: &normal)
            runStart = index + 1
        }
        add(text[runStart...], from: start, to: &normal)
    }

    /// A piece without white space, with a space before it unless it is the value's first.
    private static func add(_ piece: Slice<UnsafeRawBufferPointer>, from start: Int, to normal: inout [UInt8]) {
        guard !piece.isEmpty else { return }
        if normal.count > start { normal.append(UInt8(ascii: " ")) }
        normal.append(contentsOf: UnsafeRawBufferPointer(rebasing: piece))
    }

    /// The CR of a line end inside of a field.
    private static func isFold(_ text: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        text[index] == carriageReturn && index + 1 < text.count && text[index + 1] == lineFeed
    }

    private static func isTransit(_ name: ArraySlice<UInt8>) -> Bool {
        // First letters of all of them; most fields are none.
        guard let first = name.first, transitLetters.contains(first) else { return false }
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
