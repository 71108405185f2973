// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Gives back what the start, or a burst of mail, has left in memory, as soon as little comes in. Others on the machine
// have a use for it, and what is still needed of a page of the program comes back at the next touch.

import HookStore
import ServiceLifecycle

struct RestingMemory: Service {
    /// When it is time.
    struct Pace {
        /// Records between two looks that still count as rest.
        static let rest = 8
        /// Records that are worth the work: a few milliseconds, and some for the mail that comes next.
        static let burst = 64

        private var before: Int
        /// nil before the first time: what the start has left goes in any case.
        private var last: Int?

        init(records: Int) { before = records }

        /// - Parameter records: that were stored so far, at each look.
        mutating func isTime(records: Int) -> Bool {
            defer { before = records }
            guard last.map({ records - $0 >= Self.burst && records - before < Self.rest }) ?? true else { return false }
            last = records
            return true
        }
    }

    private static let interval = Duration.seconds(1)

    let store: SQLiteStore
    let program: ProgramPages

    func run() async {
        await cancelWhenGracefulShutdown {
            var pace = Pace(records: store.recordsStored)
            while (try? await Task.sleep(for: Self.interval)) != nil {
                guard pace.isTime(records: store.recordsStored) else { continue }
                Allocator.trim()
                program.release()
            }
        }
    }
}
