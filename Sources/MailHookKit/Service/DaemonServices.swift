// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Everything that runs, made from a setup and wired together, and how another setup takes its
// place. The change is prepared first: whatever can fail (files, sockets, descriptors) happens
// there, and what was prepared is thrown away if any of it does. Then it is applied, which cannot
// fail any more.

import HookDelivery
import HookIntake
import HookModel
import HookStore
import HookTLS
import HookWeb
import Logging
import ServiceLifecycle
import Synchronization

final class DaemonServices: Sendable {
    let current: CurrentSnapshot
    let notifier: SystemdNotifier
    let logger: Logger
    let tally = Tally()
    /// For changes that come over the management interface.
    let reload = ReloadLink()
    /// Ends when everything is served for the first time.
    let beginning: (stream: AsyncStream<Never>, continuation: AsyncStream<Never>.Continuation)
    private let logLevel: DaemonLog.Level
    private let store: SQLiteStore
    private let posts: PostIntake
    private let listeners: Mutex<ListenerTable>
    private let intake: MailIntake
    private let maildirs: MaildirIntake
    private let pipe: PipeIntake
    private let web: WebService
    private let dispatcher: Dispatcher
    private let control: ControlIntake
    private let silence: SilenceWatch

    /// Binds what the configuration names.
    ///
    /// - Parameter passed: sockets from the service manager.
    /// - Throws: ListenError, FileError, MaildirIntakeError, TLSFilesError.
    init(
        _ setup: Setup, passed: [Listener], store: SQLiteStore, logLevel: DaemonLog.Level, logger: Logger
    ) throws {
        let configuration = setup.configuration
        let tls = try MailWiring.tls(configuration, logger)
        let table = try ListenerTable(passed: passed).change(to: configuration.listen).table
        if let reason = table.missingCertificate(configuration) {
            throw DaemonError(description: reason, exitStatus: SysExit.configuration)
        }
        let snapshot = try DaemonSnapshot(setup, http: table.http)
        let current = CurrentSnapshot(snapshot)
        let notifier = SystemdNotifier.fromEnvironment()
        let room = StoreRoom(
            dataFolder: configuration.data, least: { current.value.configuration.limits.freeSpace }, logger: logger,
            makeRoom: { [weak store] in store?.makeRoom() })
        // Says at once if there is too little.
        _ = room.refusal
        try StoreKeeping.set(configuration.retentionPolicy, of: store, logger)
        let reporter: @Sendable () -> FailureReporter = { current.value.reporter }
        let rejections = RejectionReporter(reporter, store: store, logger: logger)
        let receiver = MailReceiver(
            current: current, store: store, room: room, tally: tally, logger: logger, rejections: rejections,
            now: Timestamp.now)
        posts = PostIntake(
            current: current, store: store, room: room, verifier: SiteVerifier(), rejections: rejections, tally: tally,
            logger: logger)
        maildirs = try MaildirIntake(
            configuration: configuration.maildirIntake,
            guide: MaildirRoute(directory: { current.value.directory }, now: Timestamp.now), receiver: receiver,
            logger: logger, now: Timestamp.now)
        let beginning = AsyncStream<Never>.makeStream()
        let readiness = Readiness(services: 4) {
            Self.sayReady(table.lines(configuration), configuration.data, notifier, logger)
            beginning.continuation.finish()
        }
        pipe = PipeIntake(
            path: PipeSocket.path(configuration.data), receiver: receiver,
            messageSize: { current.value.configuration.limits.messageSize }, drainTimeout: configuration.stopTimeout,
            logger: logger, now: Timestamp.now, onReady: { readiness.report() })
        intake = MailIntake(
            configuration: MailWiring.configuration(configuration, tls),
            listeners: table.listeners.compactMap(\.mail), receiver: receiver,
            logger: logger, now: Timestamp.now, onReady: { readiness.report() })
        let (hooks, admin) = snapshot.web(current, store: store, receiver: posts, reload: reload)
        web = WebService(
            hooks: hooks, admin: admin, listeners: table.listeners.compactMap(\.web), tls: tls,
            drainTime: configuration.stopTimeout, logger: logger, now: Timestamp.now, onReady: { readiness.report() })
        dispatcher = Self.dispatcher(store, snapshot, stopTimeout: configuration.stopTimeout, reporter, logger)
        control = ControlWiring.service(
            dataFolder: configuration.data, store: store, dispatcher: dispatcher, reload: reload, logger: logger,
            onReady: { readiness.report() })
        silence = SilenceWatch(
            expected: { current.value.expected }, store: store, reporter: reporter, logger: logger, clock: SystemDeliveryClock())
        listeners = Mutex(table)
        self.beginning = beginning
        self.current = current
        self.notifier = notifier
        self.logger = logger
        self.logLevel = logLevel
        self.store = store
        setup.rememberApps(logger)
    }

    private static func dispatcher(
        _ store: SQLiteStore, _ snapshot: DaemonSnapshot, stopTimeout: Duration,
        _ reporter: @escaping @Sendable () -> FailureReporter, _ logger: Logger
    ) -> Dispatcher {
        var limits = DeliveryLimits()
        limits.shutdownGrace = stopTimeout
        return Dispatcher(
            store: store, subscriptions: snapshot.subscribers, userAgent: "mailhookd/\(Version.text)",
            limits: limits, reporter: reporter, logger: logger)
    }

    private static func sayReady(_ lines: [String], _ dataFolder: String, _ notifier: SystemdNotifier, _ logger: Logger) {
        RunningDaemon.note(lines, dataFolder: dataFolder, logger)
        if !lines.isEmpty { Terminal.print(lines.joined(separator: "\n")) }
        notifier.ready(status: "Accepting mail")
        logger.info("ready", metadata: ["listeners": "\(lines.joined(separator: ", "))"])
    }

