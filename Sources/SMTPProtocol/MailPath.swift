// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reverse-paths and forward-paths (RFC 5321 section 4.1.2), one function a rule. UTF-8 is taken
// wherever RFC 6531 section 3.3 has it; whether the sender may use it is the session's question.

enum MailPath {
    enum Direction: Sendable, Hashable {
        /// Of the sender: may be empty.
        case reverse
        /// To a recipient: may be the bare word `postmaster`.
        case forward
    }

    /// Octets of a path, brackets included (section 4.5.3.1.3).
    private static let limit = 256
    /// Octets of a local part and of a domain (sections 4.5.3.1.1 and 4.5.3.1.2).
    private static let localPartLimit = 64
    private static let domainLimit = 255

    // Path = "<" [ A-d-l ":" ] Mailbox ">"; Reverse-path = Path / "<>"
    /// Passes a path and gives its mailbox without brackets and source route; nil where there is none.
    static func parse(_ scanner: inout LineScanner, _ direction: Direction) -> String? {
        let start = scanner.position
        guard scanner.take(UInt8(ascii: "<")) else { return nil }
        if scanner.take(UInt8(ascii: ">")) { return direction == .reverse ? "" : nil }
        if scanner.next == UInt8(ascii: "@"), !takeRoute(&scanner) { return nil }
        let mailboxStart = scanner.position
        guard takeMailbox(&scanner, direction) else { return nil }
        let mailbox = mailboxStart..<scanner.position
        guard scanner.take(UInt8(ascii: ">")), scanner.position - start <= limit else { return nil }
        return scanner.text(mailbox)
    }

    // A-d-l = At-domain *( "," At-domain ), and the colon behind it
    /// Appendix C: a source route must be accepted and should be ignored.
    private static func takeRoute(_ scanner: inout LineScanner) -> Bool {
        repeat {
            guard scanner.take(UInt8(ascii: "@")), takeDomain(&scanner) else { return false }
        } while scanner.take(UInt8(ascii: ","))
        return scanner.take(UInt8(ascii: ":"))
    }

    // Mailbox = Local-part "@" ( Domain / address-literal ); section 4.1.1.3: a bare "postmaster" as well
    private static func takeMailbox(_ scanner: inout LineScanner, _ direction: Direction) -> Bool {
        let start = scanner.position
        guard takeLocalPart(&scanner) else { return false }
        let localPart = start..<scanner.position
        if scanner.take(UInt8(ascii: "@")) { return takeDomain(&scanner) }
        return direction == .forward && scanner.matches("POSTMASTER", localPart)
    }

    // Local-part = Dot-string / Quoted-string
    private static func takeLocalPart(_ scanner: inout LineScanner) -> Bool {
        let start = scanner.position
        let isTaken = scanner.next == UInt8(ascii: "\"") ? takeQuotedString(&scanner) : takeDotString(&scanner)
        return isTaken && scanner.position - start <= localPartLimit
    }

    // Dot-string = Atom *("." Atom)
    // QUIRK: dots at the ends and side by side occur in real addresses and are let through (section 4.1.2).
    private static func takeDotString(_ scanner: inout LineScanner) -> Bool {
        !scanner.take { ASCII.isAtomText($0) || $0 == ASCII.dot || $0 >= 0x80 }.isEmpty
    }

    // Quoted-string = DQUOTE *QcontentSMTP DQUOTE; QcontentSMTP = qtextSMTP / quoted-pairSMTP
    private static func takeQuotedString(_ scanner: inout LineScanner) -> Bool {
        guard scanner.take(UInt8(ascii: "\"")) else { return false }
        while let octet = scanner.next {
            scanner.advance()
            if octet == UInt8(ascii: "\"") { return true }
            if octet == UInt8(ascii: "\\") {
                guard scanner.next != nil else { return false }
                scanner.advance()
            }
        }
        return false
    }

    // Domain = sub-domain *("." sub-domain)
    // QUIRK: underscores, and hyphens at the ends, occur in host names of local networks (section 4.1.2).
    private static func takeDomain(_ scanner: inout LineScanner) -> Bool {
        if scanner.next == UInt8(ascii: "[") { return takeAddressLiteral(&scanner) }
        let start = scanner.position
        repeat {
            let label = scanner.take {
                ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 >= 0x80
            }
            if label.isEmpty { return false }
        } while scanner.take(ASCII.dot)
        return scanner.position - start <= domainLimit
    }

    // address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
    private static func takeAddressLiteral(_ scanner: inout LineScanner) -> Bool {
        guard scanner.take(UInt8(ascii: "[")) else { return false }
        let literal = scanner.take {
            ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: ":") || $0 == ASCII.dot || $0 == UInt8(ascii: "-")
        }
        return !literal.isEmpty && literal.count + 2 <= domainLimit && scanner.take(UInt8(ascii: "]"))
    }
}
