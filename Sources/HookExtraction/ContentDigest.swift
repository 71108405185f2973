// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What makes two messages the same. The same mail may come by SMTP, from a Maildir or through
// a pipe, with other line ends and with fields that servers add on the way; its digest must
// not change. A mail whose body was re-encoded on the way counts as another one.

import Crypto
import Glibc

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

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// Adds the header section; returns where the body begins.
    private static func addHeader(_ buffer: UnsafeRawBufferPointer, to hasher: inout SHA256) -> Int {
        var position = 0
        if buffer.starts(with: Array("From ".utf8)) { position = endOfLine(buffer, from: 0).next }
        var field: [UInt8] = []
        while position < buffer.count {
            let (end, next) = endOfLine(buffer, from: position)
            if end == position {
                addField(field, to: &hasher)
                return next
            }
            let isContinuation = isWhiteSpace(buffer[position]) && !field.isEmpty
            if !isContinuation {
                addField(field, to: &hasher)
                field.removeAll(keepingCapacity: true)
            }
            field += buffer[position..<end]
            // The fold itself is white space already; two physical lines never run together.
            if next < buffer.count, isWhiteSpace(buffer[next]) { field.append(UInt8(ascii: " ")) }
            position = next
        }
        addField(field, to: &hasher)
        return position
    }

    private static func addField(_ field: [UInt8], to hasher: inout SHA256) {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else {
            if !field.isEmpty { update(&hasher, with: field) }
            return
        }
        var nameEnd = colon
        while nameEnd > 0, isWhiteSpace(field[nameEnd - 1]) { nameEnd -= 1 }
        let name = field[..<nameEnd].map { (65...90).contains($0) ? $0 + 32 : $0 }
        guard !isTransit(name) else { return }
        var normal = name
        normal.append(UInt8(ascii: ":"))
        var pendingSpace = false
        let valueStart = normal.count
        for byte in field[(colon + 1)...] {
            if isWhiteSpace(byte) {
                pendingSpace = true
            } else {
                if pendingSpace, normal.count > valueStart { normal.append(UInt8(ascii: " ")) }
                pendingSpace = false
                normal.append(byte)
            }
        }
        update(&hasher, with: normal)
    }

    private static func update(_ hasher: inout SHA256, with line: [UInt8]) {
        line.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        withUnsafeBytes(of: lineFeed) { hasher.update(bufferPointer: $0) }
    }

    private static func isTransit(_ name: [UInt8]) -> Bool {
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
        while position < end, let found = indexOfLineFeed(buffer, from: position, to: end) {
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
