// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager that the daemon lives, and only if it does: each sign of life follows
// a round in which every event loop, the store's threads and every subscription's loop answered.
// A thread that hangs therefore gets the daemon restarted, which a timer alone would hide.

import Glibc
import HookDelivery
import HookIntake
import HookModel
import Logging
import ServiceLifecycle
import Synchronization

struct Watchdog: Service {
    /// One round: what was asked and has not answered.
    private final class Round: Sendable {
        private let waiting: Mutex<Set<String>>

        init(_ names: Set<String>) { waiting = Mutex(names) }

        func answered(_ name: String) { waiting.withLock { _ = $0.remove(name) } }

        /// In a stable order.
        var missing: [String] { waiting.withLock { $0.sorted() } }
    }

    /// nil where no watchdog waits; the status line is still told.
    let period: Duration?
    let notifier: SystemdNotifier
    let store: any EventStore
    let dispatcher: Dispatcher
    let tally: Tally
    let logger: Logger

    private static let statusInterval = Duration.seconds(30)

    /// sd_watchdog_enabled(3): WATCHDOG_USEC is for the process that WATCHDOG_PID names, or for any.
    static func periodFromEnvironment() -> Duration? {
        let value = { (name: String) in getenv(name).map { String(cString: $0) } }
        if let process = value("WATCHDOG_PID"), process != "\(getpid())" { return nil }
        guard let microseconds = value("WATCHDOG_USEC").flatMap({ Int64($0) }), microseconds > 0 else { return nil }
        return .microseconds(microseconds)
    }

    func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                // Four looks a period: a sign of life comes at least twice in it.
                let interval = period.map { min($0 / 4, Self.statusInterval) } ?? Self.statusInterval
                var round = begin(&group)
                var isLate = false
                while (try? await Task.sleep(for: interval)) != nil {
                    let missing = round.missing
                    if missing.isEmpty {
                        if period == nil { notifier.status(tally.text) } else { notifier.watchdog(status: tally.text) }
                        isLate = false
                        round = begin(&group)
                    } else if !isLate {
                        isLate = true
                        logger.warning("no answer yet", metadata: ["from": "\(missing.joined(separator: ", "))"])
                    }
                }
            }
        }
    }

    private func begin(_ group: inout DiscardingTaskGroup) -> Round {
        let round = Round(["event loops", "store", "dispatcher"])
        EventLoopProbe.ask { round.answered("event loops") }
        dispatcher.probe { round.answered("dispatcher") }
        group.addTask { [store] in
            // Nothing is written for it: a daemon that has nothing to do lets its disk rest.
            await store.probe()
            round.answered("store")
        }
        return round
    }
}
