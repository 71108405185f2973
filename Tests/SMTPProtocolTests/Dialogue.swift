// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Plays the caller of a session: feeds it input in given pieces, decides about recipients and
// messages by simple rules, and writes down what came out.

import HookModel
import SMTPProtocol

/// What a session said and did with one input.
struct Transcript: Equatable, CustomStringConvertible {
    var output: [UInt8] = []
    var asked: [String] = []
    var messages: [SMTPTransaction] = []
    var clients: [ClientIdentity] = []
    var handshakes = 0
    var isClosed = false

    /// Reply lines without CRLF, the greeting left out.
    var replies: [String] { Array(lines.dropFirst()) }

    var lines: [String] {
        var lines = String(decoding: output, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines.map(String.init)
    }

    /// First three digits of each reply; `-` behind those that go on.
    var codes: [String] { replies.map { String($0.prefix($0.dropFirst(3).first == "-" ? 4 : 3)) } }

    var description: String { "\(replies)\(isClosed ? " closed" : "") \(messages.count) messages" }
}

enum Dialogue {
    static let host = "mx.example.com"

    static func configuration(_ service: SMTPServerConfiguration.Service = .smtp) -> SMTPServerConfiguration {
        SMTPServerConfiguration(hostname: host, service: service, messageSize: 10_000, recipients: 5)
    }

    /// Local parts beginning with `no` are unknown, `relay` is somebody else's, all others are ours.
    static func decide(_ path: String) -> Outcome {
        if path.hasPrefix("no") { return .recipientUnknown }
        return path.hasPrefix("relay") ? .relayDenied : .accepted
    }

    /// A message that contains `outcome:NAME` ends so.
    static func replies(_ message: SMTPTransaction, _ service: SMTPServerConfiguration.Service) -> [SMTPReply] {
        let text = String(decoding: message.bytes, as: UTF8.self)
        let named = text.firstRange(of: "outcome:").flatMap { range in
            Outcome(rawValue: String(text[range.upperBound...].prefix { $0.isLetter || $0 == "_" }))
        }
        let outcome = named ?? .accepted
        return Array(repeating: outcome.smtpReply, count: service == .lmtp ? message.recipients.count : 1)
    }

    /// - Parameters:
    ///   - cuts: offsets where the input is cut; after each piece the session is run until it wants more.
    ///   - taking: data of a message is taken out between pieces as soon as there are so many octets of it.
    static func run(
        _ input: [UInt8], cuts: [Int] = [], taking: Int = .max,
        _ configuration: SMTPServerConfiguration = Dialogue.configuration()
    ) -> Transcript {
        var taken: [UInt8] = []
        var session = SMTPServerSession(configuration: configuration)
        var transcript = Transcript()
        session.takeOutput { transcript.output += $0 }
        var start = 0
        for end in cuts + [input.count] {
            feed(input[start..<end], to: &session, configuration.service, &taken, &transcript)
            if transcript.isClosed { break }
            if let octets = session.takeData(atLeast: taking) { taken += octets }
            start = end
        }
        return transcript
    }

    private static func feed(
        _ piece: ArraySlice<UInt8>, to session: inout SMTPServerSession, _ service: SMTPServerConfiguration.Service,
        _ taken: inout [UInt8], _ transcript: inout Transcript
    ) {
        var rest = piece
        while true {
            var consumed = 0
            let action = rest.withUnsafeBytes { session.advance($0, consumed: &consumed) }
            rest = rest.dropFirst(consumed)
            transcript.output += session.takeOutput()
            switch action {
            case .needInput:
                precondition(rest.isEmpty, "input was left while the session wants more")
                return
            case .recipient(let path):
                transcript.asked.append(path)
                session.answerRecipient(decide(path))
            case .message(var message):
                precondition(message.taken <= taken.count, "more was taken than was handed out")
                message.bytes = taken.suffix(message.taken) + message.bytes
                message.taken = 0
                transcript.messages.append(message)
                session.answerMessage(replies(message, service))
            case .startTLS:
                precondition(rest.isEmpty, "input from before the handshake was left")
                transcript.handshakes += 1
                session.tlsStarted()
            case .client(let client):
                transcript.clients.append(client)
                session.answerClient(client.address == .known("192.0.2.66") ? .clientDenied : .accepted)
            case .close:
                transcript.isClosed = true
                return
            }
            transcript.output += session.takeOutput()
        }
    }

    /// The lines, each ended by CRLF.
    static func lines(_ lines: [String]) -> [UInt8] { lines.flatMap { Array($0.utf8) + [13, 10] } }
}
