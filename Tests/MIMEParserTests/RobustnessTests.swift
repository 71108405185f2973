// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Messages made to break a parser: cut, mutated, and built so that careless code needs quadratic time.

import TestSupport
import Testing

@testable import MIMEParser

struct RobustnessTests {
    /// Everything a caller can ask for, on a small message.
    static func exercise(_ message: MIMEMessage) -> [String] {
        var found = message.violations
        for part in message.parts {
            let value = part.mediaType
            if value.name.isEmpty { found.append("a type without a name") }
            _ = part.fileName
            _ = part.disposition
            let header = message.header(of: part)
            for name in ["subject", "from", "date", "message-id"] { _ = header.text(name) }
            _ = header.addresses("from")
            _ = header.date
            guard part.kind == .leaf else { continue }
            if part.isText {
                let text = message.unwrappedText(of: part)
                if !text.withUnsafeBufferPointer({ UTF8Validation.isValid($0) }) {
                    found.append("\(part.path): text is not UTF-8")
                }
                _ = message.embeddedFiles(in: part)
            } else if message.body(of: part, limit: 100).octets != Array(message.body(of: part).prefix(100)) {
                found.append("\(part.path): other octets in pieces")
            }
        }
        _ = message.messageID
        return found
    }

    static func corpus() throws -> [(name: String, bytes: [UInt8])] {
        var all: [(String, [UInt8])] = []
        for file in Conformance.files("mime-stalwart", "eml", extensions: ["eml"]) {
            all.append((file, try Conformance.bytes("mime-stalwart", "eml/\(file)")))
        }
        for file in Conformance.files("mime-mime4j", "testmsgs", extensions: ["msg"]) {
            all.append((file, try Conformance.bytes("mime-mime4j", "testmsgs/\(file)")))
        }
        for file in Conformance.files("mime-cpython", extensions: ["txt"]) where file.hasPrefix("msg_") {
            all.append((file, try Conformance.bytes("mime-cpython", file)))
        }
        return all
    }

    /// Small messages at every place, larger ones at 40 places spread over them, with both line ends.
    @Test(.conformance("mime-stalwart")) func cutAtManyPlaces() throws {
        var cuts = 0
        for (name, bytes) in try Self.corpus() {
            for variant in [lf(bytes), crlf(bytes)] {
                let step = variant.count <= 300 ? 1 : variant.count / 40 + 1
                for end in stride(from: 0, to: variant.count, by: step) {
                    cuts += 1
                    let violations = MIMEMessage(Array(variant[..<end])).violations
                    if !violations.isEmpty { Issue.record("\(name) cut at \(end): \(violations)") }
                }
            }
        }
        print("messages cut: \(cuts)")
        #expect(cuts > 10_000)
    }

