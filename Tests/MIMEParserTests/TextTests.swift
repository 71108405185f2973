// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Text: charsets, flowed paragraphs, files inside text.

import Foundation
import TestSupport
import Testing

@testable import MIMEParser

struct TextTests {
    // MARK: charsets

    struct Sample: CustomTestStringConvertible {
        var label: String?
        var octets: [UInt8]
        var text: String
        var testDescription: String { "\(label ?? "no label") \(octets)" }

        init(_ label: String?, _ octets: [UInt8], _ text: String) {
            self.label = label
            self.octets = octets
            self.text = text
        }
    }

    /// Wherever it is cut, through a character, an escape or a group of base64.
    @Test(arguments: ["7bit", "8bit", "base64", "quoted-printable"], ["utf-8", "", "iso-8859-1", "shift_jis", "utf-16be"])
    func beginningOfText(encoding: String, charset: String) {
        let octets: [UInt8] =
            switch charset {
            case "utf-8", "": Array("\u{FEFF} \n é😀 {\"ä\": 1} 日本 = é".utf8)
            case "utf-16be": Array("  {é日".utf16).flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
            default: [0x20, 0x0D, 0x0A, 0x93, 0xFA, 0x5C, 0x7E, 0xB1, 0x87, 0x40, 0x81, 0x60, 0x41, 0x7B, 0xE9, 0x20, 0x61]
            }
        let body: [UInt8] =
            switch encoding {
            case "base64": Array(Data(octets).base64EncodedString().utf8)
            case "quoted-printable": octets.flatMap { Array("=\($0 < 16 ? "0" : "")\(String($0, radix: 16, uppercase: true))".utf8) }
            default: octets
            }
        let type = "text/plain" + (charset.isEmpty ? "" : "; charset=\(charset)")
        let mail = Array("Content-Type: \(type)\r\nContent-Transfer-Encoding: \(encoding)\r\n\r\n".utf8) + body
        let message = MIMEMessage(mail)
        let text = message.text(of: message.parts[0])
        #expect(message.textStart(of: message.parts[0], limit: body.count) == nil)
        for limit in 1..<body.count {
            let start = message.textStart(of: message.parts[0], limit: limit) ?? [0]
            #expect(text.starts(with: start.dropLast(8)), "\(limit)")
        }
        let longest = message.textStart(of: message.parts[0], limit: body.count - 1) ?? []
        #expect(longest.count + 12 >= text.count)
    }

