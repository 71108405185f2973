// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Tells whoever subscribes to it that mail was refused. Senders choose how much mail is refused, so there is a bound
// on how many events come of it.

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
    private let state = Mutex(State())

    init(_ reporter: @escaping @Sendable () -> FailureReporter, store: any DeliveryStore, logger: Logger) {
        self.reporter = reporter
        self.store = store
        self.logger = logger
    }

    /// - Parameter id: the message's short name.
    func refused(_ id: String, _ message: ReceivedMessage, _ hooks: [HookVerdict], at time: Timestamp) {
        let untold = state.withLock { state -> Int? in
            let minute = time.seconds / 60
            if minute != state.minute { (state.minute, state.count) = (minute, 0) }
            guard state.count < Self.limit else {
                state.untold += 1
                return nil
            }
            state.count += 1
            defer { state.untold = 0 }
            return state.untold
        }
        guard let untold else { return }
        let event = reporter().event(
            OwnEvents.messageRejected, identity: "\(id) \(time.microseconds)", at: time,
            data: [
                ("message", id), ("intake", message.envelope.source.rawValue),
                ("hooks", hooks.map(\.eventName).joined(separator: " ")),
                ("outcome", hooks.map(\.outcome.rawValue).joined(separator: " ")),
                ("untold", untold > 0 ? String(untold) : nil),
            ])
        guard let event else { return }
        let (store, logger) = (store, logger)
        // The sender is not kept waiting for it; what is lost in a crash is a notice.
        Task {
            do {
                _ = try await store.add([event], now: time)
            } catch {
                logger.error("telling of a refused message failed", metadata: ["message": "\(id)", "error": "\(error)"])
            }
        }
    }
}
