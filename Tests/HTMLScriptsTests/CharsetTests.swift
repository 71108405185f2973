// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which encoding an HTML part is in: html5lib's encoding suite, and the order of what can say it.

import Foundation
import TestSupport
import Testing

@testable import HTMLScripts

@Suite struct CharsetTests {
    /// Cases answered otherwise, with the reason. A key is "file: number".
    static let exceptions: [String: String] = [:]

    @Test(.conformance("html5lib")) func encodingSuite() throws {
        var (ran, passed, leftOut) = (0, 0, 0)
        var failures: [String] = []
        for file in Conformance.files("html5lib", "encoding", extensions: ["dat"]) {
            for (number, test) in try Self.cases(file).enumerated() {
                if file.hasPrefix("scripted/") || Self.exceptions["\(file): \(number + 1)"] != nil {
                    leftOut += 1  // scripted/: a script writes the meta element.
                    continue
                }
                ran += 1
                let got = HTMLCharset.label(of: test.data).label ?? "windows-1252"
                if got == test.expected {
                    passed += 1
                } else {
                    failures.append(
                        "\(file): \(number + 1): expected \(test.expected), got \(got): \(String(decoding: test.data.prefix(200), as: UTF8.self))"
                    )
                }
            }
        }
        print("html5lib encoding: ran \(ran), passed \(passed), failed \(failures.count), left out \(leftOut)")
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
        #expect(ran + leftOut >= 83)
    }

