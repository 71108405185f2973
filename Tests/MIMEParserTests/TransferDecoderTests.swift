// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Transfer encodings: known answers, naive references, and every cut of the input.

import TestSupport
import Testing

@testable import MIMEParser

struct TransferDecoderTests {
    struct Answer: CustomTestStringConvertible {
        var encoding: TransferEncoding
        var input: String
        var output: String
        var testDescription: String { "\(encoding.rawValue) \(input.debugDescription)" }

        init(_ encoding: TransferEncoding, _ input: String, _ output: String) {
            self.encoding = encoding
            self.input = input
            self.output = output
        }
    }

    static func decode(_ input: [UInt8], _ encoding: TransferEncoding) -> [UInt8] {
        input.withUnsafeBufferPointer { TransferDecoder.decode($0, encoding) }
    }

    static func stream(_ pieces: [ArraySlice<UInt8>], _ encoding: TransferEncoding, limit: Int = .max) -> [UInt8] {
        var output: [UInt8] = []
        var stream = TransferStream(encoding, limit: limit)
        for piece in pieces { stream.decode(piece, into: &output) }
        stream.finish(into: &output)
        return output
    }

    /// At once, cut in two at every place, and octet by octet.
    static func check(_ input: [UInt8], _ encoding: TransferEncoding, _ expected: [UInt8]) {
        #expect(text(decode(input, encoding)) == text(expected))
        for cut in 0...input.count {
            let output = stream([input[..<cut], input[cut...]], encoding)
            if output != expected {
                Issue.record("cut at \(cut) of \(text(input).debugDescription): \(text(output).debugDescription)")
            }
        }
        let single = stream(input.indices.map { input[$0...$0] }, encoding)
        #expect(single == expected)
    }

    // RFC 4648 section 10; RFC 2045 section 6.8 for what is skipped.
    @Test(arguments: [
        Answer(.base64, "", ""), Answer(.base64, "Zg==", "f"), Answer(.base64, "Zm8=", "fo"),
        Answer(.base64, "Zm9v", "foo"),
        Answer(.base64, "Zm9vYg==", "foob"), Answer(.base64, "Zm9vYmE=", "fooba"),
        Answer(.base64, "Zm9vYmFy", "foobar"),
        Answer(.base64, "Zm9v\r\nYmFy\r\n", "foobar"), Answer(.base64, "Zm9vYg", "foob"),
        Answer(.base64, "Zm9vYmE", "fooba"),
        Answer(.base64, "Zm9vY", "foo"), Answer(.base64, " Z m 9\tv!*Y(m)F\u{0}y", "foobar"),
        Answer(.base64, "====", ""),
        Answer(.base64, "Zg==Zm8=Zm9v", "ffofoo"),
        Answer(.base64, "Zm9vYmFyZm9vYmFyZm9v\n\n\nYmFy\n", "foobarfoobarfoobar"),
        Answer(.base64, "Zg== text\r\nZm9v", "ffoo"), Answer(.base64, "Zg==\r\nZm8=\r\n", "ffo"),
        Answer(.base64, "Zg= =\nZg=\t=x\r\n", "ff"),
        Answer(.base64, "Z\r\nm\r\n9\r\nv", "foo"), Answer(.base64, "=Zm9v", "foo"),
    ])
    func base64(_ answer: Answer) { Self.check(Array(answer.input.utf8), answer.encoding, Array(answer.output.utf8)) }

