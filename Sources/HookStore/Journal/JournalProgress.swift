// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How far the journal is written and how far the database has followed, for those who wait for one
// or the other.

internal import Glibc
internal import HookModel

/// Safe to share: everything mutable is touched with `mutex` held.
final class JournalProgress: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    private var committedPosition: JournalPosition
    private var appliedSequence: Int64
    private var waiting = 0
    /// Why the last attempt to apply records failed, and how many did so far.
    private var failure: StoreError?
    private var failures = 0
    private var isClosed = false

    init(at position: JournalPosition) {
        committedPosition = position
        appliedSequence = position.sequence
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func withLock<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Behind the last record that is synced.
    var committed: JournalPosition { withLock { committedPosition } }
    /// The last record that is in the database.
    var applied: Int64 { withLock { appliedSequence } }
    var hasFailed: Bool { withLock { failure != nil } }

    func setCommitted(_ position: JournalPosition) { withLock { committedPosition = position } }

    func setApplied(_ sequence: Int64) {
        withLock {
            appliedSequence = sequence
            failure = nil
            if waiting > 0 { pthread_cond_broadcast(condition) }
        }
    }

    func setFailure(_ error: StoreError) {
        withLock {
            failure = error
            failures += 1
            pthread_cond_broadcast(condition)
        }
    }

    /// Nothing will be applied any more.
    func close() {
        withLock {
            isClosed = true
            pthread_cond_broadcast(condition)
        }
    }

    /// Returns once the record `sequence` is in the database.
    ///
    /// - Parameter wake: called when there is something to wait for, to make it happen soon.
    /// - Throws: why it could not be brought there, if an attempt that failed ended after this call began.
    func wait(untilApplied sequence: Int64, _ wake: () -> Void) throws(StoreError) {
        let before = withLock { () -> Int? in appliedSequence >= sequence && failure == nil ? nil : failures }
        guard let before else { return }
        wake()
        let error = withLock { () -> StoreError? in
            waiting += 1
            defer { waiting -= 1 }
            while appliedSequence < sequence || failure != nil {
                if failures > before, let failure { return failure }
                if isClosed { return .closed }
                pthread_cond_wait(condition, mutex)
            }
            return nil
        }
        if let error { throw error }
    }
}
