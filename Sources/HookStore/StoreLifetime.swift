// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Knows when all threads of a store have ended, and holds the owner's lock until then.

internal import HookModel
internal import Synchronization

final class StoreLifetime: Sendable {
    private struct State {
        var lock: StoreLock?
        var threads = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func lock(ownerOf path: String) throws(StoreError) {
        let lock = try StoreLock(ownerOf: path)
        state.withLock { $0.lock = lock }
    }

    /// Starts a thread that counts as alive until `body` returns.
    func start(_ body: @escaping @Sendable () -> Void) throws(StoreError) {
        state.withLock { $0.threads += 1 }
        do throws(StoreError) {
            try StoreThread.start {
                body()
                self.end()
            }
        } catch {
            end()
            throw error
        }
    }

    private func end() {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.threads -= 1
            guard state.threads == 0 else { return [] }
            // Everything is at rest: the next owner may come.
            state.lock = nil
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach { $0.resume() }
    }

    /// Returns when no thread is alive.
    func ended() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.threads > 0 { state.waiting.append(continuation) }
                return state.threads == 0
            }
            if isOver { continuation.resume() }
        }
    }
}