    /// What uses the store. Deliveries stop together with the intake: what comes in while it drains is due, and goes
    /// out after the next start.
    var frontEnds: any Service {
        let dataFolder = current.value.configuration.data
        return ServicesTogether(services: [dispatcher, silence, control, pipe, maildirs, intake, web]) {
            // While the store is locked the note is ours: another daemon has not written its own yet.
            RunningDaemon.forget(dataFolder: dataFolder)
        }
    }

    /// Stops before the front ends: the names of sockets go while somebody listens on them still.
    var socketFiles: any Service {
        AtStop { self.listeners.withLock { $0.listeners.forEach { $0.removeFile() } } }
    }

    var watchdog: Watchdog {
        Watchdog(
            period: Watchdog.periodFromEnvironment(), notifier: notifier, store: store, dispatcher: dispatcher,
            tally: tally, logger: logger)
    }

    /// As `serve` prints them.
    var lines: [String] { listeners.withLock { $0 }.lines(current.value.configuration) }

    // MARK: - Another setup

    /// Another setup, with everything it needs.
    struct Change {
        fileprivate var snapshot: DaemonSnapshot
        fileprivate var listeners: ListenerTable.Change
        fileprivate var tls: ServerTLS?
        fileprivate var maildirs: MaildirIntake.Change?
    }

    /// What reads files or needs descriptors: secrets, contexts, sockets, inotify, certificates of TLS.
    ///
    /// - Throws: everything that stands in the way, as findings about the file that asked for it.
    func prepare(_ setup: Setup) throws(SetupFailure) -> Change {
        let configuration = setup.configuration
        let file = configuration.file ?? "configuration"
        func failure(_ place: String, _ reason: String) -> SetupFailure {
            SetupFailure(diagnostics: setup.located([Diagnostic(.error, file: file, place: place, reason: reason)]))
        }
        let table = listeners.withLock { $0 }
        let change: ListenerTable.Change
        if let reason = table.missingCertificate(configuration) { throw failure("tls", reason) }
        do throws(ListenError) {
            change = try table.change(to: configuration.listen)
        } catch {
            throw failure("listen", error.description)
        }
        do {
            return Change(
                snapshot: try DaemonSnapshot(setup, http: change.table.http), listeners: change,
                tls: try MailWiring.tls(configuration, logger),
                maildirs: try maildirs.prepare(configuration.maildirIntake))
        } catch let error as TLSFilesError {
            change.discard()
            throw failure("tls", "\(error)")
        } catch let error as MaildirIntakeError {
            change.discard()
            throw failure("maildirs", error.description)
        } catch {
            change.discard()
            throw failure("data", "\(error)")
        }
    }

    /// Rules first, so that a new listener never works by the old ones; old listeners go last.
    func apply(_ change: Change) async {
        let configuration = change.snapshot.configuration
        current.replace(change.snapshot)
        change.snapshot.setup.rememberApps(logger)
        logLevel.change(configuration.logLevel)
        intake.change(MailWiring.configuration(configuration, change.tls))
        let (hooks, admin) = change.snapshot.web(current, store: store, receiver: posts, reload: reload)
        web.change(hooks: hooks, admin: admin, tls: change.tls)
        dispatcher.change(change.snapshot.subscribers)
        do throws(DaemonError) {
            try StoreKeeping.set(configuration.retentionPolicy, of: store, logger)
        } catch {
            // The thread that cleans up runs since the start; there is none to begin.
            logger.error("\(error)")
        }
        if let change = change.maildirs { maildirs.apply(change) }
        for listener in change.listeners.added { await begin(listener) }
        listeners.withLock { $0 = change.listeners.table }
        for listener in change.listeners.removed {
            listener.removeFile()
            if let mail = listener.mail { await intake.retire(mail) }
            if let site = listener.web { web.retire(site) }
        }
        RunningDaemon.note(change.listeners.table.lines(configuration), dataFolder: configuration.data, logger)
    }

    private func begin(_ listener: Listener) async {
        do {
            if let mail = listener.mail { try await intake.serve(mail) }
            if let site = listener.web { web.serve(site) }
            Terminal.print(listener.line)
        } catch {
            logger.error("cannot serve a new listener", metadata: ["listener": "\(listener.line)", "error": "\(error)"])
        }
    }
}

extension ListenerTable {
    /// The configuration's own listeners were looked at when it was read; it does not know of passed ones.
    func missingCertificate(_ configuration: Configuration) -> String? {
        guard configuration.tls == nil, let listener = listeners.first(where: { $0.isPassed && $0.kind.isSecured }) else {
            return nil
        }
        return "the socket \(listener.address) was passed by the name \(listener.kind.rawValue), which needs a certificate: see 'tls'"
    }

    /// Where form and web hooks can be reached.
    var http: [HookURLs.Listener] {
        // Secured ones first: that is where URLs point to.
        listeners.sorted { $0.kind.isSecured && !$1.kind.isSecured }.compactMap { listener in
            guard case .http = listener.kind.plain else { return nil }
            return HookURLs.Listener(isSecured: listener.kind.isSecured, address: listener.address)
        }
    }

    /// What `serve` prints: a line for each way in.
    func lines(_ configuration: Configuration) -> [String] {
        ListenerKind.allCases.flatMap { kind in listeners.filter { $0.kind == kind }.map(\.line) }
            + configuration.maildirs.map { "maildir \($0.path)" }
    }
}

extension Configuration {
    var maildirIntake: MaildirIntakeConfiguration {
        MaildirIntakeConfiguration(maildirs: maildirs, messageSize: limits.messageSize, drainTimeout: stopTimeout)
    }
}
