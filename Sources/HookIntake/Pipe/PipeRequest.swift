// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What `mailhookd receive` and the daemon say to each other on the daemon's socket: QMQP
// (https://cr.yp.to/proto/qmqp.html), one message a connection. Unlike SMTP and LMTP it leaves
// every octet of the message as it is, lone CR and LF too, which are nothing unusual in a pipe.

public import HookModel

/// A message with its envelope, as one netstring of netstrings: message, sender, recipients.
public struct PipeRequest: Sendable, Hashable {
    public var message: [UInt8]
    /// `""` for the null reverse-path.
    public var sender: String
    public var recipients: [String]

    public init(message: [UInt8], sender: String, recipients: [String]) {
        self.message = message
        self.sender = sender
        self.recipients = recipients
    }

    public var encoded: [UInt8] {
        var inside = Netstring.encoded(message)
        for text in [sender] + recipients { inside += Netstring.encoded(Array(text.utf8)) }
        return Netstring.encoded(inside)
    }

    /// Reads what stands inside of the outer netstring; nil where it is not as it should be.
    init?(content: ArraySlice<UInt8>) {
        var rest = content
        guard let message = Netstring.take(from: &rest), let sender = Netstring.take(from: &rest) else { return nil }
        var recipients: [String] = []
        while !rest.isEmpty {
            guard let recipient = Netstring.take(from: &rest), recipients.count < 10_000 else { return nil }
            recipients.append(String(decoding: recipient, as: UTF8.self))
        }
        guard !recipients.isEmpty else { return nil }
        self.init(message: Array(message), sender: String(decoding: sender, as: UTF8.self), recipients: recipients)
    }
}

/// The daemon's answer: a letter for who only knows QMQP (K taken, Z later, D refused), then the outcome's name and
/// what else there is to say.
public struct PipeAnswer: Sendable, Hashable {
    public var outcome: Outcome
    /// For example the message's id; may be empty.
    public var detail: String

    public init(outcome: Outcome, detail: String = "") {
        self.outcome = outcome
        self.detail = detail
    }

    public var encoded: [UInt8] {
        let letter = outcome.isPositive ? "K" : outcome.smtpReply.isTemporary ? "Z" : "D"
        return Netstring.encoded(Array("\(letter)\(outcome.rawValue) \(detail)".utf8))
    }

    /// Reads a whole answer; nil where it is none. An outcome of another version counts as what its letter says.
    public init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        guard let content = Netstring.take(from: &rest), let letter = content.first else { return nil }
        let words = String(decoding: content.dropFirst(), as: UTF8.self).split(
            separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let byLetter: Outcome? =
            switch letter {
            case UInt8(ascii: "K"): .accepted
            case UInt8(ascii: "Z"): .storeFailed
            case UInt8(ascii: "D"): .limitExceeded
            default: nil
            }
        guard let byLetter else { return nil }
        let named = words.first.flatMap { Outcome(rawValue: String($0)) }
        self.init(outcome: named ?? byLetter, detail: words.count == 2 ? String(words[1]) : "")
    }
}

/// https://cr.yp.to/proto/netstrings.txt: the length in decimal digits, a colon, the octets, a comma.
enum Netstring {
    enum Length: Equatable {
        /// The octets begin behind `start`.
        case known(Int, start: Int)
        case needsMore
        case malformed
    }

    /// Nine digits are close to a gigabyte; no limit of ours is above.
    static func length(_ bytes: some Collection<UInt8>) -> Length {
        var value = 0
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: ":") { return index == 0 ? .malformed : .known(value, start: index + 1) }
            guard index < 9, (48...57).contains(byte), index == 0 || value > 0 else { return .malformed }
            value = value * 10 + Int(byte - 48)
        }
        return .needsMore
    }

    static func encoded(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(bytes.count):".utf8) + bytes + [UInt8(ascii: ",")]
    }

    /// Takes one netstring off the front; nil where there is no whole one.
    static func take(from rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard case .known(let count, let start) = length(rest), rest.count > start + count else { return nil }
        let first = rest.startIndex + start
        guard rest[first + count] == UInt8(ascii: ",") else { return nil }
        defer { rest = rest[(first + count + 1)...] }
        return rest[first..<(first + count)]
    }
}
