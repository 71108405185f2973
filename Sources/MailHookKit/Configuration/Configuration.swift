// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon's configuration as one immutable value. How it is read from YAML stands in
// ConfigurationReader; what each key means, in mailhookd.yaml beside this file.

public import HookDelivery
public import HookIntake
public import HookModel
public import HookStore
public import HookTLS

public struct Configuration: Sendable {
    /// The file it was read from; nil for the built-in defaults.
    public var file: String?
    public var hostname: String
    /// Lower case.
    public var domains: [String]
    /// Absolute path of the data folder.
    public var data: String
    /// Absolute path of the app definitions: a folder or one file.
    public var apps: String
    /// Absolute path of a folder with JSON-LD contexts besides schema.org's; nil for none.
    public var contexts: String?
    public var listen: Listen
    /// `to` of each is an address or an event name.
    public var maildirs: [Maildir]
    /// Policy by event name; `*` holds the default for all.
    public var hooks: [String: HookSettings]
    public var limits: Limits
    public var subscriptions: [Subscription]
    /// Of these, and of those that are left out because their secrets cannot be read.
    public var subscriptionNames: Set<String> = []
    /// A level of swift-log.
    public var logLevel: String
    public var http = HTTPSettings()
    /// How long what is in progress may take once the daemon is told to stop.
    public var stopTimeout = Duration.zero
    /// Whether each event loop keeps to one processor.
    public var processorBinding = EventLoopBinding.Mode.auto
    /// Of the mail listeners; nil for none.
    public var tls: TLSSettings?
    public var smtp = SMTPSettings()
    /// Without what single hooks say; `retentionPolicy` has both.
    public var retention = RetentionPolicy(
        ages: .init(messages: nil, events: nil), delivered: nil, dead: nil, duplicates: nil, size: nil)

    public struct Listen: Sendable, Hashable {
        public var smtp: [ListenAddress]
        public var lmtp: [ListenAddress]
        /// Form and web hooks.
        public var http: [ListenAddress] = []
        /// The same behind TLS.
        public var https: [ListenAddress] = []
        /// The management interface: an address of this machine, or a Unix socket.
        public var admin: [ListenAddress] = []
        /// SMTP whose connections begin with TLS.
        public var smtps: [ListenAddress] = []
    }

    public struct TLSSettings: Sendable, Hashable {
        public var files: TLSFiles
        /// Nothing is taken before STARTTLS.
        public var requiresSTARTTLS: Bool
    }

    /// How SMTP is spoken. Its defaults stand in mailhookd.yaml.
    public struct SMTPSettings: Sendable, Hashable {
        /// Before the greeting.
        public var greetDelay = Duration.zero
        /// Lone CRs and LFs become line ends instead of a reason to refuse the message.
        public var normalizesBareNewlines = false
        /// Recipients of another hook are put off to a transaction of their own.
        public var oneHookPerTransaction = false
    }

    /// What the configuration says about a hook: its policy and the generation of its address.
    public struct HookSettings: Sendable, Hashable {
        public var policy = HookPolicy()
        /// From 1; a new one means a new address and key.
        public var generation = 1
        /// Until when the generation before is still taken; nil for not at all.
        public var previousUntil: Timestamp?
        /// Within which time an event is expected; nil for no expectation.
        public var expectEvery: Duration?
        public var retention = HookRetention()
    }

    /// How long raw messages and events of a hook are kept. Outer nil: as `retention` says; inner nil: without end.
    public struct HookRetention: Sendable, Hashable {
        public var messages: Duration??
        public var events: Duration??
    }

    /// The public HTTP side. Its defaults stand in mailhookd.yaml.
    public struct HTTPSettings: Sendable, Hashable {
        /// What URLs of hooks begin with, without a slash at the end; nil: the first listener.
        public var publicURL: String?
        /// The segment before the token in the longer form of form hooks' URLs; nil: derived from the instance secret.
        public var organization: String?
        public var connections = 0
        public var connectionsPerPeer = 0
        /// Whose X-Forwarded-For is believed.
        public var trustedProxies: [NetworkRange] = []
        /// Octets.
        public var bodySize = 0
        public var idleTimeout = Duration.zero
        public var requestTimeout = Duration.zero
        /// Posts a minute; nil for any number.
        public var perHook: Int?
        public var perPeer: Int?
    }

    /// Limits of the intake. Each has its outcome in `Outcome`.
    public struct Limits: Sendable, Hashable {
        public var connections: Int
        public var connectionsPerPeer: Int
        public var perPeerExempt: [NetworkRange]
        /// Octets.
        public var messageSize: Int
        public var recipients: Int
        public var idleTimeout: Duration
        public var dataTimeout: Duration
        /// Received fields of a message.
        public var receivedFields = 0
        /// Who may connect for SMTP and LMTP over TCP; empty: everybody.
        public var allowClients: [NetworkRange] = []
        /// Load balancers that begin connections with a PROXY header.
        public var proxyPeers: [NetworkRange] = []
        /// Mail servers that may use XCLIENT.
        public var xclientPeers: [NetworkRange] = []
        /// Octets of the data folder's file system that stay free; with fewer, messages are refused.
        public var freeSpace = 0
    }
}
