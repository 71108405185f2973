// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The messages and header values of mime-stalwart: what its files say of structure, bodies and headers.

import Foundation
import TestSupport
import Testing

@testable import MIMEParser

struct StalwartSuiteTests {
    static let suite = "mime-stalwart"

    /// A part as the expected file has it, messages in messages put in line.
    struct Expected {
        var depth: Int
        /// Text, Html, Binary, InlineBinary, Message or Multipart.
        var form: String
        var content: [UInt8]
        var headers: [[String: Any]]

        static func flatten(_ message: [String: Any], depth: Int) -> [Expected] {
            guard let parts = message["parts"] as? [[String: Any]] else { return [] }
            var result: [Expected] = []
            func walk(_ index: Int, _ depth: Int) {
                guard let body = parts[index]["body"] as? [String: Any], let (form, value) = body.first else { return }
                var content: [UInt8] = []
                if let text = value as? String { content = Array(text.utf8) }
                if let octets = value as? [Int], form.hasSuffix("Binary") { content = octets.map { UInt8($0) } }
                result.append(
                    Expected(
                        depth: depth, form: form, content: content,
                        headers: parts[index]["headers"] as? [[String: Any]] ?? []))
                if form == "Multipart" { for child in value as? [Int] ?? [] { walk(child, depth + 1) } }
                if form == "Message", let inner = value as? [String: Any] { result += flatten(inner, depth: depth + 1) }
            }
            if !parts.isEmpty { walk(0, depth) }
            return result
        }
    }

    static func differences(_ bytes: [UInt8], _ json: [UInt8]) throws -> [String] {
        let tree = try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
        let expected = Expected.flatten(tree, depth: 0)
        let message = MIMEMessage(bytes)
        var found = message.violations
        let shape = message.parts.map { "\($0.depth)\($0.kind)" }
        let wanted = expected.map {
            "\($0.depth)\($0.form == "Multipart" ? "multipart" : $0.form == "Message" ? "message" : "leaf")"
        }
        guard shape == wanted else { return found + ["parts \(shape), not \(wanted)"] }
        for (part, other) in zip(message.parts, expected) {
            if part.kind == .leaf {
                let content = part.isText ? message.text(of: part) : message.body(of: part)
                if content != other.content {
                    found.append(
                        "\(part.path) \(text(content).prefix(80).debugDescription), not \(text(other.content).prefix(80).debugDescription)"
                    )
                }
            }
            found += headerDifferences(message.header(of: part), part, other.headers)
        }
        return found
    }

    static func headerDifferences(_ header: HeaderFields, _ part: MIMEPart, _ expected: [[String: Any]]) -> [String] {
        var found: [String] = []
        for field in expected {
            guard let name = field["name"] as? String, let value = field["value"] as? [String: Any],
                let (form, content) = value.first
            else { continue }
            let fieldName = name.replacingOccurrences(of: "_", with: "-")
            switch form {
            case "Address" where ["from", "to", "reply_to"].contains(name):
                let ours = header.addresses(fieldName).map { $0.address }
                let theirs = addresses(content)
                if ours != theirs { found.append("\(name) \(ours), not \(theirs)") }
            case "Text" where name == "subject":
                let ours = collapsed(header.text("subject") ?? "")
                let theirs = collapsed(content as? String ?? "")
                if ours != theirs { found.append("subject \(ours), not \(theirs)") }
            case "Text" where name == "message_id":
                let ours = header.rawValue("message-id").flatMap { MessageIdentifiers.all(in: Array($0.utf8)).first }
                if ours != content as? String { found.append("message-id \(ours ?? "nil"), not \(content)") }
            case "DateTime":
                if HeaderValueTests.date(content) != header.date {
                    found.append("date \(String(describing: header.date)), not \(content)")
                }
            case "ContentType" where name == "content_type":
                found += HeaderValueTests.typeDifferences(part.mediaType.value, content, default: "text/plain")
            default: break
            }
        }
        return found
    }

