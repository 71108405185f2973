// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a hook says to a mail before anybody looks into it: who sends it, and how large it is.

/// What is known of a mail, perhaps before it comes.
public struct MailOffer: Sendable, Hashable {
    /// The reverse-path without angle brackets, empty for the null reverse-path; nil where the road has none.
    public var sender: String?
    /// Octets; nil where it is not known yet.
    public var size: Int?

    public init(sender: String?, size: Int? = nil) {
        self.sender = sender
        self.size = size
    }
}

/// Whose mail a hook takes, by the reverse-path: an address, a domain, all domains below one, or the null reverse-path.
public struct SenderPattern: Sendable, Hashable, CustomStringConvertible {
    private enum Kind: Sendable, Hashable {
        case null
        case address
        case domain
        case below
    }

    private let kind: Kind
    /// Lower case, the domain in ASCII; of `below` with the dot before it.
    private let text: String

    /// - Parameter text: `orders@shop.example`, `shop.example`, `*.shop.example` or `<>`; nil for anything else.
    public init?(_ text: String) {
        let lowered = text.utf8.contains(UInt8(ascii: "@"))
            ? DomainName.lowercased(address: text) : DomainName.ascii(text) ?? text.lowercased()
        let domain = lowered.lastIndex(of: "@").map { lowered[lowered.index(after: $0)...] }
        if text == "<>" {
            (kind, self.text) = (.null, "")
        } else if let domain {
            guard Self.isDomain(domain), domain.utf8.count + 1 < lowered.utf8.count else { return nil }
            (kind, self.text) = (.address, lowered)
        } else if lowered.hasPrefix("*.") {
            guard Self.isDomain(lowered.dropFirst(2)) else { return nil }
            (kind, self.text) = (.below, String(lowered.dropFirst()))
        } else {
            guard Self.isDomain(lowered[...]) else { return nil }
            (kind, self.text) = (.domain, lowered)
        }
    }

    /// As it is configured.
    public var description: String {
        switch kind {
        case .null: "<>"
        case .address, .domain: text
        case .below: "*\(text)"
        }
    }

    /// A sender whose mail it is.
    public var example: String {
        switch kind {
        case .null: ""
        case .address: text
        case .domain: "send-test@\(text)"
        case .below: "send-test@mail\(text)"
        }
    }

    /// Whether it is this sender's mail, without regard to case and to the spelling of the domain.
    public func matches(_ sender: String) -> Bool {
        let lowered = DomainName.lowercased(address: sender)
        guard kind != .null, let at = lowered.lastIndex(of: "@") else { return kind == .null && sender.isEmpty }
        let domain = lowered[lowered.index(after: at)...]
        return switch kind {
        case .null: false
        case .address: lowered == text
        case .domain: domain == text
        case .below: domain.hasSuffix(text) && domain.utf8.count > text.utf8.count
        }
    }

    private static func isDomain(_ text: Substring) -> Bool {
        !text.isEmpty && !text.hasPrefix(".") && !text.hasSuffix(".")
            && text.allSatisfy { !$0.isWhitespace && !"@<>*,;\"".contains($0) }
    }
}

extension HookPolicy {
    /// Why the hook does not take a mail, whatever is in it; nil where nothing that is known stands in the way.
    public func refusal(of offer: MailOffer) -> Outcome? {
        if let refusal = state.refusal { return refusal }
        // A road that has no sender shows nobody who may.
        if !senders.isEmpty, !senders.contains(where: { offer.sender.map($0.matches) ?? false }) { return .senderNotAccepted }
        return offer.size.flatMap { refusal(ofSize: $0) }
    }

    /// Why the hook does not take so many octets.
    public func refusal(ofSize size: Int) -> Outcome? {
        messageSize.flatMap { size > $0 ? .hookLimitExceeded : nil }
    }
}
