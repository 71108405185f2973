// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Notices hooks that hear nothing for the time within which something was expected (`expectEvery`), and tells whoever
// subscribes to it, once a silence.

import HookDelivery
import HookModel
import HookStore
import JSONLD
import Logging
import ServiceLifecycle

struct SilenceWatch: Service {
    /// When a hook was last heard, and whether its silence was told. No I/O.
    struct Ledger {
        private struct Entry {
            var every: Duration
            var heard: Timestamp
            /// By how much the clock was set since.
            var moved = Duration.zero
            var isTold = false
        }

        private var entries: [String: Entry] = [:]

        /// Other hooks, or other times, count from now on.
        ///
        /// - Parameter start: what counts as the last sign of life of hooks nothing is known of.
        mutating func expect(_ expected: [String: Duration], start: Timestamp) {
            for (name, every) in expected where entries[name]?.every != every {
                entries[name] = Entry(every: every, heard: entries[name]?.heard ?? start)
            }
            for name in entries.keys where expected[name] == nil { entries[name] = nil }
        }

        mutating func heard(_ name: String, at time: Timestamp) {
            guard let entry = entries[name] else { return }
            entries[name]?.heard = entry.moved == .zero ? max(entry.heard, time) : time
            entries[name]?.moved = .zero
            entries[name]?.isTold = false
        }

        /// What is known from before the start: it may be older than the start.
        mutating func recall(_ name: String, at time: Timestamp) { entries[name]?.heard = time }

        /// The clock was set; what was heard before is no longer ago than it was. When that was stays: a silence that is
        /// told again, after a restart, is the same one.
        mutating func clockWasSet(by step: Duration) {
            for name in entries.keys { entries[name]?.moved += step }
        }

        /// Hooks that have been silent for too long and were not told of yet, by name.
        mutating func silent(at now: Timestamp) -> [(name: String, heard: Timestamp, every: Duration)] {
            let silent = entries.filter { !$0.value.isTold && now.duration(since: $0.value.heard) - $0.value.moved >= $0.value.every }
            for name in silent.keys { entries[name]?.isTold = true }
            return silent.map { ($0.key, $0.value.heard, $0.value.every) }.sorted { $0.name < $1.name }
        }
    }

    /// Newest events that are looked at when the daemon starts. A hook that is not among them counts from the start.
    private static let remembered: Int64 = 10_000
    private static let pageSize = 500
    private static let longestInterval = Duration.seconds(30)

    /// By the configuration that holds now.
    let expected: @Sendable () -> [String: Duration]
    let store: any HistoryStore
    let reporter: @Sendable () -> FailureReporter
    let logger: Logger
    let clock: any DeliveryClock

    func run() async {
        await cancelWhenGracefulShutdown {
            var ledger = Ledger()
            ledger.expect(expected(), start: clock.now())
            var last: Int64?
            var steps = ClockSteps(clock)
            while !Task.isCancelled {
                let shortest = expected().values.min()
                let interval = shortest.map { min(max($0 / 10, .milliseconds(200)), Self.longestInterval) } ?? Self.longestInterval
                // Nothing is read while nothing is expected.
                if shortest != nil, last == nil { last = await recall(&ledger) }
                do { try await clock.sleep(until: clock.now().advanced(by: interval), offset: steps.offset) } catch { return }
                if let step = steps.next(clock) { ledger.clockWasSet(by: step) }
                ledger.expect(expected(), start: clock.now())
                guard var reached = last else { continue }
                await follow(&ledger, &reached)
                last = reached
            }
        }
    }

    private func recall(_ ledger: inout Ledger) async -> Int64 {
        let expected = expected()
        do throws(StoreError) {
            let end = try await store.lastSequence()
            var last = max(0, end - Self.remembered)
            while true {
                let page = try await store.events(after: last, limit: Self.pageSize)
                for stored in page where expected[stored.event.type] != nil {
                    let time = (try? JSONDocument(stored.event.json))?.root["time"]?.string
                    if let time = time.flatMap(Timestamp.init(rfc3339:)) { ledger.recall(stored.event.type, at: time) }
                }
                guard let reached = page.last?.sequence else { return max(last, end) }
                last = reached
            }
        } catch {
            logger.error("looking for what hooks heard failed", metadata: ["error": "\(error)"])
            return 0
        }
    }

    private func follow(_ ledger: inout Ledger, _ last: inout Int64) async {
        do throws(StoreError) {
            while true {
                let page = try await store.events(after: last, limit: Self.pageSize)
                for stored in page { ledger.heard(stored.event.type, at: clock.now()) }
                guard let reached = page.last?.sequence else { break }
                last = reached
            }
            let now = clock.now()
            for hook in ledger.silent(at: now) {
                logger.warning(
                    "hook is silent", metadata: ["hook": "\(hook.name)", "since": "\(hook.heard.rfc3339WholeSeconds)"])
                let event = reporter().event(
                    OwnEvents.hookSilent, identity: "\(hook.name) \(hook.heard.microseconds)", at: now,
                    data: [
                        ("hook", hook.name), ("since", hook.heard.rfc3339),
                        ("expectedEverySeconds", String(hook.every.components.seconds)),
                    ])
                if let event { _ = try await store.add([event], now: now) }
            }
        } catch {
            logger.error("looking for silent hooks failed", metadata: ["error": "\(error)"])
        }
    }
}
