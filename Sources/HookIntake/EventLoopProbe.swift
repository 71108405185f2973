// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether the threads that read sockets still turn. For a watchdog.

import NIOCore
import NIOPosix
import Synchronization

public enum EventLoopProbe {
    /// Calls `answer` once when every event loop has taken a turn.
    public static func ask(_ answer: @escaping @Sendable () -> Void) {
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        let counter = Counter(loops.count)
        for loop in loops { loop.execute { if counter.isLast() { answer() } } }
    }

    private final class Counter: Sendable {
        private let left: Atomic<Int>

        init(_ count: Int) { left = Atomic(count) }

        func isLast() -> Bool { left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
    }
}
