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
    public var schedule: RetrySchedule
    /// How many deliveries are tried at a time; nil takes the sink's default. At least 1.
    public var concurrency: Int?

    public init(
        name: String, events: [EventPattern], sink: SinkConfiguration,
        schedule: RetrySchedule = RetrySchedule(), concurrency: Int? = nil
    ) {
        self.name = name
        self.events = events
        self.sink = sink
        self.schedule = schedule
        self.concurrency = concurrency.map { max(1, $0) }
    }
}

/// Where a subscription's events go.
public enum SinkConfiguration: Sendable, Hashable {
    case webhook(WebhookConfiguration)
    case exec(ExecConfiguration)
    case file(FileConfiguration)
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

    public init(path: String) { self.path = path }
}
