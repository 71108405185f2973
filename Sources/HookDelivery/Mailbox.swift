// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Messages from many tasks to one. The receiver takes all that wait at once, so that under load one turn
// serves many deliveries.

internal import Synchronization

/// A queue with one receiver. Its users bound its length: each thing under way posts once, and signals fold into one.
final class Mailbox<Message: Sendable>: Sendable {
    /// What the receiver takes out.
    struct Mail: Sendable {
        var messages: [Message] = []
        /// Whether `signal` was called since the last mail.
        var isSignalled = false

        var isEmpty: Bool { messages.isEmpty && !isSignalled }
    }

    private struct State {
        var mail = Mail()
        var receiver: CheckedContinuation<Void, Never>?
        /// The receiver's task was cancelled; it is not to wait.
        var isReleased = false

        mutating func takeReceiver() -> CheckedContinuation<Void, Never>? {
            defer { receiver = nil }
            return receiver
        }
    }

    private let state = Mutex(State())

    func post(_ message: Message) {
        state.withLock { state in
            state.mail.messages.append(message)
            return state.takeReceiver()
        }?.resume()
    }

    func signal() {
        state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.mail.isSignalled { return nil }
            state.mail.isSignalled = true
            return state.takeReceiver()
        }?.resume()
    }

    /// Returns when there is mail, or the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.mail.isEmpty || state.isReleased { return true }
                    state.receiver = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                state.isReleased = true
                return state.takeReceiver()
            }?.resume()
        }
    }

    /// What is there now, perhaps nothing.
    func take() -> Mail {
        state.withLock { state in
            state.isReleased = false
            defer { state.mail = Mail() }
            return state.mail
        }
    }
}
