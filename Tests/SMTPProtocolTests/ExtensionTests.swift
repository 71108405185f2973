// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Extensions of SMTP as whole dialogues: STARTTLS, SMTPUTF8, BDAT, delivery reports, XCLIENT.

import HookModel
import SMTPProtocol
import Testing

@Suite struct ExtensionTests {
    private static let envelope = ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>"]
    private static let begun = hello + ["250 2.1.0", "250 2.1.5"]

    static let cases: [DialogueCase] = tls + international + chunks + reports + clients

    private static func announcing(_ keyword: String) -> [String] { hello[..<3] + ["250-\(keyword)"] + hello[3...] }

    private static let tls: [DialogueCase] = [
        DialogueCase(
            name: "STARTTLS is announced, and drops what came with it",
            input: ["EHLO c", "STARTTLS", "MAIL FROM:<injected@b>", "RCPT TO:<x@y>", "DATA", "m", "."],
            replies: announcing("STARTTLS") + ["220 2.0.0 "], configure: { $0.tls = .offered }),
        DialogueCase(
            name: "STARTTLS takes no argument and no place in a transaction",
            input: ["STARTTLS now", "EHLO c", "MAIL FROM:<a@b>", "STARTTLS"],
            replies: ["501 5.5.4"] + announcing("STARTTLS") + ["250", "503 5.5.1"], configure: { $0.tls = .offered }),
        DialogueCase(
            name: "nothing but the hello before TLS where it is required",
            input: [
                "HELO c", "EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", "RSET", "VRFY x", "HELP", "BDAT 3 LAST", "a",
                "NOOP", "XYZZY", "QUIT",
            ],
            replies: ["530 5.7.0"] + announcing("STARTTLS") + Array(repeating: "530 5.7.0 Must issue a STARTTLS", count: 7)
                + ["250", "500", "221"],
            isClosed: true, configure: { $0.tls = .required }),
        DialogueCase(
            name: "STARTTLS within TLS is not announced and refused", input: ["EHLO c", "STARTTLS", "NOOP"],
            replies: hello + ["503 5.5.1", "250"],
            configure: {
                $0.tls = .required
                $0.isSecured = true
            }),
        DialogueCase(
            name: "LMTP has STARTTLS", service: .lmtp, input: ["LHLO c", "STARTTLS"],
            replies: announcing("STARTTLS") + ["220"], configure: { $0.tls = .offered }),
    ]

    private static let international: [DialogueCase] = [
        DialogueCase(
            name: "addresses beyond ASCII need SMTPUTF8",
            input: [
                "EHLO é", "EHLO c", "MAIL FROM:<é@b>", "MAIL FROM:<a@b> SMTPUTF8=1", "MAIL FROM:<a@b>", "RCPT TO:<ü@y>",
                "RCPT TO:<x@bücher.example>", "RSET", "MAIL FROM:<é@b> SMTPUTF8", "RCPT TO:<ü@bücher.example>",
                "RCPT TO:<\"ü ü\"@b>", "DATA", "m", ".", "NOOP é", "VRFY é",
            ],
            replies: ["501 "] + hello
                + [
                    "550 5.6.7", "501 5.5.4", "250", "553 5.6.7", "553 5.6.7", "250", "250", "250", "250", "354", "250",
                    "500 5.5.2", "500 5.5.2",
                ],
            asked: ["ü@bücher.example", "\"ü ü\"@b"], messages: ["m\r\n"], reversePaths: ["é@b"]),
        DialogueCase(
            name: "SMTPUTF8 counts for one transaction",
            input: ["EHLO c", "MAIL FROM:<a@b> SMTPUTF8", "RSET", "MAIL FROM:<a@b>", "RCPT TO:<ü@y>"],
            replies: hello + ["250", "250", "250", "553 5.6.7"]),
        // RFC 6533 section 3
        DialogueCase(
            name: "an original recipient beyond ASCII needs SMTPUTF8",
            input: ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y> ORCPT=utf-8;ü@y", "RCPT TO:<x@y> ORCPT=utf-8;u@y"],
            replies: hello + ["250", "553 5.6.7", "250"], asked: ["x@y"]),
    ]

