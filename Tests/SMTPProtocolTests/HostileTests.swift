// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Input nobody would send in good faith: mutated dialogues, and inputs made to cost more than they are long.

import HookModel
import TestSupport
import Testing

@testable import SMTPProtocol

@Suite(.serialized) struct HostileTests {
    /// Every reply line is three digits, a space or hyphen, printable ASCII, CRLF, and at most 512 octets; lines that
    /// go on are followed by one of the same code.
    private func isWellFormed(_ output: [UInt8]) -> Bool {
        var lines = output.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.popLast()?.isEmpty == true else { return false }
        var going: [UInt8]?
        for line in lines {
            guard line.count <= 511, line.last == UInt8(ascii: "\r"), line.count > 4 else { return false }
            let text = Array(line.dropLast())
            let code = Array(text.prefix(3))
            guard (UInt8(ascii: "2")...UInt8(ascii: "5")).contains(code[0]),
                code.allSatisfy({ (48...57).contains($0) }),
                text[3] == UInt8(ascii: " ") || text[3] == UInt8(ascii: "-"),
                text.allSatisfy({ (0x20...0x7E).contains($0) }),
                going == nil || going == code
            else { return false }
            going = text[3] == UInt8(ascii: "-") ? code : nil
        }
        return going == nil
    }

    private static let pieces: [String] = [
        "EHLO c\r\n", "LHLO c\r\n", "HELO c\r\n", "MAIL FROM:<a@b>\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<x@y>\r\n",
        "RCPT TO:<no@y>\r\n",
        "DATA\r\n", "RSET\r\n", "NOOP\r\n", "QUIT\r\n", "\r\n.\r\n", ".\r\n", "\r\n", "\r", "\n", ".", "\n.\n", "\r.\r",
        "\r\n..\r\n", "text\r\n", "\u{0}",
        "\u{2028}", "SIZE=9 ", "<", ">", "\"", "\\", "@", " ", "GET / HTTP/1.1\r\n", String(repeating: "x", count: 300),
    ]