    @Test(arguments: [nil, "utf-8", "us-ascii", "iso-8859-1", "utf-16", "unknown-8bit"], [[0x61], [0xC3, 0xA9], [0xE9], [0xC3]])
    func whatIsUTF8Already(label: String?, octets: [UInt8]) {
        let isSaid = octets.withUnsafeBufferPointer { Charset.isUTF8($0, label: label) }
        if isSaid { #expect(Charset.utf8(octets, label: label) == octets) }
        #expect(isSaid == (octets != [0xE9] && octets != [0xC3] && label != "iso-8859-1" && label != "utf-16"))
    }

    @Test(arguments: [
        Sample(nil, [0x61], "a"), Sample(nil, [0xC3, 0xA9], "é"), Sample(nil, [0xE9], "é"),
        Sample("us-ascii", [0xE9, 0x80], "é€"),
        Sample("utf-8", [0xE9, 0x61], "\u{FFFD}a"), Sample("UTF8", [0xF0, 0x9F, 0x98], "\u{FFFD}"),
        Sample("utf-8", [0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        Sample("utf-8", [0xF0, 0x9F, 0x98, 0x80, 0xC0, 0xAF], "😀\u{FFFD}\u{FFFD}"),
        Sample("utf-8", [0xEF, 0xBB, 0xBF, 0x61], "\u{FEFF}a"),
        // WHATWG Encoding Standard section 4.2: latin1 is windows-1252, gb2312 is gbk, ...
        Sample("ISO-8859-1", [0x80, 0x81, 0xE9], "€\u{81}é"), Sample("iso_8859-1", [0x93], "“"),
        Sample("windows-1252", [0x8D, 0xFF], "\u{8D}ÿ"),
        Sample("ISO-8859-9", [0x80, 0xFD], "€ı"), Sample("iso-8859-11", [0xA1], "ก"),
        Sample("iso-8859-15", [0xA4, 0x80], "€\u{80}"),
        Sample("windows-1251", [0xC0, 0x98], "А\u{98}"), Sample("koi8-r", [0xC1], "а"),
        Sample("koi8-u", [0xA4, 0xAE], "єў"),
        Sample("windows-1253", [0xAA, 0xE1], "\u{FFFD}α"), Sample("windows-1255", [0xE0], "א"),
        Sample("iso-8859-8-i", [0xE0], "א"),
        Sample("windows-874", [0xA1], "ก"), Sample("macintosh", [0x8E], "é"), Sample("x-mac-cyrillic", [0x80], "А"),
        Sample("ibm866", [0x80], "А"),
        Sample("cp437", [0x82], "é"), Sample("x-mac-ce", [0x8E], "é"),
        Sample("gb2312", [0xC4, 0xE3, 0x80], "你€"), Sample("GBK", [0x81, 0x40], "丂"),
        Sample("gb18030", [0x81, 0x30, 0x81, 0x30, 0x94, 0x39, 0xFC, 0x36], "\u{80}😀"),
        Sample("big5", [0xA7, 0x41], "你"), Sample("big5-hkscs", [0x88, 0x62], "\u{CA}\u{304}"),
        Sample("euc-tw", [0xC4, 0xE3], "中"),
        Sample("shift_jis", [0x93, 0xFA, 0x5C, 0x7E, 0xB1, 0x87, 0x40, 0x81, 0x60], "日\\~ｱ①～"),
        Sample("windows-31j", [0xFA, 0x40], "ⅰ"),
        Sample("euc-jp", [0xC6, 0xFC, 0x8E, 0xB1, 0xAD, 0xA1, 0x8F, 0xB0, 0xA1], "日ｱ①丂"),
        Sample(
            "iso-2022-jp", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x2D, 0x21, 0x1B, 0x28, 0x49, 0x31, 0x1B, 0x28, 0x42, 0x61], "日①ｱa"
        ),
        Sample("iso-2022-jp", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x0A, 0x61], "日\na"),
        Sample("iso-2022-jp", [0x1B, 0x24, 0x42, 0x46], "\u{FFFD}"),
        Sample("iso-2022-kr", [0x1B, 0x24, 0x29, 0x43, 0x0E, 0x30, 0x21, 0x0F, 0x61], "가a"),
        Sample("hz-gb-2312", Array("~{Dc~}~~a".utf8), "你~a"),
        Sample("euc-kr", [0xB0, 0xA1, 0x81, 0x41], "가갂"), Sample("ks_c_5601-1987", [0x81, 0x41], "갂"),
        Sample("utf-7", Array("+AOk-a".utf8), "éa"), Sample("utf-16", [0xFF, 0xFE, 0x61, 0], "a"),
        Sample("utf-16", [0, 0x61], "a"), Sample("utf-16", [0x61, 0], "a"),
        Sample("utf-16be", [0xD8, 0x3D, 0xDE, 0, 0xD8, 0x3D, 0x41], "😀\u{FFFD}\u{FFFD}"),
        Sample("utf-16le", [0x3D, 0xD8, 0, 0xDE], "😀"),
        Sample("utf-32", [0, 0, 0xFE, 0xFF, 0, 1, 0xF6, 0], "😀"), Sample("x-user-defined", [0x61, 0x80], "a\u{F780}"),
        Sample("x-none-such", [0x61, 0xE9], "aé"), Sample("", [0xE9], "é"), Sample("  UTF_8 ", [0xC3, 0xA9], "é"),
        Sample("x/../../gconv", [0xE9], "é"),
        Sample("shift_jis", [0x93], "\u{FFFD}"), Sample("euc-jp", [0xFF, 0x61], "\u{FFFD}a"),
    ])
    func charset(_ sample: Sample) { #expect(text(Charset.utf8(sample.octets, label: sample.label)) == sample.text) }

    @Test func textOfAnyType() {
        for type in ["text/plain", "text/html", "application/json", "text/plain (c)"] {
            let message = MIMEMessage(Array("Content-Type: \(type); charset=\"KOI8-R\"\n\n".utf8) + [0xC1])
            #expect(text(message.text(of: message.parts[0])) == "а", "\(type)")
        }
        let unlabelled = MIMEMessage(Array("Content-Type: application/json\n\n".utf8) + [0xE9])
        #expect(text(unlabelled.text(of: unlabelled.parts[0])) == "é")
    }

    @Test func labels() {
        for label in [
            "utf-8", "ISO-8859-1", "iso8859-1", "cp1252", "koi8-r", "x-sjis", "csISO2022JP", "unicode-1-1-utf-7",
            "ks_c_5601-1987", "x-x-big5", "l10", "tis-620",
        ] {
            #expect(Charset.isKnown(label), "\(label)")
        }
        for label in ["x-none-such", "utf-9", String(repeating: "a", count: 1000)] {
            #expect(!Charset.isKnown(label), "\(label)")
        }
    }

    /// Every single octet and every pair, in every charset: the result is UTF-8 and is not empty.
    @Test func everyPairInEveryCharset() {
        for label in CharsetLabels.all.keys.sorted().enumerated().filter({ $0.offset % 7 == 0 }).map(\.element) {
            for first in stride(from: 0, through: 255, by: 5) {
                let octets = [UInt8(first), UInt8((first &* 7 + 13) & 0xFF), 0x20, 0x0A]
                let result = Charset.utf8(octets, label: label)
                #expect(
                    result.withUnsafeBufferPointer { UTF8Validation.isValid($0) } && (first < 0x80 || !result.isEmpty),
                    "\(label) \(octets)")
            }
        }
    }

    struct Oracle: CustomTestStringConvertible {
        var label: String
        var library: String
        /// What the C library reads otherwise than the WHATWG: the rows 0xF5 to 0xFE of EUC-JP (private use there), the euro
        /// sign of x-mac-cyrillic, two letters of KOI8-U, the increment and the apple of macintosh.
        var differences: Int
        var testDescription: String { label }
    }

    static let singleByteOracles: [Oracle] =
        [2, 3, 4, 5, 6, 7, 10, 13, 14, 15, 16].map {
            Oracle(label: "iso-8859-\($0)", library: "ISO-8859-\($0)", differences: 0)
        }
        + (1250...1258).map { Oracle(label: "windows-\($0)", library: "CP\($0)", differences: 0) }
        + ["437", "737", "775", "850", "852", "855", "857", "858", "860", "861", "862", "863", "865", "866", "869"].map {
            Oracle(label: "cp\($0)", library: "CP\($0)", differences: 0)
        }
        + [
            Oracle(label: "iso-8859-8", library: "ISO-8859-8", differences: 0),
            Oracle(label: "koi8-r", library: "KOI8-R", differences: 0),
            Oracle(label: "koi8-u", library: "KOI8-U", differences: 2),
            Oracle(label: "macintosh", library: "MACINTOSH", differences: 2),
            Oracle(label: "hp-roman8", library: "HP-ROMAN8", differences: 0),
            Oracle(label: "koi8-t", library: "KOI8-T", differences: 0),
            Oracle(label: "x-mac-cyrillic", library: "MAC-CYRILLIC", differences: 1),
            Oracle(label: "x-mac-ce", library: "MAC-CENTRALEUROPE", differences: 0),
        ]

    /// All octets that the C library reads as a character, but those that are controls there or here.
    @Test(arguments: singleByteOracles)
    func octetsAgreeWithTheLibrary(_ oracle: Oracle) {
        var differences: [String] = []
        for octet in 0x80...0xFF {
            let theirs = text(IconvConverter.utf8([UInt8(octet)], from: oracle.library) ?? [])
            let ours = text(Charset.utf8([UInt8(octet)], label: oracle.label))
            if theirs == "\u{FFFD}" || theirs.unicodeScalars.allSatisfy({ $0.value < 0xA0 }) { continue }
            if ours != theirs { differences.append("\(String(octet, radix: 16)): \(ours), not \(theirs)") }
        }
        if differences.count != oracle.differences {
            Issue.record("\(oracle.label): \(differences.count) differ, such as \(differences.prefix(12))")
        }
    }

    /// All pairs of octets against the C library.
    @Test(arguments: [
        Oracle(label: "gb18030", library: "GB18030", differences: 0),
        Oracle(label: "euc-kr", library: "UHC", differences: 0),
        Oracle(label: "shift_jis", library: "CP932", differences: 0),
        Oracle(label: "euc-jp", library: "EUC-JP-MS", differences: 940),
        Oracle(label: "big5", library: "BIG5-HKSCS", differences: 0),
    ])
    func pairsAgreeWithTheLibrary(_ oracle: Oracle) {
        var differences: [String] = []
        for lead in (oracle.label == "euc-jp" ? 0xA1 : 0x81)...0xFE {
            // Alone, 0x80 is a control in Shift_JIS by the WHATWG, and so are all up to 0x9F in EUC-JP by the library.
            for trail in (oracle.label == "euc-jp" ? 0xA1 : 0x40)...0xFE where trail != 0x80 || oracle.label != "shift_jis" {
                let octets = [UInt8(lead), UInt8(trail)]
                let theirs = IconvConverter.utf8(octets, from: oracle.library) ?? []
                let ours = Charset.utf8(octets, label: oracle.label)
                // A lone U+FFFD, or one with the trail: the library gives up one octet, and this one both.
                if text(theirs).unicodeScalars.first == "\u{FFFD}", text(ours).unicodeScalars.first == "\u{FFFD}" {
                    continue
                }
                if ours != theirs {
                    differences.append(
                        "\(String(lead, radix: 16)) \(String(trail, radix: 16)): \(text(ours)), not \(text(theirs))")
                }
            }
        }
        if differences.count != oracle.differences {
            Issue.record("\(oracle.label): \(differences.count) differ, such as \(differences.prefix(12))")
        }
    }

    @Test func validationAgreesWithTheLibrary() {
        var generator = SplitMix64(state: 3)
        let words: [[UInt8]] = [
            [0x61], [0xC3, 0xA9], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x98, 0x80], [0xC0], [0x80], [0xE0, 0x80], [0xED, 0xA0],
            [0xF4, 0x90], [0xFF], Array(repeating: 0x62, count: 40),
        ]
        for _ in 0..<2000 {
            var octets: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<8, using: &generator) { octets += words.randomElement(using: &generator) ?? [] }
            let isValid = octets.withUnsafeBufferPointer { UTF8Validation.isValid($0) }
            #expect(isValid == (String(validating: octets, as: UTF8.self) != nil))
            #expect(text(Charset.utf8(octets, label: "utf-8")) == text(octets))
        }
    }

    // MARK: flowed text

    struct Flowed: CustomTestStringConvertible {
        var input: String
        var output: String
        var deletesSpaces = false
        var testDescription: String { input.debugDescription }
    }

    // RFC 3676 section 4.
    @Test(arguments: [
        Flowed(input: "a \nb\nc\n", output: "a b\nc\n"), Flowed(input: "a \r\nb \r\nc\r\n", output: "a b c\n"),
        Flowed(input: "a \nb\n", output: "ab\n", deletesSpaces: true),
        Flowed(input: " >a\n From\n", output: ">a\nFrom\n"),
        Flowed(input: "> a \n> b\n>> c\nd\n", output: "> a b\n>> c\nd\n"),
        Flowed(input: "> a \nb\n", output: "> a \nb\n"),
        Flowed(input: "a \n-- \nsig\n", output: "a \n-- \nsig\n"), Flowed(input: "a ", output: "a "),
        Flowed(input: "", output: ""), Flowed(input: "a\n\n \nb", output: "a\n\n\nb"),
    ])
    func flowed(_ item: Flowed) {
        #expect(text(FormatFlowed.unwrapped(Array(item.input.utf8), deletesSpaces: item.deletesSpaces)) == item.output)
    }

    @Test func flowedByParameter() {
        let flowed = MIMEMessage("Content-Type: text/plain; format=Flowed; DelSp=yes\n\na \nb\n")
        #expect(text(flowed.unwrappedText(of: flowed.parts[0])) == "ab\n")
        let fixed = MIMEMessage("Content-Type: text/plain\n\na \nb\n")
        #expect(text(fixed.unwrappedText(of: fixed.parts[0])) == "a \nb\n")
    }

    // MARK: files inside text

    @Test func filesInsideText() {
        let message = MIMEMessage(
            "\nhi\nbegin 644 cat.txt\n#0V%T\n`\nend\nmore\n=ybegin line=128 size=3 name=a b.bin\n=n\u{8B}\u{8C}\n=yend size=3\nbegin 600 x\n$86)C9\n"
        )
        let files = message.embeddedFiles(in: message.parts[0])
        #expect(files.map(\.name) == ["cat.txt", "a b.bin", "x"])
        #expect(files.map(\.form) == [.uuencode, .yEnc, .uuencode])
        #expect(files.map(\.isComplete) == [true, true, false])
        #expect(text(files[0].content) == "Cat")
        #expect(text(files[2].content) == "abcd")
    }

    @Test func yEnc() {
        let octets = (0...255).map { UInt8($0) }
        var encoded: [UInt8] = []
        for octet in octets {
            let value = octet &+ 42
            if [0, 10, 13, 0x3D].contains(value) { encoded += [0x3D, value &+ 64] } else { encoded.append(value) }
        }
        let message = MIMEMessage(
            Array("\n=ybegin line=300 size=256 name=x\n".utf8) + encoded + Array("\n=yend size=256\n".utf8))
        #expect(message.embeddedFiles(in: message.parts[0]).map(\.content) == [octets])
    }
}
