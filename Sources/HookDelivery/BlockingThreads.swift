// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A few POSIX threads for calls that block (fdatasync, waiting for a program). Swift's own threads are as
// many as the machine has processors; one blocked disk would stop everything that runs on them.

internal import Glibc
internal import HookModel
internal import Synchronization

/// At most `count` threads, started when first needed, ended by `stop` or when the last reference goes.
final class BlockingThreads: Sendable {
    private let queue: JobQueue

    /// SIGPIPE is blocked on these threads: writing to a closed pipe is an error there, not the end of the daemon.
    init(count: Int) { queue = JobQueue(threadLimit: max(1, count)) }

    deinit { queue.stop() }

    /// Runs `body` on one of the threads. nil if the threads have ended, or none can be started.
    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value? {
        await withCheckedContinuation { continuation in
            let isAccepted = queue.add { continuation.resume(returning: body()) }
            if !isAccepted { continuation.resume(returning: nil) }
        }
    }

    /// The same for whoever does not wait. False if it will not run.
    func add(_ body: @escaping @Sendable () -> Void) -> Bool { queue.add(body) }

    /// Jobs that were accepted still run; later ones are refused.
    func stop() { queue.stop() }
}

/// What the threads share. They hold it, not `BlockingThreads`, or that would never be freed.
private final class JobQueue: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var threads = 0
        var idle = 0
        var isStopped = false
    }

    private let threadLimit: Int
    private let state = Mutex(State())
    private let semaphore: Semaphore

    init(threadLimit: Int) {
        self.threadLimit = threadLimit
        semaphore = Semaphore()
    }

    func add(_ job: @escaping @Sendable () -> Void) -> Bool {
        let (isAccepted, needsThread) = state.withLock { state -> (Bool, Bool) in
            if state.isStopped { return (false, false) }
            state.jobs.append(job)
            let needsThread = state.jobs.count > state.idle && state.threads < threadLimit
            if needsThread { state.threads += 1 }
            return (true, needsThread)
        }
        guard isAccepted else { return false }
        if needsThread && !startThread() {
            // With another thread alive the job only waits; with none it would wait for ever.
            let isOrphaned = state.withLock { state in
                state.threads -= 1
                if state.threads > 0 { return false }
                state.jobs.removeLast()
                return true
            }
            if isOrphaned { return false }
        }
        semaphore.signal()
        return true
    }

    func stop() {
        let threads = state.withLock { state in
            state.isStopped = true
            return state.threads
        }
        for _ in 0..<threads { semaphore.signal() }
    }

    private func startThread() -> Bool {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return false }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 512 * 1024)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(self)
        let status = pthread_create(&thread, &attributes, { argument in
            guard let argument else { return nil }
            let queue = Unmanaged<JobQueue>.fromOpaque(argument).takeRetainedValue()
            queue.work()
            return nil
        }, box.toOpaque())
        if status != 0 { box.release() }
        return status == 0
    }

    private func work() {
        // All signals go to other threads; SIGPIPE, which is sent to the thread that writes, stays pending for ever.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        // An event loop may have started this thread, and programs inherit what it may use.
        ThreadPlacement.free()
        while true {
            state.withLock { $0.idle += 1 }
            semaphore.wait()
            let (job, isOver) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
                state.idle -= 1
                return state.jobs.isEmpty ? (nil, state.isStopped) : (state.jobs.removeFirst(), false)
            }
            if let job { job() } else if isOver { return }
        }
    }
}

/// A POSIX semaphore; it must not move, so it lives on the heap.
private final class Semaphore: @unchecked Sendable {
    // Safe to share: sem_post and sem_wait may be called from any thread (POSIX semaphores are made for that).
    private let pointer = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(pointer, 0, 0) }

    deinit {
        sem_destroy(pointer)
        pointer.deallocate()
    }

    func signal() { sem_post(pointer) }

    func wait() {
        while sem_wait(pointer) != 0 {}  // EINTR
    }
}
