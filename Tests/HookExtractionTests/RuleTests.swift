// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Each rule of the extraction contract on small mails.

import CZlib
import JSONLD
import MIMEParser
import Testing

@testable import HookExtraction

@Suite struct RuleTests {
    /// A readable form of what was found: `path origin index kind value` or `path origin index !code`.
    private func found(_ mail: String, limits: ExtractionLimits = ExtractionLimits(), repair: RepairMode = .off) -> [String] {
        found(Array(mail.replacing("\n", with: "\r\n").utf8), limits: limits, repair: repair)
    }

    private func found(_ mail: [UInt8], limits: ExtractionLimits = ExtractionLimits(), repair: RepairMode = .off) -> [String] {
        DocumentFinder(limits: limits, repair: repair).candidates(in: MIMEMessage(mail)).map { candidate in
            let place = "\(candidate.path) \(candidate.origin.rawValue) \(candidate.index)"
            let marks = (candidate.isAttached ? " attached" : "") + (candidate.isMislabelled ? " mislabelled" : "")
                + candidate.repairs.map { " \($0.rawValue)" }.joined()
            switch candidate.content {
            case .document(let document):
                return "\(place) \(candidate.kind.rawValue) \(String(decoding: document.root.text, as: UTF8.self))\(marks)"
            case .failure(let failure): return "\(place) !\(failure.code.rawValue)\(marks)"
            }
        }
    }

    @Test(arguments: [
        ("application/json", "1 part 0 json {\"a\":1}"),
        ("APPLICATION/LD+JSON; profile=x", "1 part 0 json-ld {\"a\":1}"),
        ("application/vnd.shop+json", "1 part 0 json {\"a\":1}"),
        ("application/octet-stream; name=\"ORDER.JSON\"", "1 part 0 json {\"a\":1}"),
        ("application/octet-stream; name=o.jsonld", "1 part 0 json-ld {\"a\":1}"),
        ("text/plain; name=o.json", "1 part 0 json {\"a\":1}"),
        ("text/plain", "1 body 0 json {\"a\":1}"),
        ("application/json+ld", "1 part 0 json-ld {\"a\":1} mislabelled"),
        ("text/json", "1 part 0 json {\"a\":1} mislabelled"),
    ])
    func types(type: String, expected: String) {
        #expect(found("Content-Type: \(type)\n\n{\"a\":1}\n") == [expected])
    }

    @Test(arguments: [
        "application/octet-stream", "application/octet-stream; name=o.json.txt", "application/xml; name=o.json",
        "text/x-amp-html", "image/png",
    ])
    func typesThatHoldNothing(type: String) {
        #expect(found("Content-Type: \(type)\n\n{\"a\":1}\n").isEmpty)
    }

    @Test func attachedTextIsNoBody() {
        #expect(found("Content-Type: text/plain\nContent-Disposition: attachment\n\n{\"a\":1}\n").isEmpty)
    }

    @Test(arguments: [
        ("hello {\"a\":1}", []), ("\"text\"", []), ("17", []), ("{\"a\":1} --", []), ("", []),
        ("\u{FEFF}  [1, 2]\n\n", ["1 body 0 json [1, 2]"]),
    ] as [(String, [String])])
    func bodies(text: String, expected: [String]) {
        #expect(found("Content-Type: text/plain; charset=utf-8\n\n\(text)") == expected)
    }

    /// The beginning of a text tells what it is, however far away its first character is.
    @Test(arguments: ["7bit", "quoted-printable"], ["", "\u{FEFF}"])
    func bodiesBehindWhiteSpace(encoding: String, mark: String) {
        let bracket = encoding == "7bit" ? "[" : "=5B"
        for count in Array(0..<4) + Array(480..<530) + [5_000] {
            let head = "Content-Type: text/plain\nContent-Transfer-Encoding: \(encoding)\n\n"
            let start = head + mark + String(repeating: " ", count: count)
            let end = String(repeating: "1,", count: 400) + "1]"
            #expect(found(start + bracket + end).count == 1, "\(count)")
            #expect(found(start + "é" + bracket + end).isEmpty, "\(count)")
        }
    }

    /// A file of uuencode is all of the text, also where other text stands before it.
    @Test(arguments: [0, 30, 2_000])
    func bodiesInUuencode(filler: Int) {
        let octets = Array(("[" + String(repeating: "1,", count: 400) + "1]").utf8)
        func letter(_ value: UInt8) -> String { String(UnicodeScalar(value == 0 ? 0x60 : value + 0x20)) }
        var file = "begin 644 order\n"
        for start in stride(from: 0, to: octets.count, by: 45) {
            let line = octets[start..<min(start + 45, octets.count)]
            file += letter(UInt8(line.count))
            var rest = Array(line) + Array(repeating: 0, count: (3 - line.count % 3) % 3)
            while !rest.isEmpty {
                let (a, b, c) = (rest[0], rest[1], rest[2])
                file += letter(a >> 2) + letter((a & 3) << 4 | b >> 4) + letter((b & 15) << 2 | c >> 6) + letter(c & 63)
                rest.removeFirst(3)
            }
            file += "\n"
        }
        let text = String(repeating: "Some words before the file.\n", count: filler / 28)
        let mail = "Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\n\(text)\(file)`\nend\n"
        #expect(found(mail) == ["1 body 0 json \(String(decoding: octets, as: UTF8.self))"])
    }

