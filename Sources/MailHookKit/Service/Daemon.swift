// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon from outside: runs until it is told to stop, and takes a new configuration while it
// runs. What it is made of stands in DaemonServices.

import Glibc
import HookIntake
import HookModel
import HookStore
import HookTLS
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Why the daemon did not start, or ended on its own.
public struct DaemonError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    public var exitStatus: Int32
}

public final class Daemon: Sendable {
    private let setup: Setup
    private let reloadSignals: ReloadSignals?
    /// While it runs.
    private let reloader = Mutex<Reloader?>(nil)

    /// - Parameter reloadSignals: where SIGHUP was held back before the setup was read; nil: from `run` on.
    public init(setup: Setup, reloadSignals: ReloadSignals? = nil) {
        self.setup = setup
        self.reloadSignals = reloadSignals
    }

    /// Runs until SIGTERM or SIGINT and returns after what was in progress has ended. A second of these signals ends
    /// the process at once. SIGHUP reloads.
    public func run() async throws(DaemonError) {
        let configuration = setup.configuration
        let passed = try PassedSockets.take()
        // Writing to a connection that is gone is an error to handle, not the end of the daemon.
        signal(SIGPIPE, SIG_IGN)
        Allocator.limitMemory()
        let program = ProgramPages()
        DescriptorLimit.raise()
        try DescriptorLimit.check()
        // From here on: a signal that comes during the start is heard when it is over.
        let stops = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let reloads = if let reloadSignals { reloadSignals } else { await ReloadSignals() }
        let logLevel = DaemonLog.Level(configuration.logLevel)
        let logger = DaemonLog.logger(level: logLevel)
        try checkDataFolder(logger)
        let store = try await openStore(configuration.data)
        StoreKeeping.tellFailures(of: store, logger)
        let services: DaemonServices
        do {
            services = try DaemonServices(setup, passed: passed, store: store, logLevel: logLevel, logger: logger)
        } catch {
            await store.close()
            throw Self.failure(error)
        }
        let reloader = Reloader(services)
        self.reloader.withLock { $0 = reloader }
        do {
            let signals = SignalService(reloads: reloads, stops: stops, logger: logger) { reloader.signal() }
            try await serve(services, store, program, reloader, signals)
        } catch {
            await store.close()
            throw Self.failure(error)
        }
        self.reloader.withLock { $0 = nil }
        logger.info("stopped")
    }

    /// Reads configuration and app definitions again and puts them in place wholly, or refuses them and leaves
    /// everything as it is. Calls are answered one after the other.
    ///
    /// - Returns: what changed; the failure holds every finding that stands in the way.
    public func reload() async -> Result<ReloadReport, SetupFailure> {
        guard let reloader = reloader.withLock({ $0 }) else {
            return .failure(SetupFailure(diagnostics: [Diagnostic(.error, file: "daemon", reason: "does not run")]))
        }
        return await reloader.reload()
    }

    private func serve(
        _ services: DaemonServices, _ store: SQLiteStore, _ program: ProgramPages, _ reloader: Reloader,
        _ signalService: SignalService
    ) async throws {
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: signalService), .init(service: StoreService(store: store)),
                .init(service: services.frontEnds), .init(service: services.socketFiles),
                .init(service: services.watchdog), .init(service: reloader),
                .init(service: EventLoopBinding(mode: setup.configuration.processorBinding)),
                .init(service: RestingMemory(store: store, program: program)),
                .init(service: StopNotice(notifier: services.notifier, logger: services.logger)),
            ],
            logger: DaemonLog.quiet)
        // Each part keeps to `stopTimeout` itself; this is for one that does not.
        configuration.maximumGracefulShutdownDuration = setup.configuration.stopTimeout + .seconds(5)
        let group = ServiceGroup(configuration: configuration)
        signalService.onStop { await group.triggerGracefulShutdown() }
        try await group.run()
    }

    private func checkDataFolder(_ logger: Logger) throws(DaemonError) {
        do throws(FileError) {
            for warning in try DataFolder.check(setup.configuration.data) {
                logger.warning("data folder", metadata: ["path": "\(warning.path)", "reason": "\(warning.reason)"])
            }
            // Makes the folder where it is missing.
            _ = try InstanceSecret.load(dataFolder: setup.configuration.data)
        } catch {
            throw DaemonError(description: error.description, exitStatus: error.exitStatus)
        }
    }

    /// `mailhookd receive` may have the store for a moment; only another daemon keeps it.
    private func openStore(_ dataFolder: String) async throws(DaemonError) -> SQLiteStore {
        let end = ContinuousClock.now + .seconds(10)
        while true {
            do throws(StoreError) {
                return try SQLiteStore.open(
                    StorePath.inFolder(dataFolder), as: .owner, answering: { DaemonLog.gather($0) })
            } catch {
                if case .busy = error, ContinuousClock.now < end,
                    !PipeSocket.isServed(dataFolder: dataFolder, within: end - .now)
                {
                    try? await Task.sleep(for: .milliseconds(5))
                    continue
                }
                let failure = SetupError(storeError: error, dataFolder: dataFolder)
                throw DaemonError(description: failure.description, exitStatus: failure.exitStatus)
            }
        }
    }

    private static func failure(_ error: any Error) -> DaemonError {
        switch error {
        case let error as DaemonError: error
        case let error as ListenError:
            DaemonError(
                description: error.description,
                exitStatus: error.isPermission
                    ? SysExit.noPermission : error.isBlocked ? SysExit.cannotCreate : SysExit.temporaryFailure)
        case let error as TLSFilesError:
            DaemonError(description: error.description, exitStatus: SysExit.configuration)
        case let error as MaildirIntakeError:
            DaemonError(description: error.description, exitStatus: SysExit.temporaryFailure)
        case let error as FileError:
            DaemonError(description: error.description, exitStatus: error.exitStatus)
        default: DaemonError(description: "\(error)", exitStatus: SysExit.temporaryFailure)
        }
    }
}

/// Keeps the store open as long as anybody may use it.
private struct StoreService: Service {
    let store: SQLiteStore

    func run() async {
        try? await gracefulShutdown()
        await store.close()
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
