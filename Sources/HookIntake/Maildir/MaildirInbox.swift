// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What other threads tell the watcher's thread, and its sleep until they do: a lock for the news,
// a pipe for the moment when that thread is in poll(2).

import Glibc
import HookModel
import Synchronization

/// Safe to share: `news` synchronizes itself, the ends of the pipe are constant.
final class MaildirInbox: @unchecked Sendable {
    /// What became of a message that was handed over.
    struct Answer: Sendable {
        /// The file, and what comes next if its message was taken.
        var move: MaildirMove
        var octets: Int
        var outcome: Outcome
    }

    struct News: Sendable {
        var answers: [Answer] = []
        /// Done by the mover.
        var moves: [MaildirMove] = []
        /// No more messages are to be begun.
        var isStopping = false
        /// The thread sleeps in poll(2), or is about to.
        fileprivate var isSleeping = false
    }

    private let news = Mutex(News())
    private let wakeRead: Int32
    private let wakeWrite: Int32

    /// nil with `errno` set where the system has no descriptors for it.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
    }

    deinit {
        close(wakeRead)
        close(wakeWrite)
    }

    /// Called by any thread.
    func tell(_ change: (inout News) -> Void) {
        let isSleeping = news.withLock { news in
            change(&news)
            defer { news.isSleeping = false }
            return news.isSleeping
        }
        guard isSleeping else { return }
        var octet: UInt8 = 1
        // A full pipe wakes as well.
        _ = write(wakeWrite, &octet, 1)
    }

    /// Takes out what is new. `isStopping` stays.
    func take() -> News {
        news.withLock { news in
            defer {
                news.answers.removeAll(keepingCapacity: true)
                news.moves.removeAll(keepingCapacity: true)
            }
            return news
        }
    }

    /// Sleeps until there is news, or `descriptor` has something to read, or the time is over. Once the thread knows of
    /// the stop, that is no news.
    func sleep(milliseconds: Int32, or descriptor: Int32?, knowsOfStop: Bool) {
        let isIdle = news.withLock { news in
            news.isSleeping = news.answers.isEmpty && news.moves.isEmpty && (!news.isStopping || knowsOfStop)
            return news.isSleeping
        }
        guard isIdle else { return }
        // poll(2) leaves out descriptors below zero.
        var descriptors = [wakeRead, descriptor ?? -1].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        _ = poll(&descriptors, nfds_t(descriptors.count), milliseconds)
        news.withLock { $0.isSleeping = false }
        guard descriptors[0].revents != 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 64)
        _ = read(wakeRead, &buffer, buffer.count)
    }
}
