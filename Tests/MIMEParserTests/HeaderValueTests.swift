// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The single header values of mime-stalwart.

import Foundation
import TestSupport
import Testing

@testable import MIMEParser

struct HeaderValueTests {
    static let suite = "mime-stalwart"

    static func cases(_ file: String) throws -> [(header: String, expected: Any)] {
        let data = Data(try Conformance.bytes(suite, file))
        let list = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        return list.map { ($0["header"] as? String ?? "", $0["expected"] ?? NSNull()) }
    }

    static func header(_ name: String, _ value: String) -> HeaderFields { MIMEMessage("\(name): \(value)").header }

    static func date(_ expected: Any) -> MailDate? {
        guard let fields = expected as? [String: Any] else { return nil }
        func number(_ name: String) -> Int { (fields[name] as? NSNumber)?.intValue ?? 0 }
        let offset = number("tz_hour") * 60 + number("tz_minute")
        let isWest = (fields["tz_before_gmt"] as? NSNumber)?.boolValue ?? false
        return MailDate(
            year: number("year"), month: number("month"), day: number("day"), hour: number("hour"), minute: number("minute"),
            second: number("second"), offset: isWest ? -offset : offset)
    }

    static func typeDifferences(_ value: ParameterizedValue, _ expected: Any, default standard: String) -> [String] {
        guard let fields = expected as? [String: Any] else {
            return value.value == standard || !MediaType.isSane(value.value) ? [] : ["type \(value.value), not none"]
        }
        var found: [String] = []
        let type = (fields["c_type"] as? String ?? "").lowercased()
        let name = (fields["c_subtype"] as? String).map { "\(type)/\($0.lowercased())" } ?? type
        // A type without its other half is none (RFC 2045 section 5.1); what is kept of it does not matter.
        if fields["c_subtype"] is NSNull || fields["c_subtype"] == nil, value.value == type + "/" {
        } else if value.value != name {
            found.append("type \(value.value), not \(name)")
        }
        for attribute in fields["attributes"] as? [Any] ?? [] {
            let pair =
                (attribute as? [String]) ?? (attribute as? [String: String]).map { [$0["name"] ?? "", $0["value"] ?? ""] }
                ?? ["", ""]
            // The language of RFC 2231 is not kept.
            if pair[0].hasSuffix("-language") { continue }
            let ours = value[pair[0].lowercased()].map { $0.contains("=?") ? EncodedWords.decoded(Array($0.utf8)) : $0 }
            if ours != pair[1] { found.append("\(pair[0]) \(ours.debugDescription), not \(pair[1].debugDescription)") }
        }
        return found
    }

    // MARK: exceptions

    private static let noSpace = "no space is put where the sender wrote none (RFC 2047 section 5 asks senders for it)"
    static let unstructuredExceptions = [
        "[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb3JpZ2luYWwgc3ViamVjdA==?=\n": noSpace,
        "[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb\n 3JpZ2luYWwgc3ViamVjdA==?=\n": noSpace,
        "[SUSPECTED SPAM]=?utf-8?B?VGhpcyBpcyB0aGUgb\r\n 3JpZ2luYWwgc3ViamVjdA==?=\r\n": noSpace,
    ]

    private static let comment =
        "a comment is no part of a name that is there (RFC 5322 section 3.2.2); routes and blanks are left out (section 4.4)"
    static let addressExceptions = [
        "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\n": comment,
        "Pete(A nice \n \\\n ) chap) <pete(his\n account)@silly\n .test(his host)>\n": comment,
        "A Group(Some people)\n        :Chris Jones <c@(Chris's host.)public.example>,\n            joe@example.org,\n     John <jdoe@one.test> (my dear friend); (the end of the group)\n":
            comment,
        "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;\n": comment,
        "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example\n": comment,
        "John Doe <jdoe@machine(comment).  example>\n": comment,
        "Nathaniel Borenstein <nsb@thumper.bellcore.com>\n    (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)\n": comment,
        "Name (comment) =?utf-8?q?Doe?= <a@b.com>\n": comment,
    ]