    static func addresses(_ content: Any) -> [String] {
        guard let content = content as? [String: Any] else { return [] }
        let lists = (content["Group"] as? [[String: Any]])?.compactMap { $0["addresses"] as? [[String: Any]] } ?? []
        let all = (content["List"] as? [[String: Any]] ?? []) + lists.flatMap { $0 }
        return all.map { ($0["address"] as? String) ?? ($0["name"] as? String) ?? "" }
    }

    static func collapsed(_ text: String) -> String {
        text.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }

    private static let legacyOctets =
        "octets that are not UTF-8 are read as windows-1252, not as U+FFFD (RFC 6532 section 3.2 knows UTF-8 only; nothing is lost)"
    private static let uuencode = "Content-Transfer-Encoding x-uuencode is decoded (RFC 2045 section 6.3 allows x-tokens)"
    private static let outer = "the delimiter of the outer multipart ends the inner one (RFC 2046 section 5.1.2)"

    static let exceptions: [String: String] = [
        "legacy/010": legacyOctets, "legacy/016": legacyOctets, "legacy/020": legacyOctets, "legacy/022": legacyOctets,
        "legacy/027": legacyOctets, "legacy/052": legacyOctets, "legacy/017": uuencode, "legacy/026": uuencode,
        "legacy/048": uuencode,
        "malformed/000": "a header without an empty line ends at the delimiter, and its part stays (RFC 2046 section 5.1.1)",
        "malformed/001": outer, "malformed/008": outer, "malformed/009": outer, "malformed/011": outer,
        "malformed/012": outer,
        "malformed/016": outer,
        "malformed/004": "a line that goes on behind the boundary is no delimiter (quirk against RFC 2046 section 5.1.1)",
        "malformed/007":
            "the first delimiter of a multipart ends its header where the empty line is missing (RFC 2046 section 5.1.1)",
        "malformed/013":
            "a delimiter at the very end begins an empty part (RFC 2046 section 5.1.1: a body part may be empty)",
        "malformed/014":
            "a delimiter at the very end begins an empty part (RFC 2046 section 5.1.1: a body part may be empty)",
        "malformed/019": "a time that breaks off is none (RFC 5322 section 3.3), and a missing empty line begins the body",
        "malformed/020":
            "of two Content-Type fields the first counts, and the header is ambiguous (RFC 2045 section 3 allows one)",
        "malformed/021":
            "of two Content-Type fields the first counts, and the header is ambiguous (RFC 2045 section 3 allows one)",
        "malformed/022": "message/rfc822 is a message whatever is in it (RFC 2046 section 5.2.1)",
        "rfc/000":
            "characters outside the alphabet are skipped in base64 (RFC 2045 section 6.8); a comment alone is no mailbox (RFC 5322 section 3.4)",
        "thirdparty/002":
            "text in the line of the padding is no data, and base64 that is none is decoded all the same (RFC 2045 section 6.8)",
        "thirdparty/005": "a delimiter begins a line (RFC 2046 section 5.1.1); CRLF put into UTF-16 breaks it",
        "thirdparty/010": "of two parameters of one name the first counts (RFC 2045 section 5.1 allows one)",
        "thirdparty/015":
            "a delimiter of the outer multipart ends messages that are cut in their header (RFC 2046 section 5.1.2)",
    ]

    @Test(.conformance(suite)) func messages() throws {
        var report = SuiteReport("mime-stalwart messages", exceptions: Self.exceptions)
        for file in Conformance.files(Self.suite, "eml", extensions: ["eml"]) {
            let name = String(file.dropLast(4))
            let bytes = try Conformance.bytes(Self.suite, "eml/\(file)")
            // As the README says: every CR taken out; every lone LF made CRLF.
            let variants = [(bytes.filter { $0 != 0x0D }, "json"), (crlf(bytes), "crlf.json")]
            var differences: [String] = []
            for (variant, ending) in variants {
                differences += try Self.differences(variant, Conformance.bytes(Self.suite, "eml/\(name).\(ending)")).map {
                    "\(ending) \($0)"
                }
            }
            report.count(name, differences)
        }
        report.finish(atLeast: 107)
    }
}