    private static let chunks: [DialogueCase] = [
        DialogueCase(
            name: "a message in chunks, pipelined, with dots as they are",
            input: envelope + ["BDAT 6", "S: s", "BDAT 2", "", "BDAT 11", "..", ".", ".x", "BDAT 0 LAST", "NOOP"],
            replies: begun + ["250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0 Accepted", "250"], asked: ["x@y"],
            messages: ["S: s\r\n\r\n..\r\n.\r\n.x\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "one chunk", input: envelope + ["bdat 3 last", "m", "QUIT"],
            replies: begun + ["250 2.0.0 Accepted", "221"], isClosed: true, asked: ["x@y"], messages: ["m\r\n"],
            reversePaths: ["a@b"]),
        DialogueCase(
            name: "an empty message", input: envelope + ["BDAT 0", "BDAT 0 LAST"], replies: begun + ["250", "250"],
            asked: ["x@y"], messages: [""], reversePaths: ["a@b"]),
        DialogueCase(
            name: "a line end cut by two chunks, and none at the end", input: envelope,
            raw: "BDAT 2\r\na\rBDAT 2 LAST\r\n\nb", replies: begun + ["250", "250"], asked: ["x@y"],
            messages: ["a\r\nb"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "the end of DATA is content of a chunk", input: envelope + ["BDAT 9 LAST", "a", ".", "b"],
            replies: begun + ["250"], asked: ["x@y"], messages: ["a\r\n.\r\nb\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "chunks that are refused are read all the same",
            input: ["BDAT 6 LAST", "QUIT", "EHLO c", "BDAT 6", "QUIT", "MAIL FROM:<a@b>", "BDAT 6 LAST", "QUIT", "NOOP"],
            replies: ["503 5.5.1 Need MAIL"] + hello + ["503 5.5.1 Need MAIL", "250", "503 5.5.1 No valid", "250"]),
        DialogueCase(
            name: "DATA, RCPT and MAIL cannot follow BDAT, RSET and EHLO can",
            input: envelope + ["BDAT 3", "a", "DATA", "RCPT TO:<z@y>", "MAIL FROM:<c@d>", "BDAT 3 LAST", "b"]
                + ["MAIL FROM:<c@d>", "RCPT TO:<x@y>", "BDAT 3", "c", "RSET", "BDAT 3 LAST", "d"],
            replies: begun + ["250", "503 5.5.1", "503 5.5.1", "503 5.5.1", "250", "250", "250", "250", "250", "503 5.5.1"],
            asked: ["x@y", "x@y"], messages: ["a\r\nb\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "a chunk of unknown size ends the connection", input: envelope + ["BDAT x LAST", "NOOP"],
            replies: begun + ["501 5.5.4", "421 4.7.0"], isClosed: true, asked: ["x@y"]),
        DialogueCase(
            name: "as does one larger than any", input: ["BDAT 9999999999999999999", "NOOP"],
            replies: ["501 5.5.4", "421 4.7.0"], isClosed: true),
        DialogueCase(name: "no size", input: ["BDAT"], replies: ["501", "421"], isClosed: true),
        DialogueCase(name: "a size and a word", input: ["BDAT 3 FIRST"], replies: ["501", "421"], isClosed: true),
        DialogueCase(name: "no octets of BDAT are commands", input: ["BDAT 3\t", "NOOP"], replies: ["500", "421"], isClosed: true),
        DialogueCase(name: "BDAT beyond ASCII", input: ["BDAT 3é", "NOOP"], replies: ["501", "421"], isClosed: true),
        DialogueCase(
            name: "a chunk over the limit is swallowed, and the rest refused",
            input: envelope + ["BDAT 10001", String(repeating: "x", count: 9999), "BDAT 3", "a", "BDAT 0 LAST", "NOOP"],
            replies: begun + ["552 5.3.4", "503 5.5.1", "503 5.5.1", "250"], asked: ["x@y"]),
        DialogueCase(
            name: "the last chunk makes it too large",
            input: envelope + ["BDAT 3", "a", "BDAT 9998 LAST", String(repeating: "x", count: 9996), "NOOP"],
            replies: begun + ["250", "552 5.3.4", "250"], asked: ["x@y"]),
        DialogueCase(
            name: "LMTP answers each recipient behind the last chunk", service: .lmtp,
            input: [
                "LHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "RCPT TO:<z@y>", "BDAT 3", "a", "BDAT 3 LAST", "b", "NOOP",
            ],
            replies: hello + ["250", "250", "250", "250 2.0.0 Chunk", "250 2.0.0 Acc", "250 2.0.0 Acc", "250"],
            asked: ["x@y", "z@y"], messages: ["a\r\nb\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "a lone LF in a chunk ends the connection", input: envelope + ["BDAT 5", "a\nb", "NOOP"],
            replies: begun + ["521 5.5.2"], isClosed: true, asked: ["x@y"]),
        DialogueCase(
            name: "a lone CR in a chunk ends the connection", input: envelope + ["BDAT 5 LAST", "a\rb", "NOOP"],
            replies: begun + ["521 5.5.2"], isClosed: true, asked: ["x@y"]),
        DialogueCase(
            name: "as does one at the end", input: envelope, raw: "BDAT 2 LAST\r\na\rNOOP\r\n", replies: begun + ["521 5.5.2"],
            isClosed: true, asked: ["x@y"]),
        DialogueCase(
            name: "BINARYMIME: the body is octets, and needs BDAT",
            input: [
                "EHLO c", "MAIL FROM:<a@b> BODY=BINARYMIME", "RCPT TO:<x@y>", "DATA", "BDAT 17 LAST", "S: s", "",
                "\n\r\r\n\n\rx",
            ],
            replies: hello + ["250", "250", "503 5.5.1", "250"], asked: ["x@y"],
            messages: ["S: s\r\n\r\n\n\r\r\n\n\rx\r\n"], reversePaths: ["a@b"]),
        DialogueCase(
            name: "BINARYMIME: the header section is lines",
            input: ["EHLO c", "MAIL FROM:<a@b> body=binarymime", "RCPT TO:<x@y>", "BDAT 9 LAST", "S: s\n", "", "NOOP"],
            replies: hello + ["250", "250", "521 5.5.2"], isClosed: true, asked: ["x@y"]),
    ]

    private static let reports: [DialogueCase] = [
        DialogueCase(
            name: "parameters for delivery reports",
            input: ["EHLO c"]
                + [
                    "RET=FULL", "ret=hdrs ENVID=QQ314159", "ENVID=a+2Bb+3D", "RET=SOME", "RET", "ENVID=", "ENVID=a+2",
                    "ENVID=a+0A", "ENVID=a+GG", "ENVID=é", "ENVID=" + String(repeating: "x", count: 101),
                ].flatMap { ["MAIL FROM:<a@b> \($0)", "RSET"] },
            replies: hello
                + ["250", "250", "250", "501", "501", "501", "501", "501", "501", "501", "501"].flatMap { [$0, "250 2.0.0"] },
            configure: { $0.errors = 100 }),
        DialogueCase(
            name: "parameters for delivery reports of a recipient",
            input: ["EHLO c", "MAIL FROM:<a@b> SMTPUTF8"]
                + [
                    "NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE,delay ORCPT=rfc822;x+2By@z", "ORCPT=utf-8;ü@y",
                    "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=,", "NOTIFY", "NOTIFY=LATER", "ORCPT=x@y",
                    "ORCPT=rfc822;", "ORCPT=;x", "ORCPT=rfc822;x+", "ORCPT=rfc822;ü", "ORCPT=rfc822;x ORCPT=rfc822;x", "X-A=b",
                ].map { "RCPT TO:<x@y> \($0)" },
            replies: hello + ["250", "250", "250", "250"] + Array(repeating: "501 5.5.4", count: 11) + ["555 5.5.4"],
            asked: ["x@y", "x@y", "x@y"], configure: { $0.errors = 100 }),
    ]

    private static let xclient = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
    private static let trusting: @Sendable (inout SMTPServerConfiguration) -> Void = { $0.allowsXCLIENT = true }

    private static let clients: [DialogueCase] = [
        DialogueCase(
            name: "XCLIENT greets anew",
            input: [
                "EHLO mx", "XCLIENT NAME=spike.example ADDR=192.0.2.7 PROTO=ESMTP", "MAIL FROM:<a@b>",
                "xclient HELO=client.example PORT=4711 LOGIN=[UNAVAILABLE]", "EHLO c", "MAIL FROM:<a@b>", "XCLIENT ADDR=192.0.2.8",
            ],
            replies: announcing(xclient) + ["220 mx.example.com ESMTP", "503 5.5.1 Say hello", "220"]
                + announcing(xclient) + ["250", "503 5.5.1 Not within"],
            configure: trusting),
        DialogueCase(
            name: "what XCLIENT cannot say",
            input: [
                "", " ADDR", " ADDR=", " ADDR=1.2.3", " ADDR=IPV6:1.2.3.4.5", " ADDR=1.2.3.4 ADDR=1.2.3.5", " PORT=70000", " PORT=-1",
                " PROTO=HTTP", " WHAT=x", " NAME=a+0Ab", " NAME=a+", " NAME=é", " HELO=" + String(repeating: "h", count: 256),
            ].map { "XCLIENT\($0)" },
            replies: Array(repeating: "501 5.5.4", count: 12) + ["500 5.5.2", "501 5.5.4"],
            configure: trusting),
        DialogueCase(
            name: "a client that may not connect", input: ["XCLIENT ADDR=192.0.2.66", "NOOP"], replies: ["554 5.7.1"],
            isClosed: true, configure: trusting),
        DialogueCase(
            name: "endless XCLIENT", input: Array(repeating: "XCLIENT ADDR=192.0.2.7", count: 110),
            replies: Array(repeating: "220", count: 100) + ["421 4.7.0"], isClosed: true, configure: trusting),
    ]

    /// But for the drop behind STARTTLS, which is about what came together.
    @Test(arguments: cases.filter { !$0.input.contains("STARTTLS") }) func everyCutGivesTheSame(_ expected: DialogueCase) {
        var configuration = Dialogue.configuration(expected.service)
        expected.configure(&configuration)
        let input = Dialogue.lines(expected.input) + Array(expected.raw.utf8)
        let whole = Dialogue.run(input, configuration)
        #expect(Dialogue.run(input, cuts: Array(1..<input.count), configuration) == whole, "one octet at a time")
        for count in [1, 5] where input.count < 2000 {
            let taking = Dialogue.run(input, cuts: Array(1..<input.count), taking: count, configuration)
            #expect(taking == whole, "data taken out at \(count) octets")
        }
        // Long runs of one octet have no seams.
        for cut in stride(from: 0, through: input.count, by: max(1, input.count / 400)) {
            let cutOnce = Dialogue.run(input, cuts: [cut], configuration)
            if cutOnce != whole { Issue.record("cut at \(cut): \(cutOnce), and in one piece \(whole)") }
        }
    }

    /// RFC 3207 sections 4.2 and 6: after the handshake the session is as new, and what was buffered before it is gone,
    /// wherever the input was cut.
    @Test func nothingSurvivesTheHandshake() {
        var configuration = Dialogue.configuration()
        configuration.tls = .required
        let before = Dialogue.lines(["EHLO before", "STARTTLS"])
        let injected = Dialogue.lines(["EHLO injected", "MAIL FROM:<injected@b>", "RCPT TO:<x@y>", "BDAT 3 LAST", "m"])
        for cut in 0...injected.count {
            var session = SMTPServerSession(configuration: configuration)
            var consumed = 0
            let first = before + injected[..<cut]
            let action = first.withUnsafeBytes { session.advance($0, consumed: &consumed) }
            #expect(action == .startTLS && consumed == first.count)
            // Read from the socket before the caller began the handshake.
            let second = Array(injected[cut...])
            let again = second.withUnsafeBytes { session.advance($0, consumed: &consumed) }
            #expect(again == .startTLS && consumed == second.count)
            #expect(String(decoding: session.takeOutput(), as: UTF8.self).hasSuffix("220 2.0.0 Ready to start TLS\r\n"))
            session.tlsStarted()
            #expect(!session.isInTransaction)
            let after = Dialogue.lines(["MAIL FROM:<a@b>", "EHLO after", "MAIL FROM:<a@b>"])
            #expect(after.withUnsafeBytes { session.advance($0, consumed: &consumed) } == .needInput)
            let lines = String(decoding: session.takeOutput(), as: UTF8.self).split(separator: "\r\n").map(String.init)
            #expect(lines == ["503 5.5.1 Say hello first"] + hello + ["250 2.1.0 Ok"])
        }
    }

    @Test func whatXCLIENTSays() throws {
        var configuration = Dialogue.configuration()
        configuration.allowsXCLIENT = true
        let lines = [
            "XCLIENT ADDR=IPV6:2001:DB8:0:0::1 NAME=a+2Bb.example PORT=25 PROTO=SMTP HELO=[192.0.2.1] LOGIN=u+20v",
            "XCLIENT ADDR=::ffff:192.0.2.9 DESTADDR=192.0.2.1 DESTPORT=25", "XCLIENT ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]",
            "MAIL FROM:<a@b>", "XCLIENT HELO=other.example", "HELO own.example", "MAIL FROM:<a@b>", "RCPT TO:<x@y>", "DATA", ".",
        ]
        let transcript = Dialogue.run(Dialogue.lines(lines), configuration)
        let clients = transcript.clients
        try #require(clients.count == 4)
        #expect(clients[0].address == .known("2001:db8::1") && clients[0].name == "a+b.example" && clients[0].port == 25)
        #expect(clients[0].helo == "[192.0.2.1]" && clients[0].login == "u v")
        #expect(clients[1].address == .known("192.0.2.9"))
        #expect(clients[2].address == .unknown && clients[2].name == nil)
        #expect(clients[3].address == nil && clients[3].helo == "other.example")
        #expect(transcript.messages.map(\.helo) == ["own.example"])
    }

    /// Lone CRs and LFs become line ends, and only what was CRLF on the wire ends the data or hides a dot.
    @Test(arguments: [
        ("a\rb\nc\r\n", "a\r\nb\r\nc\r\n"), ("a\n.\nb\r\n", "a\r\n.\r\nb\r\n"), ("a\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"),
        ("a\r\n.\nb\r\n", "a\r\n\r\nb\r\n"), ("a\r.\rb\r\n", "a\r\n.\r\nb\r\n"), ("a\n..\r\n", "a\r\n..\r\n"),
        ("a\r\n..\r\n", "a\r\n.\r\n"), ("\r\r\n", "\r\n\r\n"), ("\n\r", "\r\n"), ("a\r\n.\rb\r\n", "a\r\n\r\nb\r\n"),
    ])
    func bareNewlinesNormalized(_ wire: String, _ message: String) {
        var configuration = Dialogue.configuration()
        configuration.bareNewline = .normalize
        let opening = ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@y>"]
        // A CR at the end pairs with the LF of the end of data.
        let data = Dialogue.lines(opening + ["DATA"]) + Array(wire.utf8) + Array((wire.utf8.last == 10 ? "" : "\n") .utf8) + Array(".\r\n".utf8)
        let whole = Dialogue.run(data, configuration)
        #expect(whole.messages.map { String(decoding: $0.bytes, as: UTF8.self) } == [message + (wire == "\n\r" ? "\r\n" : "")])
        for cut in 0...data.count { #expect(Dialogue.run(data, cuts: [cut], configuration) == whole) }
        // In a chunk there are no dots to remove.
        let chunk = Dialogue.lines(opening + ["BDAT \(wire.utf8.count) LAST"]) + Array(wire.utf8)
        let chunked = Dialogue.run(chunk, configuration)
        let bytes = String(decoding: chunked.messages.first?.bytes ?? [], as: UTF8.self)
        #expect(!hasBareNewline(Array(bytes.utf8)) && bytes.filter { $0 == "." } == wire.filter { $0 == "." })
        for cut in 0...chunk.count { #expect(Dialogue.run(chunk, cuts: [cut], configuration) == chunked) }
    }

    private func hasBareNewline(_ bytes: [UInt8]) -> Bool {
        bytes.indices.contains { index in
            switch bytes[index] {
            case 13: index + 1 == bytes.count || bytes[index + 1] != 10
            case 10: index == 0 || bytes[index - 1] != 13
            default: false
            }
        }
    }
}
