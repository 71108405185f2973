// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Trees of parts: the rules of RFC 2046 and what is made of messages that break them.

import TestSupport
import Testing

@testable import MIMEParser

struct StructureTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var message: String
        var outline: String
        var paths: [String]
        var codes: [String]
        var testDescription: String { name }

        init(_ name: String, _ message: String, _ outline: String, paths: [String]? = nil, codes: [String] = []) {
            self.name = name
            self.message = message
            self.outline = outline
            self.paths = paths ?? []
            self.codes = codes
        }
    }

    static let mixed = "Content-Type: multipart/mixed; boundary=b\n\n"

    static let cases = [
        Case("no header", "\nbody", "text/plain:4", paths: ["1"]),
        Case("nothing at all", "", "text/plain:0", paths: ["1"]),
        Case("header only", "Subject: x\n", "text/plain:0", paths: ["1"]),
        Case("header without a line end", "Subject: x", "text/plain:0", paths: ["1"]),
        Case("no empty line", "Subject: x\nbody text", "text/plain:9", paths: ["1"], codes: ["header_not_terminated"]),
        Case(
            "junk line in the header", "Subject: x\njunk\nContent-Type: text/html\n\nab", "text/html:2",
            codes: ["header_line_malformed"]),
        Case("blank line of blanks", "Subject: x\n \nbody", "text/plain:4"),
        Case("fold of blanks goes on", "Subject: x\n \n y\nContent-Type: text/html\n\nab", "text/html:2"),
        Case("blanks before the colon", "Content-Type \t: text/html\n\nab", "text/html:2"),
        Case("mailbox line", "From a@b Thu Jan  1 00:00:00 1970\nContent-Type: text/html\n\nab", "text/html:2"),
        Case("quoted mailbox line", ">From a@b Thu Jan  1 00:00:00 1970\nContent-Type: text/html\n\nab", "text/html:2"),
        Case(
            "two parts", mixed + "--b\n\nab\n--b\nContent-Type: text/html\n\nabc\n--b--\n",
            "multipart/mixed(text/plain:2 text/html:3)", paths: ["", "1", "2"]),
        Case(
            "preamble and epilogue", mixed + "pre\n--c\n--b\n\nab\n--b--\nepilogue\n--b\n\nno part\n",
            "multipart/mixed(text/plain:2)"),
        Case(
            "part without header", mixed + "--b\n\n\nab\n\n--b--", "multipart/mixed(text/plain:4)"),
        Case(
            "boundary in the header of a part", mixed + "--b\nContent-Type: text/html\n--b--", "multipart/mixed(text/html:0)"
        ),
        Case("empty parts", mixed + "--b\n--b\n\n--b\n\n\n--b--", "multipart/mixed(text/plain:0 text/plain:0 text/plain:0)"),
        Case("blanks behind the boundary", mixed + "--b \t\n\nab\n--b-- \n", "multipart/mixed(text/plain:2)"),
        Case("text behind the boundary", mixed + "--b text\n\nab\n--b--text\nx", "multipart/mixed(text/plain:2)"),
        Case("line that begins like the boundary", mixed + "--b\n\n--bc\n--b--", "multipart/mixed(text/plain:4)"),
        Case(
            "no closing delimiter", mixed + "--b\n\nab\n", "multipart/mixed(text/plain:3)", codes: ["end_boundary_missing"]),
        Case(
            "no boundary parameter", "Content-Type: multipart/mixed\n\nab", "multipart/mixed:2", paths: ["1"],
            codes: ["boundary_missing"]),
        Case(
            "no boundary parameter, delimiters all the same",
            "Content-Type: multipart/mixed;\nboundary=\"a1\"\nX: y\n\n-- \nhi\n--a1\nContent-Type: text/html\n\nab\n--a1--",
            "multipart/mixed(text/html:2)", codes: ["header_line_malformed", "boundary_missing"]),
        Case("boundary that never comes", mixed + "ab\n", "multipart/mixed:3", paths: ["1"], codes: ["boundary_not_found"]),
        Case("multipart without parts", mixed + "--b--\n", "multipart/mixed", paths: [""]),
        Case(
            "boundaries that begin alike",
            mixed + "--b\nContent-Type: multipart/alternative; boundary=b1\n\n--b1\n\nab\n--b1--\n--b\n\nabc\n--b--",
            "multipart/mixed(multipart/alternative(text/plain:2) text/plain:3)", paths: ["", "1", "1.1", "2"]),
        Case(
            "outer boundary begins with the inner one",
            "Content-Type: multipart/mixed; boundary=b1\n\n--b1\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nab\n--b--\n--b1\n\nabc\n--b1--",
            "multipart/mixed(multipart/mixed(text/plain:2) text/plain:3)"),
        Case(
            "boundary that ends like a closing delimiter",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=\"b--\"\n\n--b--\n\nab\n--b----\n--b--",
            "multipart/mixed(multipart/mixed(text/plain:2))"),
        Case(
            "inner multipart without an end",
            mixed + "--b\nContent-Type: multipart/related; boundary=i\n\n--i\n\nab\n--b\n\nabc\n--b--",
            "multipart/mixed(multipart/related(text/plain:2) text/plain:3)", codes: ["end_boundary_missing"]),
        Case(
            "the same boundary inside", mixed + "--b\n" + mixed + "--b\n\nab\n--b--\n--b\n\nabc\n--b--\n",
            "multipart/mixed(multipart/mixed(text/plain:2) text/plain:3)"),
        Case(
            "quoted boundary of odd characters",
            "Content-Type: multipart/mixed; boundary=\"a b'()+_,-./:=?\"\n\n--a b'()+_,-./:=?\n\nab\n--a b'()+_,-./:=?--",
            "multipart/mixed(text/plain:2)"),
        Case(
            "boundary in segments", "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\nab\n--ab--",
            "multipart/mixed(text/plain:2)"),
        Case(
            "digest",
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nab\n--b\nContent-Type: text/plain\n\nabc\n--b--",
            "multipart/digest(message/rfc822(text/plain:2) text/plain:3)", paths: ["", "1", "1.1", "2"]),
        Case(
            "message", mixed + "--b\nContent-Type: message/rfc822\n\nSubject: x\n\nab\n--b--",
            "multipart/mixed(message/rfc822(text/plain:2))", paths: ["", "1", "1.1"]),
        Case(
            "multipart in a message",
            mixed
                + "--b\n\nx\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nab\n--i--\n--b--",
            "multipart/mixed(text/plain:1 message/rfc822(multipart/mixed(text/plain:2)))", paths: ["", "1", "2", "2", "2.1"]),
        Case(
            "message as the body", "Content-Type: message/rfc822\n\nContent-Type: text/html\n\nab",
            "message/rfc822(text/html:2)",
            paths: ["1", "1.1"]),
        Case(
            "message/global", "Content-Type: Message/GLOBAL\n\nSubject: é\n\nab", "message/global(text/plain:2)"),
        Case(
            "message in base64",
            mixed
                + "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKYWI=\n--b\n\nabc\n--b--",
            "multipart/mixed(message/rfc822(text/plain:2) text/plain:3)", paths: ["", "1", "1.1", "2"],
            codes: ["container_encoded"]),
        Case(
            "message in quoted-printable",
            mixed
                + "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nContent-Type: multipart/mixed; boundary=3D\"=3D_i\"\n\n--=3D_i\n\na=62\n--=3D_i--\n--b--",
            "multipart/mixed(message/rfc822(multipart/mixed(text/plain:2)))", paths: ["", "1", "1", "1.1"],
            codes: ["container_encoded"]),
        Case(
            "message that only says it is base64",
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nSubject: x\n\nab",
            "message/rfc822(text/plain:2)", codes: ["container_encoded"]),
        Case(
            "multipart that says it is base64",
            "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nab\n--b--",
            "multipart/mixed(text/plain:2)", codes: ["container_encoded"]),
        Case(
            "delivery status is a leaf", "Content-Type: message/delivery-status\n\nReporting-MTA: x\n",
            "message/delivery-status:17"),
        Case("comments in the type", "Content-Type: (a) text (b) / (c) html (d (e)); charset=utf-8\n\nab", "text/html:2"),
        Case("comment behind the type", "Content-Type: text/html (comment); charset=us-ascii\n\nab", "text/html:2"),
        Case("type that is none", "Content-Type: text\n\nab", "text/plain:2", codes: ["content_type_malformed"]),
        Case("empty type", "Content-Type:\n\nab", "text/plain:2"),
        Case(
            "two types", "Content-Type: text/html\nContent-Type: text/plain\n\nab", "text/html:2",
            codes: ["header_ambiguous"]),
        Case("the same type twice", "Content-Type: text/html\nContent-Type:  text/html \n\nab", "text/html:2"),
        Case(
            "two encodings", "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\nYWI=", "text/plain:2",
            codes: ["header_ambiguous"]),
        Case(
            "two boundaries", "Content-Type: multipart/mixed; boundary=b; boundary=c\n\n--b\n\nab\n--b--",
            "multipart/mixed(text/plain:2)",
            codes: ["header_ambiguous"]),
        Case(
            "two charsets", "Content-Type: text/plain; charset=a; charset=utf-8\n\nab", "text/plain:2",
            codes: ["header_ambiguous", "charset_unknown"]),
        Case(
            "charset nobody knows", "Content-Type: text/plain; charset=x-none-such\n\nab", "text/plain:2",
            codes: ["charset_unknown"]),
        Case(
            "encoding nobody knows", "Content-Transfer-Encoding: x-none\n\nab", "text/plain:2",
            codes: ["transfer_encoding_unknown"]),
        Case("encoding with a comment", "Content-Transfer-Encoding: (x) BASE64 (y)\n\nYWI=", "text/plain:2"),
        Case(
            "uuencode in the text", "\nhello\nbegin 644 cat.txt\n#0V%T\n`\nend\n", "text/plain:36", codes: ["uuencoded_text"]
        ),
        Case("begin in prose", "\nbegin with this\nbegin 64 x\nbegin 644\n", "text/plain:37"),
        Case(
            "yEnc in the text", "\n=ybegin line=128 size=3 name=a.bin\nabc\n=yend size=3\n", "text/plain:52",
            codes: ["yencoded_text"]),
        Case(
            "signed",
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha1; boundary=b\n\n--b\n\nab\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--",
            "multipart/signed(text/plain:2 application/pgp-signature:1)"),
    ]

    @Test(arguments: cases)
    func tree(_ item: Case) {
        for message in [Array(item.message.utf8), crlf(Array(item.message.utf8))] {
            let parsed = MIMEMessage(message)
            // Sizes of bodies that keep their line ends are those of the LF form.
            if message == Array(item.message.utf8) { #expect(parsed.outline == item.outline) }
            #expect(parsed.parts.map(\.mediaType.name) == MIMEMessage(item.message).parts.map(\.mediaType.name))
            if !item.paths.isEmpty { #expect(parsed.paths == item.paths) }
            #expect(parsed.codes == item.codes)
            #expect(parsed.violations == [])
        }
    }

    @Test(arguments: cases)
    func cutAnywhere(_ item: Case) {
        let bytes = Array(item.message.utf8)
        for end in bytes.indices { #expect(MIMEMessage(Array(bytes[..<end])).violations == []) }
    }

    @Test func lineEndsOfCarriageReturnsAlone() {
        let message = MIMEMessage("Content-Type: multipart/mixed; boundary=b\r\r--b\r\rab\r--b--\r")
        #expect(message.outline == "multipart/mixed(text/plain:2)")
        #expect(message.codes == ["bare_carriage_return"])
    }

    @Test func bodyKeepsItsBytes() {
        let message = MIMEMessage(
            StructureTests.mixed
                + "--b\r\n\r\na\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{0}\r\r\n\n\n--b--\r\n")
        #expect(message.parts[1].body.count == 3)
        #expect(text(Array(message.encodedBody(of: message.parts[2]))) == "\u{0}\r\r\n\n")
    }

    @Test func boundaryOfOctetsThatAreNoText() {
        var bytes =
            Array("Content-Type: multipart/mixed; boundary=\"".utf8) + [0xE9, 0x62] + Array("\"\n\n--".utf8) + [0xE9, 0x62]
        bytes += Array("\n\nab\n--".utf8) + [0xE9, 0x62] + Array("--\n".utf8)
        #expect(MIMEMessage(bytes).outline == "multipart/mixed(text/plain:2)")
        #expect(
            MIMEMessage(StructureTests.mixed.replacing("=b", with: "=é") + "--é\n\nab\n--é--").outline
                == "multipart/mixed(text/plain:2)")
    }

    @Test func whatIsAttached() {
        let inner = "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n"
        let message = MIMEMessage(StructureTests.mixed + "--b\n\na\n--b\n\(inner)\n--b\n\nz\n--b--")
        #expect(message.parts.map(\.isAttached) == [false, false, false, true, true, false])
    }

    @Test func typesAndNames() throws {
        let message = MIMEMessage(
            "Content-Type: Text/HTML; Charset=UTF-8; name=\"a.html\"\nContent-Disposition: ATTACHMENT; filename=b.html\n\n")
        let part = message.parts[0]
        #expect(part.mediaType.name == "text/html" && part.mediaType.type == "text" && part.mediaType.subtype == "html")
        #expect(part.mediaType.value["charset"] == "UTF-8")
        #expect(part.isTypeNamed && part.isText)
        #expect(part.disposition?.value == "attachment")
        #expect(part.fileName == "b.html")
        #expect(MIMEMessage("Content-Type: text/html; name=x\n\n").parts[0].fileName == "x")
        #expect(MIMEMessage("Content-Disposition: inline\n\n").parts[0].fileName == nil)
        #expect(!MIMEMessage("Content-Type: text\n\n").parts[0].isTypeNamed)
    }

    /// The search by blocks against one octet by octet, with LF and hyphens at all places of blocks.
    @Test func searchOfLines() {
        var generator = SplitMix64(state: 4)
        let words = [
            "\n", "-", "--", "\n-", "\n--", "x", String(repeating: "y", count: 30), String(repeating: "z", count: 90),
        ]
        for _ in 0..<3000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<20, using: &generator) {
                bytes += Array((words.randomElement(using: &generator) ?? "").utf8)
            }
            let start = Int.random(in: 0...bytes.count, using: &generator)
            let end = Int.random(in: start...bytes.count, using: &generator)
            var expected = end
            for index in stride(from: end - 3, through: start, by: -1)
            where bytes[index] == 0x0A && bytes[index + 1] == 0x2D && bytes[index + 2] == 0x2D { expected = index + 1 }
            let found = bytes.withUnsafeBufferPointer {
                LineSearch.nextLine($0, from: start, end, first: 0x2D, second: 0x2D)
            }
            #expect(found == expected, "\(start)..<\(end) of \(text(bytes).debugDescription)")
        }
    }

    // MARK: limits

    @Test func limitOfParts() {
        let body = String(repeating: "--b\n\nx\n", count: 20)
        let message = MIMEMessage(StructureTests.mixed + body + "--b--", limits: MIMELimits(parts: 5))
        #expect(message.outline == "multipart/mixed(text/plain:1 text/plain:1 text/plain:1 text/plain:1)")
        #expect(message.codes == ["too_many_parts"])
        #expect(message.problems[0].isContentLost)
    }

    @Test func limitOfDepth() {
        var text = ""
        for level in 0..<10 { text += "Content-Type: multipart/mixed; boundary=b\(level)\n\n--b\(level)\n" }
        let message = MIMEMessage(text, limits: MIMELimits(depth: 3))
        #expect(message.parts.count == 4)
        #expect(message.codes.first == "nested_too_deeply")
        #expect(message.parts[3].kind == .leaf)
        #expect(
            MIMEMessage("Content-Type: message/rfc822\n\n\nx", limits: MIMELimits(depth: 0)).outline == "message/rfc822:2")
    }

    @Test func limitOfHeader() {
        let text =
            "Content-Type: text/html\n" + String(repeating: "X: yyyyyyyy\n", count: 100)
            + "Content-Transfer-Encoding: base64\n\nYWI="
        let message = MIMEMessage(text, limits: MIMELimits(headerSize: 200))
        #expect(message.codes == ["header_too_large"])
        #expect(message.outline == "text/html:4")
        #expect(message.header.rawValues("x").count == 15)
    }

    @Test func limitOfProblems() {
        let text = String(repeating: "junk\nX: y\n", count: 50) + "\n"
        #expect(MIMEMessage(text, limits: MIMELimits(problems: 7)).problems.count == 7)
    }
}
