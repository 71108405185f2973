// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What makes two messages the same, whatever their line ends.

import Crypto
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

    @Test(arguments: [
        "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal", "Authentication-Results", "Bcc", "Content-Length",
        "Delivered-To", "Delivery-Date", "DKIM-Signature", "DomainKey-Signature", "Envelope-To", "Lines", "Received",
        "Received-SPF", "Return-Path", "Status", "X-Envelope-From", "X-Envelope-To", "X-Keywords", "X-Original-To", "X-Received",
        "X-Status", "X-UID", "X-UIDL", "Resent-Date", "X-Amavis-Alert", "X-GM-Labels", "X-Google-Smtp-Source",
        "X-Mozilla-Status", "X-MS-Exchange-Organization-SCL", "X-Rspamd-Server", "X-Spam", "X-Spam-Status", "X-Virus-Scanned",
    ])
    func fieldsOfTransitDoNotCount(name: String) {
        #expect(digest("\(name): x\r\n" + header) == digest(header))
        #expect(digest("Y\(name): x\r\n" + header) != digest(header))
    }

    /// Any header, and what the rules say of it put plainly.
    @Test func headersInTheirNormalForm() {
        let pieces = [
            "a", "Subject", "DATE", "Received", "received", "X-Spam-Level", "X-Specimen", "Resent", "resent-to", "Bcc", ":", ":",
            " ", "\t", "\r", "\n", "\r\n", "\r\n", "\r\n ", "\u{0}", "é",
        ].map { Array($0.utf8) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let message = (0..<Int.random(in: 0..<24, using: &generator)).flatMap { _ in pieces.randomElement(using: &generator) ?? [] }
            guard ContentDigest.of(message) != Self.plainDigest(message) else { continue }
            Issue.record("\(String(decoding: message, as: UTF8.self).debugDescription)")
            return
        }
    }

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    private static func plainDigest(_ message: [UInt8]) -> [UInt8] {
        var fields: [[UInt8]] = []
        var rest = message[...]
        while !rest.isEmpty {
            var line = rest.prefix { $0 != lineFeed }
            let hasEnd = line.endIndex < rest.endIndex
            rest = rest[(line.endIndex + (hasEnd ? 1 : 0))...]
            if hasEnd, line.last == carriageReturn { line.removeLast() }
            if line.isEmpty { break }
            if !fields.isEmpty, isBlank(line[line.startIndex]) {
                fields[fields.count - 1] += [UInt8(ascii: " ")] + line
            } else {
                fields.append(Array(line))
            }
        }
        let header = fields.flatMap { normal($0) }
        while let last = rest.last, last == lineFeed || last == carriageReturn { rest.removeLast() }
        var body: [UInt8] = []
        for octet in rest {
            if octet == lineFeed, body.last != carriageReturn { body.append(carriageReturn) }
            body.append(octet)
        }
        return Array(SHA256.hash(data: header + [lineFeed] + body))
    }

    private static func normal(_ field: [UInt8]) -> [UInt8] {
        guard let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return field + [lineFeed] }
        var name = field[..<colon].map { (65...90).contains($0) ? $0 + 32 : $0 }
        while let last = name.last, isBlank(last) { name.removeLast() }
        let text = String(decoding: name, as: UTF8.self)
        if ["received", "bcc"].contains(text) || text.hasPrefix("x-spam") || text.hasPrefix("resent-") { return [] }
        let words = field[(colon + 1)...].split(whereSeparator: isBlank)
        return name + [UInt8(ascii: ":")] + words.joined(separator: [UInt8(ascii: " ")]) + [lineFeed]
    }

    private static func isBlank(_ octet: UInt8) -> Bool { octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\t") }
}
