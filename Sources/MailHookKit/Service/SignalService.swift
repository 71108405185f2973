// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What signals mean: SIGHUP reload; SIGTERM and SIGINT stop, and stop at once the second time.

import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The last service to end, so that it hears a second signal while the others stop.
final class SignalService: Service {
    private let signals: UnixSignalsSequence
    private let logger: Logger
    private let reload: @Sendable () async -> Void
    private let stop = Mutex<(@Sendable () async -> Void)?>(nil)

    init(signals: UnixSignalsSequence, logger: Logger, reload: @escaping @Sendable () async -> Void) {
        self.signals = signals
        self.logger = logger
        self.reload = reload
    }

    /// What is to be done at the first SIGTERM or SIGINT.
    func onStop(_ stop: @escaping @Sendable () async -> Void) { self.stop.withLock { $0 = stop } }

    func run() async {
        await cancelWhenGracefulShutdown { [self] in
            await withDiscardingTaskGroup { group in
                var isStopping = false
                for await signal in signals {
                    switch signal {
                    // A reload takes its time, and other signals do not wait for it.
                    case .sighup: group.addTask { await self.reload() }
                    default:
                        if isStopping { end(signal) }
                        isStopping = true
                        await stop.withLock { $0 }?()
                    }
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

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in services { group.addTask { try await service.run() } }
            // Not `waitForAll`, which would wait for the others before it throws.
            while try await group.next() != nil {}
        }
    }
}