    @Test func flowedBodyIsUnwrapped() {
        let mail = "Content-Type: text/plain; format=flowed; delsp=yes\n\n{\"text\": \"one \nword\",\n \"b\": 2}\n"
        #expect(found(mail) == ["1 body 0 json {\"text\": \"oneword\",\n\"b\": 2}"])
    }

    @Test(arguments: [
        ("<script type=application/ld+json>{\"a\":1}</script>", ["1 script 0 json-ld {\"a\":1}"]),
        ("<script type=\"application/json\">[1]</script><script>x</script><script type='application/ld+json'>{}</script>",
            ["1 script 0 json [1]", "1 script 1 json-ld {}"]),
        ("<script type=\"application/ld+json; charset=utf-8\">{}</script>", ["1 script 0 json-ld {} mislabelled"]),
        ("<script language=\"ld+json\">{}</script>", ["1 script 0 json-ld {} mislabelled"]),
        ("<script type=application/ld+json>{\"a\":}</script><script type=application/ld+json>{}</script>",
            ["1 script 0 !invalid-json", "1 script 1 json-ld {}"]),
        ("<script type=application/ld+json> \n </script>", []),
        ("<!-- <script type=application/ld+json>{}</script> -->", []),
        ("<textarea><script type=application/ld+json>{}</script></textarea>", []),
        ("<p title=\"<script type=application/ld+json>{}</script>\">", []),
        ("<script type=application/ld+json>{\"a\":\"&quot;\"}</script>", ["1 script 0 json-ld {\"a\":\"&quot;\"}"]),
        ("<script type=text/javascript>{}</script>", []),
        ("<svg><script type=application/ld+json>{&quot;a&quot;:1}</script></svg>", ["1 script 0 json-ld {\"a\":1}"]),
    ] as [(String, [String])])
    func scripts(html: String, expected: [String]) {
        #expect(found("Content-Type: text/html; charset=utf-8\n\n\(html)\n") == expected)
    }

    @Test func charsetOfHTML() {
        let head = Array("Content-Type: text/html; charset=iso-8859-1\r\n\r\n<script type=application/json>\"caf".utf8)
        #expect(found(head + [0xE9] + Array("\"</script>".utf8)) == ["1 script 0 json \"café\""])
        let meta = Array("Content-Type: text/html\r\n\r\n<meta charset=windows-1251><script type=application/json>\"".utf8)
        #expect(found(meta + [0xC4, 0xE0] + Array("\"</script>".utf8)) == ["1 script 0 json \"Да\""])
    }

    @Test func attachedMessagesAreMarked() {
        let mail = """
            Content-Type: multipart/mixed; boundary=b

            --b
            Content-Type: message/rfc822

            Subject: inner
            Content-Type: application/json

            {"a":1}
            --b
            Content-Type: application/json

            {"b":2}
            --b--
            """
        #expect(found(mail) == ["1.1 part 0 json {\"a\":1} attached", "2 part 0 json {\"b\":2}"])
    }

    @Test func invalidEncoding() {
        let mail = Array("Content-Type: application/json\r\n\r\n\"".utf8) + [0xE9] + Array("\"".utf8)
        #expect(found(mail) == ["1 part 0 !invalid-encoding"])
    }

    @Test func wideEncodingsAreRead() {
        let little = "{\"é\":1}".utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let head = Array("Content-Type: application/json; charset=utf-16\r\nContent-Transfer-Encoding: binary\r\n\r\n".utf8)
        for mark in [[0xFF, 0xFE], []] as [[UInt8]] {
            #expect(found(head + mark + little) == ["1 part 0 json {\"é\":1}"])
        }
    }

    // MARK: - Limits