    private func mutated(_ generator: inout SplitMix64) -> [UInt8] {
        var input = Dialogue.lines([
            "EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "S: s", "", "text", ".", "MAIL FROM:<c@d>",
            "RCPT TO:<x@y>", "DATA", "t", ".",
        ])
        if Int.random(in: 0..<5, using: &generator) == 0 { input = [] }
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let place = Int.random(in: 0...input.count, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0 where !input.isEmpty: input[place % input.count] = UInt8.random(in: 0...255, using: &generator)
            case 1 where !input.isEmpty: input.remove(at: place % input.count)
            case 2: input.insert([13, 10, 46, 0, 255].randomElement(using: &generator) ?? 13, at: place)
            default:
                input.insert(contentsOf: Array((Self.pieces.randomElement(using: &generator) ?? "").utf8), at: place)
            }
        }
        return input
    }

    @Test func mutatedDialogues() {
        var generator = SplitMix64(state: 20_261_125)
        var messages = 0
        for round in 0..<3000 {
            let input = mutated(&generator)
            let service: SMTPServerConfiguration.Service = round % 3 == 0 ? .lmtp : .smtp
            let whole = Dialogue.run(input, Dialogue.configuration(service))
            #expect(isWellFormed(whole.output), "\(input)")
            let cuts = (0..<3).map { _ in Int.random(in: 0...input.count, using: &generator) }.sorted()
            #expect(
                Dialogue.run(input, cuts: cuts, Dialogue.configuration(service)) == whole, "\(input) cut at \(cuts)")
            #expect(whole.messages.count <= ends(in: input), "\(input)")
            #expect(whole.messages.allSatisfy { !Self.hasBareNewline($0.bytes) }, "\(input)")
            messages += whole.messages.count
        }
        // The mutations leave enough alone to reach every state.
        #expect(messages > 300)
    }

    private static let extensions: [String] = [
        "BDAT 3\r\n", "BDAT 5 LAST\r\n", "BDAT 0 LAST\r\n", "BDAT 99999999\r\n", "STARTTLS\r\n", "XCLIENT ADDR=192.0.2.7\r\n",
        "MAIL FROM:<a@b> SMTPUTF8 BODY=8BITMIME\r\n", "RCPT TO:<ü@y> NOTIFY=NEVER\r\n", "é", "+2B", "=", " LAST", "BDAT",
        "MAIL FROM:<ü@b>\r\n", "abc\r\n",
    ]

    /// The same with extensions, and with both ways to treat lone CRs and LFs.
    @Test func mutatedExtensions() {
        var generator = SplitMix64(state: 20_261_126)
        var messages = 0
        for round in 0..<3000 {
            var input = round % 2 == 0
                ? Dialogue.lines(["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "BDAT 6", "S: s", "BDAT 2", "", "BDAT 5 LAST", "abc"])
                : mutated(&generator)
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                let piece = Array((Self.extensions.randomElement(using: &generator) ?? "").utf8)
                input.insert(contentsOf: piece, at: Int.random(in: 0...input.count, using: &generator))
            }
            var configuration = Dialogue.configuration(round % 3 == 0 ? .lmtp : .smtp)
            configuration.allowsXCLIENT = round % 5 < 3
            configuration.bareNewline = round % 7 < 4 ? .normalize : .refuse
            let whole = Dialogue.run(input, configuration)
            #expect(isWellFormed(whole.output), "\(input)")
            let cuts = (0..<3).map { _ in Int.random(in: 0...input.count, using: &generator) }.sorted()
            #expect(Dialogue.run(input, cuts: cuts, configuration) == whole, "\(input) cut at \(cuts)")
            #expect(whole.messages.allSatisfy { !Self.hasBareNewline($0.bytes) }, "\(input)")
            // As soon as TLS is asked for, nothing of what came with it is run.
            configuration.tls = .offered
            let secured = Dialogue.run(input, configuration)
            #expect(isWellFormed(secured.output) && secured.handshakes <= 1, "\(input)")
            messages += whole.messages.count
        }
        #expect(messages > 300)
    }

    /// How many messages the input can end at all: true CRLF.CRLF, overlapping, of which the first CRLF may be that of
    /// DATA.
    private func ends(in input: [UInt8]) -> Int {
        guard input.count >= 5 else { return 0 }
        return (0...(input.count - 5)).count { Array(input[$0..<$0 + 5]) == [13, 10, 46, 13, 10] }
    }

    static func hasBareNewline(_ bytes: [UInt8]) -> Bool {
        for (index, byte) in bytes.enumerated() {
            if byte == 13, index + 1 == bytes.count || bytes[index + 1] != 10 { return true }
            if byte == 10, index == 0 || bytes[index - 1] != 13 { return true }
        }
        return false
    }

    /// Hidden text in a message, framed in every way that is not the true end: never a second message.
    @Test func nothingIsSmuggled() {
        let hidden = "MAIL FROM:<smuggled@b>\r\nRCPT TO:<x@y>\r\nDATA\r\nhidden\r\n"
        let parts = ["\r", "\n", ".", "\r\n", "\u{0}", " ", "\u{85}", ".."]
        var tried = 0
        for a in parts {
            for b in parts {
                for c in parts {
                    for d in parts {
                        let frame = a + b + c + d
                        // With what stands around it, it must not be the true end.
                        guard ends(in: Array(("first" + frame + hidden).utf8)) == 0 else { continue }
                        tried += 1
                        let opening = Dialogue.lines(["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA"])
                        let transcript = Dialogue.run(opening + Array(("first" + frame + hidden + "\r\n.\r\n").utf8))
                        #expect(transcript.messages.count <= 1, "\(frame.debugDescription)")
                        #expect(transcript.asked == ["x@y"], "\(frame.debugDescription)")
                        #expect(transcript.messages.allSatisfy { $0.reversePath == "a@b" }, "\(frame.debugDescription)")
                    }
                }
            }
        }
        #expect(tried > 4000)
    }

    /// Time per octet stays the same when the input grows, whatever it is made of. Each is run with 8 KB and with
    /// 128 KB: quadratic work would take 256 times as long, linear takes 16 times.
    @Test(
        arguments: ["\r", "\n", "\u{0}", "x", ".", "\r\n", "\r\n.", "\r.", "\n.", " ", "<", "\"", "\\", "@", "NOOP\r", "é"],
        ["NOOP", "DATA", "BDAT 10000000"])
    func costIsLinear(_ unit: String, _ command: String) {
        let opening = ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", command]
        var configuration = Dialogue.configuration()
        configuration.messageSize = 25 << 20
        configuration.errors = .max
        configuration.idleCommands = .max
        // A line may be as long as all of it, too.
        configuration.commandLine = 1 << 20
        func seconds(_ count: Int) -> Double {
            let octets = Array(unit.utf8)
            let input = Dialogue.lines(opening) + Array(repeating: octets, count: count / octets.count).joined()
            // In pieces, as they come from a socket.
            let cuts = Array(stride(from: 1024, to: input.count, by: 1024))
            return processorSeconds { _ = Dialogue.run(input, cuts: cuts, configuration) }
        }
        let small = (0..<3).map { _ in seconds(1 << 13) }.min() ?? 0
        var large = seconds(1 << 17)
        // Another process may have had the processor.
        for _ in 0..<4 where large >= small * 100 { large = min(large, seconds(1 << 17)) }
        #expect(large < small * 100, "\(small) s for 8 KB, \(large) s for 128 KB")
    }

    /// Of a message beyond its limit nothing is kept, in whatever pieces the rest comes and whatever was taken before.
    @Test(arguments: [0, 600]) func nothingIsKeptBeyondTheLimit(taken: Int) {
        for size in [1, 7, 100, 999, 1001] {
            var buffer = MessageBuffer(limit: 1000, sizeHint: 1 << 30, bareNewline: .refuse)
            #expect(buffer.message.capacity < 1100)
            if taken > 0 {
                Array(repeating: UInt8(ascii: "x"), count: taken).withUnsafeBytes { buffer.append($0) }
                #expect(buffer.take().count == taken)
            }
            var sent = taken
            for _ in 0..<3000 {
                if size == 1 {
                    buffer.append(UInt8(ascii: "x"))
                } else {
                    Array(repeating: UInt8(ascii: "x"), count: size).withUnsafeBytes { buffer.append($0) }
                }
                sent += size
                #expect(buffer.isTooLarge == (sent > 1000))
                #expect(buffer.message.count == (sent > 1000 ? 0 : sent - taken))
            }
            #expect(buffer.message.capacity == 0)
        }
    }

    /// A line that never ends and data over the limit are answered once, when their end has come.
    @Test func whatIsTooLongIsAnsweredOnce() {
        var configuration = Dialogue.configuration()
        configuration.messageSize = 1000
        var session = SMTPServerSession(configuration: configuration)
        var isAsked = false
        func feed(_ bytes: [UInt8]) {
            var rest = bytes[...]
            while !rest.isEmpty {
                var consumed = 0
                let action = rest.withUnsafeBytes { session.advance($0, consumed: &consumed) }
                rest = rest.dropFirst(consumed)
                if case .recipient = action { session.answerRecipient(.accepted) }
                if case .message = action { isAsked = true }
                if action == .needInput { break }
            }
        }
        feed(Dialogue.lines(["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA"]))
        _ = session.takeOutput()
        let block = Dialogue.lines(Array(repeating: String(repeating: "x", count: 98), count: 100))
        for _ in 0..<100 { feed(block) }
        feed(Array(".\r\n".utf8))
        #expect(!isAsked)
        #expect(String(decoding: session.takeOutput(), as: UTF8.self).hasPrefix("552 5.3.4 "))
        for _ in 0..<100 {
            feed(Array(repeating: UInt8(ascii: "x"), count: 10_000))
            // Its beginning, which the answer depends on.
            #expect(session.line.count < 100)
        }
        feed([13, 10])
        #expect(session.takeOutput().count < 100)
    }
}
