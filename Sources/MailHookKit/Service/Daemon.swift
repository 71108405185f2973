// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon: its services in the order of their dependencies (store, dispatcher, intake, web).
// They are stopped in reverse, so that what was accepted is stored and what is under way ends.

import Glibc
import HookDelivery
import HookExtraction
import HookIntake
import HookModel
import HookStore
import HookWeb
import Logging
import ServiceLifecycle
import UnixSignals

/// Why the daemon did not start, or ended on its own.
public struct DaemonError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    public var exitStatus: Int32
}

public struct Daemon: Sendable {
    private let setup: Setup

    public init(setup: Setup) { self.setup = setup }

    /// Runs until SIGTERM or SIGINT and returns after what was in progress has ended.
    public func run() async throws(DaemonError) {
        let configuration = setup.configuration
        // Writing to a connection that is gone is an error to handle, not the end of the daemon.
        signal(SIGPIPE, SIG_IGN)
        ProcessMemory.bound()
        let logger = DaemonLog.logger(level: configuration.logLevel)
        let directory = try self.directory()
        let store = try await openStore(configuration.data)
        let notifier = SystemdNotifier.fromEnvironment()
        let subscriptions = SubscriptionTable(configuration.subscriptions)
        let receiver = MailReceiver(
            processor: setup.processor(directory), store: store, subscriptions: subscriptions, logger: logger,
            now: Timestamp.now)
        let posts = PostIntake(
            processor: setup.postProcessor(directory), store: store, subscriptions: subscriptions, logger: logger)
        let maildirs = MaildirIntake(
            configuration: MaildirIntakeConfiguration(
                maildirs: configuration.maildirs, messageSize: configuration.limits.messageSize),
            guide: MaildirRoute(directory: directory, now: Timestamp.now), receiver: receiver, logger: logger,
            now: Timestamp.now)
        let pipe = PipeIntake(
            path: PipeSocket.path(configuration.data), receiver: receiver,
            messageSize: configuration.limits.messageSize, logger: logger, now: Timestamp.now)
        let readiness = Readiness(services: 2) { bound in
            let listeners = bound + configuration.maildirs.map { "maildir \($0.path)" }
            try RunningDaemon.note(listeners, dataFolder: configuration.data)
            if !listeners.isEmpty { Terminal.print(listeners.joined(separator: "\n")) }
            notifier.ready(status: "Accepting mail")
            Task {
                // What this start still does, it does in a moment.
                try? await Task.sleep(for: .milliseconds(300))
                ProcessMemory.releaseStartCode()
            }
            logger.info("ready", metadata: ["listeners": "\(listeners.joined(separator: ", "))"])
        }
        let intake = MailIntake(
            configuration: intakeConfiguration, receiver: receiver, logger: logger, now: Timestamp.now,
            onReady: { try readiness.report(0, $0) })
        let web = try webService(directory, store, posts, logger, readiness)
        let dispatcher = Dispatcher(
            store: store, subscriptions: configuration.subscriptions, userAgent: "mailhookd/\(Version.text)",
            logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: StoreService(store: store, logger: logger)), .init(service: dispatcher),
                    .init(service: pipe), .init(service: maildirs), .init(service: intake), .init(service: web),
                    .init(service: StopNotice(notifier: notifier, logger: logger)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: DaemonLog.quiet))
        do {
            try await group.run()
        } catch {
            RunningDaemon.forget(dataFolder: configuration.data)
            await store.close()
            throw Self.failure(error)
        }
        RunningDaemon.forget(dataFolder: configuration.data)
        logger.info("stopped")
    }

    private func directory() throws(DaemonError) -> HookDirectory {
        do throws(FileError) {
            return try setup.directory()
        } catch {
            throw DaemonError(description: error.description, exitStatus: SysExit.noPermission)
        }
    }

    private func webService(
        _ directory: HookDirectory, _ store: SQLiteStore, _ posts: PostIntake, _ logger: Logger, _ readiness: Readiness
    ) throws(DaemonError) -> WebService {
        do throws(FileError) {
            return try setup.webService(
                directory: directory, store: store, receiver: posts, logger: logger,
                onReady: { try readiness.report(1, $0) })
        } catch {
            throw DaemonError(description: error.description, exitStatus: SysExit.noPermission)
        }
    }

    /// `mailhookd receive` may have the store for a moment; only another daemon keeps it.
    private func openStore(_ dataFolder: String) async throws(DaemonError) -> SQLiteStore {
        let end = ContinuousClock.now + .seconds(10)
        while true {
            do throws(StoreError) {
                return try SQLiteStore.open(StorePath.inFolder(dataFolder), as: .owner)
            } catch {
                if case .busy = error, !PipeSocket.isServed(dataFolder: dataFolder), ContinuousClock.now < end {
                    try? await Task.sleep(for: .milliseconds(5))
                    continue
                }
                let failure = SetupError(storeError: error, dataFolder: dataFolder)
                throw DaemonError(description: failure.description, exitStatus: failure.exitStatus)
            }
        }
    }

    private var intakeConfiguration: MailIntakeConfiguration {
        let configuration = setup.configuration
        let limits = configuration.limits
        return MailIntakeConfiguration(
            smtp: configuration.listen.smtp, lmtp: configuration.listen.lmtp, hostname: configuration.hostname,
            connections: limits.connections, connectionsPerPeer: limits.connectionsPerPeer,
            perPeerExempt: limits.perPeerExempt, messageSize: limits.messageSize, recipients: limits.recipients,
            idleTimeout: limits.idleTimeout, dataTimeout: limits.dataTimeout, drainTimeout: .seconds(10))
    }

    private static func failure(_ error: any Error) -> DaemonError {
        switch error {
        case let error as ListenError:
            DaemonError(
                description: error.description,
                exitStatus: error.isPermission ? SysExit.noPermission : SysExit.temporaryFailure)
        case let error as WebListenError:
            DaemonError(
                description: error.description,
                exitStatus: error.isPermission ? SysExit.noPermission : SysExit.temporaryFailure)
        case let error as MaildirIntakeError:
            DaemonError(description: error.description, exitStatus: SysExit.temporaryFailure)
        case let error as FileError:
            DaemonError(description: error.description, exitStatus: SysExit.noPermission)
        case let error as StoreFailure:
            DaemonError(description: error.description, exitStatus: SysExit.temporaryFailure)
        default: DaemonError(description: "\(error)", exitStatus: SysExit.temporaryFailure)
        }
    }
}

/// The first to hear of a shutdown: tells the service manager.
private struct StopNotice: Service {
    let notifier: SystemdNotifier
    let logger: Logger

    func run() async {
        try? await gracefulShutdown()
        logger.info("stopping; what is in progress may end")
        notifier.stopping()
    }
}
