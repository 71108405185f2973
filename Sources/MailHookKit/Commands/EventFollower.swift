// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd listen`: follows the store and hands on each new event. It only reads; whether the
// daemon runs, is restarted or comes later makes no difference to it.

import HookDelivery
import HookModel
import HookStore

public struct EventFollower: Sendable {
    private let dataFolder: String
    private let patterns: [String]
    private let fromStart: Bool
    private let count: Int?
    private let timeout: Duration?

    /// How often the store is asked. One indexed look-up each time.
    private static let interval = Duration.milliseconds(50)
    private static let pageSize = 500

    /// - Parameters:
    ///   - patterns: event patterns as in the configuration; empty for all.
    ///   - fromStart: begin with what is stored already.
    ///   - count: end after so many events; nil for no end.
    ///   - timeout: end after this time; nil for no end.
    public init(dataFolder: String, patterns: [String], fromStart: Bool, count: Int?, timeout: Duration?) {
        self.dataFolder = dataFolder
        self.patterns = patterns
        self.fromStart = fromStart
        self.count = count
        self.timeout = timeout
    }

    /// Returns true when `count` events were shown, false when time ran out before.
    public func run(_ show: (EventLine) -> Void) async throws(SetupError) -> Bool {
        let patterns = try parsedPatterns()
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(dataFolder), as: .reader)
            let isComplete = try await follow(store, patterns, show)
            await store.close()
            return isComplete
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }

    private func follow(
        _ store: SQLiteStore, _ patterns: [EventPattern], _ show: (EventLine) -> Void
    ) async throws(StoreError) -> Bool {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        var last = fromStart ? 0 : try await store.lastSequence()
        var shown = 0
        while true {
            let page = try await store.events(after: last, limit: Self.pageSize)
            for stored in page {
                last = stored.sequence
                guard patterns.isEmpty || patterns.contains(where: { $0.matches(stored.event.type) }) else { continue }
                show(EventLine(stored.event))
                shown += 1
                if let count, shown == count { return true }
            }
            if page.count == Self.pageSize { continue }
            // Without --count the time is the end that was asked for.
            if let deadline, ContinuousClock.now >= deadline { return count == nil }
            do { try await Task.sleep(for: Self.interval) } catch { return count == nil }
        }
    }

    private func parsedPatterns() throws(SetupError) -> [EventPattern] {
        var parsed: [EventPattern] = []
        for text in patterns {
            do {
                parsed.append(try EventPattern(text))
            } catch {
                throw SetupError("'\(text)' is no event pattern: \(error)", exitStatus: SysExit.usage)
            }
        }
        return parsed
    }
}
