// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The hook: one entry of `hooks[]` of an app definition, together with the policy the
// daemon's configuration sets for it. Values only; loading is the work of MailHookKit.

/// How data reaches a hook.
public enum HookType: String, Sendable, Hashable, CaseIterable {
    /// Mail to the hook's address.
    case email
    /// An open HTTP POST.
    case form
    /// An HTTP POST with an API key.
    case web
}

/// One inbound hook as an app definition declares it.
public struct Hook: Sendable, Hashable {
    /// The name of the app whose definition declares the hook.
    public var app: String
    /// The `type` of every event this hook makes. Unique among all loaded definitions.
    public var eventName: String
    /// What the data is, for people.
    public var displayEventName: String?
    /// Longer: what the data is and what the event means.
    public var description: String?
    public var type: HookType
    /// What the configuration says about this hook.
    public var policy: HookPolicy
    /// What the app's trigger of this event name says; nil where there is none.
    public var trigger: HookTrigger?

    public init(
        app: String, eventName: String, displayEventName: String? = nil, description: String? = nil,
        type: HookType, policy: HookPolicy = HookPolicy(), trigger: HookTrigger? = nil
    ) {
        self.app = app
        self.eventName = eventName
        self.displayEventName = displayEventName
        self.description = description
        self.type = type
        self.policy = policy
        self.trigger = trigger
    }
}

/// What the daemon does with mail for one hook; kept out of app definitions so that those stay compatible.
public struct HookPolicy: Sendable, Hashable {
    /// Whether a document must carry the hook's key. A wrong key is refused in both cases.
    public enum KeyRequirement: String, Sendable, Hashable, CaseIterable {
        case optional
        case required
    }

    /// What happens to mail in which no usable document was found.
    public enum NoData: String, Sendable, Hashable, CaseIterable {
        /// Answer 250 and keep the message with its outcome.
        case accept
        /// Refuse it inside the session, so that the sender hears of it.
        case reject
    }

    /// Further addresses, complete with domain, that lead to the hook.
    public var aliases: [String]
    /// Where documents are taken from.
    public var sources: DocumentSources
    public var key: KeyRequirement
    public var onNoData: NoData
    /// Whose mail is taken, by its reverse-path; empty for everybody's. Anybody can write any: a key is what shows who sends.
    public var senders: [SenderPattern]
    /// Octets of a message or of a post's body; nil for what the server takes.
    public var messageSize: Int?
    /// Whether broken JSON is mended where what was meant is plain; each change is named in the event.
    public var repair: Bool

    /// Types a document must have one of, as IRIs or names of schema.org; empty takes all.
    public var acceptTypes: [String]
    public var form: DocumentForm
    /// A JSON Schema (draft 2020-12 or 7) that a document must satisfy, as JSON text; nil takes all.
    public var schema: [UInt8]?
    /// What becomes of JSON-LD that cannot be processed although `acceptTypes` or `form` asks for it.
    public var onUnprocessable: Unprocessable
    /// Whether the hook takes anything at all.
    public var state: HookState
    /// For form hooks: what a sender has to pass; nil for nothing.
    public var challenge: HookChallenge?

    /// What happens to JSON-LD that cannot be processed.
    public enum Unprocessable: String, Sendable, Hashable, CaseIterable {
        case refuse
        /// It is delivered as it was sent.
        case asSent
    }

    public init(
        aliases: [String] = [], sources: DocumentSources = .all, key: KeyRequirement = .optional,
        onNoData: NoData = .accept, repair: Bool = false, acceptTypes: [String] = [], form: DocumentForm = .asSent,
        schema: [UInt8]? = nil, onUnprocessable: Unprocessable = .refuse, state: HookState = .active,
        challenge: HookChallenge? = nil, senders: [SenderPattern] = [], messageSize: Int? = nil
    ) {
        self.senders = senders
        self.messageSize = messageSize
        self.aliases = aliases
        self.sources = sources
        self.key = key
        self.onNoData = onNoData
        self.repair = repair
        self.acceptTypes = acceptTypes
        self.form = form
        self.schema = schema
        self.onUnprocessable = onUnprocessable
        self.state = state
        self.challenge = challenge
    }
}

/// The places of a message a hook takes documents from.
public struct DocumentSources: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `<script>` elements of HTML parts.
    public static let scripts = DocumentSources(rawValue: 1)
    /// Parts of a JSON media type.
    public static let parts = DocumentSources(rawValue: 2)
    /// Parts of a generic type with a file name ending in `.json` or `.jsonld`.
    public static let files = DocumentSources(rawValue: 4)
    /// The text body, when it is one JSON value.
    public static let body = DocumentSources(rawValue: 8)
    public static let all: DocumentSources = [.scripts, .parts, .files, .body]

    /// The configuration's word for each source.
    public static let names: [(name: String, source: DocumentSources)] = [
        ("scripts", .scripts), ("parts", .parts), ("files", .files), ("body", .body),
    ]
}

/// In which form a JSON-LD document becomes the data of an event (JSON-LD 1.1, section 5).
public enum DocumentForm: Sendable, Hashable {
    case asSent
    case expanded
    /// In the terms of a context: a JSON text, the context or an object with `@context`.
    case compacted(context: [UInt8])
    /// Laid out by a frame: a JSON text.
    case framed(frame: [UInt8])

    /// The configuration's word for it, also the value of the event's attribute `form`.
    public var name: String {
        switch self {
        case .asSent: "asSent"
        case .expanded: "expanded"
        case .compacted: "compacted"
        case .framed: "framed"
        }
    }
}
