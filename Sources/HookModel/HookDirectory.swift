// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From a recipient address to a hook. Addresses are derived, not stored: whoever holds the
// instance secret builds the same directory. Deriving itself is the work of MailHookKit.

/// A hook with what was derived for it. A class, because it is handed about with each message.
public final class AddressedHook: Sendable, Hashable {
    /// Token and key of one generation.
    public struct Credentials: Sendable, Hashable {
        /// The unguessable part of the address or URL, lower case.
        public var token: String
        /// The secret a document may carry in `data-kustomer-key` or `data-hook-key`.
        public var key: String

        public init(token: String, key: String) {
            self.token = token
            self.key = key
        }
    }

    public let hook: Hook
    public let current: Credentials
    /// The generation before and until when it is still taken.
    public var previous: (credentials: Credentials, until: Timestamp)? {
        previousCredentials.flatMap { credentials in previousUntil.map { (credentials, $0) } }
    }
    private let previousCredentials: Credentials?
    private let previousUntil: Timestamp?

    public init(hook: Hook, current: Credentials, previous: (credentials: Credentials, until: Timestamp)? = nil) {
        self.hook = hook
        self.current = current
        previousCredentials = previous?.credentials
        previousUntil = previous?.until
    }

    public static func == (a: AddressedHook, b: AddressedHook) -> Bool {
        (a.hook, a.current, a.previousCredentials, a.previousUntil)
            == (b.hook, b.current, b.previousCredentials, b.previousUntil)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(hook.eventName)
        hasher.combine(current)
    }

    /// The keys that are right at `now`.
    public func keys(at now: Timestamp) -> [String] {
        guard let previous, now < previous.until else { return [current.key] }
        return [current.key, previous.credentials.key]
    }
}

/// All hooks by address.
public struct HookDirectory: Sendable {
    /// Where an address leads.
    public enum Resolution: Sendable, Hashable {
        /// `tag` is what stood behind the first `+` of the local part, as written.
        case hook(AddressedHook, tag: String?)
        /// One of our domains, but no hook.
        case unknown
        /// Somebody else's domain.
        case foreign
    }

    public let hooks: [AddressedHook]
    /// Lower case, in ASCII.
    public let domains: [String]
    private let aliases: [String: Int]
    private let tokens: [String: (hook: Int, until: Timestamp?)]
    /// Of form and web hooks.
    private let paths: [String: (hook: Int, until: Timestamp?)]
    private let ourDomains: Set<String>

    /// Only email hooks get addresses. Where two hooks claim one alias, the first has it.
    public init(hooks: [AddressedHook], domains: [String]) {
        self.hooks = hooks
        self.domains = domains.map { DomainName.ascii($0) ?? $0.lowercased() }
        var aliases: [String: Int] = [:]
        var tokens: [String: (hook: Int, until: Timestamp?)] = [:]
        var ourDomains = Set(self.domains)
        for (index, addressed) in hooks.enumerated() where addressed.hook.type == .email {
            for alias in addressed.hook.policy.aliases.map(DomainName.lowercased(address:)) where aliases[alias] == nil {
                aliases[alias] = index
                if let domain = Self.split(alias)?.domain { ourDomains.insert(String(domain)) }
            }
            if let previous = addressed.previous { tokens[previous.credentials.token] = (index, previous.until) }
            tokens[addressed.current.token] = (index, nil)
        }
        var paths: [String: (hook: Int, until: Timestamp?)] = [:]
        for (index, addressed) in hooks.enumerated() where addressed.hook.type != .email {
            if let previous = addressed.previous { paths[previous.credentials.token] = (index, previous.until) }
            paths[addressed.current.token] = (index, nil)
        }
        self.aliases = aliases
        self.tokens = tokens
        self.paths = paths
        self.ourDomains = ourDomains
    }

    /// Looks a forward-path up, without regard to case and to the spelling of its domain: an alias, a token, then either of
    /// them before a `+`.
    ///
    /// - Parameters:
    ///   - address: the mailbox without angle brackets; without a domain (`postmaster`, RFC 5321 section 4.1.1.3)
    ///     the first of our domains is meant.
    ///   - now: decides whether a previous generation's token still counts.
    public func resolve(_ address: String, now: Timestamp) -> Resolution {
        let lowered = DomainName.lowercased(address: address)
        // What most mail is sent to. An alias may also lack a domain, which no address does.
        if let index = aliases[lowered], lowered.utf8.contains(UInt8(ascii: "@")) { return .hook(hooks[index], tag: nil) }
        guard let (local, domain) = Self.split(lowered) ?? domains.first.map({ (lowered[...], $0[...]) }) else {
            return .foreign
        }
        guard ourDomains.contains(String(domain)) else { return .foreign }
        if let index = lookUp(local, domain, now) { return .hook(hooks[index], tag: nil) }
        if let plus = local.firstIndex(of: "+"), let index = lookUp(local[..<plus], domain, now) {
            return .hook(hooks[index], tag: Self.tag(of: address))
        }
        return .unknown
    }

    /// The first address of a hook: `TOKEN@domain`; nil for other types of hook.
    public func address(of addressed: AddressedHook) -> String? {
        guard addressed.hook.type == .email, let domain = domains.first else { return nil }
        return "\(addressed.current.token)@\(domain)"
    }

    /// The form or web hook with this token in its URL, without regard to case; nil where there is none, or where the
    /// token is of a previous generation whose time is over at `now`.
    public func hook(type: HookType, token: some StringProtocol, now: Timestamp) -> AddressedHook? {
        guard let entry = paths[token.lowercased()], hooks[entry.hook].hook.type == type else { return nil }
        if let until = entry.until, now >= until { return nil }
        return hooks[entry.hook]
    }

    private func lookUp(_ local: Substring, _ domain: Substring, _ now: Timestamp) -> Int? {
        if let index = aliases["\(local)@\(domain)"] { return index }
        guard domains.contains(String(domain)), let entry = tokens[String(local)] else { return nil }
        if let until = entry.until, now >= until { return nil }
        return entry.hook
    }

    /// Splits at the last `@`: a quoted local part may hold others.
    private static func split(_ address: String) -> (local: Substring, domain: Substring)? {
        guard let at = address.lastIndex(of: "@") else { return nil }
        return (address[..<at], address[address.index(after: at)...])
    }

    /// What stands between the first `+` and the last `@`, in the sender's spelling.
    private static func tag(of address: String) -> String? {
        guard let plus = address.firstIndex(of: "+"), let at = address.lastIndex(of: "@"), plus < at else { return nil }
        return String(address[address.index(after: plus)..<at])
    }
}