    @Test(.conformance("mime-stalwart")) func mutations() throws {
        var generator = SplitMix64(state: 42)
        let small = try Self.corpus().filter { $0.bytes.count < 3000 }
        let inserts = [
            "--", "\n", "\r\n", "\r", ":", ";", "\"", "(", ")", "=?", "?=", "=", "\u{0}", " ", "\t", "*0*=", "%",
            "boundary=", "Content-Type: ", "message/rfc822", "multipart/mixed", "base64", "utf-16", "iso-2022-jp",
        ].map { Array($0.utf8) }
        var runs = 0
        for _ in 0..<1500 {
            guard var bytes = small.randomElement(using: &generator)?.bytes, !bytes.isEmpty else { continue }
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.insert(contentsOf: inserts.randomElement(using: &generator) ?? [], at: place)
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...20, using: &generator)))
                default:
                    let end = min(bytes.count, place + 200)
                    bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &generator))
                }
                if bytes.isEmpty { bytes = [0x0A] }
            }
            runs += 1
            let found = Self.exercise(MIMEMessage(bytes))
            if !found.isEmpty { Issue.record("\(found) in \(bytes)") }
        }
        #expect(runs == 1500)
    }

    // MARK: quadratic traps

    struct Trap: CustomTestStringConvertible {
        var name: String
        var limits = MIMELimits()
        var parts: ClosedRange<Int>
        var make: @Sendable () -> [UInt8]
        var testDescription: String { name }
    }

    static let everything = MIMELimits(parts: .max, depth: .max, headerSize: .max, problems: 10)

    static func text(_ string: String, times: Int, before: String = "", behind: String = "") -> [UInt8] {
        let unit = Array(string.utf8)
        var bytes = Array(before.utf8)
        bytes.reserveCapacity(bytes.count + unit.count * times + behind.utf8.count)
        for _ in 0..<times { bytes += unit }
        return bytes + Array(behind.utf8)
    }

    static let mixed = "Content-Type: multipart/mixed; boundary=b\n\n"

    static let traps: [Trap] = [
        Trap(name: "a megabyte of hyphens", parts: 1...1) { text("--", times: 1 << 19, before: mixed) },
        Trap(name: "a megabyte of lines of hyphens", parts: 1...1) { text("--\n", times: 350_000, before: mixed) },
        Trap(name: "lines that nearly are delimiters", parts: 1...1) {
            text(
                "--\(String(repeating: "x", count: 60))z\n", times: 20_000,
                before: "Content-Type: multipart/mixed; boundary=\(String(repeating: "x", count: 60))y\n\n")
        },
        Trap(name: "boundaries a thousand deep", limits: everything, parts: 1002...1002) {
            var bytes: [UInt8] = []
            for level in 0...1000 {
                bytes += Array("Content-Type: multipart/mixed; boundary=b\(level)\n\n--b\(level)\n".utf8)
            }
            return bytes
        },
        Trap(name: "boundaries fifty deep, all compared with each line", parts: 51...51) {
            var bytes: [UInt8] = []
            for level in 0...60 {
                bytes += Array(
                    "Content-Type: multipart/mixed; boundary=bbbbbbbbbbbbbbbb\(level)\n\n--bbbbbbbbbbbbbbbb\(level)\n".utf8)
            }
            return bytes + text("--bbbbbbbbbbbbbbbbb\n", times: 50_000)
        },
        Trap(name: "messages a thousand deep", limits: everything, parts: 1001...1001) {
            text("Content-Type: message/rfc822\n\n", times: 1000)
        },
        Trap(name: "a hundred thousand fields", limits: everything, parts: 1...1) {
            text("X-Field: value\n", times: 100_000)
        },
        Trap(name: "a hundred thousand types", limits: everything, parts: 1...1) {
            text("Content-Type: text/plain; charset=x\n", times: 100_000)
        },
        Trap(name: "a field folded 25,000 times", limits: everything, parts: 1...1) {
            text("\n ;a=b", times: 25_000, before: "Content-Type: text/plain")
        },
        Trap(name: "a megabyte of comment", limits: everything, parts: 1...1) {
            text("(", times: 1 << 20, before: "Content-Type: text/plain ")
        },
        Trap(name: "a megabyte of comments", limits: everything, parts: 1...1) {
            text("()", times: 1 << 19, before: "Content-Type: text/plain ")
        },
        Trap(name: "a megabyte of parameters", limits: everything, parts: 1...1) {
            text(";a*0=b", times: 1 << 17, before: "Content-Type: multipart/mixed")
        },
        Trap(name: "a megabyte of names", limits: everything, parts: 1...1) {
            var bytes = Array("Content-Type: multipart/mixed".utf8)
            for index in 0..<60_000 { bytes += Array(";a\(index)*=b".utf8) }
            return bytes
        },
        Trap(name: "a megabyte of encoded words", limits: everything, parts: 1...1) {
            text("=?utf-8?q?a?= ", times: 1 << 16, before: "Subject: ")
        },
        Trap(name: "a megabyte of words that do not end", limits: everything, parts: 1...1) {
            text("=?utf-8?q?a", times: 1 << 16, before: "Subject: ")
        },
        Trap(name: "a megabyte of groups", limits: everything, parts: 1...1) {
            text("a:b@c;", times: 1 << 17, before: "From: ")
        },
        Trap(name: "a megabyte of brackets", limits: everything, parts: 1...1) {
            text("<", times: 1 << 20, before: "From: ")
        },
        Trap(name: "blank folds", limits: everything, parts: 1...1) { text("\n ", times: 1 << 17, before: "Subject: x") },
        Trap(name: "junk lines with a long type", limits: everything, parts: 1...1) {
            text(";a=b", times: 50_000, before: "Content-Type: multipart/mixed") + text("\n--x\nX: y", times: 20_000)
        },
        Trap(name: "a million parts, limited", parts: 1000...1000) { text("--b\n\n\n", times: 1_000_000, before: mixed) },
        Trap(name: "fifty thousand parts", limits: everything, parts: 50_001...50_001) {
            text("--b\n\n\n", times: 50_000, before: mixed)
        },
        Trap(name: "base64 of padding", parts: 1...1) {
            text("=", times: 1 << 18, before: "Content-Transfer-Encoding: base64\n\n")
        },
        Trap(name: "base64 in lines of one character", parts: 1...1) {
            text("Z\n", times: 1 << 17, before: "Content-Transfer-Encoding: base64\n\n")
        },
        Trap(name: "quoted-printable of blanks", parts: 1...1) {
            text(" ", times: 1 << 20, before: "Content-Transfer-Encoding: quoted-printable\n\n")
        },
        Trap(name: "quoted-printable of equals signs and blanks", parts: 1...1) {
            text("=  ", times: 1 << 19, before: "Content-Transfer-Encoding: quoted-printable\n\n")
        },
        Trap(name: "bad octets in a charset of the library", parts: 1...1) {
            text("\u{80}\u{FF}", times: 1 << 17, before: "Content-Type: text/plain; charset=euc-tw\n\n")
        },
        Trap(name: "begins of files", parts: 1...1) { text("begin 644 x\n", times: 1 << 16, before: "\n") },
        Trap(name: "flowed lines", parts: 1...1) {
            text("> \n", times: 1 << 18, before: "Content-Type: text/plain; format=flowed\n\n")
        },
    ]

    /// Each takes far below a second even in a debug build; quadratic code takes minutes.
    @Test(.timeLimit(.minutes(1)), arguments: traps)
    func trap(_ trap: Trap) {
        let bytes = trap.make()
        let clock = ContinuousClock()
        let start = clock.now
        let message = MIMEMessage(bytes, limits: trap.limits)
        #expect(trap.parts.contains(message.parts.count), "\(message.parts.count) parts")
        let part = message.parts[0]
        _ = part.fileName
        _ = message.header.text("subject")
        _ = message.header.addresses("from")
        _ = message.header.rawValue("nothing")
        if part.kind == .leaf {
            _ = part.isText ? message.unwrappedText(of: part) : message.body(of: part)
            _ = message.embeddedFiles(in: part)
        }
        let time = clock.now - start
        #expect(time < .seconds(8), "took \(time)")
    }

    /// A message in a message in a message, each base64: what is decoded shrinks at each level.
    @Test func encodedMessagesInsideEachOther() {
        func encoded(_ bytes: [UInt8]) -> String {
            let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
            var text = ""
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let group = Array(bytes[start..<min(start + 3, bytes.count)]) + [0, 0]
                let value = Int(group[0]) << 16 | Int(group[1]) << 8 | Int(group[2])
                let count = min(3, bytes.count - start) + 1
                for index in 0..<4 { text.append(index < count ? alphabet[value >> (18 - 6 * index) & 63] : "=") }
                if start % 57 == 54 { text += "\n" }
            }
            return text
        }
        var message = "Subject: innermost\n\ntext"
        for _ in 0..<12 {
            message = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + encoded(Array(message.utf8))
        }
        let parsed = MIMEMessage(message)
        #expect(parsed.parts.count == 13)
        #expect(parsed.sources.count == 13)
        #expect(parsed.violations == [])
        #expect(MIMEParserTests.text(parsed.body(of: parsed.parts[12])) == "text")
        #expect(parsed.sources.map(\.count).reduce(0, +) < 4 * message.utf8.count)
    }
}