    // RFC 2045 section 6.7, its rules by number.
    @Test(arguments: [
        Answer(.quotedPrintable, "", ""), Answer(.quotedPrintable, "a=3Db", "a=b"),
        Answer(.quotedPrintable, "=c3=A9", "é"),
        Answer(.quotedPrintable, "a  \r\nb\t \r\n", "a\r\nb\r\n"), Answer(.quotedPrintable, "a =20 \r\nb", "a  \r\nb"),
        Answer(.quotedPrintable, "a=\r\nb", "ab"), Answer(.quotedPrintable, "a= \t\r\nb", "ab"),
        Answer(.quotedPrintable, "a=\nb", "ab"),
        Answer(.quotedPrintable, "a =\r\nb", "a b"), Answer(.quotedPrintable, "a=XYb=4", "a=XYb=4"),
        Answer(.quotedPrintable, "a=", "a"),
        Answer(.quotedPrintable, "a= ", "a"), Answer(.quotedPrintable, "a = ", "a "),
        Answer(.quotedPrintable, "a  ", "a"),
        Answer(.quotedPrintable, "==41", "=A"), Answer(.quotedPrintable, "=4=41", "=4A"),
        Answer(.quotedPrintable, "a\rb", "a\rb"),
        Answer(.quotedPrintable, "a \r\r\nb", "a \r\r\nb"), Answer(.quotedPrintable, "a=\rb", "a=\rb"),
        Answer(.quotedPrintable, "=\n=\n\n", "\n"), Answer(.quotedPrintable, " \n \r\n ", "\n\r\n"),
        Answer(
            .quotedPrintable, "plain text of more than eight octets=20\nand =3D one\n",
            "plain text of more than eight octets \nand = one\n"),
    ])
    func quotedPrintable(_ answer: Answer) {
        Self.check(Array(answer.input.utf8), answer.encoding, Array(answer.output.utf8))
    }

    @Test(arguments: [
        Answer(.sevenBit, "a=3D  \r\n", "a=3D  \r\n"), Answer(.unknown, "Zm9v", "Zm9v"),
        Answer(.binary, "\u{0}\r\u{0}", "\u{0}\r\u{0}"),
        Answer(.uuencode, "begin 644 cat.txt\n#0V%T\n`\nend\n", "Cat"), Answer(.uuencode, "#0V%T\n", "Cat"),
        Answer(.uuencode, "text\nbegin 644 x\n$86)C9   \nend\nmore\n", "abcd"),
        Answer(.uuencode, "begin 644 x\n$86)C9\nend", "abcd"),
    ])
    func others(_ answer: Answer) { Self.check(Array(answer.input.utf8), answer.encoding, Array(answer.output.utf8)) }

