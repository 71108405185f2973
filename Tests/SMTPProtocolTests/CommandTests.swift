// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Every command and its replies, as whole dialogues: lines in, replies out.

import HookModel
import SMTPProtocol
import Testing

/// A dialogue as a value.
struct DialogueCase: Sendable, CustomTestStringConvertible {
    var name: String
    var service: SMTPServerConfiguration.Service = .smtp
    var input: [String]
    /// Octets behind the lines of `input`.
    var raw = ""
    /// Each reply line, or its beginning.
    var replies: [String]
    var isClosed = false
    var asked: [String] = []
    var messages: [String] = []
    var reversePaths: [String] = []
    var configure: @Sendable (inout SMTPServerConfiguration) -> Void = { _ in }

    var testDescription: String { name }
}

let hello = [
    "250-mx.example.com", "250-PIPELINING", "250-SIZE 10000", "250-8BITMIME", "250-SMTPUTF8", "250-CHUNKING",
    "250-BINARYMIME", "250-DSN", "250-ENHANCEDSTATUSCODES", "250 HELP",
]

@Suite struct CommandTests {
    static let cases: [DialogueCase] = [
        DialogueCase(
            name: "one message",
            input: [
                "EHLO client", "MAIL FROM:<a@b.example>", "RCPT TO:<x@y.example>", "DATA", "Subject: s", "", "..dot",
                ".", "QUIT",
            ],
            replies: hello + ["250 2.1.0 ", "250 2.1.5 ", "354 ", "250 2.0.0 ", "221 2.0.0 "], isClosed: true,
            asked: ["x@y.example"], messages: ["Subject: s\r\n\r\n.dot\r\n"], reversePaths: ["a@b.example"]),
        DialogueCase(
            name: "two messages in a connection, each with its own envelope",
            input: [
                "HELO c", "MAIL FROM:<>", "RCPT TO:<x@y>", "DATA", "1", ".", "MAIL FROM:<a@b>", "RCPT TO:<z@y>", "DATA",
                "2", ".",
            ],
            replies: ["250 mx.example.com", "250", "250", "354", "250", "250", "250", "354", "250"],
            asked: ["x@y", "z@y"],
            messages: ["1\r\n", "2\r\n"], reversePaths: ["", "a@b"]),
        DialogueCase(
            name: "verbs in any case, spaces behind the line and the colon",
            input: ["eHlO c ", "mail from: <a@b> ", "rcpt to:   <x@y>", "noop  ", "rset ", "quit "],
            replies: hello + ["250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0", "221"], isClosed: true, asked: ["x@y"]
        ),
        DialogueCase(
            name: "hello without a name", input: ["EHLO", "HELO ", "EHLO  "],
            // RFC 2034 section 4: no enhanced status code in answers to HELO and EHLO.
            replies: ["501 Say who", "501 Say who", "501 Say who"]),
        DialogueCase(name: "LHLO is not SMTP", input: ["LHLO c"], replies: ["500 Use EHLO"]),
        DialogueCase(
            name: "EHLO is not LMTP", service: .lmtp, input: ["EHLO c", "HELO c", "LHLO", "LHLO c"],
            replies: ["500 Use LHLO", "500 Use LHLO", "501 Say who you are: LHLO"] + hello),
        DialogueCase(
            name: "LMTP helps in its own words", service: .lmtp, input: ["HELP"], replies: ["214 2.0.0 LHLO MAIL RCPT DATA BDAT"]),
        // As a mail server passes it on. With many more, something else is meant than mail: ten times what may be taken.
        DialogueCase(
            name: "wrong recipients of LMTP take no mail from the right one", service: .lmtp,
            input: ["LHLO c", "MAIL FROM:<a@b>"] + Array(repeating: "RCPT TO:<no@y>", count: 40) + ["RCPT TO:<x@y>", "DATA", "m", "."],
            replies: hello + ["250"] + Array(repeating: "550", count: 40) + ["250", "354", "250 2.0.0"],
            asked: Array(repeating: "no@y", count: 40) + ["x@y"], messages: ["m\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "wrong recipients of LMTP without end", service: .lmtp,
            input: ["LHLO c", "MAIL FROM:<a@b>"] + Array(repeating: "RCPT TO:<no@y>", count: 60),
            replies: hello + ["250"] + Array(repeating: "550", count: 51) + ["421 4.7.0"], isClosed: true,
            asked: Array(repeating: "no@y", count: 51)),
        DialogueCase(
            name: "EHLO resets the transaction", input: ["EHLO c", "MAIL FROM:<a@b>", "EHLO c", "RCPT TO:<x@y>"],
            replies: hello + ["250"] + hello + ["503 5.5.1 Need MAIL"]),
        DialogueCase(
            name: "wrong order",
            input: [
                "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "HELO c", "RCPT TO:<x@y>", "DATA", "MAIL FROM:<a@b>",
                "MAIL FROM:<a@b>", "DATA",
            ],
            replies: [
                "503 5.5.1", "503 5.5.1", "503 5.5.1", "250", "503 5.5.1", "503 5.5.1", "250", "503 5.5.1 Nested",
                "503 5.5.1 No valid",
            ]),
        DialogueCase(
            name: "a failed EHLO leaves the session as it was",
            input: ["EHLO c", "MAIL FROM:<a@b>", "EHLO", "RCPT TO:<x@y>"],
            replies: hello + ["250", "501", "250"], asked: ["x@y"]),
        DialogueCase(
            name: "all recipients refused, and the connection goes on",
            input: [
                "HELO c", "MAIL FROM:<a@b>", "RCPT TO:<no@y>", "RCPT TO:<relay@y>", "DATA", "RCPT TO:<x@y>", "DATA",
                "m", ".",
            ],
            replies: ["250", "250", "550 5.1.1", "550 5.7.1", "503 5.5.1", "250", "354", "250"],
            asked: ["no@y", "relay@y", "x@y"],
            messages: ["m\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "too many recipients",
            input: ["HELO c", "MAIL FROM:<a@b>"] + (1...6).map { "RCPT TO:<\($0)@y>" } + ["DATA", "m", "."],
            replies: ["250", "250", "250", "250", "250", "250", "250", "452 4.5.3", "354", "250"],
            asked: (1...5).map { "\($0)@y" }, messages: ["m\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "commands that are known and not served",
            input: [
                "EXPN list", "ETRN x", "TURN", "SEND FROM:<a@b>", "STARTTLS", "AUTH PLAIN", "XFORWARD A=B",
                "XCLIENT ADDR=192.0.2.1",
            ],
            replies: Array(repeating: "502 5.5.1", count: 8)),
        DialogueCase(
            name: "commands without arguments",
            input: ["HELO c", "RSET x", "DATA x", "QUIT x", "NOOP x", "HELP x", "VRFY x", "VRFY"],
            replies: ["250", "501 5.5.4", "501 5.5.4", "501 5.5.4", "250 2.0.0", "214 2.0.0", "252 2.5.0", "252"]),
        DialogueCase(
            name: "no commands", input: ["", " ", "XYZZY", "NOOPX", "MAILFROM <a@b>", " NOOP"],
            replies: Array(repeating: "500 5.5.2", count: 6)),
        DialogueCase(
            name: "HTTP ends the connection", input: ["GET / HTTP/1.1", "NOOP"], replies: ["500 5.5.2", "421 4.7.0"],
            isClosed: true),
        DialogueCase(
            name: "HTTP in lower case", input: ["post / HTTP/1.1"], replies: ["500 5.5.2", "421 4.7.0"],
            isClosed: true),
        DialogueCase(
            name: "HTTP with a line that is too long is HTTP",
            input: ["POST /" + String(repeating: "x", count: 5000), "NOOP"],
            replies: ["500 5.5.2", "421 4.7.0"], isClosed: true),
        DialogueCase(
            name: "a header line is no command and ends the connection", input: ["Subject: hello", "NOOP"],
            replies: ["500 5.5.2", "421 4.7.0"], isClosed: true),
        DialogueCase(
            name: "a line of 2,048 octets is taken, a longer one is not",
            input: [
                "NOOP " + String(repeating: "x", count: 2041), "NOOP " + String(repeating: "x", count: 2042), "NOOP",
            ],
            replies: ["250", "500 5.5.2 Line too long", "250"]),
        DialogueCase(
            name: "octets that no command holds",
            input: ["NOOP \u{0}", "NOOP \u{7}", "NOOP \u{7F}", "NOOP\t", "NO\rOP", "NOOP é"],
            replies: Array(repeating: "500 5.5.2", count: 6)),
        DialogueCase(
            name: "parameters of MAIL",
            input: ["EHLO c"]
                + [
                    "SIZE=10000", "SIZE=0", "BODY=7BIT", "BODY=8BITMIME size=5", "SIZE=10001",
                    "SIZE=99999999999999999999", "SIZE=123456789012345678901",
                    "SIZE=", "SIZE", "SIZE=-1", "SIZE=1x", "BODY=9BIT", "BODY", "SIZE=1 SIZE=2", "AUTH=<>", "=x",
                    "-x=1", "a_b", "X=a=b",
                ].flatMap { ["MAIL FROM:<a@b> \($0)", "RSET"] },
            replies: hello
                + [
                    "250", "250", "250", "250", "552 5.3.4", "552 5.3.4", "501 5.5.4", "501 5.5.4", "501 5.5.4",
                    "501 5.5.4", "501 5.5.4", "501 5.5.4",
                    "501 5.5.4", "501 5.5.4", "555 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4",
                ].flatMap { [$0, "250 2.0.0"] }),
        DialogueCase(
            name: "parameters of RCPT",
            input: ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y> SIZE=1", "RCPT TO:<x@y>x", "RCPT TO:<x@y> "],
            replies: ["250", "250", "555 5.5.4", "501 5.5.4", "250"], asked: ["x@y"]),
        DialogueCase(
            name: "a long parameter is not given back whole",
            input: ["HELO c", "MAIL FROM:<a@b> " + String(repeating: "X", count: 1500)],
            replies: ["250", "555 5.5.4 Parameter XXXXXXXX"]),
        DialogueCase(
            name: "a message larger than it may be",
            input: ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA"]
                + Array(repeating: String(repeating: "x", count: 98), count: 101) + [".", "NOOP"],
            replies: ["250", "250", "250", "354", "552 5.3.4", "250"], asked: ["x@y"]),
        DialogueCase(
            name: "a message of just the size",
            input: ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA"]
                + Array(repeating: "." + String(repeating: "x", count: 98), count: 100) + ["."],
            replies: ["250", "250", "250", "354", "250"], asked: ["x@y"],
            messages: [String(repeating: String(repeating: "x", count: 98) + "\r\n", count: 100)], reversePaths: ["a@b"]
        ),
        DialogueCase(
            name: "bare CR ends the connection after the message",
            input: ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "a\rb", ".", "NOOP"],
            replies: ["250", "250", "250", "354", "521 5.5.2"], isClosed: true, asked: ["x@y"]),
        DialogueCase(
            name: "bare LF in a command", input: ["NOOP\nNOOP"], replies: ["500 5.5.2 Lines must", "250"]),
        DialogueCase(
            name: "LMTP answers each recipient", service: .lmtp,
            input: [
                "LHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "RCPT TO:<no@y>", "RCPT TO:<z@y>", "DATA", "m", ".",
                "NOOP",
            ],
            replies: hello + ["250", "250", "550", "250", "354", "250 2.0.0", "250 2.0.0", "250"],
            asked: ["x@y", "no@y", "z@y"],
            messages: ["m\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "LMTP refuses for each recipient", service: .lmtp,
            input: ["LHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "RCPT TO:<z@y>", "DATA", "a\nb", "."],
            replies: hello + ["250", "250", "250", "354", "521", "521"], isClosed: true, asked: ["x@y", "z@y"]),
        DialogueCase(
            name: "a temporary refusal leaves the connection open",
            input: ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "outcome:store_full", ".", "NOOP"],
            replies: ["250", "250", "250", "354", "452 4.3.1", "250"], asked: ["x@y"],
            messages: ["outcome:store_full\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "421 ends it",
            input: ["HELO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "outcome:shutting_down", ".", "NOOP"],
            replies: ["250", "250", "250", "354", "421 4.3.2"], isClosed: true, asked: ["x@y"],
            messages: ["outcome:shutting_down\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "20 errors end the connection", input: Array(repeating: "XYZZY", count: 25),
            replies: Array(repeating: "500", count: 20) + ["421 4.7.0"], isClosed: true),
        DialogueCase(
            name: "mail that is taken forgives errors",
            input: ["HELO c"]
                + Array(
                    repeating: [
                        "XYZZY", "XYZZY", "XYZZY", "XYZZY", "XYZZY", "XYZZY", "XYZZY", "MAIL FROM:<a@b>",
                        "RCPT TO:<x@y>", "DATA", ".",
                    ], count: 4
                ).flatMap { $0 },
            replies: ["250"]
                + Array(
                    repeating: ["500", "500", "500", "500", "500", "500", "500", "250", "250", "354", "250"], count: 4
                ).flatMap { $0 },
            asked: Array(repeating: "x@y", count: 4), messages: Array(repeating: "", count: 4),
            reversePaths: Array(repeating: "a@b", count: 4)),
        DialogueCase(
            name: "a client that only passes time is sent away", input: Array(repeating: "NOOP", count: 150),
            replies: Array(repeating: "250", count: 100) + ["421 4.7.0"], isClosed: true),
    ]

    @Test(arguments: cases + ExtensionTests.cases) func dialogue(_ expected: DialogueCase) {
        var configuration = Dialogue.configuration(expected.service)
        expected.configure(&configuration)
        let transcript = Dialogue.run(Dialogue.lines(expected.input) + Array(expected.raw.utf8), configuration)
        let replies = transcript.replies
        #expect(
            replies.count == expected.replies.count && zip(replies, expected.replies).allSatisfy { $0.hasPrefix($1) },
            "\(replies)")
        #expect(transcript.isClosed == expected.isClosed)
        #expect(transcript.asked == expected.asked)
        #expect(transcript.messages.map { String(decoding: $0.bytes, as: UTF8.self) } == expected.messages)
        #expect(transcript.messages.map(\.reversePath) == expected.reversePaths)
        #expect(replies.allSatisfy { $0.utf8.count <= 510 }, "RFC 5321 section 4.5.3.1.5")
    }

    /// Ten times the limit is no list of recipients any more.
    @Test func endlessRecipientsEndTheSession() {
        let commands = ["HELO c", "MAIL FROM:<a@b>"] + (1...200).map { "RCPT TO:<\($0)@y>" }
        let transcript = Dialogue.run(Array(commands.map { $0 + "\r\n" }.joined().utf8))
        #expect(transcript.isClosed)
        #expect(transcript.codes.filter { $0 == "452" }.count == 51)
        #expect(transcript.codes.last == "421")
    }

    @Test func theGreetingNamesTheService() {
        #expect(Dialogue.run([]).lines == ["220 mx.example.com ESMTP mailhookd"])
        #expect(Dialogue.run([], Dialogue.configuration(.lmtp)).lines == ["220 mx.example.com LMTP mailhookd"])
    }

    /// Paths as RCPT sees them: nil where they are refused.
    static let paths: [(String, String?)] = [
        ("<x@y.example>", "x@y.example"), ("<postmaster>", "postmaster"), ("<PostMaster>", "PostMaster"),
        ("<webmaster>", nil), ("<>", nil), ("x@y", nil), ("<x@y", nil), ("<x@>", nil), ("<@y>", nil), ("<x@y@z>", nil),
        ("<x y@z>", nil), ("<x@y z>", nil), ("<x@-y_z.example>", "x@-y_z.example"), ("<x@y.>", nil), ("<x@.y>", nil),
        ("<x@y..z>", nil), ("<.x.@y>", ".x.@y"), ("<x+tag=1/2@y>", "x+tag=1/2@y"),
        ("<!#$%&'*+-/=?^_`{|}~@y>", "!#$%&'*+-/=?^_`{|}~@y"),
        ("<\"x y\"@z>", "\"x y\"@z"), ("<\"x>y\"@z>", "\"x>y\"@z"), ("<\"x@y\"@z>", "\"x@y\"@z"),
        ("<\"\\\"\\\\\"@z>", "\"\\\"\\\\\"@z"),
        ("<\"\"@z>", "\"\"@z"), ("<\"x\"y\"@z>", nil), ("<\"x\"y@z>", nil), ("<\"x@z>", nil), ("<\"x\\\"@z>", nil),
        ("<x\"y\"@z>", nil),
        ("<x@[192.0.2.1]>", "x@[192.0.2.1]"), ("<x@[IPv6:2001:db8::1]>", "x@[IPv6:2001:db8::1]"), ("<x@[]>", nil),
        ("<x@[1>", nil),
        ("<x@[a]b>", nil), ("<@a.example,@b.example:x@y>", "x@y"), ("<@a:>", nil), ("<@a>", nil), ("<@:x@y>", nil),
        ("<<x@y>>", nil), ("<x@y>>", nil), ("<x(c)@y>", nil), ("<x,z@y>", nil), ("<x;z@y>", nil), ("<x:z@y>", nil),
        ("<" + String(repeating: "l", count: 64) + "@y>", String(repeating: "l", count: 64) + "@y"),
        ("<" + String(repeating: "l", count: 65) + "@y>", nil),
        ("<x@" + String(repeating: "d", count: 252) + ">", "x@" + String(repeating: "d", count: 252)),
        ("<x@" + String(repeating: "d", count: 253) + ">", nil),
    ]

    @Test(arguments: paths) func path(_ text: String, _ mailbox: String?) {
        let input = Dialogue.lines(["HELO c", "MAIL FROM:<>", "RCPT TO:\(text)"])
        let transcript = Dialogue.run(input)
        #expect(transcript.asked == (mailbox.map { [$0] } ?? []), "\(transcript)")
        if mailbox == nil { #expect(transcript.codes.last == "501") }
    }

    /// The reverse-path may be empty, and a bare word is none.
    @Test(arguments: [
        ("<>", true), ("<a@b>", true), ("<postmaster>", false), ("", false), ("<", false), ("<>x", false),
    ])
    func reversePath(_ text: String, _ isTaken: Bool) {
        let transcript = Dialogue.run(Dialogue.lines(["HELO c", "MAIL FROM:\(text)"]))
        #expect(transcript.codes.last == (isTaken ? "250" : "501"))
    }

    // MARK: - Callers that err

    /// A caller that brings the wrong number of answers does not put the dialogue out of step.
    @Test(arguments: [SMTPServerConfiguration.Service.smtp, .lmtp], [0, 1, 2, 3])
    func answersAreAsManyAsTheProtocolAsksFor(_ service: SMTPServerConfiguration.Service, _ given: Int) {
        var session = SMTPServerSession(configuration: Dialogue.configuration(service))
        let input = Dialogue.lines([
            service == .lmtp ? "LHLO c" : "EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "RCPT TO:<z@y>", "DATA", ".",
        ])
        var rest = input[...]
        while true {
            var consumed = 0
            let action = rest.withUnsafeBytes { session.advance($0, consumed: &consumed) }
            rest = rest.dropFirst(consumed)
            if case .recipient = action { session.answerRecipient(.accepted) } else { break }
        }
        _ = session.takeOutput()
        session.answerMessage(Array(repeating: Outcome.accepted.smtpReply, count: given))
        let count = service == .lmtp ? 2 : 1
        let replies = String(decoding: session.takeOutput(), as: UTF8.self).split(separator: "\r\n")
        #expect(replies.count == count)
        #expect(replies.filter { $0.hasPrefix("250") }.count == min(given, count))
        #expect(replies.dropFirst(given).allSatisfy { $0.hasPrefix("451 4.3.0") })
    }

    @Test func nothingFollowsTheEnd() {
        var session = SMTPServerSession(configuration: Dialogue.configuration())
        _ = session.takeOutput()
        session.end(with: .shuttingDown)
        session.end(with: .timedOut)
        session.answerMessage([Outcome.accepted.smtpReply])
        session.answerRecipient(.accepted)
        #expect(String(decoding: session.takeOutput(), as: UTF8.self).hasPrefix("421 4.3.2 "))
        #expect(session.takeOutput() == [])
        var consumed = 0
        let action = Dialogue.lines(["NOOP"]).withUnsafeBytes { session.advance($0, consumed: &consumed) }
        #expect(action == .close && consumed == 0)
    }
}
