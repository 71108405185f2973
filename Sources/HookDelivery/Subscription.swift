// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A subscription as a value: who hears which events, how they get there, and how failures are
// retried. Values are checked when they are made; reading them from files is the work of MailHookKit.

/// One subscriber.
public struct Subscription: Sendable, Hashable {
    /// The name deliveries are stored under. Unique; changing it leaves old deliveries behind.
    public var name: String
    /// An event is delivered when any of these matches its type.
    public var events: [EventPattern]
    public var sink: SinkConfiguration
    /// What the events carry as their data.
    public var payload = EventPayload.event
    public var schedule: RetrySchedule
    /// How many deliveries are tried at a time; nil takes the sink's default. At least 1.
    public var concurrency: Int?
    /// Conditions on the data of an event; nil takes all.
    public var filter: EventFilter?
    /// Deliveries begun in a time at most; nil for any number.
    public var rate: DeliveryRate?
    /// nil for none.
    public var breaker: BreakerSettings?
    /// Whether events of one type are delivered one after the other, each only when the one before has ended.
    public var isOrdered = false
    /// Whether the subscription is disabled when a delivery has used up its schedule, as outbound webhooks of app
    /// definitions are.
    public var isDisabledWhenExhausted = false

    public init(
        name: String, events: [EventPattern], sink: SinkConfiguration,
        schedule: RetrySchedule = RetrySchedule(), concurrency: Int? = nil
    ) {
        self.name = name
        self.events = events
        self.sink = sink
        self.schedule = schedule
        self.concurrency = concurrency.map { max(1, $0) }
        if case .webhook = sink { breaker = BreakerSettings() }
    }
}

/// How many deliveries may begin in a time.
public struct DeliveryRate: Sendable, Hashable {
    public let count: Int
    public let time: Duration

    /// nil unless both are above zero.
    public init?(count: Int, per time: Duration) {
        guard count > 0, time > .zero else { return nil }
        self.count = count
        self.time = time
    }

    /// Time from one delivery to the next at this rate.
    var interval: Duration { time / count }
}

/// When an endpoint that fails is left alone, and for how long.
public struct BreakerSettings: Sendable, Hashable {
    /// Attempts that fail one after the other before the breaker opens. At least 1.
    public var failures = 10
    /// The first time of rest; it doubles with each probe that fails, up to `longestPause`.
    public var pause = Duration.seconds(10)
    public var longestPause = Duration.seconds(300)

    public init() {}
}

/// Where a subscription's events go.
public enum SinkConfiguration: Sendable, Hashable {
    case webhook(WebhookConfiguration)
    case exec(ExecConfiguration)
    case file(FileConfiguration)
    /// Standard output of the daemon, a line each.
    case standardOutput

    /// The configuration's word for it.
    public var name: String {
        switch self {
        case .webhook: "webhook"
        case .exec: "exec"
        case .file: "file"
        case .standardOutput: "stdout"
        }
    }
}

/// A program that is started for each event.
public struct ExecConfiguration: Sendable, Hashable {
    /// Program and arguments; no shell reads them. The program is looked up in PATH if its name holds no slash.
    public var arguments: [String]
    /// How long the program may run before its process group is ended.
    public var timeout: Duration
    /// Set in addition to PATH and the `MAILHOOKD_` variables; nothing else is inherited.
    public var environment: [String: String]
    /// nil keeps the daemon's own.
    public var workingDirectory: String?

    /// nil if `arguments` names no program.
    public init?(
        arguments: [String], timeout: Duration = .seconds(30),
        environment: [String: String] = [:], workingDirectory: String? = nil
    ) {
        guard let program = arguments.first, !program.isEmpty else { return nil }
        self.arguments = arguments
        self.timeout = timeout
        self.environment = environment
        self.workingDirectory = workingDirectory
    }
}

/// A file that events are appended to, a line each.
public struct FileConfiguration: Sendable, Hashable {
    public var path: String
    /// Octets from which on the file is put aside and a new one is begun; nil for no limit.
    public var rotationSize: Int?
    /// The same by age.
    public var rotationAge: Duration?
    /// How many files that were put aside are kept; nil for all.
    public var kept: Int?

    public init(path: String) { self.path = path }
}
