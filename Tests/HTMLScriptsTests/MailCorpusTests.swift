// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The mails of the corpus that were made to mislead a search for scripts (category html_edge): the JSON-LD scripts of
// their HTML parts are the expected documents. Only so much MIME is read here as these mails need.

import Foundation
import HTMLScripts
import TestSupport
import Testing

@Suite(.conformance("mail-corpus")) struct MailCorpusTests {
    @Test func htmlEdges() throws {
        var (mails, documents) = (0, 0)
        for line in try Conformance.bytes("mail-corpus", "expected.jsonl").split(separator: 0x0A) {
            let row = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            guard row["category"] as? String == "html_edge" else { continue }
            let file = try #require(row["file"] as? String)
            let mail = String(decoding: try Conformance.bytes("mail-corpus", "eml/" + file), as: UTF8.self)
            let html = try #require(htmlPart(mail))
            let expected = try #require(row["documents"] as? [[String: Any]]).map {
                try value(try #require($0["canonical"] as? String))
            }
            let scripts = ScriptScanner.scan(html).elements.filter(isData).map {
                String(decoding: html[$0.content], as: UTF8.self)
            }
            // One mail has an XHTML wrapper in the script: content, not markup, in HTML. Taking it off is extraction's
            // business.
            let found = try scripts.map {
                try value($0.replacing("//<![CDATA[", with: "").replacing("//]]>", with: ""))
            }
            #expect(found == expected, "\(file)")
            mails += 1
            documents += found.count
        }
        print("mail-corpus html_edge: \(mails) mails, \(documents) documents")
        #expect(mails >= 8)
        #expect(documents >= 10)
    }

    private func isData(_ element: ScriptElement) -> Bool {
        let type = (element.type ?? "").split(separator: ";").first ?? ""
        return ["application/ld+json", "application/json"].contains(
            type.trimmingCharacters(in: .whitespaces).lowercased())
    }

    private func value(_ json: String) throws -> NSObject {
        try #require(try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed) as? NSObject)
    }

    /// The bytes of the first text/html part: a body after the fields that say so, up to the next boundary.
    private func htmlPart(_ mail: String) -> [UInt8]? {
        let lines = mail.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { $0.lowercased().hasPrefix("content-type: text/html") }),
            let blank = lines[start...].firstIndex(of: "")
        else { return nil }
        let first = lines[..<start].lastIndex { $0.hasPrefix("--") || $0.isEmpty } ?? 0
        let fields = lines[first..<blank].joined(separator: "\n").lowercased()
        let body = lines[(blank + 1)...].prefix { !$0.hasPrefix("--") || $0 == "-->" }.joined(separator: "\n")
        if fields.contains("base64") {
            return Data(base64Encoded: body, options: .ignoreUnknownCharacters).map { [UInt8]($0) }
        }
        return fields.contains("quoted-printable") ? quotedPrintable(body) : Array(body.utf8)
    }

    private func quotedPrintable(_ body: String) -> [UInt8] {
        var decoded: [UInt8] = []
        let bytes = Array(body.replacing("=\n", with: "").utf8)
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x3D, index + 2 < bytes.count,
                let byte = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                decoded.append(byte)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return decoded
    }
}