    private static func cases(_ file: String) throws -> [(data: [UInt8], expected: String)] {
        let bytes = try Data(Conformance.bytes("html5lib", "encoding/" + file))
        var cases: [(data: [UInt8], expected: String)] = []
        var rest = bytes[...]
        while let start = rest.range(of: Data("#data\n".utf8)), let middle = rest.range(of: Data("\n#encoding\n".utf8))
        {
            let data = start.upperBound < middle.lowerBound ? rest[start.upperBound..<middle.lowerBound] : Data()
            rest = rest[middle.upperBound...]
            let label = rest.prefix { $0 != 0x0A }
            cases.append(([UInt8](data), try #require(HTMLCharset.name(forLabel: label))))
        }
        return cases
    }

    struct Order: CustomTestStringConvertible {
        var html: [UInt8]
        var parameter: String?
        var label: String?
        var source: HTMLCharset.Source
        var testDescription: String { "\(String(decoding: html, as: UTF8.self).debugDescription) \(parameter ?? "-")" }

        init(_ html: String, _ parameter: String? = nil, _ label: String?, _ source: HTMLCharset.Source) {
            self.init(Array(html.utf8), parameter, label, source)
        }

        init(_ html: [UInt8], _ parameter: String? = nil, _ label: String?, _ source: HTMLCharset.Source) {
            (self.html, self.parameter, self.label, self.source) = (html, parameter, label, source)
        }
    }

    @Test(arguments: [
        Order("", nil, nil, .none),
        Order("<p>x", "UTF-8", "utf-8", .parameter),
        Order("<p>x", " Shift_JIS\t", "shift_jis", .parameter),
        Order("<meta charset=latin1>", "", "windows-1252", .meta),
        Order("<meta charset=latin1>", "  ", "windows-1252", .meta),
        Order("<meta charset=latin1>", "x-unknown", "x-unknown", .parameter),
        Order("\u{FEFF}<meta charset=latin1>", "iso-8859-1", "utf-8", .byteOrderMark),
        Order([0xFF, 0xFE, 0x3C, 0], "utf-8", "utf-16le", .byteOrderMark),
        Order([0xFE, 0xFF, 0, 0x3C], nil, "utf-16be", .byteOrderMark),
        Order([0x3C, 0, 0x3F, 0, 0x78, 0], nil, "utf-16le", .xmlDeclaration),
        Order([0, 0x3C, 0, 0x3F, 0, 0x78], nil, "utf-16be", .xmlDeclaration),
        Order("<?xml version='1.0' encoding='koi8-r'?><p>", nil, "koi8-r", .xmlDeclaration),
        Order("<?xml encoding = \"utf-16\"?>", nil, "utf-8", .xmlDeclaration),
        Order("<?xml encoding=' koi8-r'?>", nil, nil, .none),
        Order("<?xml encoding=koi8-r?>", nil, nil, .none),
        Order("<?xml version='1.0' encoding='koi8-r'", nil, nil, .none),
        Order("<?xml encoding='koi8-r'?><meta charset=big5>", nil, "big5", .meta),
        Order("<meta charset=utf-16>", nil, "utf-8", .meta),
        Order("<meta charset=x-user-defined>", nil, "windows-1252", .meta),
        Order("<meta charset=hz-gb-2312>", nil, "hz-gb-2312", .meta),
        Order("<meta charset=utf-7><meta charset=gbk>", nil, "gbk", .meta),
        Order("<meta charset=gbk charset=big5>", nil, "gbk", .meta),
        Order("<meta/charset=gbk>", nil, "gbk", .meta),
        Order("<!--<meta charset=gbk>--><meta charset=big5>", nil, "big5", .meta),
        Order("<!--><meta charset=gbk>-->", nil, "gbk", .meta),
        Order("<title>'<meta charset=gbk>", nil, "gbk", .meta),
        Order("<p title='<meta charset=gbk>'>", nil, nil, .none),
        Order("<meta content='text/html; charset=gbk'>", nil, nil, .none),
        Order("<meta content='text/html; charset charset = \"gbk\"' http-equiv=Content-Type>", nil, "gbk", .meta),
        Order("<meta content='charset=\"gbk' http-equiv=Content-Type>", nil, nil, .none),
        Order("<meta charset=gbk", nil, nil, .none),
        Order(
            "<style>" + String(repeating: "x", count: 2_000) + "<meta charset=big5></style><META charset='&#103;bk'>",
            nil, "gbk", .meta),
        Order(
            "<!--" + String(repeating: "x", count: 2_000)
                + "<meta charset=big5>--><meta charset=x http-equiv=content-type content='charset=gbk'>", nil, "gbk",
            .meta),
        Order(String(repeating: " ", count: 1_024 - 18) + "<meta charset=gbk>", nil, "gbk", .meta),
        Order(String(repeating: " ", count: 1_024 - 17) + "<title><meta charset=gbk>", nil, nil, .none),
    ]) func order(_ test: Order) {
        let got = HTMLCharset.label(of: test.html, parameter: test.parameter)
        #expect(got.label == test.label)
        #expect(got.source == test.source)
    }

    @Test func everyLabelIsKnown() {
        #expect(HTMLCharset.name(forLabel: "L1".utf8) == "windows-1252")
        #expect(HTMLCharset.name(forLabel: "\n UTF8 ".utf8) == "utf-8")
        #expect(HTMLCharset.name(forLabel: "utf-7".utf8) == nil)
        let labels = String(describing: EncodingLabels.text).split(separator: "\n").flatMap {
            $0.split(separator: " ").dropFirst()
        }
        #expect(labels.count == EncodingLabels.count)
        #expect(Set(labels).count == EncodingLabels.count)
        for label in labels { #expect(HTMLCharset.name(forLabel: label.utf8) != nil) }
    }

    @Test func everyTruncationEnds() {
        let html = Array(
            "\u{FEFF}<?xml encoding='koi8-r'?><!-- --><meta http-equiv=\"Content-Type\" content='a; charset=\"gbk\"' x=y><p a=b>"
                .utf8)
        for start in 0..<4 {
            for end in start..<html.count { _ = HTMLCharset.label(of: Array(html[start..<end])) }
        }
        #expect(HTMLCharset.label(of: Array(html[3...])).label == "gbk")
    }
}
