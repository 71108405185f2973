// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether the disk has room for another message, and whether the store is still where it was
// opened. Asked before a message is taken, so that its sender keeps it; looks once a second.

import Glibc
import HookModel
import HookStore
import Logging
import Synchronization

/// Safe to ask from any thread. Whoever asks first in a second looks; it takes some microseconds.
final class StoreRoom: Sendable {
    private let folder: String
    private let path: String
    /// Octets that have to be free.
    private let least: @Sendable () -> Int
    private let file: FileIdentity?
    private let makeRoom: @Sendable () -> Void
    private let logger: Logger
    /// Of the monotonic clock, in seconds.
    private let lookedAt = Atomic<Int>(.min)
    private let state = Mutex(State())

    private struct State {
        var refusal: Outcome?
        /// The journal's folder: mail is written there first. nil until the first mail made it.
        var journal: FileIdentity?
    }

    private struct FileIdentity: Equatable {
        var device: UInt
        var number: UInt

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            (device, number) = (UInt(status.st_dev), UInt(status.st_ino))
        }
    }

    /// - Parameters:
    ///   - dataFolder: the store in it is open already.
    ///   - least: octets, as they hold now; with fewer free, messages are refused. 0 refuses none.
    ///   - makeRoom: called once when there is too little.
    init(
        dataFolder: String, least: @escaping @Sendable () -> Int, logger: Logger, makeRoom: @escaping @Sendable () -> Void = {}
    ) {
        folder = dataFolder
        path = StorePath.inFolder(dataFolder)
        self.least = least
        file = FileIdentity(path)
        self.makeRoom = makeRoom
        self.logger = logger
    }

    /// Why nothing can be taken at this moment; nil if something can.
    var refusal: Outcome? {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        let last = lookedAt.load(ordering: .relaxed)
        if time.tv_sec > last,
            lookedAt.compareExchange(expected: last, desired: time.tv_sec, ordering: .relaxed).exchanged
        {
            look()
        }
        return state.withLock { $0.refusal }
    }

    private func look() {
        let journal = FileIdentity(StorePath.journal(inFolder: folder))
        let known = state.withLock { state in
            state.journal = state.journal ?? journal
            return state.journal
        }
        // Who writes on into a file without a name keeps nothing.
        let isGone = FileIdentity(path) != file || journal != known
        let free = FreeSpace.octets(at: folder)
        let least = least()
        let outcome: Outcome? = isGone ? .storeFailed : (free ?? .max) < least ? .storeFull : nil
        let before = state.withLock { state in
            defer { state.refusal = outcome }
            return state.refusal
        }
        guard outcome != before else { return }
        switch outcome {
        case .storeFull:
            makeRoom()
            logger.error(
                "disk nearly full; nothing is accepted",
                metadata: ["folder": "\(folder)", "free": "\(free ?? 0)", "needed": "\(least)"])
        case .some:
            logger.error(
                "the store was moved away or removed; nothing is accepted until it is back or after a restart",
                metadata: ["path": "\(path)"])
        case nil: logger.notice("the store takes messages again", metadata: ["folder": "\(folder)"])
        }
    }
}
