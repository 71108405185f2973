// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the input is cut makes no difference, and neither does what else came with it.

import HookModel
import SMTPProtocol
import Testing

@Suite struct SplitTests {
    /// Dialogues with something at every kind of seam.
    static let inputs: [[String]] = [
        [
            "EHLO c", "MAIL FROM:<a@b> SIZE=5", "RCPT TO:<x@y>", "RCPT TO:<no@y>", "DATA", "S: 1", "", "..", ".x", "",
            ".", "QUIT", "NOOP",
        ],
        [
            "LHLO c", "HELO c", "MAIL FROM:<>", "RCPT TO:<x@y>", "RCPT TO:<z@y>", "DATA", ".", "RSET",
            "MAIL FROM:<a@b>", "DATA",
        ],
        ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "a\r.\r", "b\n.\n", "\r", ".\r", ".", "NOOP"],
        ["HELO c", "NOOP\rNOOP", "NOOP\nNOOP", "", "\r", "\n", "DATA", "VRFY " + String(repeating: "v", count: 70)],
    ]

    static let services: [SMTPServerConfiguration.Service] = [.smtp, .lmtp]

    @Test(arguments: inputs, services)
    func everyCutGivesTheSame(_ lines: [String], _ service: SMTPServerConfiguration.Service) {
        var configuration = Dialogue.configuration(service)
        configuration.commandLine = 60
        configuration.messageSize = 100
        let input = Dialogue.lines(lines)
        let whole = Dialogue.run(input, configuration)
        #expect(Dialogue.run(input, cuts: Array(1..<input.count), configuration) == whole, "one octet at a time")
        for count in [1, 4, 50] {
            let taking = Dialogue.run(input, cuts: Array(1..<input.count), taking: count, configuration)
            #expect(taking == whole, "data taken out at \(count) octets")
        }
        for cut in 0...input.count {
            let cutOnce = Dialogue.run(input, cuts: [cut], configuration)
            if cutOnce != whole { Issue.record("cut at \(cut): \(cutOnce), and in one piece \(whole)") }
        }
        for size in [2, 3, 5, 7] {
            #expect(
                Dialogue.run(input, cuts: Array(stride(from: size, to: input.count, by: size)), configuration) == whole)
        }
    }

    /// A client that does not announce sizes sends much the same again: the next message finds its room and is not copied
    /// from one that is half as large to the next.
    @Test(arguments: [false, true])
    func messagesLikeTheOneBeforeFindTheirRoom(isAnnounced: Bool) throws {
        var configuration = Dialogue.configuration()
        configuration.messageSize = 100_000
        let mail = ["MAIL FROM:<a@b>" + (isAnnounced ? " SIZE=70000" : ""), "RCPT TO:<x@y>", "DATA"]
            + Array(repeating: String(repeating: "x", count: 68), count: 1_000) + ["."]
        let input = Dialogue.lines(["EHLO c"] + mail + mail)
        var session = SMTPServerSession(configuration: configuration)
        var rooms: [Int] = []
        for start in stride(from: 0, to: input.count, by: 100) {
            var rest = input[start..<min(start + 100, input.count)]
            while !rest.isEmpty {
                var consumed = 0
                switch rest.withUnsafeBytes({ session.advance($0, consumed: &consumed) }) {
                case .recipient: session.answerRecipient(.accepted)
                case .message(let message):
                    try #require(message.bytes.count == 70_000)
                    rooms.append(message.bytes.capacity)
                    session.answerMessage([Outcome.accepted.smtpReply])
                default: break
                }
                rest = rest.dropFirst(consumed)
            }
        }
        try #require(rooms.count == 2)
        // By doubling it would be 128 KiB.
        #expect(isAnnounced == (rooms[0] < 90_000) && rooms[1] < 90_000, "\(rooms)")
    }

    /// Whole lines are passed by in blocks, pieces of one octet never: what is special is found at every place of a block.
    @Test(arguments: [SMTPServerConfiguration.BareNewline.refuse, .normalize])
    func blocksAreReadAsOctetsAre(_ bareNewline: SMTPServerConfiguration.BareNewline) {
        var configuration = Dialogue.configuration()
        configuration.bareNewline = bareNewline
        let opening = Dialogue.lines(["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA"])
        let filler = Dialogue.lines(Array(repeating: "xxxxxxxxxx", count: 20))
        let specials = [
            "\r", "\n", "\r\r\n", "\n\r", "\r\n.", "\r\n..", "\r\n.\r\n", "\r\n\r\n", "\n.\n", "\r\n.\n", "\r\n.\r", ".",
        ]
        for special in specials {
            for place in 0..<150 {
                let data = Array(filler[..<place]) + Array(special.utf8) + Array(filler[place...])
                let input = opening + data + Dialogue.lines([".", "QUIT"])
                let whole = Dialogue.run(input, configuration)
                let octets = Dialogue.run(input, cuts: Array(1..<input.count), configuration)
                if whole != octets { Issue.record("\(special.debugDescription) at \(place): \(whole), not \(octets)") }
            }
        }
    }

    /// The limit counts what was taken out.
    @Test(arguments: [1, 7, 99]) func takenDataCountsForTheLimit(_ count: Int) {
        var configuration = Dialogue.configuration()
        configuration.messageSize = 100
        let mail = Dialogue.lines(["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA"])
        func codes(_ size: Int) -> [String] {
            let input = mail + Array(repeating: 0x78, count: size) + Dialogue.lines(["", ".", "QUIT"])
            return Dialogue.run(input, cuts: Array(1..<input.count), taking: count, configuration).codes
        }
        #expect(codes(98).suffix(2) == ["250", "221"])
        #expect(codes(99).suffix(2) == ["552", "221"])
    }

    /// All commands of several transactions in one write (RFC 2920).
    @Test func aPipelineIsAnsweredInOrder() {
        let once = ["MAIL FROM:<a@b>", "RCPT TO:<x@y>", "RCPT TO:<no@y>", "DATA", "text", "."]
        let transcript = Dialogue.run(Dialogue.lines(["HELO c"] + once + once + once + ["QUIT"]))
        #expect(
            transcript.codes == ["250"]
                + Array(repeating: ["250", "250", "550", "354", "250"], count: 3).flatMap { $0 } + ["221"])
        #expect(transcript.messages.count == 3)
        #expect(Set(transcript.messages).count == 1)
    }
}
