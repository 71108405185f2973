// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Lists of addresses (RFC 5322 section 3.4, with the obsolete forms of section 4.4).

/// A mailbox of From, To and their like.
public struct MailAddress: Sendable, Hashable {
    /// Display name, decoded; where there is none, the comment that older software put the name in.
    public var name: String?
    /// `local@domain`, without comments, blanks and routes; what stands there even where it is no address.
    public var address: String
    /// Display name of the group it is in.
    public var group: String?
}

extension HeaderFields {
    /// The mailboxes of all fields of a name. An empty group has none.
    public func addresses(_ name: String) -> [MailAddress] {
        var list: [MailAddress] = []
        for range in ranges(name) {
            let octets = unfolded(range)
            octets.withUnsafeBufferPointer { bytes in
                var parser = AddressListParser(bytes)
                list += parser.run()
            }
        }
        return list
    }
}

/// One pass over an unfolded value.
struct AddressListParser {
    private let bytes: Bytes
    private var index = 0
    private var list: [MailAddress] = []
    private var group: String?
    /// Words before the place, as they were sent, a space between each two that had blanks between them.
    private var phrase: [UInt8] = []
    private var comment: [UInt8] = []
    /// What stood in angle brackets.
    private var route: [UInt8]?
    private var needsSpace = false

    init(_ bytes: Bytes) { self.bytes = bytes }

    mutating func run() -> [MailAddress] {
        while index < bytes.count, list.count < Self.limit { step() }
        finishMailbox()
        return list
    }

    /// More addresses than any header of 256 KiB that is not made to be slow.
    private static let limit = 50_000

    private mutating func step() {
        let octet = bytes[index]
        switch octet {
        case 0x2C:  // comma
            finishMailbox()
            index += 1
        case .semicolon:
            finishMailbox()
            group = nil
            index += 1
        case .colon where !isInAddress:
            group = text(phrase) ?? ""
            reset()
            index += 1
        case .leftParenthesis: takeComment()
        case .quote: takeQuoted()
        case 0x3C: takeRoute()
        case _ where octet.isBlankOrLineEnd:
            needsSpace = !phrase.isEmpty
            index += 1
        default: takeWord()
        }
    }

    /// Behind `local@`, a colon belongs to what someone took for an address, as `host:port`.
    private var isInAddress: Bool { phrase.last == 0x40 || phrase.contains(0x40) || route != nil }

    private mutating func takeWord() {
        appendSpace()
        while index < bytes.count {
            let octet = bytes[index]
            if octet.isBlankOrLineEnd || octet == 0x2C || octet == .semicolon || octet == .leftParenthesis || octet == .quote
                || octet == 0x3C || (octet == .colon && !isInAddress)
            {
                return
            }
            // A domain literal (RFC 5322 section 3.4.1) may hold colons.
            if octet == 0x5B, phrase.last == 0x40 {
                let close = bytes.firstIndex(of: 0x5D, in: index..<bytes.count)
                phrase += bytes[index..<close]
                index = close
                continue
            }
            phrase.append(octet)
            index += 1
        }
    }

    private mutating func takeQuoted() {
        appendSpace()
        index += 1
        while index < bytes.count, bytes[index] != .quote {
            if bytes[index] == .backslash, index + 1 < bytes.count { index += 1 }
            phrase.append(bytes[index])
            index += 1
        }
        index += 1
    }

    private mutating func takeComment() {
        let end = HeaderText.behindComment(bytes, index, bytes.count)
        let inner = (index + 1)..<max(index + 1, bytes[end - 1] == .rightParenthesis ? end - 1 : end)
        if !comment.isEmpty { comment.append(.space) }
        var place = inner.lowerBound
        while place < inner.upperBound {
            if bytes[place] == .backslash, place + 1 < inner.upperBound { place += 1 }
            comment.append(bytes[place])
            place += 1
        }
        index = end
    }

    // RFC 5322 section 4.4: a route before the address, `@a,@b:local@domain`, is left out.
    private mutating func takeRoute() {
        index += 1
        var octets: [UInt8] = []
        while index < bytes.count, bytes[index] != 0x3E {
            switch bytes[index] {
            case .leftParenthesis:
                takeComment()
                continue
            case .quote:
                takeLocalQuoted(&octets)
                continue
            case .colon where octets.first == 0x40: octets.removeAll()
            case let octet where octet.isBlankOrLineEnd: break
            case let octet: octets.append(octet)
            }
            index += 1
        }
        index += 1
        if route == nil { route = octets }
        needsSpace = !phrase.isEmpty
    }

    /// A quoted local part keeps its quotes (RFC 5322 section 3.4.1).
    private mutating func takeLocalQuoted(_ octets: inout [UInt8]) {
        octets.append(.quote)
        index += 1
        while index < bytes.count, bytes[index] != .quote {
            if bytes[index] == .backslash, index + 1 < bytes.count {
                octets.append(.backslash)
                index += 1
            }
            octets.append(bytes[index])
            index += 1
        }
        octets.append(.quote)
        index += 1
    }

    private mutating func appendSpace() {
        if needsSpace { phrase.append(.space) }
        needsSpace = false
    }

    private mutating func finishMailbox() {
        defer { reset() }
        if let route {
            let name = text(phrase) ?? text(comment)
            list.append(MailAddress(name: name, address: HeaderText.string(route[...]), group: group))
        } else if !phrase.isEmpty {
            list.append(
                MailAddress(name: text(comment), address: HeaderText.string(withoutBlanks(phrase)[...]), group: group))
        }
    }

    /// RFC 5322 section 4.4: blanks around the dots and the `@` of an address are an obsolete form.
    private func withoutBlanks(_ octets: [UInt8]) -> [UInt8] {
        octets.contains(0x40) ? octets.filter { !$0.isBlankOrLineEnd } : octets
    }

    private func text(_ octets: [UInt8]) -> String? {
        let text = EncodedWords.decoded(octets)
        return text.utf8.allSatisfy(\.isBlankOrLineEnd) ? nil : text
    }

    private mutating func reset() {
        phrase.removeAll(keepingCapacity: true)
        comment.removeAll(keepingCapacity: true)
        route = nil
        needsSpace = false
    }
}
