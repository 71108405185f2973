// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A thread of the store's own with a queue before it. Swift's threads are as many as the machine
// has processors, and a disk that blocks one of them would stop everything that runs on them.

internal import Glibc
internal import HookModel

/// Jobs in their order, taken by one thread, several at a time.
///
/// Safe to share: everything mutable is touched with `mutex` held.
final class StoreQueue<Job: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    private var isClosed = false
    /// The thread sleeps, so that only then it is woken.
    private var isWaiting = false

    init() {
        pthread_mutex_init(mutex, nil)
        // Waiting with a timeout does not follow the wall clock when that is set.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// False if the queue is closed; the job is not taken then.
    func add(_ job: Job) -> Bool {
        pthread_mutex_lock(mutex)
        let isTaken = !isClosed
        if isTaken { jobs.append(job) }
        let wakes = isTaken && isWaiting
        if wakes { isWaiting = false }
        pthread_mutex_unlock(mutex)
        // Without the mutex: the thread would wake up only to wait for it.
        if wakes { pthread_cond_signal(condition) }
        return isTaken
    }

    /// Everything that waits, after at least one job came; nil once the queue is closed and empty.
    ///
    /// - Parameter timeout: milliseconds after which nothing is returned if nothing came; nil waits without end.
    func takeAll(timeout: Int? = nil) -> [Job]? {
        let deadline = timeout.map(Self.moment)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty {
            if isClosed { return nil }
            isWaiting = true
            if var deadline {
                if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { break }
            } else {
                pthread_cond_wait(condition, mutex)
            }
        }
        isWaiting = false
        let taken = jobs
        jobs = []
        return taken
    }

    private static func moment(in milliseconds: Int) -> timespec {
        var moment = timespec()
        clock_gettime(CLOCK_MONOTONIC, &moment)
        moment.tv_sec += milliseconds / 1000
        moment.tv_nsec += milliseconds % 1000 * 1_000_000
        if moment.tv_nsec >= 1_000_000_000 {
            moment.tv_nsec -= 1_000_000_000
            moment.tv_sec += 1
        }
        return moment
    }

    /// No more jobs are taken in; those that wait are still handed out.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        isWaiting = false
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}

enum StoreThread {
    /// From now on the calling thread, when it wakes up, waits for a processor to be free instead of taking one from a
    /// thread at work (SCHED_BATCH, sched(7)): what it is to do gathers meanwhile, and is done with fewer syncs.
    static func giveWay() {
        var parameters = sched_param()
        // SCHED_BATCH of Linux, which Swift does not see.
        let batch: Int32 = 3
        // Of this thread alone. Where it is not allowed, nothing is lost but some speed.
        sched_setscheduler(0, batch, &parameters)
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a thread that ends by itself. Signals go to other threads.
    static func start(_ body: @escaping @Sendable () -> Void) throws(StoreError) {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { throw .failed("no memory for a thread") }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 1 << 20)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Body(body))
        // A new thread inherits the mask; SIGPIPE and its like are for nobody here.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let status = pthread_create(&thread, &attributes, { argument in
            guard let argument else { return nil }
            Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
            return nil
        }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw .failed("cannot start a thread: \(String(cString: strerror(status)))")
        }
    }
}
