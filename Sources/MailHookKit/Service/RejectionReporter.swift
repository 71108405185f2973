// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tells whoever subscribes to it that mail was refused, or that a trigger could not shape an event. Senders choose how
// often that is, so there is a bound on how many events come of it.

import HookDelivery
import HookModel
import Logging
import Synchronization

final class RejectionReporter: Sendable {
    /// Events a minute. Further refusals are counted, and the next event says how many there were.
    private static let limit = 60

    private struct State {
        var minute: Int64 = 0
        var count = 0
        var untold = 0
    }

    private let reporter: @Sendable () -> FailureReporter
    private let store: any DeliveryStore
    private let logger: Logger
    private let refusals = Mutex(State())
    private let failures = Mutex(State())

    init(_ reporter: @escaping @Sendable () -> FailureReporter, store: any DeliveryStore, logger: Logger) {
        self.reporter = reporter
        self.store = store
        self.logger = logger
    }

    /// - Parameter id: the message's short name.
    func refused(_ id: String, _ message: ReceivedMessage, _ hooks: [HookVerdict], at time: Timestamp) {
        guard let untold = Self.take(refusals, at: time) else { return }
        let event = reporter().event(
            OwnEvents.messageRejected, identity: "\(id) \(time.microseconds)", at: time,
            data: [
                ("message", id), ("intake", message.envelope.source.rawValue),
                ("hooks", hooks.map(\.eventName).joined(separator: " ")),
                ("outcome", hooks.map(\.outcome.rawValue).joined(separator: " ")),
                ("untold", untold > 0 ? String(untold) : nil),
            ])
        if let event { tell([event], id, at: time) }
    }

    /// - Parameter id: the message's short name.
    func triggersFailed(_ id: String, _ hooks: [HookVerdict], at time: Timestamp) {
        var events: [AddedEvent] = []
        for hook in hooks {
            for failure in hook.failures {
                guard let untold = Self.take(failures, at: time) else { continue }
                let event = reporter().event(
                    OwnEvents.triggerFailed, identity: failure.eventID, at: time,
                    data: [
                        ("event", failure.eventID), ("eventType", hook.eventName), ("message", id),
                        ("code", failure.code.rawValue), ("reason", failure.reason),
                        ("untold", untold > 0 ? String(untold) : nil),
                    ])
                if let event { events.append(event) }
            }
        }
        if !events.isEmpty { tell(events, id, at: time) }
    }

    /// How many were not told since the last; nil where this one is not to be told either.
    private static func take(_ state: borrowing Mutex<State>, at time: Timestamp) -> Int? {
        state.withLock { state in
            let minute = time.seconds / 60
            if minute != state.minute { (state.minute, state.count) = (minute, 0) }
            guard state.count < limit else {
                state.untold += 1
                return nil
            }
            state.count += 1
            defer { state.untold = 0 }
            return state.untold
        }
    }

    private func tell(_ events: [AddedEvent], _ id: String, at time: Timestamp) {
        let (store, logger) = (store, logger)
        // The sender is not kept waiting for it; what is lost in a crash is a notice.
        Task {
            do {
                _ = try await store.add(events, now: time)
            } catch {
                logger.error("telling of a failure failed", metadata: ["message": "\(id)", "error": "\(error)"])
            }
        }
    }
}
