// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Fields, encoded words, parameters, addresses, dates and identifiers.

import Testing

@testable import MIMEParser

struct HeaderTests {
    struct Pair: CustomTestStringConvertible {
        var input: String
        var output: String
        var testDescription: String { input.debugDescription }

        init(_ input: String, _ output: String) {
            self.input = input
            self.output = output
        }
    }

    // MARK: fields

    @Test func fields() {
        let header = MIMEMessage(
            "Received: a\r\nSubject : folded\r\n  value \r\nrECEIVED: b\r\nX-Empty:\r\nX-Raw: =?utf-8?q?=C3=A9?=\r\n\r\nbody: no field\r\n"
        ).header
        #expect(header.rawValue("subject") == "folded  value")
        #expect(header.rawValues("Received") == ["a", "b"])
        #expect(header.rawValue("x-empty") == "")
        #expect(header.rawValue("body") == nil)
        #expect(header.rawValue("x-raw") == "=?utf-8?q?=C3=A9?=")
        #expect(header.text("X-Raw") == "é")
        #expect(header.map(\.name) == ["Received", "Subject", "rECEIVED", "X-Empty", "X-Raw"])
        #expect(header.map(\.text).last == "é")
    }

    @Test func octetsAboveASCII() {
        #expect(MIMEMessage("Subject: Grüße 日本\n\n").header.text("subject") == "Grüße 日本")
        #expect(
            MIMEMessage(Array("Subject: Gr".utf8) + [0xFC, 0xDF, 0x65, 0x80] + Array("\n\n".utf8)).header.text("subject")
                == "Grüße€")
    }

    @Test func headerOfAPart() {
        let message = MIMEMessage(
            "Subject: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-ID: <c>\n\nx\n--b--")
        #expect(message.header(of: message.parts[1]).map(\.name) == ["Content-ID"])
        #expect(message.header(of: message.parts[0]).rawValue("subject") == "a")
    }

    // RFC 3464 section 2.1.
    @Test func groupsOfFields() {
        let message = MIMEMessage(
            "Content-Type: message/delivery-status\r\n\r\n\r\nReporting-MTA: dns; a\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n  x\r\n\r\n\r\nAction: delayed"
        )
        let groups = message.fieldGroups(of: message.parts[0])
        #expect(groups.map { $0.map(\.name) } == [["Reporting-MTA"], ["Action", "Status"], ["Action"]])
        #expect(groups.last?.rawValue("action") == "delayed")
        #expect(message.fieldGroups(of: MIMEMessage("\n").parts[0]).isEmpty)
    }

    // MARK: encoded words (the examples of RFC 2047 section 8 first)

    @Test(arguments: [
        Pair("=?ISO-8859-1?Q?a?=", "a"), Pair("=?ISO-8859-1?Q?a?= b", "a b"),
        Pair("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        Pair("=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=", "ab"), Pair("=?ISO-8859-1?Q?a_b?=", "a b"),
        Pair("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"), Pair("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        Pair("=?utf-8?B?w6k=?=", "é"), Pair("=?UTF-8?b?w6k?=", "é"), Pair("=?utf-8?q?=41=?=", "A="),
        Pair("=?utf-8?Q??=x", "x"),
        // A character cut in two between words (RFC 2047 section 5 forbids it, senders do it).
        Pair("=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "é"), Pair("=?utf-8?B?w6?= =?utf-8?B?k=?=", "\u{FFFD}"),
        Pair("=?utf-8?q?white space?= x", "white space x"), Pair("a=?utf-8?q?b?=c", "abc"),
        Pair("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        Pair("=?utf-8?q?a", "=?utf-8?q?a"), Pair("=?", "=?"), Pair("=?=?=?=?", "=?=?=?=?"),
        Pair("=? ?q?a?=", "=? ?q?a?="),
        Pair("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?= =?iso-2022-jp?B?GyRCOGwbKEI=?=", "日本語"),
        Pair("=?shift_jis?B?k/qWew==?=", "日本"), Pair("=?x-none-such?q?a=E9?=", "aé"), Pair("=?utf-8?q?=zz?=", "=zz"),
        Pair("plain = text?", "plain = text?"),
    ])
    func encodedWords(_ pair: Pair) {
        #expect(MIMEMessage("Subject: \(pair.input)\r\n\r\n").header.text("subject") == pair.output)
    }

    // MARK: parameters

    @Test(arguments: [
        Pair("attachment; filename=a.txt", "a.txt"), Pair("attachment; filename=\"a b.txt\"", "a b.txt"),
        Pair("attachment; filename=\"a\\\"b\\\\c\"", "a\"b\\c"),
        Pair("attachment; filename=\"C:\\temp\\a.txt\"", "C:\\temp\\a.txt"),
        Pair("attachment; filename=a b (1).txt; size=3", "a b (1).txt"), Pair("attachment filename=a.txt", "a.txt"),
        Pair("attachment; FileName = \"a\" ; x=y", "a"), Pair("attachment; filename=\"a", "a"),
        Pair("attachment; filename=", ""),
        Pair("attachment; (c) filename (c) = \"a\" (c)", "a"), Pair("attachment;; ; filename=a;", "a"),
        Pair("attachment; filename=a; filename*=utf-8''%C3%A9", "é"),
        Pair("attachment; filename*=UTF-8'en'%e2%82%ac.txt", "€.txt"),
        Pair("attachment; filename*=iso-8859-1''%E9", "é"), Pair("attachment; filename*0=a; filename*1=b", "ab"),
        Pair("attachment; filename*1=b; filename*0=a; filename*3=x", "ab"),
        Pair("attachment; filename*0*=utf-8''%C3; filename*1*=%A9", "é"),
        Pair("attachment; filename*0*=utf-8''a%20; filename*1=\"%20b\"", "a %20b"),
        Pair("attachment; filename*=%41%zz", "A%zz"),
        Pair("attachment; filename=\"=?utf-8?q?=C3=A9?=.txt\"", "é.txt"),
        Pair("attachment; filename==?utf-8?q?a?=", "a"),
        Pair("attachment; filename=\"=?utf-8?B?w6k=?=\r\n =?utf-8?B?w6k=?=\"", "éé"), Pair("attachment; name=a", "a"),
        Pair("attachment; filename=a\r\n\tb", "a\tb"), Pair("attachment; =x; filename=a", "a"),
        Pair("attachment; x*999999999=y; filename=a", "a"),
        Pair("attachment; filename=grün.txt", "grün.txt"),
    ])
    func fileNames(_ pair: Pair) {
        let message = MIMEMessage("Content-Disposition: \(pair.input)\r\n\r\n")
        #expect(message.parts[0].fileName == pair.output)
        #expect(message.parts[0].disposition?.value == "attachment")
    }

    /// What is read of the field in place is what reading the whole of it gives.
    @Test(arguments: [
        "text/html; charset=utf-8", "Text/HTML;Charset=\"UTF-8\"", " text/html ", "text/html ; charset=a; charset=b", "text",
        "text/html; charset*=utf-8''x", "text/html (comment); charset=(c)utf-8", "text/html charset=utf-8", "", ";charset=x",
        "text/html; charset=", "text/html; charset=\"a\\\"b\"", "text/\u{fc}; charset=\u{fc}", "\u{fc}/html", "a/b/c; charset=x",
        "text/html\r\n ; charset=x", "\"text/html\"; charset=x", "multipart/mixed; boundary=a; charset=x", "text/html; x; charset=y",
        "text/html; " + (0..<101).map { "a\($0)=x; " }.joined() + "charset=y",
        "text/html; " + String(repeating: "a=b;", count: 1000) + "charset=y",
    ])
    func typeReadInPlace(field: String) throws {
        let part = try #require(MIMEMessage("Content-Type: \(field)\r\n\r\n").parts.first)
        #expect(part.typeName == part.mediaType.name)
        #expect(part.charsetLabel == part.mediaType["charset"])
    }

    @Test func publicParameterizedValue() {
        let value = ParameterizedValue("form-data; a=1; A=2; b=\"x\"")
        #expect(value.value == "form-data")
        #expect(value.parameters.map(\.name) == ["a", "b"])
        #expect(value["a"] == "1" && value["b"] == "x" && value["c"] == nil)
        #expect(value.contradictions == ["a"])
    }

    // MARK: addresses

    static func list(_ addresses: [MailAddress]) -> String {
        addresses.map { "\($0.group.map { $0 + "/" } ?? "")\($0.name ?? "-")<\($0.address)>" }.joined(separator: " ")
    }

    // RFC 5322 appendix A first.
    @Test(arguments: [
        Pair("John Doe <jdoe@machine.example>", "John Doe<jdoe@machine.example>"),
        Pair("\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public<john.q.public@example.com>"),
        Pair(
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            "Mary Smith<mary@x.test> -<jdoe@example.org> Who?<one@y.test>"),
        Pair(
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            "-<boss@nil.test> Giant; \"Big\" Box<sysservices@example.net>"),
        Pair(
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            "A Group/Ed Jones<c@a.test> A Group/-<joe@where.test> A Group/John<jdoe@one.test>"),
        Pair("Undisclosed recipients:;", ""), Pair("g: a@b;, c@d", "g/-<a@b> -<c@d>"),
        Pair("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete<pete@silly.test>"),
        Pair(
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            "Mary Smith<mary@example.net> -<jdoe@test.example>"),
        Pair("<@a.test,@b.test:c@d.test>", "-<c@d.test>"),
        Pair("jdoe@example.org (John Doe)", "John Doe<jdoe@example.org>"),
        Pair("\"a b\"@example.org", "-<ab@example.org>"), Pair("<\"a b\"@example.org>", "-<\"a b\"@example.org>"),
        Pair("=?utf-8?q?J=C3=B6rg?= M <j@x.test>", "Jörg M<j@x.test>"),
        Pair("\"=?utf-8?q?J=C3=B6rg?=\" <j@x.test>", "Jörg<j@x.test>"),
        Pair("user@[IPv6:2001:db8::1]", "-<user@[IPv6:2001:db8::1]>"),
        Pair("jörg@exämple.test", "-<jörg@exämple.test>"),
        Pair("a@b, <", "-<a@b> -<>"), Pair("", ""), Pair(",,;:", ""), Pair("Name <a@b", "Name<a@b>"),
        Pair("(only a comment)", ""),
    ])
    func addresses(_ pair: Pair) {
        #expect(Self.list(MIMEMessage("To: \(pair.input)\r\n\r\n").header.addresses("to")) == pair.output)
    }

    @Test func addressesOfAllFields() {
        #expect(Self.list(MIMEMessage("To: a@b\nCc: x@y\nTo: c@d\n\n").header.addresses("To")) == "-<a@b> -<c@d>")
    }

    // MARK: dates

    @Test(arguments: [
        ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706), ("Tue, 1 Jul 2003 10:52:37 +0200", 1_057_049_557),
        ("Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27_723_480),
        ("21 Nov 97 09:55:06 GMT", 880_106_106),
        ("1 Jan 70 00:00:00 +0000", 0), ("29 Feb 2024 23:59:60 Z", 1_709_251_200), ("Thu Feb 13 23:32:54 1969", -27_736_026),
        ("Sun, 27 Oct 2002 23:57:07 EST", 1_035_781_027), ("1 Jan 105 00:00:00 GMT", 1_104_537_600),
        ("Mon, 1 jan 2001 00:00 UT", 978_307_200),
    ])
    func dates(_ text: String, _ seconds: Int) {
        #expect(MIMEMessage("Date: \(text)\r\n\r\n").header.date?.secondsSince1970 == seconds)
    }

    @Test(arguments: [
        "", "yesterday", "32 Jan 2000 00:00:00 GMT", "1 Foo 2000 00:00:00 GMT", "1 Jan 2000 24:00:00 GMT", "1 Jan 2000 x",
        "1 Jan", "1 1 1 1:1:1:1",
    ])
    func noDates(_ text: String) { #expect(MailDate(text) == nil) }

    // MARK: identifiers

    @Test(arguments: [
        Pair("<a@b>", "a@b"), Pair(" < a@b > x", "a@b"), Pair("a@b", "a@b"), Pair("(c <x>) <a@b>", "a@b"),
        Pair("x <a@b>", "a@b"), Pair("<a@b", "a@b"),
        Pair("<>  <a@b>", "a@b"),
    ])
    func messageIdentifiers(_ pair: Pair) {
        #expect(MIMEMessage("Message-ID: \(pair.input)\r\n\r\n").messageID == pair.output)
    }
}
