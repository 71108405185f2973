// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What signals mean: SIGHUP reload; SIGTERM and SIGINT stop, and stop at once the second time.

import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Holds SIGHUP back from its creation on, when it would end a process that is about to read its configuration. What comes
/// meanwhile is answered by a reload once the daemon runs.
public struct ReloadSignals: Sendable {
    private static let cameEarly = Atomic(false)

    fileprivate let signals: UnixSignalsSequence

    public init() async { signals = await UnixSignalsSequence(trapping: .sighup) }

    /// Keeps SIGHUP from ending the process until one of these is there: the first thing that a daemon's process does, which
    /// has to start threads before it can wait for anything. It is not blocked instead, because a main thread that runs
    /// tasks waits with no signal blocked.
    public static func expect() {
        // Made here, and not by the handler (signal-safety(7)).
        cameEarly.store(false, ordering: .relaxed)
        signal(SIGHUP) { _ in ReloadSignals.cameEarly.store(true, ordering: .relaxed) }
    }

    /// Whether one came before `signals` took over; true once.
    fileprivate static func takeEarly() -> Bool { cameEarly.exchange(false, ordering: .relaxed) }
}

/// The last service to end, so that it hears a second signal while the others stop.
final class SignalService: Service {
    private let reloads: ReloadSignals
    private let stops: UnixSignalsSequence
    private let logger: Logger
    private let reload: @Sendable () -> Void
    /// Not as the mutex's own value: each access would wrap it anew.
    private struct Stop: Sendable {
        let call: @Sendable () async -> Void
    }

    private let stop = Mutex<Stop?>(nil)

    /// - Parameters:
    ///   - stops: SIGTERM and SIGINT.
    ///   - reload: asks for a reload and does not wait for it.
    init(reloads: ReloadSignals, stops: UnixSignalsSequence, logger: Logger, reload: @escaping @Sendable () -> Void) {
        self.reloads = reloads
        self.stops = stops
        self.logger = logger
        self.reload = reload
    }

    /// What is to be done at the first SIGTERM or SIGINT.
    func onStop(_ stop: @escaping @Sendable () async -> Void) { self.stop.withLock { $0 = Stop(call: stop) } }

    func run() async {
        await cancelWhenGracefulShutdown { [self] in
            await withDiscardingTaskGroup { group in
                if ReloadSignals.takeEarly() { reload() }
                group.addTask { [self] in for await _ in reloads.signals { reload() } }
                var isStopping = false
                for await signal in stops {
                    if isStopping { end(signal) }
                    isStopping = true
                    await stop.withLock { $0 }?.call()
                }
            }
        }
    }

    /// As the signal would have done without us. What was acknowledged is on disk.
    private func end(_ signal: UnixSignal) {
        logger.warning("told to stop a second time; ending at once")
        let number = signal == .sigint ? SIGINT : SIGTERM
        Glibc.signal(number, SIG_DFL)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(number)
        // Only where somebody keeps the signal from us.
        _exit(128 + number)
    }
}

/// Services that stand beside each other: they begin together, and when the time has come they stop together, so that
/// nothing new is begun anywhere while one of them still finishes what it has. One that fails ends the others.
struct ServicesTogether: Service {
    let services: [any Service]
    /// Done when all of them have ended, however that came.
    let afterwards: @Sendable () -> Void

    func run() async throws {
        defer { afterwards() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in services { group.addTask { try await service.run() } }
            // Not `waitForAll`, which would wait for the others before it throws.
            while try await group.next() != nil {}
        }
    }
}

/// Does one thing when the daemon stops.
struct AtStop: Service {
    let action: @Sendable () -> Void

    func run() async {
        try? await gracefulShutdown()
        action()
    }
}