    /// One character at a time, as RFC 2045 section 6.8 describes it.
    static func naiveBase64(_ input: [UInt8]) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var output: [UInt8] = []
        var group: [Int] = []
        func flush() {
            guard group.count > 1 else { return group.removeAll() }
            let padded = group + repeatElement(0, count: 4 - group.count)
            let value = padded.reduce(0) { $0 << 6 | $1 }
            for index in 0..<(group.count - 1) { output.append(UInt8(value >> (16 - 8 * index) & 0xFF)) }
            group.removeAll()
        }
        var padding = 0
        for octet in input {
            if padding > 0 {
                if octet == 0x0A {
                    padding = 0
                } else if padding == 2 {
                    continue
                } else if octet == 0x20 || octet == 0x09 {
                    padding = 2
                } else if octet != 0x3D && octet != 0x0D {
                    padding = 0
                } else {
                    continue
                }
            }
            if let value = alphabet.firstIndex(of: octet) {
                group.append(value)
                if group.count == 4 { flush() }
            } else if octet == 0x3D {
                if group.count > 1 { padding = 1 }
                flush()
            }
        }
        flush()
        return output
    }

    /// Line by line, as RFC 2045 section 6.7 describes it.
    static func naiveQuotedPrintable(_ input: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        let lines = input.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            let isLast = number == lines.count - 1
            var rest = line
            var end: [UInt8] = isLast ? [] : [0x0A]
            let unstripped = rest
            if rest.last == 0x0D {
                rest.removeLast()
                end.insert(0x0D, at: 0)
            }
            while let last = rest.last, last == 0x20 || last == 0x09 { rest.removeLast() }
            // At the very end, a CR without LF is an octet like any other, unless a soft line break is cut there.
            if isLast, unstripped.last == 0x0D, rest.last != 0x3D {
                rest = unstripped
                end = []
            }
            if rest.last == 0x3D {
                rest.removeLast()
                end = []
            }
            var index = rest.startIndex
            while index < rest.endIndex {
                if rest[index] == 0x3D, index + 2 < rest.endIndex,
                    let value = UInt8(String(decoding: rest[(index + 1)...(index + 2)], as: UTF8.self), radix: 16),
                    rest[index + 1] != 0x2B, rest[index + 1] != 0x2D
                {
                    output.append(value)
                    index += 3
                } else {
                    output.append(rest[index])
                    index += 1
                }
            }
            output += end
        }
        return output
    }

    /// Pieces of text that make the decoders take their rare ways.
    static func randomInput(_ words: [String], _ generator: inout SplitMix64) -> [UInt8] {
        var input: [UInt8] = []
        for _ in 0..<Int.random(in: 0..<24, using: &generator) {
            input += Array(words.randomElement(using: &generator)?.utf8 ?? "".utf8)
        }
        return input
    }

    @Test func randomBase64() {
        var generator = SplitMix64(state: 1)
        let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg" + "AAAAAA"
        let words = [
            "\(line)\r\n", "\(line)\n", "\(line)\r\n\(line)\r\n\(line)\r\n", "Zm9v", "Z", "=", "==", "\r\n", "\n", " ", "!",
            "AB", "+/+/+/+/",
        ]
        for _ in 0..<600 {
            let input = Self.randomInput(words, &generator)
            let expected = Self.naiveBase64(input)
            #expect(Self.decode(input, .base64) == expected)
            let cut = Int.random(in: 0...input.count, using: &generator)
            #expect(Self.stream([input[..<cut], input[cut...]], .base64) == expected)
        }
    }

    @Test func randomQuotedPrintable() {
        var generator = SplitMix64(state: 2)
        let words = [
            "=", "=3D", "=e", "4", "1", " ", "\t", "\r", "\n", "\r\n", "=\r\n", "= \n", "word",
            "a longer piece of plain text ", "=C3=A9", "==",
        ]
        for _ in 0..<3000 {
            let input = Self.randomInput(words, &generator)
            let expected = Self.naiveQuotedPrintable(input)
            let output = Self.decode(input, .quotedPrintable)
            if output != expected {
                Issue.record(
                    "\(text(input).debugDescription): \(text(output).debugDescription), not \(text(expected).debugDescription)"
                )
            }
            let cut = Int.random(in: 0...input.count, using: &generator)
            let streamed = Self.stream([input[..<cut], input[cut...]], .quotedPrintable)
            if streamed != expected {
                Issue.record("cut at \(cut) of \(text(input).debugDescription): \(text(streamed).debugDescription)")
            }
        }
    }

    @Test(arguments: [TransferEncoding.base64, .quotedPrintable, .sevenBit, .uuencode])
    func outputIsBounded(_ encoding: TransferEncoding) {
        let input = Array(String(repeating: "Zm9vYmFy\r\n", count: 50).utf8)
        let whole = Self.decode(input, encoding)
        for limit in [0, 1, 7, 100, whole.count - 1, whole.count, whole.count + 1] {
            #expect(Self.stream([input[...]], encoding, limit: limit) == Array(whole.prefix(limit)))
        }
        var output: [UInt8] = []
        var stream = TransferStream(encoding, limit: whole.count - 1)
        stream.decode(input[...], into: &output)
        stream.finish(into: &output)
        #expect(stream.isLimitReached == (whole.count > 0))
    }

    @Test func boundedBodyOfPart() {
        let message = MIMEMessage("Content-Transfer-Encoding: base64\n\n" + String(repeating: "Zm9vYmFy\n", count: 20_000))
        let part = message.parts[0]
        #expect(message.body(of: part, limit: 10).octets == Array("foobarfoob".utf8))
        #expect(message.body(of: part, limit: 10).isCut)
        #expect(message.body(of: part, limit: 1 << 20).octets == message.body(of: part))
        #expect(!message.body(of: part, limit: 1 << 20).isCut)
    }
}