    @Test func documentLimits() {
        let limits = ExtractionLimits(documentSize: 20, depth: 3, documents: 2)
        #expect(found("Content-Type: application/json\n\n[\"0123456789012345678901\"]", limits: limits) == ["1 part 0 !limit"])
        #expect(found("Content-Type: application/json\n\n[[[[1]]]]", limits: limits) == ["1 part 0 !limit"])
        let scripts = String(repeating: "<script type=application/json>1</script>", count: 9)
        #expect(
            found("Content-Type: text/html\n\n\(scripts)", limits: limits)
                == ["1 script 0 json 1", "1 script 1 json 1", "1 script 2 !limit"])
    }

    @Test func htmlIsLookedAtAsFarAsTheLimit() {
        let script = "<script type=application/json>1</script>"
        let limits = ExtractionLimits(htmlSize: 60)
        let mail = "Content-Type: text/html\n\n\(script)" + String(repeating: " ", count: 40) + script
        #expect(found(mail, limits: limits) == ["1 script 0 json 1", "1 script 1 !limit"])
        #expect(found("Content-Type: text/html\n\n\(script)", limits: limits) == ["1 script 0 json 1"])
    }

    @Test func gzip() throws {
        let head = Array(
            "Content-Type: application/gzip; name=o.json.gz\r\nContent-Transfer-Encoding: binary\r\n\r\n".utf8)
        let packed = try #require(gzipped(Array("{\"a\":1}".utf8)))
        #expect(found(head + packed) == ["1 part 0 json {\"a\":1}"])
        #expect(found(head + (try #require(gzipped(Array("[1,".utf8)))) + (try #require(gzipped(Array("2]".utf8))))) == ["1 part 0 json [1,2]"])
        for count in 1..<packed.count { #expect(found(head + packed[..<count]) == ["1 part 0 !decompress"]) }
        #expect(found(head + Array("{\"a\":1}".utf8)) == ["1 part 0 !decompress"])
        let encoded = Array(
            "Content-Type: application/json\r\nContent-Encoding: GZip\r\nContent-Transfer-Encoding: binary\r\n\r\n".utf8)
        #expect(found(encoded + packed) == ["1 part 0 json {\"a\":1}"])
        #expect(found(encoded + Array("{}".utf8)) == ["1 part 0 !decompress"])
        let bomb = try #require(gzipped(Array(repeating: 0x20, count: 8 << 20)))
        #expect(found(head + bomb) == ["1 part 0 !limit"])
        #expect(found(head + packed, limits: ExtractionLimits(decompressedSize: 3)) == ["1 part 0 !limit"])
    }

    private func gzipped(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = z_stream()
        guard deflateInit2_(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { return nil }
        defer { deflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: bytes.count + 1024)
        return input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(target.count)
                guard deflate(&stream, Z_FINISH) == Z_STREAM_END else { return nil }
                return Array(target[..<(target.count - Int(stream.avail_out))])
            }
        }
    }

    // MARK: - Repairs

    @Test(arguments: [
        ("{\"a\":1,}", "{\"a\":1 } trailing_commas"), ("[1,2, ]", "[1,2  ] trailing_commas"),
        ("{\"a\":1};", "{\"a\":1} trailing_semicolon"), ("<![CDATA[{\"a\":1,}]]>", "{\"a\":1 } cdata_wrapper trailing_commas"),
        ("<!-- {} -->", "{} comment_wrapper"),
        ("{/* x */\"a\":1 // y\n}", "{ \"a\":1  \n} comments"), ("{&quot;a&quot;:&quot;x &amp; y&quot;}", "{\"a\":\"x & y\"} html_entities"),
        ("{\"a\":\"x\ty\"}", "{\"a\":\"x\\ty\"} control_characters"),
        ("{\"a\":\"http://x, ]\",}", "{\"a\":\"http://x, ]\" } trailing_commas"),
    ])
    func repairs(script: String, expected: String) {
        let mail = "Content-Type: text/html\n\n<script type=application/ld+json>\(script)</script>"
        let strict = DocumentFinder().candidates(in: MIMEMessage(Array(mail.utf8)))
        #expect(strict.first?.failure?.code == .invalidJSON)
        #expect(found(Array(mail.utf8), repair: .on) == ["1 script 0 json-ld \(expected)"])
    }

    /// In XHTML a CDATA section is markup: it needs no permission to be taken off.
    @Test(arguments: ["<![CDATA[{}]]>", "//<![CDATA[\n{}\n//]]>", " /*<![CDATA[*/{}/*]]>*/ "])
    func sectionsOfXHTML(script: String) {
        let mail = "Content-Type: text/html\n\n<script type=application/ld+json>\(script)</script>"
        #expect(found(mail) == ["1 script 0 json-ld {} cdata_wrapper"])
    }

    @Test(arguments: ["{a:1}", "{'a':1}", "{\"a\":1", "hello", "{\"a\" 1}", "&quot;"])
    func whatCannotBeMended(script: String) {
        let mail = "Content-Type: text/html\n\n<script type=application/ld+json>\(script)</script>"
        #expect(found(mail, repair: .on) == ["1 script 0 !invalid-json"])
    }

    @Test(arguments: [
        ("alternative", nil, Candidate.Placement.full), ("related", nil, .partial), ("mixed", nil, .unrelated),
    ] as [(String, String?, Candidate.Placement)])
    func placement(subtype: String, root: String?, expected: Candidate.Placement) {
        let mail = """
            Content-Type: multipart/\(subtype); boundary=b

            --b
            Content-Type: text/html

            <p>
            --b
            Content-Type: application/ld+json
            Content-Purpose: Machine-readable

            {}
            --b--
            """
        let candidates = DocumentFinder().candidates(in: MIMEMessage(Array(mail.utf8)))
        #expect(candidates.map(\.placement) == [expected])
    }
}
