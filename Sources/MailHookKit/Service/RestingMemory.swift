// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Gives back what the start, or a burst of mail, has left in memory, as soon as little comes in. Others on the machine
// have a use for it, and what is still needed of a page of the program comes back at the next touch.

import HookModel
import HookStore
import ServiceLifecycle

struct RestingMemory: Service {
    /// When it is time.
    struct Pace {
        /// Records and connections between two looks that still count as rest.
        static let rest = 8
        /// Records and connections that are worth the work: a few milliseconds, and some for the mail that comes next.
        static let burst = 64

        private var before: Int
        /// nil before the first time: what the start has left goes in any case.
        private var last: Int?

        init(count: Int) { before = count }

        /// - Parameter count: at each look, how many records were stored so far, and how many connections are over: what was
        ///   refused, or never came to its end, leaves memory as well.
        mutating func isTime(count: Int) -> Bool {
            defer { before = count }
            guard last.map({ count - $0 >= Self.burst && count - before < Self.rest }) ?? true else { return false }
            last = count
            return true
        }
    }

    private static let interval = Duration.seconds(1)

    let store: SQLiteStore
    let program: ProgramPages

    private var count: Int { store.recordsStored + OpenConnections.all.countOfClosed }

    func run() async {
        await cancelWhenGracefulShutdown {
            var pace = Pace(count: count)
            while (try? await Task.sleep(for: Self.interval)) != nil {
                guard pace.isTime(count: count) else { continue }
                Allocator.trim()
                program.release()
            }
        }
    }
}