    private static let trimmed =
        "blanks at the end of a field are no part of its value, a quoted string that is not closed ends before them"
    static let typeExceptions = [
        "application/pdf\n   filename*0*=iso-8859-1'es'%D1and%FA\n   filename*1*=iso-8859-1'%20r%E1pido\n   filename*2*=\"iso-8859-1' (versi%F3n \\'99 \\\"oficial\\\").pdf\"\n":
            "a charset stands in the first segment only (RFC 2231 section 4.1)",
        "test/encoded; key4*=us-ascii''foo; key*9999=ba%; key2*0=a; key3*0*=us-ascii'en'xyz; key*0=\"f\u{0}oo\"; key2*1*=b%25; key3*1=plop%; key*1=baz; *=test; =test2;\n":
            "a gap in the numbers ends the value (RFC 2231 section 3)",
        "inva/lid; name=\"   \n": trimmed, "inva/lid; name=\"   \n    \n": trimmed,
        "image/jpeg;\n   name=\"=?iso-8859-1?B?4Q==?= =?utf-8?B?w6k=?= =?iso-8859-1?q?=ED?=.jpeg\"\n":
            "blanks between encoded words are dropped (RFC 2047 section 6.2)",
        "malicious/attempt; 1*2*=a; 3**=b; 4***=c; *5**6*=d;*****7*8*=e; 9*10*11*12*13*14=f; 15*x***fff*===g;1 * 999999999999999999 *= h; 18 *=*=*=*=*==i;\n":
            "names that are not of the form of RFC 2231 section 7 are no parameters",
    ]

    // MARK: one test a file

    @Test(.conformance(suite)) func dates() throws {
        var report = SuiteReport(
            "mime-stalwart dates",
            exceptions: [
                " 4 8 15 16 23 42, 4 8 15 16 23 42, 4 8 15 16 23 42, ": "no time of day (RFC 5322 section 3.3)",
                "by 2002:aa7:cd10:0:b0:45c:2c83:1208 with SMTP id b16-20020aa7cd10000000b0045c2c831208mr4220805edw.81.1665423075119;\n\tMon, 10 Oct 2022 10:31:15 -0700 (PDT)":
                    "the value of Received, not a date-time (RFC 5322 section 3.6.7)",
            ])
        for (header, expected) in try Self.cases("date.json") {
            let ours = Self.header("Date", header).date
            let theirs = Self.date(expected)
            report.count(header, ours == theirs ? [] : ["\(String(describing: ours)), not \(String(describing: theirs))"])
        }
        report.finish(atLeast: 40)
    }

    @Test(.conformance(suite)) func identifiers() throws {
        var report = SuiteReport("mime-stalwart identifiers", exceptions: [:])
        for (header, expected) in try Self.cases("id.json") {
            let ours = MessageIdentifiers.all(in: Array((Self.header("Message-ID", header).rawValue("message-id") ?? "").utf8))
            let theirs = expected as? [String] ?? []
            report.count(header, ours == theirs ? [] : ["\(ours), not \(theirs)"])
        }
        report.finish(atLeast: 11)
    }

    @Test(.conformance(suite)) func unstructured() throws {
        var report = SuiteReport("mime-stalwart unstructured", exceptions: Self.unstructuredExceptions)
        for (header, expected) in try Self.cases("unstructured.json") {
            let ours = StalwartSuiteTests.collapsed(Self.header("Subject", header).text("subject") ?? "")
            let theirs = StalwartSuiteTests.collapsed(expected as? String ?? "")
            report.count(header, ours == theirs ? [] : ["\(ours), not \(theirs)"])
        }
        report.finish(atLeast: 30)
    }

    @Test(.conformance(suite)) func addresses() throws {
        var report = SuiteReport("mime-stalwart addresses", exceptions: Self.addressExceptions)
        for (header, expected) in try Self.cases("address.json") {
            let ours = HeaderTests.list(Self.header("To", header).addresses("to"))
            let theirs = HeaderTests.list(Self.addresses(expected))
            report.count(header, ours == theirs ? [] : ["\(ours), not \(theirs)"])
        }
        report.finish(atLeast: 60)
    }

    static func addresses(_ expected: Any) -> [MailAddress] {
        guard let expected = expected as? [String: Any] else { return [] }
        func mailboxes(_ list: Any?, _ group: String?) -> [MailAddress] {
            (list as? [[String: Any]] ?? []).map {
                MailAddress(name: $0["name"] as? String, address: $0["address"] as? String ?? "", group: group)
            }
        }
        return mailboxes(expected["List"], nil)
            + (expected["Group"] as? [[String: Any]] ?? []).flatMap { mailboxes($0["addresses"], $0["name"] as? String) }
    }

    @Test(.conformance(suite)) func contentTypes() throws {
        var report = SuiteReport("mime-stalwart content types", exceptions: Self.typeExceptions)
        for (header, expected) in try Self.cases("content_type.json") {
            let ours = ParameterizedValue(Self.header("Content-Type", header).rawValue("content-type") ?? "")
            report.count(header, Self.typeDifferences(ours, expected, default: ""))
        }
        report.finish(atLeast: 103)
    }
}
